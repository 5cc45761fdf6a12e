"""What all attempts of an agent share, and the ways in which an attempt can end."""

import sys
from dataclasses import dataclass, field
from typing import Literal

from limbeck.agent.exits import Failed, Finished

Result = Literal["completed", "failed", "released", "discarded", "kept"]
"""`kept`: the agent had to go before it could report; the next start of the agent does."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What is the same for all attempts of this agent. Durations in seconds."""

    threads: int
    uses_gpu: bool
    memory_limit_bytes: int
    hold_seconds: float
    outage_seconds: float
    drain_seconds: float
    stage_command: list[str] = field(default_factory=lambda: [sys.executable, "-m", "limbeck.stages"])


@dataclass(frozen=True, kw_only=True)
class Released:
    """The lease is given back."""

    reason: Literal["preempted", "cancelled"]


@dataclass(frozen=True, kw_only=True)
class Discarded:
    """Somebody else owns the stage; nobody wants to hear more."""


Ending = Finished | Failed | Released | Discarded
