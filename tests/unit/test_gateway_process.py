"""The gateway as a process of its own: killed, ended, started twice."""

from __future__ import annotations

import signal

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.gateway_site import PATIENCE_S, Site, before_world

from runtimes.reference.gateway.client import OPERATORS, WORKERS, ask


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Lend a world with run r, and a place for its gateway."""
    with before_world(tmp_path) as found:
        yield found


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
