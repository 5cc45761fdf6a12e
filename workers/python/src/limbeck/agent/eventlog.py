"""The agent's own log: one JSON object a line on stderr, an event name and stable fields."""

import json
import sys
import threading
from datetime import UTC, datetime

_LOCK = threading.Lock()


def timestamp(seconds: float | None = None) -> str:
    """RFC 3339 with milliseconds in UTC; `seconds` since 1970, now when omitted."""
    moment = datetime.now(UTC) if seconds is None else datetime.fromtimestamp(seconds, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def log(event: str, **fields: object) -> None:
    """Writes one line. A closed or full stderr must not end training, so that failure is ignored."""
    line = json.dumps({"time": timestamp(), "event": event, **fields}, default=str)
    with _LOCK:
        try:
            sys.stderr.write(line + "\n")
            sys.stderr.flush()
        except (OSError, ValueError):
            pass
