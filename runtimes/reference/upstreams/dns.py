"""DNS: dynamic updates (RFC 2136) signed with TSIG, which compare and swap.

A version is the hash of an RRset's records.  An update carries the records that it expects, and
the server holds them to what it has: nothing can come between.  It compares no TTLs, so they are
no part of the version; of the value they are.
"""

from __future__ import annotations

from collections.abc import Sequence

from dns.rcode import Rcode

from harness.effects import Effect, Json, Tier
from harness.process import Address
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
from runtimes.reference.upstreams.dns_sets import (
    Named,
    Records,
    SetError,
    named,
    noted,
    written,
)
from runtimes.reference.upstreams.dns_wire import ANSWER_S, FUDGE_S, Primary
from runtimes.reference.upstreams.refusal import Refusal, ahead, conflict, refused


EFFECTS = {"dns.read": Effect.READ, "dns.set": Effect.HYBRID, "dns.delete": Effect.HYBRID}
CHANGED = {"NXDOMAIN", "YXDOMAIN", "NXRRSET", "YXRRSET"}
REFUSED = {"FORMERR", "NOTIMP", "REFUSED", "NOTAUTH", "NOTZONE", "BADKEY", "BADSIG", "BADTIME"}


class Dns:
    """The RRsets of some zones at their primary server; a target is ``zone/name/TYPE``.

    The server refuses an update whose signature is older than ``FUDGE_S`` seconds: what the
    network held for longer is void.  Its clock and ours must agree that well.
    """

    def __init__(
        self,
        address: Address,
        zones: tuple[str, ...],
        credential: Credential,
        algorithm: str = "hmac-sha256",
    ) -> None:
        """Serve ``zones``; the credential is a TSIG key, its secret in base64."""
        self._address, self._zones, self._credential = address, zones, credential
        self._primary = Primary(address, credential, algorithm)

    def credentials(self) -> Sequence[Credential]:
        """Return what it connects with."""
        return (self._credential,)

    def contract(self, op: str, target: str) -> Contract:
        """Return what is promised: compare-and-swap, and that nothing is late."""
        named(target, self._zones)
        if op not in EFFECTS:
            msg = f"no {op!r}; there are {sorted(EFFECTS)}"
            raise UnknownOperationError(msg)
        tier = Tier.V if EFFECTS[op].writes else Tier.Q
        return Contract(effect=EFFECTS[op], tier=tier, deadline_s=ANSWER_S + FUDGE_S)

    async def call(self, order: Order) -> Answer:
        """Read an RRset, write it, or remove it; the server compares what is expected."""
        self.contract(order.op, order.target)
        target = named(order.target, self._zones)
        try:
            wanted = noted(target, order.op, order.args)
        except SetError as error:
            return refused(Refusal.REFUSED, self._credential.hide(str(error)))
        with sealed():
            async with ahead(ANSWER_S):
                before = await self._primary.seen(target)
                no, expected = await self._expected(order, target, before)
            if no:
                return no
            if not EFFECTS[order.op].writes:
                return self._answer(order, before, before)
            said = await self._primary.sent(written(target, wanted, expected))
            if said in CHANGED:
                return conflict(order.target, detail=said)
            if said in REFUSED:
                return refused(Refusal.REFUSED, f"{self._address} said {said}")
            if said != Rcode.NOERROR.name:
                msg = f"{self._address} said {said}; it may have been done"
                raise LostError(msg)
            return await self._done(order, target, before, wanted)

    async def query(self, order: Order) -> Answer | None:
        """Refuse: no server keeps who wrote what; its versions tell."""
        msg = f"{order.op} cannot be asked for; look at {order.target}"
        raise UnknownOperationError(msg)

    async def look(self, resource: str) -> Seen:
        """Return an RRset as the primary server has it."""
        with sealed():
            seen = await self._primary.seen(named(resource, self._zones))
        value = self._credential.clean(seen.value)
        return Seen(resource=resource, version=seen.version, value_hash=digest(value), value=value)

    def desired(self, order: Order) -> str:
        """Return the hash of the RRset that an order leaves."""
        try:
            wanted = noted(named(order.target, self._zones), order.op, order.args)
        except SetError:
            return ""
        return digest(self._credential.clean(wanted.value))

    async def fence(self, run: str, epoch: int) -> bool:  # noqa: ARG002 - the protocol's
        """Return that no epoch is known here: what is late is void by its age."""
        return False

    async def _expected(
        self, order: Order, target: Named, before: Records
    ) -> tuple[Answer | None, dict[Named, Records]]:
        """Return what the server is to compare, or the conflict that can be seen before."""
        if order.expect and before.version != order.expect:
            return conflict(order.target, before.version), {}
        expected = {target: before} if order.expect else {}
        for at, version in order.premises.items():
            other = named(at, self._zones)
            seen = await self._primary.seen(other)
            if seen.version != version:
                return conflict(at, seen.version, "a premise has changed"), {}
            if other.zone == target.zone:
                expected[other] = seen
        return None, expected

    async def _done(self, order: Order, target: Named, before: Records, wanted: Records) -> Answer:
        """Return the answer to an accepted update, which a server may silently pass over."""
        try:
            now = await self._primary.seen(target)
        except UnreachableError:
            msg = f"{self._address} accepted {order.target}, and cannot be looked at"
            raise LostError(msg) from None
        if now.version == before.version != wanted.version:
            detail = "the server passed over it: see RFC 2136, 3.4.2.2"
            return refused(Refusal.REFUSED, detail)
        return self._answer(order, before, wanted)

    def _answer(self, order: Order, before: Records, after: Records) -> Answer:
        response: Json = {"value": after.value, "version": after.version}
        return Answer(
            outcome=Outcome.OK,
            response=self._credential.clean(response),
            resource=order.target,
            before=before.version,
            after=after.version,
        )
