"""A gateway as a process of its own, before a world whose history says what was done."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from typing import Any

from harness.deadline import Deadline, wait_until
from harness.effects import Tier
from harness.history import History
from harness.loop import Loop
from harness.scenario import Answer
from harness.world import Cell, World
from runtimes.reference.gateway.client import WORKERS, Wire, ask
from runtimes.reference.gateway.peer import peer
from support.desk import PAY


PATIENCE_S = 30.0
ARGV = [sys.executable, "-m", "runtimes.reference.gateway", "--folder"]


@dataclass
class Site:
    """A world with one cell, and the folder of a gateway before it."""

    world: World
    history: History
    folder: Path
    env: Mapping[str, str] = field(default_factory=lambda: {"BAKEOFF_CREDENTIAL": ""})
    tier: Tier = Tier.K

    @contextmanager
    def gateway(self) -> Iterator[subprocess.Popen[bytes]]:
        """Lend a gateway's process that serves."""
        with self.started() as process:
            assert process.stdout
            assert process.stdout.readline()
            yield process

    @contextmanager
    def started(self) -> Iterator[subprocess.Popen[bytes]]:
        """Lend a gateway's process."""
        world = f"http://{self.world.address.host}:{self.world.address.port}"
        argv = [*ARGV, str(self.folder), "--world", world, "--tier", str(self.tier)]
        env = {**os.environ, "BAKEOFF_INCARNATION": "gateway-1", **self.env}
        with subprocess.Popen(
            argv, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    def admit(self, *more: dict[str, Any], run: str = "r") -> None:
        """Let a run pay, and what ``more`` grants."""
        said = {"run": run, "peer": peer(os.getuid(), os.getgid()), "ttl_s": 600}
        ask(self.folder, "/admit", [{**said, "grants": [{"op": PAY, "target": "log"}, *more]}])

    def send(self, step: str = "pay", value: str = "") -> dict[str, Any]:
        """Ask for a payment as a worker does."""
        body = {
            "cell": "r",
            "run": "r",
            "step": step,
            "op": "append",
            "effect": "irreversible",
            "args": {"path": "log", "value": value or step},
        }
        wire = Wire(self.folder / WORKERS, PATIENCE_S)
        try:
            wire.request("POST", "/perform", json.dumps(body), {"Content-Type": "application/json"})
            return dict(json.loads(wire.getresponse().read()))
        finally:
            wire.close()

    def asked(self, step: str = "pay", value: str = "") -> tuple[threading.Thread, list[Any]]:
        """Ask in another thread; the answer, or why there is none, comes to the list."""
        answers: list[Any] = []

        def work() -> None:
            try:
                answers.append(self.send(step, value))
            except (OSError, HTTPException, ValueError) as error:
                answers.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        return thread, answers

    def held(self, point: str) -> None:
        """Wait until the world holds somebody at a point."""
        wait_until(
            lambda: any(e.kind == "held" and e.data["point"] == point for e in self.history),
            Deadline.after(PATIENCE_S),
            f"held at {point}",
        )

    def applied(self, run: str = "r") -> list[str]:
        """Return the steps of a run that the world carried out, in order."""
        return [e.data["step"] for e in self.history if e.kind == "apply" and e.run == run]


@contextmanager
def before_world(folder: Path, *answers: Answer, tier: Tier = Tier.K, **env: str) -> Iterator[Site]:
    """Lend a world with run r, and a place for its gateway."""
    with Loop() as loop, World(loop) as world:
        history = History()
        world.open("r", Cell.of(tier, {"log": []}, answers), history)
        yield Site(world, history, folder / "gw", {"BAKEOFF_CREDENTIAL": "", **env}, tier)
