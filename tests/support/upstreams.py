"""What the tests of all connectors need: a place for servers, and a way there that loses replies."""

from __future__ import annotations

import asyncio
import tempfile
import traceback

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from harness.effects import Json
from harness.link import CHUNK, TcpLink
from harness.loop import Loop
from harness.process import Address
from harness.secrets import forms
from harness.site import LocalSite, Lot
from runners.local import LocalRunner
from runtimes.reference.upstreams.base import Order
from runtimes.reference.upstreams.credential import Credential


NOWHERE = Address("127.0.0.1", 1)


@contextmanager
def place() -> Iterator[Lot]:
    """Lend a site's part with a runner, where another user may go and paths are short."""
    with tempfile.TemporaryDirectory(prefix="bo-", dir="/tmp") as name, Loop() as loop:
        Path(name).chmod(0o711)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(tempfile, "tempdir", name)
            with LocalSite(loop) as site:
                runner = LocalRunner(site.folder / "logs", site.environment)
                with closing(runner):
                    yield Lot(site, "test", runner)


class Deaf(TcpLink):
    """Passes everything until a request has ``mark``: its reply is received, and never passed on.

    So the provider has done by then what it was asked.
    """

    def __init__(self, loop: Loop, name: str) -> None:
        """Prepare; nothing is lost before there is a mark."""
        super().__init__(loop, name)
        self.mark: Callable[[bytes], bool] | None = None
        self.lost = 0
        self._said = b""

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._said = b""
        await super()._accept(reader, writer)

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, reply: bool
    ) -> None:
        while data := await reader.read(CHUNK):
            if not reply:
                self._said += data
            elif self.mark and self.mark(self._said):
                self.lost += 1
                writer.transport.abort()
                return
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()

    def losing(self, mark: bytes | Callable[[bytes], bool]) -> None:
        """Lose the replies to requests that hold ``mark``, on one connection after the other."""
        self.mark = mark if callable(mark) else lambda said: mark in said


@contextmanager
def deaf(upstream: Address) -> Iterator[Deaf]:
    """Lend a way to a server that can lose replies."""
    with Loop() as loop, Deaf(loop, "deaf") as link:
        link.point_at(upstream)
        yield link


def order(op: str, target: str, args: dict[str, Json] | None = None, **more: Any) -> Order:
    """Return an order of run r1."""
    fields: dict[str, Any] = {"run": "r1", "slot": "s1", "epoch": 1, **more}
    return Order(op=op, target=target, args=args or {}, **fields)


def holds(credential: Credential, *things: object) -> bool:
    """Say whether the secret stands in what was answered or raised, in any form."""
    text = "".join(map(shown, things))
    return any(form.decode() in text for form in forms(credential.secret).values())


def shown(thing: object) -> str:
    """Return all that can be read of an answer, or of an error and what led to it."""
    if not isinstance(thing, BaseException):
        return f"{thing} {thing!r}"
    text = "".join(traceback.format_exception(thing))
    error: BaseException | None = thing
    while error is not None:
        text += f"{error} {error!r} {error.args} {vars(error)}"
        error = error.__cause__ or error.__context__
    return text
