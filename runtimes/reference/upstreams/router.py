"""Several providers as one: which one an order is for is the first word of its target."""

from __future__ import annotations

import asyncio

from collections.abc import Mapping, Sequence
from dataclasses import replace

from runtimes.reference.upstreams.base import (
    Answer,
    Contract,
    Order,
    Provider,
    Seen,
    UnknownOperationError,
)
from runtimes.reference.upstreams.credential import Credential
from runtimes.reference.upstreams.refusal import ahead, changed


LOOK_S = 10
"""How long the premises at other providers may take."""


class Router:
    """Leads ``dns/zone/name/A`` to the provider called ``dns``, as ``zone/name/A``.

    Names have no slash, and resources come back as they were given.
    """

    def __init__(self, upstreams: Mapping[str, Provider]) -> None:
        """Serve ``upstreams`` by name."""
        self._upstreams = dict(upstreams)

    def credentials(self) -> Sequence[Credential]:
        """Return all of theirs, each with its provider's name before it."""
        return [
            replace(each, name=f"{name}/{each.name}")
            for name, upstream in self._upstreams.items()
            for each in upstream.credentials()
        ]

    def contract(self, op: str, target: str) -> Contract:
        """Return what the provider of a target promises, later by what is looked at before."""
        _, upstream, rest = self._found(target)
        contract = upstream.contract(op, rest)
        return replace(contract, deadline_s=contract.deadline_s + LOOK_S)

    async def call(self, order: Order) -> Answer:
        """Hand an order on; premises at other providers are looked at just before."""
        name, upstream, inner = self._handed(order)
        others = {at: version for at, version in order.premises.items() if not _is(name, at)}
        async with ahead(LOOK_S):
            no = await changed(self, others)
        return no or _named(name, await upstream.call(inner))

    async def query(self, order: Order) -> Answer | None:
        """Ask the provider of an order."""
        name, upstream, inner = self._handed(order)
        answer = await upstream.query(inner)
        return answer and _named(name, answer)

    async def look(self, resource: str) -> Seen:
        """Look at a resource where it is."""
        _, upstream, rest = self._found(resource)
        return replace(await upstream.look(rest), resource=resource)

    def desired(self, order: Order) -> str:
        """Return what the provider of an order says."""
        _, upstream, inner = self._handed(order)
        return upstream.desired(inner)

    async def fence(self, run: str, epoch: int) -> bool:
        """Have all that can refuse older epochs do so; say whether there is one.

        Whether an operation is among them, its contract says.

        Raises:
            UnreachableError: one of them did not answer; the others refuse by now.

        """
        said = await asyncio.gather(
            *(upstream.fence(run, epoch) for upstream in self._upstreams.values()),
            return_exceptions=True,
        )
        for each in said:
            if isinstance(each, BaseException):
                raise each
        return any(said)

    def _found(self, target: str) -> tuple[str, Provider, str]:
        name, _, rest = target.partition("/")
        upstream = self._upstreams.get(name)
        if upstream is None or not rest:
            msg = f"no provider of {target!r}; there are {sorted(self._upstreams)}"
            raise UnknownOperationError(msg)
        return name, upstream, rest

    def _handed(self, order: Order) -> tuple[str, Provider, Order]:
        name, upstream, rest = self._found(order.target)
        premises = {
            at.partition("/")[2]: version for at, version in order.premises.items() if _is(name, at)
        }
        return name, upstream, replace(order, target=rest, premises=premises)


def _is(name: str, resource: str) -> bool:
    return resource.partition("/")[0] == name


def _named(name: str, answer: Answer) -> Answer:
    return replace(answer, resource=answer.resource and f"{name}/{answer.resource}")
