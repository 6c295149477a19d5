"""A name in a zone of Knot: the serial of the zone says whether an update changed anything."""

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

    @property
    def target(self) -> str:
        """Return what the connector calls it."""
        return f"{ZONE}/{self.label}/A"

    async def act(self, call: Call) -> Acted:
        """Read the name, or send a signed update that carries what it expects."""
        async with self.zone.lock:
            before = await self.zone.serial()
            with asked():
                if call.op == "read":
                    seen = await self.zone.agent.call(order(call, "dns.read", self.target))
                    value = _address(seen.response)
                    return Acted(reply(seen, value))
                if call.op != "set":
                    raise unknown(call)
                to: dict[str, Json] = {"records": [call.args["value"]], "ttl": TTL_S}
                answer = await self.zone.agent.call(order(call, "dns.set", self.target, to))
            return Acted(reply(answer), int(await self.zone.serial() != before))

    async def look(self, path: str) -> tuple[Json, str]:
        """Return where the name leads, by a query as anybody sends it, and its version."""
        del path
        question = dns.message.make_query(f"{self.label}.{ZONE}", "A")
        said = await self.zone.said(question)
        found = [record.to_text() for each in said.answer for record in each]
        with asked():
            seen = await self.zone.agent.look(self.target)
        return (found or [None])[0], seen.version

    async def strange(self, path: str, value: Json | Added) -> None:
        """Point the name elsewhere, as a person with the key."""
        del path
        async with self.zone.lock:
            await self.zone.point(self.label, str(value))

    async def fence(self, run: str, epoch: int) -> None:
        """Leave it: no name server knows epochs."""


@dataclass(frozen=True, slots=True)
class Zone:
    """The zone of all runs; one update at a time, so that its serial tells whose it was."""

    made: Nameserver
    agent: Dns
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def part(self, run: str, values: Mapping[str, Json], tier: Tier) -> Name:
        """Make a name that leads to its first value."""
        del tier
        (value,) = values.values()
        async with self.lock:
            await self.point(run, str(value))
        return Name(run, self)

    async def point(self, label: str, address: str) -> None:
        """Replace what a name has."""
        key = self.made.credential
        update = dns.update.UpdateMessage(ZONE)
        update.replace(label, TTL_S, "A", address)
        update.use_tsig(dns.tsig.Key(key.name, key.secret, "hmac-sha256"))
        await self.said(update)

    async def serial(self) -> int:
        """Return the serial of the zone."""
        said = await self.said(dns.message.make_query(ZONE, "SOA"))
        return int(said.answer[0][0].serial)

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
