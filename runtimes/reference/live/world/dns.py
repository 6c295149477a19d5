"""A name in a zone of Knot: a query before an update and one after it say whether it changed."""

from __future__ import annotations

import asyncio

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import dns.message
import dns.query
import dns.rcode
import dns.tsig
import dns.update

from harness.effects import Json, Tier
from harness.process import Site
from harness.scenario import Added
from harness.world.cell import Call
from harness.world.live import Acted, ProviderError
from runtimes.reference.live.knot import Nameserver, nameserver
from runtimes.reference.live.world.calls import asked, order, reply, unknown
from runtimes.reference.upstreams.dns import Dns


ZONE, TTL_S, ANSWER_S = "example.test", 60, 5.0


@dataclass(frozen=True, slots=True)
class Name:
    """A run's name: an address as text, ``192.0.2.1``."""

    label: str
    zone: Zone
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def target(self) -> str:
        """Return what the connector calls it."""
        return f"{ZONE}/{self.label}/A"

    async def act(self, call: Call) -> Acted:
        """Read the name, or send a signed update that carries what it expects."""
        if call.op == "read":
            with asked():
                seen = await self.zone.agent.call(order(call, "dns.read", self.target))
            return Acted(reply(seen, _address(seen.response)))
        if call.op != "set":
            raise unknown(call)
        to: dict[str, Json] = {"records": [call.args["value"]], "ttl": TTL_S}
        async with self.lock:
            before = await self._leads()
            with asked():
                answer = await self.zone.agent.call(order(call, "dns.set", self.target, to))
            return Acted(reply(answer), int(await self._leads() != before))

    async def look(self, path: str) -> tuple[Json, str]:
        """Return where the name leads, by a query as anybody sends it, and its version."""
        del path
        with asked():
            seen = await self.zone.agent.look(self.target)
        return await self._leads(), seen.version

    async def strange(self, path: str, value: Json | Added) -> None:
        """Point the name elsewhere, as a person with the key."""
        del path
        async with self.lock:
            await self.zone.point(self.label, str(value))

    async def fence(self, run: str, epoch: int) -> None:
        """Leave it: no name server knows epochs."""

    async def _leads(self) -> Json:
        said = await self.zone.said(dns.message.make_query(f"{self.label}.{ZONE}", "A"))
        found = [str(record) for each in said.answer for record in each]
        return found[0] if found else None


@dataclass(frozen=True, slots=True)
class Zone:
    """The zone of all runs."""

    made: Nameserver
    agent: Dns

    async def part(self, run: str, values: Mapping[str, Json], tier: Tier) -> Name:
        """Make a name that leads to its first value."""
        del tier
        (value,) = values.values()
        await self.point(run, str(value))
        return Name(run, self)

    async def point(self, label: str, address: str) -> None:
        """Replace what a name has."""
        key = self.made.credential
        update = dns.update.UpdateMessage(ZONE)
        update.replace(label, TTL_S, "A", address)
        update.use_tsig(dns.tsig.Key(key.name, key.secret, "hmac-sha256"))
        await self.said(update)

    async def said(self, message: dns.message.Message) -> dns.message.Message:
        """Send a message of our own and return the answer.

        Raises:
            ProviderError: the server refused it.

        """
        at = self.made.address
        said = await asyncio.to_thread(dns.query.tcp, message, at.host, ANSWER_S, at.port)
        if said.rcode() != dns.rcode.NOERROR:
            msg = f"the name server said {dns.rcode.to_text(said.rcode())}"
            raise ProviderError(msg)
        return said


def _address(response: Json) -> Json:
    held = response.get("value") if isinstance(response, dict) else None
    records = held.get("records") if isinstance(held, dict) else None
    return records[0] if isinstance(records, list) and records else None


@contextmanager
def start(site: Site) -> Iterator[Zone]:
    """Start a Knot with the zone.

    Raises:
        RuntimeUnavailableError: there is none on this machine.
        ProcessError: it was not ready in time.

    """
    with nameserver(site, (ZONE,), name="live-knot") as made:
        yield Zone(made, Dns(made.address, made.zones, made.credential))


START = start
