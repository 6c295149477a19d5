"""A gateway in memory's reach, with both of its sockets open."""

from __future__ import annotations

import json
import os

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web
from click.testing import CliRunner, Result

from harness.loop import Loop
from runtimes.reference.gateway.client import OPERATORS, WORKERS, Wire
from runtimes.reference.gateway.commands import gateway as commands
from runtimes.reference.gateway.face import WorkerFace
from runtimes.reference.gateway.operators import OperatorFace
from runtimes.reference.gateway.peer import peer
from runtimes.reference.gateway.request import WORLD
from runtimes.reference.gateway.server import serve
from support.desk import Desk, Rig, admission, rig


MINE = peer(os.getuid(), os.getgid())
PATIENCE_S = 10.0


@dataclass
class Served:
    """A gateway whose sockets are open, in the loop of another thread."""

    place: Rig
    loop: Loop

    @property
    def folder(self) -> Path:
        return self.place.folder

    def send(
        self, body: Any, path: str = "/perform", method: str = "POST", **headers: str
    ) -> tuple[int, Any]:
        """Return status and answer; ``body`` is JSON unless it is bytes already."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        wire = Wire(self.folder / WORKERS, PATIENCE_S)
        said = {"Content-Type": "application/json"}
        said |= {name.replace("_", "-"): text for name, text in headers.items()}
        wire.request(method, path, content, said)
        answer = wire.getresponse()
        text = answer.read().decode()
        wire.close()
        return answer.status, json.loads(text) if "json" in answer.headers["Content-Type"] else text

    def call(self, *words: str) -> Result:
        """Run an operator's command."""
        return CliRunner().invoke(commands, [*words, "--gateway", str(self.folder)])


@contextmanager
def served(folder: Path, desk: Desk | None = None, **more: Any) -> Iterator[Served]:
    """Lend a gateway with both of its sockets; ``more`` is said in its admission of run r."""
    with ExitStack() as stack:
        loop = stack.enter_context(Loop())
        admitted = admission(**{"peer": MINE, **more})
        # In the thread of the loop, where SQLite is used.
        made = rig(folder, desk, admissions=(admitted,))
        place = loop.run(_enter(made))
        stack.callback(lambda: loop.run(_leave(made)))
        for name, app in (
            (WORKERS, WorkerFace(place.gateway, WORLD).app()),
            (OPERATORS, OperatorFace(place.gateway, folder / "keys").app()),
        ):
            runner: web.AppRunner = loop.run(serve(app, folder / name, 5.0))
            stack.callback(lambda runner=runner: loop.run(runner.cleanup()))
        yield Served(place, loop)


async def _enter(place: AbstractContextManager[Rig]) -> Rig:
    return place.__enter__()


async def _leave(place: AbstractContextManager[Rig]) -> None:
    place.__exit__(None, None, None)


def body(**more: Any) -> dict[str, Any]:
    """Return a payment of run r, as a worker writes it."""
    fields = {
        "cell": "r",
        "run": "r",
        "step": "pay",
        "op": "append",
        "effect": "irreversible",
        "args": {"path": "charges/anna", "value": 500},
    }
    return {**fields, **more}
