"""An HTTP API: keys in ``Idempotency-Key``, versions in ``ETag`` and ``If-Match``.

What a status says of the effect is what RFC 9110 and the draft on idempotency keys say; where
they leave it open, as with 5xx, it is open: the answer counts as lost.
"""

from __future__ import annotations

import asyncio

from collections.abc import Mapping, Sequence
from urllib.parse import quote

import httpx

from harness.deadline import Deadline
from harness.effects import Effect, Tier
from runtimes.reference.effect_log.canonical import digest
from runtimes.reference.effect_log.records import Outcome
from runtimes.reference.upstreams.base import (
    Answer,
    Contract,
    LostError,
    Order,
    Seen,
    UnknownOperationError,
    UnreachableError,
)
from runtimes.reference.upstreams.credential import Credential, sealed
from runtimes.reference.upstreams.http_wire import Wire
from runtimes.reference.upstreams.http_words import (
    IN_FLIGHT,
    PATH,
    Route,
    body,
    judged,
    pause_s,
)
from runtimes.reference.upstreams.refusal import ABSENT, Refusal, ahead, changed, refused


DEADLINE_S = 30


class Http:
    """The routes of an API; a target is a path below ``base``, the agent's arguments the body."""

    def __init__(
        self,
        base: str,
        routes: Mapping[str, Route],
        credential: Credential,
        *,
        deadline_s: int = DEADLINE_S,
    ) -> None:
        """Prepare; the credential goes along as a bearer's, and to no other authority.

        Raises:
            ValueError: the URL has a credential of its own.

        """
        self._wire = Wire(base, credential)
        self._routes, self._credential = dict(routes), credential
        self._deadline_s = deadline_s

    def credentials(self) -> Sequence[Credential]:
        """Return what it connects with."""
        return (self._credential,)

    def contract(self, op: str, target: str) -> Contract:
        """Return what the route declares."""
        route = self._route(op, target)
        return Contract(
            effect=route.effect,
            tier=route.tier,
            retention_s=route.retention_s,
            lag_s=route.lag_s,
            deadline_s=self._deadline_s,
        )

    async def call(self, order: Order) -> Answer:
        """Send one request; while another attempt of it is in flight there, wait and ask again."""
        route = self._route(order.op, order.target)
        if route.effect.writes and route.tier in {Tier.K, Tier.Q} and not order.key:
            return refused(Refusal.REFUSED, f"{order.op} needs a key")
        with sealed():
            deadline = Deadline.after(self._deadline_s)
            async with ahead(deadline.left_s):
                no = await changed(self, order.premises)
            return no or await self._settled(route, order, deadline)

    async def query(self, order: Order) -> Answer | None:
        """Return what the API has under an order's key."""
        route = self._route(order.op, order.target)
        if not route.asks:
            msg = f"{order.op} cannot be asked for"
            raise UnknownOperationError(msg)
        with sealed():
            path = route.asks.format(key=quote(order.key, safe=""))
            found = await self._wire.got(path, Deadline.after(self._deadline_s))
        if found is None or body(found) == []:
            return None
        response = self._credential.clean(body(found))
        return Answer(outcome=Outcome.OK, response=response, resource=order.target)

    async def look(self, resource: str) -> Seen:
        """Return what is at a path, by its ``ETag``."""
        self._below(resource, [route.under for route in self._routes.values()])
        with sealed():
            found = await self._wire.got(resource, Deadline.after(self._deadline_s))
        value = self._credential.clean(body(found)) if found else None
        version = found.headers.get("ETag", "") if found else ABSENT
        return Seen(resource=resource, version=version, value_hash=digest(value), value=value)

    def desired(self, order: Order) -> str:
        """Return the hash of the body, where that is what is there afterwards."""
        route = self._route(order.op, order.target)
        if route.method == "DELETE":
            return digest(None)
        return digest(self._credential.clean(dict(order.args))) if route.whole else ""

    async def fence(self, run: str, epoch: int) -> bool:  # noqa: ARG002 - the protocol's
        """Return that no epoch is known here."""
        return False

    async def _settled(self, route: Route, order: Order, deadline: Deadline) -> Answer:
        waits = False
        while True:
            try:
                answered = await self._wire.followed(self._request(route, order), deadline)
            except UnreachableError:
                if waits:
                    msg = "an attempt was in flight, and now nobody answers"
                    raise LostError(msg) from None
                raise
            if isinstance(answered, Answer):
                return answered
            waits = route.tier is Tier.K and answered.status_code == IN_FLIGHT
            if not waits:
                return judged(route, order, answered, self._credential)
            pause = pause_s(answered)
            if pause >= deadline.left_s:
                msg = f"another attempt was still in flight after {self._deadline_s} s"
                raise LostError(msg)
            await asyncio.sleep(pause)

    def _request(self, route: Route, order: Order) -> httpx.Request:
        headers = {"Idempotency-Key": order.key} if order.key else {}
        if order.expect:
            absent = order.expect == ABSENT
            headers["If-None-Match" if absent else "If-Match"] = "*" if absent else order.expect
        url = self._wire.base.join(order.target)
        if route.effect is Effect.READ:
            params = {name: str(value) for name, value in order.args.items()}
            return httpx.Request(route.method, url, headers=headers, params=params)
        content = None if route.method == "DELETE" else dict(order.args)
        return httpx.Request(route.method, url, headers=headers, json=content)

    def _route(self, op: str, target: str) -> Route:
        route = self._routes.get(op)
        if route is None:
            msg = f"no {op!r}; there are {sorted(self._routes)}"
            raise UnknownOperationError(msg)
        self._below(target, [route.under])
        return route

    def _below(self, target: str, places: list[str]) -> None:
        if not PATH.fullmatch(target) or not any(
            target == place or target.startswith(f"{place}/") for place in places
        ):
            msg = f"no {target!r}; there are paths below {sorted(set(places))}"
            raise UnknownOperationError(msg)
