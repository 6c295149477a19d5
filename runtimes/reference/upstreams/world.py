"""The harness's world as a provider: the one that every engine's column can be put behind.

An operation is the world's verb with the class of its effect, ``append.irreversible``: the class
is part of what a token grants, so that no agent can call a payment idempotent.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.effects import Effect, Json, Tier
from harness.scenario import Provider
from harness.world.cell import FENCED, MOVED_ON, RETENTION_S
from runtimes.reference.effect_log.canonical import hashed
from runtimes.reference.effect_log.errors import FencedError
from runtimes.reference.effect_log.records import Outcome
from runtimes.reference.upstreams.base import (
    Answer,
    Contract,
    Order,
    Seen,
    UnknownOperationError,
    UnreachableError,
)


Post = Callable[[str, Mapping[str, Any]], Awaitable[Mapping[str, Any]]]
"""Sends a body to a path of the world, with the credential, and returns the answer.

It raises `UnreachableError` where nothing was begun, `LostError` where that cannot be told.
"""
PERFORM = "/perform"
VERBS = frozenset({"read", "ask", "create", "set", "append", "copy", "clear", "query"})
DEADLINE_S = 2
"""The world drops what it holds for a caller whose connection is gone."""
FENCES, UNFENCED = "fences", "unfenced"
"""Whether a provider can be told to refuse older epochs, as a command line has it."""


class HungError(UnreachableError):
    """The world asks the caller never to answer: that is how a handler hangs; nothing was done."""


def operation(verb: str, effect: str) -> str:
    """Return the name of a world's operation."""
    return f"{verb}.{effect}"


@dataclass(slots=True)
class WorldUpstream:
    """One run's cell of the world, reached over its HTTP face."""

    post: Post
    cell: str
    tier: Tier
    caller: str
    """Under which incarnation it is called where nobody else asked."""
    providers: Mapping[str, Provider] = field(default_factory=dict)
    """What stands behind first words of targets, where it is not the cell's own."""
    calls: int = 0

    def contract(self, op: str, target: str) -> Contract:
        """Return the tier of the target, and the class that the operation names."""
        tier = self.tier_of(target)
        verb, _, effect = op.partition(".")
        if verb not in VERBS or effect not in {*Effect}:
            msg = f"the world has no operation {op!r}"
            raise UnknownOperationError(msg)
        return Contract(
            effect=Effect(effect),
            tier=tier,
            retention_s=int(RETENTION_S) if tier is Tier.K else 0,
            deadline_s=DEADLINE_S,
            fenced=self._provider(target).fenced,
            decides=verb == "ask",
        )

    def tier_of(self, target: str) -> Tier:
        """Return what is offered behind a target."""
        return self._provider(target).tier or self.tier

    def _provider(self, target: str) -> Provider:
        return self.providers.get(target.partition("/")[0], Provider())

    async def call(self, order: Order) -> Answer:
        """Perform a step, as the worker would have.

        Raises:
            LostError, UnreachableError: as `Post` does.
            FencedError: another one holds the run; nothing was done.

        """
        self.calls += 1
        premises = {**order.premises, **({order.target: order.expect} if order.expect else {})}
        verb, _, effect = order.op.partition(".")
        keyed = self.tier_of(order.target) is Tier.K and effect != Effect.READ
        body = {
            "cell": self.cell,
            "run": order.run,
            "step": order.slot,
            "op": verb,
            "effect": effect,
            "args": dict(order.args),
            "key": order.key if keyed else "",
            "premises": [{"path": path, "etag": etag} for path, etag in premises.items()],
            "incarnation": self.caller,
            "seq": self.calls,
            **order.context,
            "epoch": order.epoch,
        }
        reply = await self.post(PERFORM, body)
        status = str(reply.get("status"))
        if status == "hang":
            msg = f"{order.slot}: the world hangs"
            raise HungError(msg)
        value, etag = reply.get("value"), str(reply.get("etag", ""))
        if status == "rejected" and value == FENCED:
            msg = f"{order.slot}: {FENCED}; nothing was done"
            raise FencedError(msg)
        moved = status == "rejected" and value == MOVED_ON
        outcome = Outcome.CONFLICT if moved else Outcome.FAILED_BEFORE
        if status == "ok":
            outcome = Outcome.OK
        return Answer(
            outcome=outcome,
            response={**reply},
            resource=str(order.args.get("to", order.target)),
            value_hash=hashed(value) if effect == Effect.READ else "",
            after=etag,
        )

    async def query(self, order: Order) -> Answer | None:
        """Ask whether a step's effect was applied.

        Raises:
            UnknownOperationError: its search lags, and has found nothing: nothing follows.

        """
        reply = await self._probe(order.run, "query", step=order.slot)
        if not reply["applied"] and reply["lag_s"]:
            msg = f"its search may be {reply['lag_s']} s behind, and has found nothing"
            raise UnknownOperationError(msg)
        if not reply["applied"]:
            return None
        return Answer(outcome=Outcome.OK, response={"status": "ok", "value": None, "etag": ""})

    async def look(self, resource: str) -> Seen:
        """Read a resource, or all that a pattern names, without a step."""
        reply = await self._probe(self.cell, "look", path=resource)
        value: Any = reply["value"]
        return Seen(
            resource=resource,
            version=str(reply["etag"]),
            value_hash=hashed(value),
            value=value,
        )

    def desired(self, order: Order) -> str:
        """Return the hash of what ``set`` leaves behind; of the others it cannot be told."""
        verb = order.op.partition(".")[0]
        return hashed(order.args["value"]) if verb == "set" else ""

    async def fence(self, run: str, epoch: int) -> bool:
        """Have calls of older epochs refused."""
        await self._probe(run, "fence", epoch=epoch)
        return True

    async def asked(self, run: str, context: Mapping[str, Json], slot: str) -> None:
        """Tell the world's history that a worker has asked for a step."""
        await self._probe(run, "asked", step=slot, **context)

    async def report(self, body: Mapping[str, Json]) -> None:
        """Pass on what a worker reports of its phases; it may be held there."""
        await self.post("/at", body)

    async def _probe(self, run: str, ask: str, **more: Json) -> Mapping[str, Json]:
        return await self.post("/probe", {"cell": self.cell, "run": run, "ask": ask, **more})
