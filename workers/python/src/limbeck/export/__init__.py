"""Core ML export: convert a module, execute the written file on any machine, compare the two.

    toolkit          coremltools on demand (3.3 s to import), its known noise silenced
    modules          the graphs that ship: the UNet's one step
    convert          module -> .mlpackage, with digests and a census
    mil_program      the file: program, constants, canonical dump
    mil_ops          what each operation computes, in torch
    mil_interpreter  the program executed
    verify           file against eager module: PSNR, largest error, drift by operation

Importing this package loads neither torch nor coremltools.
"""
