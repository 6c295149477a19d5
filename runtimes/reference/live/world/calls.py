"""A call of the world as an order of a connector, and its answer as a reply of the world."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from secrets import token_hex

from harness.effects import Json
from harness.world.cell import FENCED, MOVED_ON, Call
from harness.world.live import ProviderError
from runtimes.reference.effect_log.records import Outcome
from runtimes.reference.upstreams.base import Answer, Order, UpstreamError
from runtimes.reference.upstreams.refusal import Refusal


def order(call: Call, op: str, target: str, args: Mapping[str, Json] | None = None) -> Order:
    """Return what a connector is asked; who sends no key has another one each time."""
    path = call.args.get("path")
    expect = next((p["etag"] for p in call.premises if p["path"] == path), "")
    return Order(
        run=call.run,
        slot=call.step,
        op=op,
        target=target,
        args=args or {},
        epoch=call.epoch,
        key=call.key or token_hex(16),
        expect=expect,
    )


def reply(answer: Answer, value: Json = None, etag: str = "") -> dict[str, Json]:
    """Return what the world answers."""
    if answer.outcome is Outcome.OK:
        return {"status": "ok", "value": value, "etag": etag or answer.after}
    said = answer.response if isinstance(answer.response, dict) else {}
    why = said.get("refused")
    if answer.outcome is Outcome.CONFLICT or why == Refusal.CHANGED:
        return {"status": "rejected", "value": MOVED_ON}
    if why == Refusal.FENCED:
        return {"status": "rejected", "value": FENCED}
    return {"status": "rejected", "value": said.get("detail")}


def unknown(call: Call) -> ProviderError:
    """Return the error of a verb that a provider does not have."""
    return ProviderError(f"no {call.op} on {call.args.get('path')!r} here; nothing was done")


@contextmanager
def asked() -> Iterator[None]:
    """Say what is known where a connector has no answer.

    Raises:
        ProviderError: it has none.

    """
    try:
        yield
    except UpstreamError as error:
        raise ProviderError(str(error)) from error
