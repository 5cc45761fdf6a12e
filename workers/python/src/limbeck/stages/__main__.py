"""Child process of one attempt: `python -m limbeck.stages WORKDIR`, or several on one machine's GPUs:
`torchrun --nproc-per-node N -m limbeck.stages WORKDIR`.

Rank 0 speaks for the group: the other processes write into WORKDIR/ranks/, which nobody reads.

Exit codes: 0 finished (result.json), 75 stopped on request with a checkpoint, 2 known failure
(failure.json), 1 anything else (traceback on stderr).
"""

import errno
import json
import os
import resource
import signal
import sys
from pathlib import Path

from pydantic import ValidationError

from limbeck.contracts import parse_stage_spec
from limbeck.contracts.context import StageContext, StageFailure, StopRequested, write_atomically
from limbeck.data.reader import QuarantineExceeded
from limbeck.data.shards import CorruptSample, DataError, TruncatedShard
from limbeck.stages.registry import stage_function

FINISHED, ERROR, FAILED, STOPPED = 0, 1, 2, 75


def _peak_memory() -> int:
    """Most bytes ever held: on the GPU where this process used one, else of the process itself."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available() and torch.cuda.max_memory_allocated():
        return torch.cuda.max_memory_allocated()
    kilobytes_on_linux = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return kilobytes_on_linux * (1 if sys.platform == "darwin" else 1024)


def _join_group() -> None:
    # torch takes a second to load; a stage without a group may not need it.
    from limbeck.training.distributed import start_group

    start_group()


def load_context(workdir: Path, rank: int = 0) -> StageContext:
    """Context from WORKDIR/spec.json; StageFailure bad_config names the field that is wrong."""
    path = workdir / "spec.json"
    try:
        job = json.loads(path.read_text())
        spec = parse_stage_spec(job["spec"])
    except FileNotFoundError as error:
        raise StageFailure("bad_config", f"there is no {path}") from error
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise StageFailure("bad_config", f"{path} is not a stage job: {error!r}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise StageFailure("bad_config", f"spec {where}: {first['msg']} (got {first['input']!r})") from error
    resume = job.get("resume")
    inputs = {name: Path(folder) for name, folder in job.get("inputs", {}).items()}
    own = workdir if rank == 0 else workdir / "ranks" / str(rank)
    own.mkdir(parents=True, exist_ok=True)
    return StageContext(own, spec, inputs, Path(resume) if resume else None)


def classified(error: BaseException) -> StageFailure | None:
    """Failures that have a name whoever raised them."""
    if isinstance(error, StageFailure):
        return error
    if isinstance(error, CorruptSample | TruncatedShard | QuarantineExceeded):
        return StageFailure("corrupt_data", str(error))
    if isinstance(error, DataError):
        return StageFailure("bad_input", str(error))
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StageFailure("disk_full", f"no space left while writing {error.filename or 'a file'}")
    # By name: torch.OutOfMemoryError must not make this module import torch.
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return StageFailure(
            "out_of_memory", f"out of memory: {str(error).splitlines()[0] if str(error) else ''}"
        )
    return None


def main(argv: list[str]) -> int:
    if len(argv) != 2:
        print("usage: python -m limbeck.stages WORKDIR", file=sys.stderr)
        return ERROR
    workdir = Path(argv[1]).absolute()
    rank = int(os.environ.get("RANK", "0"))
    try:
        ctx = load_context(workdir, rank)
        if "WORLD_SIZE" in os.environ:
            _join_group()
        signal.signal(signal.SIGTERM, lambda *_: ctx.request_stop())
        print(
            f"stage {ctx.spec.kind} pid {os.getpid()} threads {os.environ.get('OMP_NUM_THREADS', 'unset')}",
            flush=True,
        )
        result = stage_function(ctx.spec.kind)(ctx)
        result = result.model_copy(
            update={
                "warnings": ctx.warnings,
                "metrics": {**result.metrics, "peak_memory_bytes": float(_peak_memory())},
            }
        )
        if rank == 0:
            write_atomically(workdir / "result.json", result.model_dump_json(indent=1))
        return FINISHED
    except StopRequested:
        return STOPPED
    except Exception as error:
        failure = classified(error)
        if failure is None:
            raise
        print(f"stage failed ({failure.reason}): {failure.message}", file=sys.stderr, flush=True)
        write_atomically(
            workdir / "failure.json", json.dumps({"reason": failure.reason, "message": failure.message})
        )
        return FAILED


if __name__ == "__main__":
    code = main(sys.argv)
    if "WORLD_SIZE" in os.environ:
        # gloo's threads abort a process now and then while the interpreter takes itself apart.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)
