"""What the connectors have in common: why an order was not carried out, and how that is said."""

from __future__ import annotations

import asyncio

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from enum import StrEnum

from harness.effects import Json
from runtimes.reference.effect_log.records import Outcome
from runtimes.reference.upstreams.base import Answer, UnreachableError, Upstream


ABSENT = "absent"
"""The version of what is not there: expected, it means that there must be nothing yet."""
FOREVER_S = 100 * 365 * 86_400
"""A retention without an end, as a number."""


class Refusal(StrEnum):
    """Why nothing was done; it stands in the response as ``refused``."""

    REFUSED = "refused"
    """The provider will not have it: repeating it is of no use."""
    MISMATCH = "mismatch"
    """The key belongs to another request, which may have been carried out."""
    FENCED = "fenced"
    """A later epoch has taken the run."""
    THROTTLED = "throttled"
    """Later it may go."""
    CHANGED = "changed"
    """The target or a premise has another version than expected."""


def refused(why: Refusal, detail: str = "", **more: Json) -> Answer:
    """Return the answer that nothing was done, and why."""
    response: Json = {"refused": why.value, "detail": detail, **more}
    return Answer(outcome=Outcome.FAILED_BEFORE, response=response)


def conflict(resource: str, seen: str = "", detail: str = "") -> Answer:
    """Return the answer that the world had changed; ``seen`` is its version, where known."""
    response: Json = {"refused": Refusal.CHANGED.value, "detail": detail, "version": seen}
    return Answer(
        outcome=Outcome.CONFLICT, response=response, resource=resource, before=seen, after=seen
    )


async def changed(upstream: Upstream, premises: Mapping[str, str]) -> Answer | None:
    """Look at each premise and return the conflict with the first that does not hold.

    It may change between this look and the call: a provider that can hold premises in the call
    itself needs none of this.

    Raises:
        UnreachableError: nobody answers; nothing was done.
        UnknownOperationError: a premise is no resource of this provider.

    """
    for resource, version in premises.items():
        seen = await upstream.look(resource)
        if seen.version != version:
            return conflict(resource, seen.version, "a premise has changed")
    return None


@asynccontextmanager
async def ahead(most_s: float) -> AsyncIterator[None]:
    """Give what comes before a call a time, so that the call itself cannot be late.

    Raises:
        UnreachableError: it took longer.

    """
    try:
        async with asyncio.timeout(most_s):
            yield
    except TimeoutError:
        msg = f"the call was not prepared within {most_s:g} s; nothing was done"
        raise UnreachableError(msg) from None
