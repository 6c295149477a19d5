"""A TCP path in the harness's hands, always between an engine and a worker.

Its address never changes, so that an engine can register it once; where it leads, and
whether anything passes, does.
"""

from __future__ import annotations

import asyncio
import socket

from collections.abc import Callable
from enum import StrEnum
from types import TracebackType
from typing import Self

from harness.loop import Loop
from harness.process import Address


CHUNK = 1 << 16


class Mode(StrEnum):
    """What a link does with bytes."""

    PASS = "pass"  # noqa: S105 - no password
    CUT = "cut"
    """Connections are reset and refused."""
    BLACK_HOLE = "black_hole"
    """Connections stay open, nothing passes; healed, those connections are reset, because a
    stream with a hole in it is something that TCP never delivers."""
    HALF_OPEN = "half_open"
    """Requests pass, replies are lost."""
    SLOW = "slow"
    """Everything arrives ``delay_s`` later."""


class TcpLink:
    """A proxy on a free loopback port; a context manager owns its sockets."""

    def __init__(self, loop: Loop, name: str) -> None:
        """Prepare; it leads nowhere yet, and refuses."""
        self.name = name
        self.mode = Mode.PASS
        self.delay_s = 0.0
        self.address = Address("127.0.0.1", 0)
        self._loop = loop
        self._upstream: Address | None = None
        self._server: asyncio.Server | None = None
        self._far: Callable[[], socket.socket] | None = None
        self._open: set[asyncio.StreamWriter] = set()

    def __enter__(self) -> Self:
        """Bind."""
        self._loop.run(self._bind())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Reset what is open and stop listening."""
        self._loop.run(self._close())

    def point_at(self, upstream: Address) -> None:
        """Lead new connections to ``upstream``; those to the old one are reset."""
        self._loop.run(self._point_at(upstream))

    def listen_by(self, near: Callable[[], socket.socket]) -> None:
        """Listen with a socket of another network, which ``near`` makes.

        It gets a new address: move a link before anybody was told of it.
        """
        self._loop.run(self._listen_by(near))

    def reach_by(self, far: Callable[[], socket.socket]) -> None:
        """Connect with sockets of another network, which ``far`` makes.

        An ``OSError`` of ``far`` resets the connection that it was asked for.
        """
        self._far = far

    def set_mode(self, mode: Mode, delay_s: float = 0.0) -> None:
        """Change what happens to bytes from now on."""
        self._loop.run(self._set_mode(mode, delay_s))

    def heal(self) -> None:
        """Let everything pass again."""
        self.set_mode(Mode.PASS)

    async def _bind(self, near: Callable[[], socket.socket] = socket.socket) -> None:
        listener = near()
        try:
            listener.bind(("127.0.0.1", 0))
            self._server = await asyncio.start_server(self._accept, sock=listener, backlog=1024)
        except OSError:
            listener.close()
            raise
        self.address = Address(*listener.getsockname())

    async def _listen_by(self, near: Callable[[], socket.socket]) -> None:
        await self._close()
        await self._bind(near)

    async def _close(self) -> None:
        if self._server:
            self._server.close()
        self._reset()

    async def _point_at(self, upstream: Address) -> None:
        if self._upstream not in {None, upstream}:
            self._reset()
        self._upstream = upstream

    async def _set_mode(self, mode: Mode, delay_s: float) -> None:
        holed = self.mode in {Mode.BLACK_HOLE, Mode.HALF_OPEN}
        self.mode, self.delay_s = mode, delay_s
        if mode is Mode.CUT or holed:
            self._reset()

    def _reset(self) -> None:
        for writer in list(self._open):
            writer.transport.abort()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.mode is Mode.CUT or self._upstream is None:
            writer.transport.abort()
            return
        upstream, ends = self._upstream, {writer}
        self._open.add(writer)
        try:
            up_reader, up_writer = await self._connect(upstream)
            ends.add(up_writer)
            if writer.is_closing() or upstream != self._upstream:
                return  # it was cut, or led elsewhere, while this one was being opened
            self._open.add(up_writer)
            await asyncio.gather(
                self._pump(reader, up_writer, reply=False),
                self._pump(up_reader, writer, reply=True),
            )
        except OSError:
            return  # a reset of one side is a reset of both: see below
        finally:
            self._open -= ends
            for end in ends:
                end.transport.abort()

    async def _connect(
        self, upstream: Address
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._far is None:
            return await asyncio.open_connection(upstream.host, upstream.port)
        end = self._far()
        try:
            end.settimeout(0)
            await asyncio.get_running_loop().sock_connect(end, (upstream.host, upstream.port))
            return await asyncio.open_connection(sock=end)
        except BaseException:  # cancelled too
            end.close()
            raise

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, reply: bool
    ) -> None:
        while data := await reader.read(CHUNK):
            if self.mode is Mode.BLACK_HOLE or (self.mode is Mode.HALF_OPEN and reply):
                continue
            if self.mode is Mode.SLOW:
                await asyncio.sleep(self.delay_s)
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
