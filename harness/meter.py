"""A link that counts what it kept from passing: the evidence that a broken path was met."""

from __future__ import annotations

import asyncio

from typing import cast

from harness.link import Mode, TcpLink
from harness.loop import Loop


class MeteredLink(TcpLink):
    """A ``TcpLink`` with a count of what its mode did."""

    def __init__(self, loop: Loop, name: str) -> None:
        """Prepare; nothing was touched yet."""
        super().__init__(loop, name)
        self.touched = 0
        """How many connections were reset or refused, or pieces of data lost or late."""

    def touches(self, *, reply: bool) -> bool:
        """Say whether data of that direction do not simply pass."""
        return self.mode in {Mode.BLACK_HOLE, Mode.SLOW} or (self.mode is Mode.HALF_OPEN and reply)

    async def _set_mode(self, mode: Mode, delay_s: float) -> None:
        if mode is Mode.CUT:
            self.touched += len(self._open)
        await super()._set_mode(mode, delay_s)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.mode is Mode.CUT:
            self.touched += 1
        await super()._accept(reader, writer)

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, reply: bool
    ) -> None:
        metered = cast("asyncio.StreamReader", _Metered(self, reader, reply=reply))
        await super()._pump(metered, writer, reply=reply)


class _Metered:
    """The reading side of one direction of a connection."""

    def __init__(self, link: MeteredLink, reader: asyncio.StreamReader, *, reply: bool) -> None:
        self._link, self._reader, self._reply = link, reader, reply

    async def read(self, size: int) -> bytes:
        data = await self._reader.read(size)
        if data and self._link.touches(reply=self._reply):
            self._link.touched += 1
        return data
