"""Sites: what a dead harness left is swept, what a living one owns is never touched."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.deadline import Deadline, wait_until
from harness.link import Mode
from harness.loop import Loop
from harness.site import MARK, LocalSite, Lot, sites_folder, sweep
from runners.local import LocalRunner


PATIENCE_S = 20.0
HARNESS = """
import json, subprocess, sys
from harness.loop import Loop
from harness.site import LocalSite

with Loop() as loop, LocalSite(loop) as site:
    (site.state_dir("data") / "file").write_text("state")
    child = subprocess.Popen(
        [sys.executable, "-c", "import signal; signal.pause()"],
        env={**site.environment},
        start_new_session=True,
    )
    print(json.dumps([site.name, child.pid]), flush=True)
    sys.stdin.read()
    child.kill()
    child.wait()
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give this test sites of its own: those of others are none of our business."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@dataclass
class Harness:
    """A harness process with a site, a file in it, and a child."""

    process: subprocess.Popen[str]
    site: str
    child: int

    @property
    def folder(self) -> Path:
        """Return its site's folder."""
        return sites_folder() / self.site

    def die(self) -> None:
        """Kill it as the kernel would: nothing of it can run any more."""
        self.process.kill()
        self.process.wait()


@pytest.fixture
def harness(home: Path) -> Iterator[Harness]:
    """Start a harness and end it, with what it may have left."""
    with subprocess.Popen(
        [sys.executable, "-c", HARNESS],
        env={**os.environ, "TMPDIR": str(home)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        site, child = json.loads(process.stdout.readline())
        found = Harness(process, site, child)
        # The mark is there once the child has become its own program.
        wait_until(lambda: marked(child, site), Deadline.after(PATIENCE_S), "the child is marked")
        try:
            yield found
        finally:
            process.kill()
            if marked(child, site):
                os.kill(child, signal.SIGKILL)


def marked(pid: int, site: str) -> bool:
    """Say whether a process lives and carries a site's mark."""
    try:
        return f"{MARK}={site}".encode() in Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return False


def test_a_dead_harness_is_swept(harness: Harness) -> None:
    """Its child is killed and its folder removed, and each is said."""
    harness.die()
    assert marked(harness.child, harness.site)
    swept = sweep()
    assert not marked(harness.child, harness.site)
    assert not harness.folder.exists()
    assert [
        f"killed process {harness.child} of {harness.site}",
        f"removed {harness.folder}",
    ] == swept
    assert [] == sweep()


def test_a_living_harness_is_left_alone(harness: Harness) -> None:
    """While it lives, its child and its folder stay."""
    assert [] == sweep()
    assert marked(harness.child, harness.site)
    assert "state" == (harness.folder / "data" / "file").read_text()


def test_the_dead_among_the_living(harness: Harness) -> None:
    """Sweeping one harness's rest does not touch another's."""
    with Loop() as loop, LocalSite(loop) as living:
        kept = living.state_dir("data")
        harness.die()
        assert f"removed {harness.folder}" in sweep()
        assert kept.is_dir()


def test_a_harness_that_ends_well(harness: Harness) -> None:
    """Who ends in order leaves nothing to sweep."""
    assert harness.process.stdin
    harness.process.stdin.close()
    harness.process.wait(PATIENCE_S)
    assert not harness.folder.exists()
    assert [] == sweep()


def test_nothing_to_sweep() -> None:
    """Where no harness has been, nothing is swept."""
    assert [] == sweep()


def test_site(home: Path) -> None:
    """A site has a name, a mark for its children, and a folder while it lasts."""
    with Loop() as loop:
        with LocalSite(loop) as site:
            assert home / f"bakeoff-{os.getuid()}" / site.name == site.folder
            assert {MARK: site.name} == site.environment
            assert site.state_dir("a/b") == site.state_dir("a/b") == site.folder / "a" / "b"
            assert (site.folder / "a" / "b").is_dir()
        assert not site.folder.exists()


def test_reserve() -> None:
    """A reserved port is free, and not handed out twice in a row."""
    with Loop() as loop, LocalSite(loop) as site:
        first, second = site.reserve(), site.reserve()
        assert first != second
        with socket.create_server((first.host, first.port)):
            pass


def test_links_that_refuse_from_the_first() -> None:
    """What is asked for meanwhile, and of that pool only, refuses until it is healed."""
    with Loop() as loop, LocalSite(loop) as site:
        with site.refusing("p"):
            cut, other = site.link("calls-p"), site.link("calls-q")
        later = site.link("more-p")
        assert [Mode.CUT, Mode.PASS, Mode.PASS] == [one.mode for one in (cut, other, later)]
        with (
            socket.create_connection((cut.address.host, cut.address.port), 5.0) as near,
            contextlib.suppress(ConnectionResetError),
        ):
            assert b"" == near.recv(1)
        assert (1, 0) == (cut.touched, other.touched)


def test_links_live_as_long_as_the_site() -> None:
    """A link listens while its site lasts, and no longer."""
    with Loop() as loop:
        with LocalSite(loop) as site:
            address = site.link("x").address
            with (
                socket.create_connection((address.host, address.port), 5.0) as near,
                contextlib.suppress(ConnectionResetError),
            ):
                assert b"" == near.recv(1)  # it leads nowhere, and says so
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((address.host, address.port), 5.0)


def test_lot(tmp_path: Path) -> None:
    """Each runtime's part has folders below its own name, and the site's ports."""
    with Loop() as loop, LocalSite(loop) as site:
        runner = LocalRunner(tmp_path, {})
        lot = Lot(site, "naive", runner)
        assert site.folder / "naive" / "data" == lot.state_dir("data")
        assert lot.runner is runner
        assert "127.0.0.1" == lot.reserve().host == lot.link("x").address.host
