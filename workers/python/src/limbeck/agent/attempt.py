"""One lease from claim to its end: inputs, the stage's process, its output, the final word.

Nothing here is decided by a wall clock or by an answer that did not come: while the API is away the
stage goes on, and what the attempt has to say waits until it can be said or the lease is lost.
"""

import json
import shutil
import signal
import time
from collections import deque
from typing import Any

from limbeck.agent.cache import BlobCache
from limbeck.agent.checkpoints import CheckpointUploader
from limbeck.agent.child import Child, Exit, StartFailed, stage_environment
from limbeck.agent.client import Client, GaveUp, LeaseLost, Rejected, TokenRefused
from limbeck.agent.control import BROKEN, CANCEL, DISK, DRAIN, ENDED, LOST, SHUTDOWN, TOKEN, Control
from limbeck.agent.disk import DiskFull, disk_full, is_full
from limbeck.agent.endings import Discarded, Ending, Released, Result, Settings
from limbeck.agent.eventlog import log
from limbeck.agent.exits import (
    MESSAGE_UNITS,
    Failed,
    Finished,
    Stopped,
    classify,
    oom_kill_count,
    read_failure,
    read_result,
)
from limbeck.agent.folder import AttemptFolder
from limbeck.agent.heartbeat import Heartbeat
from limbeck.agent.log_spool import LogSpool
from limbeck.agent.metric_spool import MetricSpool, ProgressTail
from limbeck.agent.shipper import Shipper
from limbeck.agent.text import cut
from limbeck.agent.transfers import Anything, CorruptBlob, MissingBlob, Transfers
from limbeck.agent.trees import TreeError
from limbeck.contracts.generated import CompleteRequest, FailRequest, ReleaseRequest

TIMEOUT, STALL, OUTAGE, METRICS = "timeout", "stall", "outage", "metrics_cap"

# Who stops an attempt first has the say, unless something above it in this order comes later.
PRECEDENCE = (LOST, TOKEN, BROKEN, DISK, METRICS, CANCEL, TIMEOUT, STALL, DRAIN, SHUTDOWN, OUTAGE)
AT_ONCE = (LOST, TOKEN, BROKEN, DISK, METRICS)
CANCEL_GRACE_SECONDS = 2.0
END_GRACE_SECONDS = 10.0
POLL_SECONDS = 0.1
FLUSH_SECONDS = 10.0
LAST_FLUSH_SECONDS = 30.0
METRICS_CAP_BYTES = 4 << 30
OUTPUT_LOST_CODES = ("unknown_artifact", "artifact_mismatch", "artifact_not_verified")


class Attempt:
    """Runs in the caller's thread; heartbeat, spools and checkpoints have threads of their own."""

    def __init__(
        self,
        api: Client,
        transfers: Transfers,
        cache: BlobCache,
        settings: Settings,
        control: Control,
        folder: AttemptFolder,
    ) -> None:
        record = folder.read_record()
        if record is None:
            raise ValueError(f"{folder.path} holds no attempt")
        self.lease: dict[str, Any] = record["lease"]
        self.folder = folder
        self._api, self._transfers, self._cache = api, transfers, cache
        self._settings, self._control = settings, control
        self._stage: str = self.lease["stage"]
        self._identity = {"worker": record["worker"], "epoch": self.lease["epoch"]}
        self._began = time.monotonic()
        self._leave_by: float | None = None
        self._disk_full = False
        self._stderr: deque[str] = deque(maxlen=30)
        self._logs = LogSpool(folder.agent / "logs", self.lease["epoch"])
        self._tail = ProgressTail(folder.metrics)
        metrics = MetricSpool(folder.metrics, folder.agent / "metrics.json", self.lease["epoch"], self._say)
        self._shippers = [
            Shipper(api, self._path(name), spool, control, self._say)
            for name, spool in (("metrics", metrics), ("logs", self._logs))
        ]
        self._heartbeat = Heartbeat(
            api, self._stage, self._identity, settings.hold_seconds, control, lambda: self._tail.progress
        )
        self._uploader = CheckpointUploader(
            api, transfers, self._stage, self._identity, folder.checkpoints, control
        )

    def run(self) -> Result:
        """Does the attempt.

        Raises:
            TokenRefused: the agent has lost its right to speak; the folder is kept.
        """
        return self._with_threads(self._work)

    def recover(self) -> Result:
        """Says the final word of an attempt whose agent died; its stage is known to be dead.

        Raises:
            TokenRefused
        """
        return self._with_threads(self._ending_on_disk)

    def send_spool(self, seconds: float) -> bool:
        """Sends metrics and logs of an ended attempt; true when nothing is left to send."""
        deadline = time.monotonic() + seconds
        for shipper in self._shippers:
            shipper.start()
        return all([shipper.finish(max(0.0, deadline - time.monotonic())) for shipper in self._shippers])

    # --- the attempt's course ---

    def _with_threads(self, work: Any) -> Result:
        for thread in (self._heartbeat, *self._shippers):
            thread.start()
        result: Result = "kept"
        try:
            result = self._settle(work())
        finally:
            self._control.set(ENDED)
            self._uploader.abort()
            self._close(result)
        log("attempt_ended", stage=self._stage, epoch=self.lease["epoch"], result=result)
        return result

    def _work(self) -> Ending:
        try:
            command = self._prepare()
            return self._run_stage(command)
        except LeaseLost:
            return Discarded()
        except (GaveUp, TokenRefused) as error:
            if isinstance(error, TokenRefused):
                self._control.set(TOKEN, str(error))
            return self._ending_of(self._why_stop() or LOST)
        except Rejected as error:
            return Failed(reason="bad_input", message=f"inputs cannot be fetched: {error}")
        except (MissingBlob, TreeError) as error:
            return Failed(reason="bad_input", message=str(error))
        except CorruptBlob as error:
            return Failed(reason="corrupt_data", message=str(error))
        except DiskFull as error:
            return Failed(reason="disk_full", message=str(error))
        except StartFailed as error:
            return Failed(reason="error", message=str(error))
        except OSError as error:
            full = is_full(error)
            message = str(disk_full(self.folder.path)) if full else f"the agent failed: {error!r}"
            return Failed(reason="disk_full" if full else "worker_lost", message=message)

    def _prepare(self) -> list[str]:
        """Fetches inputs and the checkpoint, writes spec.json; returns the stage's command."""
        lease = self.lease
        self._say(f"attempt {lease['epoch']} of {lease['name']}: {len(lease['inputs'])} inputs to fetch")
        inputs = {}
        for name, digest in self.lease["inputs"].items():
            target = self.folder.path / "inputs" / name
            self._transfers.download_tree(self._stage, digest, target, self._while_working)
            inputs[name] = str(target)
        spec = {
            "stage": self._stage,
            "epoch": self.lease["epoch"],
            "spec": self.lease["spec"],
            "inputs": inputs,
            "resume": self._fetch_checkpoint(),
        }
        (self.folder.path / "spec.json").write_text(json.dumps(spec))
        return [*self._settings.stage_command, str(self.folder.path)]

    def _fetch_checkpoint(self) -> str | None:
        resume = self.lease["resume"]
        if resume is None:
            return None
        target = self.folder.path / "resume"
        try:
            self._transfers.download_tree(self._stage, resume["digest"], target, self._while_working)
        except (MissingBlob, CorruptBlob, TreeError, Rejected) as error:
            # The result is the same from the start; only time is lost.
            self._say(f"checkpoint of step {resume['step']} cannot be used, starting from step 0: {error}")
            shutil.rmtree(target, ignore_errors=True)
            return None
        self._say(f"resuming from the checkpoint of step {resume['step']}")
        return str(target)

    def _run_stage(self, command: list[str]) -> Ending:
        env = stage_environment(self._settings.threads, self.folder.path, self._settings.uses_gpu)
        oom_before = oom_kill_count()
        child = Child(command, self.folder.path, env, self._on_line)
        try:
            self._say(f"stage process {child.pid} started with {self._settings.threads} threads")
            self._uploader.start()
            ended, why = self._watch(child)
        finally:
            child.close()
        self._tail.read()
        log("stage_exit", stage=self._stage, code=ended.code, signal=ended.signal, why=why)
        if why not in (None, DRAIN, SHUTDOWN, OUTAGE):
            return self._ending_of(why)
        if why is not None and ended.signal in (signal.SIGKILL, signal.SIGTERM):
            self._say("the stage wrote no checkpoint in time and was killed; an older one counts")
            return Released(reason="preempted")
        oom_kills = oom_kill_count() - oom_before
        limit = self._settings.memory_limit_bytes
        verdict = classify(ended, self.folder.path, list(self._stderr), oom_kills, limit)
        return Released(reason="preempted") if isinstance(verdict, Stopped) else verdict

    def _watch(self, child: Child) -> tuple[Exit, str | None]:
        """Waits for the child's end, ending it where something asks for that. Returns (exit, why)."""
        why: str | None = None
        kill_at = float("inf")
        last_sign = time.monotonic()
        reported = self._uploader.reported_step
        while (ended := child.poll()) is None:
            now = time.monotonic()
            if self._tail.read() or self._uploader.reported_step != reported:
                last_sign, reported = now, self._uploader.reported_step
            if self._logs.full:
                self._control.set(DISK, str(self._logs.full))
            wish = self._why_stop(silent_seconds=now - last_sign)
            if wish and (why is None or PRECEDENCE.index(wish) < PRECEDENCE.index(why)):
                why = wish
                grace = self._grace(why)
                kill_at = min(kill_at, now + grace)
                self._say(": ".join(filter(None, ["ending the stage", why, self._control.note(why)])))
                if grace > 0:
                    child.terminate()
            if now >= kill_at:
                child.kill()
                kill_at = float("inf")
            self._control.wait(POLL_SECONDS, *self._urgent(why))
        return ended, why

    def _urgent(self, why: str | None) -> tuple[str, ...]:
        """Flags worth waking up for: those above what has been acted on."""
        rank = len(PRECEDENCE) if why is None else PRECEDENCE.index(why)
        return PRECEDENCE[:rank]

    def _grace(self, why: str) -> float:
        if why in AT_ONCE:
            return 0.0
        if why == CANCEL:
            return CANCEL_GRACE_SECONDS
        return END_GRACE_SECONDS if why in (TIMEOUT, STALL) else self._settings.drain_seconds

    def _why_stop(self, silent_seconds: float = 0.0) -> str | None:
        """The most important reason to end the attempt now."""
        due = {
            TIMEOUT: time.monotonic() - self._began >= self.lease["max_seconds"],
            STALL: silent_seconds >= self.lease["stall_seconds"],
            OUTAGE: self._api.silence() >= self._settings.outage_seconds,
            METRICS: self._tail.size > METRICS_CAP_BYTES,
        }
        return next((why for why in PRECEDENCE if due.get(why) or self._control.has(why)), None)

    def _ending_of(self, why: str) -> Ending:
        """The ending that a reason stands for, whatever the process did about it."""
        note = self._control.note(why)
        if why == LOST:
            return Discarded()
        if why == TOKEN:
            raise TokenRefused(note)
        if why == BROKEN:
            return Failed(reason="worker_lost", message=f"the agent failed: {note}")
        if why == DISK:
            return Failed(reason="disk_full", message=note)
        if why == METRICS:
            return Failed(
                reason="error", message=f"the stage wrote more than {METRICS_CAP_BYTES} bytes of metrics"
            )
        if why == CANCEL:
            return Released(reason="cancelled")
        if why == TIMEOUT:
            return Failed(reason="timeout", message=f"ran longer than {self.lease['max_seconds']} s")
        if why == STALL:
            step = (self._tail.progress or {}).get("step", "none")
            message = f"no progress for {self.lease['stall_seconds']} s; last reported step: {step}"
            return Failed(reason="stall", message=message)
        return Released(reason="preempted")

    def _ending_on_disk(self) -> Ending:
        self._tail.read()
        self._say("the agent was started again; reporting what this attempt has left")
        if (self.folder.path / "result.json").exists():
            return read_result(self.folder.path)
        if failure := read_failure(self.folder.path):
            return failure
        self._uploader.start()
        return Released(reason="preempted")

    # --- the final word ---

    def _settle(self, ending: Ending) -> Result:
        try:
            return self._report(ending)
        except LeaseLost:
            return "discarded"
        except TokenRefused as error:
            self._control.set(TOKEN, str(error))
            raise
        except GaveUp:
            if self._control.has(LOST):
                return "discarded"
            if self._control.has(TOKEN):
                raise TokenRefused(self._control.note(TOKEN)) from None
            if self._control.has(CANCEL) and ending != Released(reason="cancelled"):
                return self._settle(Released(reason="cancelled"))
            return "kept"
        except (Rejected, TreeError, OSError, DiskFull) as error:
            log("report_refused", stage=self._stage, ending=type(ending).__name__, why=str(error))
            if not isinstance(ending, Finished):
                return "discarded"
            lost = isinstance(error, Rejected) and error.code in OUTPUT_LOST_CODES
            reason = "output_mismatch" if lost else "disk_full" if isinstance(error, DiskFull) else "error"
            return self._settle(Failed(reason=reason, message=f"the output cannot be stored: {error}"))

    def _report(self, ending: Ending) -> Result:
        if isinstance(ending, Discarded):
            return "discarded"
        if isinstance(ending, Finished):
            self._uploader.abort()
            output = self._transfers.upload_tree(self._stage, self.folder.output, self._while_finishing)
            self._flush()
            body = CompleteRequest.model_validate(
                {**self._identity, "output": output, "result": ending.result}
            )
            self._api.call(self._path("complete"), body, Anything, self._while_reporting)
            return "completed"
        if isinstance(ending, Failed):
            self._finish_checkpoints()
            self._disk_full = self._disk_full or ending.reason == "disk_full"
            self._say(f"attempt failed ({ending.reason}): {ending.message}")
            self._flush()
            message = cut(ending.message, MESSAGE_UNITS)
            lines = self._logs.last_lines()
            failure = {"reason": ending.reason, "message": message, "last_log_lines": lines}
            fail = FailRequest.model_validate({**self._identity, **failure})
            self._api.call(self._path("fail"), fail, Anything, self._while_reporting)
            return "failed"
        step = None
        if ending.reason == "preempted":
            step = self._finish_checkpoints()
            self._flush()
        release = ReleaseRequest.model_validate({**self._identity, "reason": ending.reason, "step": step})
        self._api.call(self._path("release"), release, Anything, self._while_reporting)
        return "released"

    def _finish_checkpoints(self) -> int | None:
        step = self._uploader.finish(self._while_finishing)
        if self._uploader.is_alive():
            raise GaveUp("the checkpoint could not be uploaded")
        return step

    def _flush(self) -> None:
        """Metrics and logs before the final word, if that takes no long wait; else after it."""
        deadline = time.monotonic() + (FLUSH_SECONDS if self._api.silence() < FLUSH_SECONDS else 0.0)
        for shipper in self._shippers:
            shipper.flush(max(0.0, deadline - time.monotonic()))

    def _close(self, result: Result) -> None:
        wait = 0.0 if self._control.has(TOKEN) or result == "kept" else LAST_FLUSH_SECONDS
        if self._control.has(SHUTDOWN):
            wait = min(wait, max(1.0, self._left_to_leave()))
        deadline = time.monotonic() + wait
        drained = all([s.finish(max(0.0, deadline - time.monotonic())) for s in self._shippers])
        try:
            if result == "kept":
                pass
            elif drained:
                self.folder.remove()
            else:
                self.folder.keep_spool_only()
            if self._disk_full or self._control.has(DISK):
                self._cache.clear()
            else:
                self._cache.make_room(0, set())
        except (OSError, DiskFull) as error:
            log("clean_up_failed", folder=str(self.folder.path), why=str(error))

    # --- small things ---

    def _left_to_leave(self) -> float:
        """Seconds that a shutdown leaves for the last words."""
        if self._leave_by is None:
            self._leave_by = time.monotonic() + self._settings.drain_seconds
        return self._leave_by - time.monotonic()

    def _while_working(self, seconds: float) -> bool:
        return self._control.wait(seconds, *PRECEDENCE) or self._why_stop() in (TIMEOUT,)

    def _while_finishing(self, seconds: float) -> bool:
        return self._while(seconds, LOST, TOKEN, CANCEL)

    def _while_reporting(self, seconds: float) -> bool:
        return self._while(seconds, LOST, TOKEN)

    def _while(self, seconds: float, *flags: str) -> bool:
        if self._control.has(SHUTDOWN):
            left = self._left_to_leave()
            return left <= 0 or self._control.wait(min(seconds, left), *flags)
        return self._control.wait(seconds, *flags)

    def _path(self, call: str) -> str:
        return f"/v1/worker/stages/{self._stage}/{call}"

    def _on_line(self, stream: str, text: str) -> None:
        if stream == "stderr":
            self._stderr.append(text)
        self._logs.append(stream, text)

    def _say(self, text: str) -> None:
        """A sentence for people who read the stage's log."""
        self._logs.append("agent", text)
