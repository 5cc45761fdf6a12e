"""Core ML export: convert a module, execute the written file on any machine, compare the two.

    toolkit          coremltools on demand (3.3 s to import), its known noise silenced
    modules          the graphs that ship: the UNet's one step, the decoder
    graph            the graph that is converted, and its values in torch by name
    convert          module -> .mlpackage, with digests and a census
    palette_fit      the values that stand for a group of weights
    palettes, int8   compressed copies of a package
    sensitivity      what each layer loses as a palette; the best plan under a size
    mil_program      the file: program, constants, canonical dump
    mil_ops          what each operation computes, in torch
    mil_interpreter  the program executed
    verify           file against torch: PSNR, largest error, drift by operation
    loop             the sampling loop on the files beside torch's
    onnx_check       ONNX Runtime on the same module
    checks           rules of the target, digests
    device_cost      MACs, bytes, activation peak; estimates of latency
    phone            what an app needs beside the packages

Importing this package loads neither torch nor coremltools.
"""
