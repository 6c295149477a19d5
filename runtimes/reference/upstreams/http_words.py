"""What the statuses and texts of an HTTP API mean for an effect."""

from __future__ import annotations

import json
import re

from dataclasses import dataclass

import httpx

from harness.effects import Effect, Json, Tier
from runtimes.reference.effect_log.records import Outcome
from runtimes.reference.upstreams.base import Answer, LostError, Order
from runtimes.reference.upstreams.credential import Credential
from runtimes.reference.upstreams.refusal import Refusal, conflict, refused


PATH = re.compile(r"(?!\.\.?(/|$))[A-Za-z0-9_.~-]+(/(?!\.\.?(/|$))[A-Za-z0-9_.~-]+)*")
"""One spelling for each path: no escapes, no way up, no query."""
IN_FLIGHT, CHANGED, MISMATCH, THROTTLED = 409, 412, 422, 429
GONE = {404, 410}
NO = range(400, 500)
PAUSE_S, MOST_DIGITS = 0.5, 18


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """An operation of an API, and what its makers promise of it.

    ``under`` is where its targets begin.  ``asks`` is the path at which ``{key}`` tells what was
    done; ``whole`` says that the body is what is at the target afterwards.
    """

    method: str
    under: str
    effect: Effect
    tier: Tier
    retention_s: int = 0
    lag_s: int = 0
    asks: str = ""
    whole: bool = False


def judged(route: Route, order: Order, response: httpx.Response, credential: Credential) -> Answer:
    """Return what a response says of an order.

    Raises:
        LostError: it leaves open whether anything was done.

    """
    status, said = response.status_code, credential.clean(body(response))
    if response.is_success:
        return Answer(
            outcome=Outcome.OK,
            response=said,
            resource=order.target,
            before=order.expect,
            after=response.headers.get("ETag", ""),
            ref=credential.hide(response.headers.get("Request-Id", "")),
            replayed=response.headers.get("Idempotent-Replayed", "").lower() == "true",
        )
    if status not in NO and route.effect.writes:
        msg = f"{order.op} was answered by {status}: what was done is open"
        raise LostError(msg)
    if status == CHANGED:
        return conflict(order.target, credential.hide(response.headers.get("ETag", "")))
    why = Refusal.REFUSED
    if status == MISMATCH and route.tier is Tier.K:
        why = Refusal.MISMATCH
    elif status in {THROTTLED, 503}:
        why = Refusal.THROTTLED
    detail = f"{order.op} was answered by {status}"
    return refused(why, detail, status=status, said=said)


def body(response: httpx.Response) -> Json:
    """Return the body, JSON or text; numbers that have no canonical text are given as text."""
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip()
    if kind != "application/json" and not kind.endswith("+json"):
        return response.text
    try:
        value: Json = json.loads(
            response.content, parse_float=str, parse_int=_whole, parse_constant=str
        )
    except ValueError:
        return response.text
    return value


def pause_s(response: httpx.Response) -> float:
    """Return for how long a server asks us to wait."""
    said = response.headers.get("Retry-After", "")
    return float(said) if said.isascii() and said.isdigit() else PAUSE_S


def _whole(text: str) -> int | str:
    return int(text) if len(text) <= MOST_DIGITS else text
