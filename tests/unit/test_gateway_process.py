"""The gateway as a process of its own: killed, ended, started twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from support.desk import PAY

from harness.deadline import Deadline, wait_until
from harness.effects import Tier
from harness.history import History
from harness.loop import Loop
from harness.world import Cell, World
from runtimes.reference.gateway.client import OPERATORS, WORKERS, Wire, ask
from runtimes.reference.gateway.peer import peer


PATIENCE_S = 30.0
ARGV = [sys.executable, "-m", "runtimes.reference.gateway", "--folder"]


@dataclass
class Site:
    """A world with one cell, and the folder of a gateway before it."""

    world: World
    history: History
    folder: Path

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
        argv = [*ARGV, str(self.folder), "--world", world, "--tier", "K"]
        env = {**os.environ, "BAKEOFF_INCARNATION": "gateway-1", "BAKEOFF_CREDENTIAL": ""}
        with subprocess.Popen(
            argv, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    def admit(self) -> None:
        """Let run r pay."""
        said = {"run": "r", "peer": peer(os.getuid(), os.getgid()), "ttl_s": 600}
        ask(self.folder, "/admit", [{**said, "grants": [{"op": PAY, "target": "log"}]}])

    def send(self, step: str = "pay") -> dict[str, Any]:
        """Ask for a payment as a worker does."""
        body = {
            "cell": "r",
            "run": "r",
            "step": step,
            "op": "append",
            "effect": "irreversible",
            "args": {"path": "log", "value": step},
        }
        wire = Wire(self.folder / WORKERS, PATIENCE_S)
        try:
            wire.request("POST", "/perform", json.dumps(body), {"Content-Type": "application/json"})
            return dict(json.loads(wire.getresponse().read()))
        finally:
            wire.close()

    def asked(self, step: str = "pay") -> tuple[threading.Thread, list[Any]]:
        """Ask in another thread; the answer, or why there is none, comes to the list."""
        answers: list[Any] = []

        def work() -> None:
            try:
                answers.append(self.send(step))
            except Exception as error:  # noqa: BLE001 - the test looks at it
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


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Lend a world with run r, and a place for its gateway."""
    with Loop() as loop, World(loop) as world:
        history = History()
        world.open("r", Cell.of(Tier.K, {"log": []}), history)
        yield Site(world, history, tmp_path / "gw")


@pytest.mark.parametrize("point", ["pay/before_effect#1", "pay/after_effect#1"])
def test_a_kill_leaves_one_effect(point: str, site: Site) -> None:
    """Whoever asks the next one is given the answer, and the world was changed once."""
    with site.gateway() as process:
        site.admit()
        assert "ok" == site.send("first")["status"]
        site.world.arm("r", "r", point)
        thread, answers = site.asked()
        site.held(point)
        process.kill()
        thread.join(PATIENCE_S)
        assert isinstance(answers[0], Exception)
    with site.gateway():
        assert "ok" == site.send()["status"]
        assert "ok" == site.send("first")["status"]
    assert ["first", "pay"] == site.world.cell("r").values()["log"]


def test_the_end_waits_for_what_is_out(site: Site) -> None:
    """A call that is out is answered, the process leaves with 0, and its sockets are gone."""
    with site.gateway() as process:
        site.admit()
        site.world.arm("r", "r", "pay/before_effect#1")
        thread, answers = site.asked()
        site.held("pay/before_effect#1")
        process.send_signal(signal.SIGTERM)
        site.world.release("r", "r", "pay/before_effect#1")
        thread.join(PATIENCE_S)
        assert "ok" == answers[0]["status"]
        assert 0 == process.wait(PATIENCE_S)
    assert not (site.folder / WORKERS).exists()
    assert not (site.folder / OPERATORS).exists()
    assert ["pay"] == site.world.cell("r").values()["log"]


def test_a_folder_has_one_gateway(site: Site) -> None:
    """The second one says so and ends; the first one goes on. The folder is its owner's alone."""
    with site.gateway():
        site.admit()
        with site.started() as second:
            _, said = second.communicate(timeout=PATIENCE_S)
        assert 1 == second.returncode
        assert b"another gateway serves" in said
        assert "ok" == site.send()["status"]
    assert 0o700 == site.folder.stat().st_mode & 0o777
    for path in site.folder.rglob("*"):
        if (path.is_file() and path.suffix in {".jsonl", ".json"}) or path.name == "secret":
            assert 0o600 == path.stat().st_mode & 0o777, path


def test_a_revocation_outlives_a_kill(site: Site) -> None:
    """Acknowledged is durable: the next one refuses the run, without being told again."""
    with site.gateway() as process:
        site.admit()
        assert "ok" == site.send("first")["status"]
        ask(site.folder, "/revoke", {"what": "r"})
        process.kill()
        process.wait(PATIENCE_S)
    with site.gateway():
        assert "rejected" == site.send()["status"]
        site.admit()
        assert "ok" == site.send()["status"]
    assert ["first", "pay"] == site.world.cell("r").values()["log"]
