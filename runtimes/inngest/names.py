"""What things of a pool are called on the server; adapter and worker must agree on it.

The id of an event is the run that it starts: the server starts a function once for each id.
"""

from __future__ import annotations

from typing import Any

from harness.effects import Json
from harness.runtime import Envelope
from harness.worker import child_envelope


FAILED = "inngest/function.failed"
"""The event by which the server tells that a run has failed for good."""


def app(pool: str) -> str:
    """Return the app of a pool: its functions are the programs of one scenario."""
    return f"bakeoff-{pool}"


def starts(pool: str, program: str) -> str:
    """Return the event that starts one program."""
    return f"bakeoff/{pool}.{program}"


def happens(pool: str, event: str) -> str:
    """Return the event that starts whoever listens, and cancels whom it concerns."""
    return f"bakeoff/{pool}.on.{event}"


def reaches(pool: str, event: str) -> str:
    """Return the event that one run waits for."""
    return f"bakeoff/{pool}.to.{event}"


def started(program: str, name: str, data: Any) -> tuple[Envelope, Json]:  # noqa: ANN401 - JSON
    """Return whose run of a program an event starts, and with what."""
    if name == FAILED:
        of = data["event"]
        prefix = f"{app(of['data']['envelope']['pool'])}-"
        failed, _ = started(data["function_id"].removeprefix(prefix), of["name"], of["data"])
        arg: Json = {"run": failed.run, "error": data["error"]["message"]}
        return child_envelope(failed, "on_failure"), arg
    envelope = Envelope.from_json(data["envelope"])
    _, _, event = name.partition(".on.")
    if event:
        envelope = child_envelope(envelope, f"{event}.{data['key']}.{program}")
    return envelope, data["arg"]
