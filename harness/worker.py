"""What every Python worker shares: the way to the world, the envelope, the programs.

It imports nothing heavy: a worker of the controls is up in some 80 ms.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
import time

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import h11

from harness.effects import Effect, Guard, Json, idempotency_key
from harness.load import load_scenario
from harness.program import Command, One, Step
from harness.runtime import Envelope
from harness.scenario import Scenario


BEAT_S = 0.3
OK, SERVER_FAILED = 200, 500
_LOADED: list[str] = []
"""The versions that were asked for here: what a worker announces is what it loaded."""
EMULATION = re.compile(r"runtimes\.\w+\.emulated(\..+)?")


class WorldError(Exception):
    """The world did not answer: whether the effect was applied is not known."""


class RefusedError(WorldError):
    """The world was not reached, or refused the request: it has not begun with it."""


class WorldClient:
    """Calls of one worker process: no total timeout and no limit, holds may last."""

    def __init__(self) -> None:
        """Read the environment that the harness gives to every worker."""
        self.incarnation = os.environ["BAKEOFF_INCARNATION"]
        parts = urlsplit(os.environ["BAKEOFF_WORLD"])
        self._host, self._port = str(parts.hostname or "gateway"), int(parts.port or 80)
        self._socket = parts.path if parts.scheme == "unix" else ""
        self._secret = os.environ.get("BAKEOFF_CREDENTIAL", "")
        self._seq = 0
        self._executed: set[tuple[str, str]] = set()

    async def perform(
        self,
        envelope: Envelope,
        step: Step,
        beat: Callable[[], None] | None = None,
        key: str | None = None,
    ) -> dict[str, Json]:
        """Call the world for one step; ``beat`` is called while it has not answered.

        Raises:
            WorldError: the reply was lost.

        """
        if key is None:
            keyed = envelope.guard is Guard.KEYS and step.op.effect is not Effect.READ
            key = idempotency_key(envelope.run, step.name) if keyed else ""
        body: dict[str, Any] = {
            "run": envelope.run,
            "step": step.name,
            "op": step.op.verb,
            "effect": str(step.op.effect),
            "args": step.args,
            "key": key,
            "premises": [{"path": p.path, "etag": p.etag} for p in step.premises],
            "slept_s": step.slept_s,
        }
        request = asyncio.ensure_future(self.post("/perform", envelope, body))
        try:
            while beat and not request.done():
                beat()
                await asyncio.wait([request], timeout=BEAT_S)
            reply = await request
        finally:
            request.cancel()
        if reply["status"] == "hang":
            await asyncio.Event().wait()
        self.executed(envelope, step.name)
        return reply

    def executed(self, envelope: Envelope, name: str) -> None:
        """Remember that this incarnation executed a step, until it is reported."""
        self._executed.add((envelope.run, name))

    async def at(self, envelope: Envelope, phase: str, name: str) -> None:
        """Report a phase; a step's only if this incarnation executed it, not on replay."""
        if name and (envelope.run, name) not in self._executed:
            return
        self._executed.discard((envelope.run, name))
        await self.post("/at", envelope, {"run": envelope.run, "phase": phase, "step": name})

    async def post(self, path: str, envelope: Envelope, body: dict[str, Any]) -> dict[str, Json]:
        """Send a body to a path of the world, as this incarnation; return the answer.

        Raises:
            RefusedError: nothing was begun.
            WorldError: no answer came, or none that says what was done.

        """
        self._seq += 1
        body |= {"cell": envelope.cell, "incarnation": self.incarnation, "seq": self._seq}
        content = json.dumps(body).encode()
        connection = h11.Connection(h11.CLIENT)
        headers = [
            ("Host", f"{self._host}:{self._port}"),
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(content))),
            *([("Authorization", f"Bearer {self._secret}")] if self._secret else []),
            ("Connection", "close"),
        ]
        try:
            if self._socket:
                reader, writer = await asyncio.open_unix_connection(self._socket)
            else:
                reader, writer = await asyncio.open_connection(self._host, self._port)
        except OSError as error:
            raise RefusedError(str(error)) from error
        try:
            for event in (
                h11.Request(method="POST", target=path, headers=headers),
                h11.Data(content),
                h11.EndOfMessage(),
            ):
                writer.write(connection.send(event) or b"")
            await writer.drain()
            status, answer = await self._answer(reader, connection)
        except (OSError, h11.ProtocolError) as error:
            msg = f"{path}: the reply was lost ({error})"
            raise WorldError(msg) from error
        finally:
            writer.transport.abort()
        if status != OK:
            msg = f"{path} answered {status}: {answer.decode(errors='replace')}"
            raise WorldError(msg) if status >= SERVER_FAILED else RefusedError(msg)
        return json.loads(answer)  # type: ignore[no-any-return]

    @staticmethod
    async def _answer(
        reader: asyncio.StreamReader, connection: h11.Connection
    ) -> tuple[int, bytes]:
        status, parts = 0, bytearray()
        while True:
            event = connection.next_event()
            if event is h11.NEED_DATA:
                connection.receive_data(await reader.read(1 << 16))
            elif isinstance(event, h11.Response):
                status = event.status_code
            elif isinstance(event, h11.Data):
                parts += event.data
            elif isinstance(event, h11.EndOfMessage):
                return status, bytes(parts)
            elif isinstance(event, h11.ConnectionClosed):
                msg = "closed"
                raise OSError(msg)


def worker_name(own: str = "") -> str:
    """Return by which name this worker is to be known to its engine.

    That is ``own``, or that of this process start; a successor may be given its predecessor's.
    """
    return os.environ.get("BAKEOFF_WORKER") or own or os.environ["BAKEOFF_INCARNATION"]


def scenario() -> Scenario:
    """Return the scenario that this worker was started for, in the version that it is to run."""
    version = os.environ.get("BAKEOFF_VERSION", "")
    found = load_scenario(os.environ["BAKEOFF_SCENARIO"]).at(version)
    _LOADED.append(version)
    return found


class _NoLateEmulation:
    """Refuses to import an emulation once the harness was told that there is none."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> None:
        del path, target
        if EMULATION.fullmatch(name):
            msg = f"{name} must be imported before announce(): what is emulated is said first"
            raise ImportError(msg)


def announce(**details: Json) -> None:
    """Tell the harness that this incarnation is ready, what it runs, and what its clock says.

    What it runs includes the emulations that it has loaded: modules ``runtimes.NAME.emulated``.
    """
    emulated: list[Json] = [*sorted(name for name in sys.modules if EMULATION.fullmatch(name))]
    sys.meta_path.insert(0, _NoLateEmulation)
    line = {
        "incarnation": os.environ["BAKEOFF_INCARNATION"],
        "emulated": emulated,
        "version": _LOADED[-1] if _LOADED else "",
        "clock_s": time.time(),
        **details,
    }
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def child_envelope(envelope: Envelope, name: str) -> Envelope:
    """Return the envelope of a child run: the same cell, an id derived from the parent's.

    Nothing is armed in it: the points of a schedule are its parent's.
    """
    return replace(envelope, run=f"{envelope.run}.{name}", parent=envelope.run, armed=())


async def gather_tasks(commands: Sequence[Command], one: One) -> list[Any]:
    """Gather for SDKs whose awaitables may run in asyncio tasks."""
    futures: list[Awaitable[Any]] = [one(command) for command in commands]
    return list(await asyncio.gather(*futures))
