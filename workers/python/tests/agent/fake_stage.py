"""A stage process for tests: `fake_stage.py MODE WORKDIR` follows the stages' file protocol."""

# Plain os calls: it is to start in a few milliseconds.
# ruff: noqa: PTH103, PTH110, PTH123, PTH208, PTH211, SIM115
import json
import os
import signal
import subprocess
import sys
import time

MODE, WORK = sys.argv[1], sys.argv[2]


def metric(**content):
    with open(f"{WORK}/spool/metrics.ndjson", "a") as stream:
        stream.write(json.dumps({"time": time.time(), **content}) + "\n")


def progress(step):
    metric(step=step, progress={"step": step, "total": 100, "images_per_second": 5.0, "loss": "NaN"})


def checkpoint(step):
    folder = f"{WORK}/checkpoints/{step:09d}"
    os.makedirs(folder)
    with open(f"{folder}/state.bin", "w") as stream:
        stream.write(f"state at {step}")
    with open(f"{folder}/manifest.json", "w") as stream:
        json.dump({"step": step, "files": {}}, stream)


def result(**content):
    with open(f"{WORK}/output/model.bin", "wb") as stream:
        stream.write(b"weights" * 1000)
    os.makedirs(f"{WORK}/output/deep")
    with open(f"{WORK}/output/deep/empty", "wb"):
        pass
    with open(f"{WORK}/result.json", "w") as stream:
        json.dump({"metrics": {"loss": 0.5}, "warnings": [], "evaluations": [], **content}, stream)


def stop(*_):
    checkpoint(7)
    sys.exit(75)


def serve():
    """Reports progress until it is ended."""
    step = 0
    while True:
        progress(step)
        step += 1
        time.sleep(0.05)


signal.signal(signal.SIGTERM, stop)
print(f"started {os.getpid()}", flush=True)
if MODE == "finish":
    for step in range(3):
        metric(step=step, scalars={"loss/task": 1.0 / (step + 1), "odd": float("nan")})
        progress(step)
    metric(step=2, arrays={"validation/task_by_t": [0.5, None, "Infinity"]})
    with open(f"{WORK}/spec.json") as stream:
        spec = json.load(stream)
    for name, folder in sorted(spec["inputs"].items()):
        print(name, sorted(os.listdir(folder)))
    print("resume", spec["resume"] and open(f"{spec['resume']}/state.bin").read())
    print("secrets", [k for k in os.environ if "TOKEN" in k], "threads", os.environ["OMP_NUM_THREADS"])
    result()
elif MODE == "serve":
    serve()
elif MODE == "chatty":
    while True:
        print("still here", flush=True)
        time.sleep(0.02)
elif MODE == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print("deaf", flush=True)
    serve()
elif MODE == "family":
    # A helper in the group, and one that left it for a session of its own.
    helpers = [subprocess.Popen(["sleep", "1000"], start_new_session=own) for own in (False, True)]
    print("family", os.getpid(), *[helper.pid for helper in helpers], flush=True)
    serve()
elif MODE == "checkpoints":
    for step in (10, 20, 30):
        checkpoint(step)
    os.makedirs(f"{WORK}/checkpoints/.000000040.partial")
    os.makedirs(f"{WORK}/checkpoints/000000050")
    serve()
elif MODE == "silent":
    print("silent", flush=True)
    time.sleep(1000)
elif MODE == "wait_for_file":
    while not os.path.exists(f"{WORK}/go"):
        progress(1)
        time.sleep(0.02)
    metric(step=1, scalars={"after": 1.0})
    result()
elif MODE == "known_failure":
    with open(f"{WORK}/failure.json", "w") as stream:
        json.dump({"reason": "non_finite", "message": "loss is NaN at step 12"}, stream)
    sys.exit(2)
elif MODE == "unknown_reason":
    with open(f"{WORK}/failure.json", "w") as stream:
        json.dump({"reason": "sad", "message": "no reason of the catalogue"}, stream)
    sys.exit(2)
elif MODE == "traceback":
    for number in range(60):
        print("line", number)
    sys.stdout.flush()
    raise ValueError("latents are [4, 8, 8], expected [16, 8, 8]")
elif MODE == "no_space":
    raise RuntimeError("safetensors: No space left on device (os error 28)")
elif MODE == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
elif MODE == "segfault":
    os.kill(os.getpid(), signal.SIGSEGV)
elif MODE == "no_result":
    pass
elif MODE == "nan_result":
    result(metrics={"loss": float("nan"), "psnr_db": 31.0})
elif MODE == "link_output":
    result()
    os.symlink("/tmp", f"{WORK}/output/link")
elif MODE == "preempted":
    checkpoint(7)
    sys.exit(75)
else:
    raise SystemExit(f"unknown mode {MODE}")
