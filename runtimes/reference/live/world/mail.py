"""A mailbox of a submission server: what it has is what the server has put into its folder."""

from __future__ import annotations

import asyncio

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from harness.effects import Json, Tier
from harness.process import Site
from harness.scenario import Added
from harness.world.cell import Call
from harness.world.live import Acted, ProviderError
from runtimes.reference.live.mail import Postbox, postbox
from runtimes.reference.live.world.calls import asked, order, reply, unknown
from runtimes.reference.upstreams.mail import Mail


@dataclass(slots=True)
class Mailbox:
    """The mailbox of one run; its value is the subjects of its messages."""

    name: str
    post: Postbox
    agent: Mail
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def act(self, call: Call) -> Acted:
        """Send a message."""
        if call.op != "append":
            raise unknown(call)
        said: dict[str, Json] = dict.fromkeys(("subject", "text"), call.args["value"])
        async with self.lock:
            before = len(self._subjects())
            with asked():
                answer = await self.agent.call(order(call, "mail.send", self.name, said))
            return Acted(reply(answer), len(self._subjects()) - before)

    async def look(self, path: str) -> tuple[Json, str]:
        """Return what the mailbox has; a version it has not."""
        del path
        return [*self._subjects()], ""

    async def strange(self, path: str, value: Json | Added) -> None:
        """Refuse: no scenario has somebody else's mail."""
        msg = f"nobody else writes to {path}: {value!r}"
        raise ProviderError(msg)

    async def fence(self, run: str, epoch: int) -> None:
        """Leave it: no mail server knows epochs."""

    def _subjects(self) -> list[str]:
        mine = [each for each in self.post.messages() if each["To"] == self.name]
        return [str(each["Subject"]) for each in mine]


@dataclass(frozen=True, slots=True)
class Post:
    """A submission server, with a mailbox for each run."""

    made: Postbox

    async def part(self, run: str, values: Mapping[str, Json], tier: Tier) -> Mailbox:
        """Return an empty mailbox."""
        del values, tier
        agent = Mail(self.made.address, "agent@example.test", self.made.credential, tls=False)
        return Mailbox(f"{run}@example.test", self.made, agent)


@contextmanager
def start(site: Site) -> Iterator[Post]:
    """Start a submission server.

    Raises:
        RuntimeUnavailableError: aiosmtpd is not installed.
        ProcessError: it was not ready in time.

    """
    with postbox(site, name="live-mail") as made:
        yield Post(made)


START = start
