"""A gateway's process whose disk is full, torn or broken, or has the log of another version.

The faults are those of the operating system, not of a store that plays them: each write and each
sync below the gateway's folder fails in turn, by a library that is loaded before the system's.
"""

from __future__ import annotations

import errno
import json
import mmap
import shutil
import sqlite3
import struct
import subprocess

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from support.desk import PAY
from support.gateway_site import PATIENCE_S, Site, before_world

from runtimes.reference.effect_log.chain import FORMAT
from runtimes.reference.effect_log.facts import Standing
from runtimes.reference.effect_log.folder import LOG, reading
from runtimes.reference.effect_log.reading import recover
from runtimes.reference.gateway.client import WORKERS, OperatorError, Wire, ask
from runtimes.reference.gateway.routes import PROBLEM


COMPILER = shutil.which("cc")
SOURCE = Path(__file__).parents[1] / "support" / "failing_disk.c"
WRITES, SYNCS = 1, 2
FULL = {"error": errno.ENOSPC, "kinds": WRITES}
BROKEN = {"error": errno.EIO, "kinds": WRITES | SYNCS}
WAYS = {
    "full": {**FULL, "lasting": 1},
    "full for once": FULL,
    "torn, then full": {**FULL, "lasting": 1, "torn": 1},
    "broken": {**BROKEN, "lasting": 1},
    "broken for once": BROKEN,
}
CONTROL, AT = struct.Struct("7i"), struct.Struct("i")
"""At, error, lasting, torn, kinds, count, failed: as the library has them."""
MOST = 80
"""No request takes so many writes and syncs."""


@dataclass
class Disk:
    """The disk of one gateway's process; what the library is told is in ``shared``."""

    shared: mmap.mmap
    env: Mapping[str, str]

    @contextmanager
    def failing(self, at: int, **how: int) -> Iterator[None]:
        """Have a call fail, counted from now."""
        told = (how.get(name, 0) for name in ("error", "lasting", "torn", "kinds"))
        CONTROL.pack_into(self.shared, 0, 0, *told, 0, 0)
        AT.pack_into(self.shared, 0, at)
        yield
        AT.pack_into(self.shared, 0, 0)

    @property
    def count(self) -> int:
        """Return how many calls there were."""
        return int(CONTROL.unpack_from(self.shared)[5])

    @property
    def failed(self) -> int:
        """Return how many of them failed."""
        return int(CONTROL.unpack_from(self.shared)[6])


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Lend the compiled library."""
    if not COMPILER:
        pytest.skip("no C compiler: not measured")
    built = tmp_path_factory.mktemp("library") / "failing_disk.so"
    subprocess.run(
        [COMPILER, "-shared", "-fPIC", "-O1", "-o", str(built), str(SOURCE), "-ldl"], check=True
    )
    return built


@contextmanager
def disk(library: Path, folder: Path) -> Iterator[Disk]:
    """Lend the disk of a gateway below a folder."""
    told = folder / "disk"
    told.write_bytes(bytes(CONTROL.size))
    env = {"LD_PRELOAD": str(library), "FAILING_DISK": str(told), "FAILING_FOLDER": f"{folder}/gw"}
    with told.open("r+b") as file, mmap.mmap(file.fileno(), 0) as shared:
        yield Disk(shared, env)


def perform(site: Site, step: str) -> tuple[int, dict[str, Any]]:
    """Ask for a payment, and be told of refusals by HTTP's status."""
    said = {"cell": "r", "run": "r", "step": step, "op": "append", "effect": "irreversible"}
    headers = {"Content-Type": "application/json", "Accept": PROBLEM}
    with closing(Wire(site.folder / WORKERS, PATIENCE_S)) as wire:
        content = json.dumps({**said, "args": {"path": "log", "value": step}})
        wire.request("POST", "/perform", content, headers)
        answer = wire.getresponse()
        return answer.status, json.loads(answer.read())


@pytest.mark.parametrize("way", WAYS)
def test_each_write_fails_in_turn(way: str, library: Path, tmp_path: Path) -> None:
    """What is said of the effect is true; once there is room, the same request is done, once."""
    with ExitStack() as stack:
        found = stack.enter_context(disk(library, tmp_path))
        site = stack.enter_context(before_world(tmp_path, **found.env))
        process = stack.enter_context(site.gateway())
        site.admit()
        assert 200 == perform(site, "before")[0]
        said: set[str] = set()
        for at in range(1, MOST):
            step = f"write {at}"
            with found.failing(at, **WAYS[way]):
                code, told = perform(site, step)
            if not found.failed:
                break
            done = site.applied().count(step)
            if code == 200:
                assert ("ok", 1) == (told["status"], done)
            else:
                assert (503, True) == (code, told["type"] in {"trouble", "unjudged"})
                assert done in {"not done": {0}, "done": {1}, "in doubt": {0, 1}}[told["effect"]]
                said.add(told["effect"])
            assert (200, "ok") == ((again := perform(site, step))[0], again[1]["status"])
            assert 1 == site.applied().count(step)
            assert process.poll() is None
        assert 6 < at < MOST - 1
        assert {"not done", "in doubt"} <= said
    with reading(site.folder / "log") as kept:
        effects = recover(*kept, "r").facts.effects
    assert {*site.applied()} == {k for k, v in effects.items() if v.standing is Standing.DONE}


@pytest.mark.parametrize("way", ["full", "broken", "torn, then full"])
def test_what_operators_say_on_a_failing_disk(way: str, library: Path, tmp_path: Path) -> None:
    """An error says whether it counts; what ends something counts at once, and both as told."""
    with ExitStack() as stack:
        found = stack.enter_context(disk(library, tmp_path))
        site = stack.enter_context(before_world(tmp_path, **found.env))
        process = stack.enter_context(site.gateway())
        for at in range(1, MOST):
            site.admit()
            assert "ok" == site.send(f"before {at}")["status"]
            with found.failing(at, **WAYS[way]):
                told = ""
                try:
                    ask(site.folder, "/revoke", {"what": "r"})
                except OperatorError as error:
                    told = str(error)
            if not found.failed:
                break
            assert not told or ("503" in told and "in force here" in told)
            assert "rejected" == site.send(f"after {at}")["status"]
            with found.failing(1, **WAYS[way]), pytest.raises(OperatorError, match="nothing of it"):
                site.admit()
            assert "rejected" == site.send(f"after {at}")["status"]
            assert process.poll() is None
        assert 2 < at < MOST - 1


def test_a_gateway_does_not_start_on_a_full_disk(library: Path, tmp_path: Path) -> None:
    """One message says why, whether it is the first write or one of the last; then it starts."""
    with ExitStack() as stack:
        found = stack.enter_context(disk(library, tmp_path))
        site = stack.enter_context(before_world(tmp_path, **found.env))
        with found.failing(MOST**2, **FULL), site.gateway():
            pass
        whole = found.count
        for at in (1, whole - 2, whole - 1, whole):
            shutil.rmtree(site.folder)
            with found.failing(at, **WAYS["full"]), site.started() as process:
                _, said = process.communicate(timeout=PATIENCE_S)
            assert found.failed
            assert 1 == process.returncode
            assert said.startswith(b"Error: ")
            assert 1 == said.count(b"\n")
        with site.gateway():
            site.admit()
            assert "ok" == site.send()["status"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (f"pragma user_version = {FORMAT + 1}", f"is of version {FORMAT + 1}; this is for version"),
        ("pragma user_version = 0", "is of version 0; this is for version"),
        ("pragma application_id = 7", "is no effect log of bakeoff"),
        ("update log set data = cast('{}' as blob)", ""),
    ],
)
def test_the_log_of_another_version(change: str, told: str, tmp_path: Path) -> None:
    """It is refused with what was found and what is read here; it is left as it was."""
    with before_world(tmp_path) as site:
        with site.gateway():
            site.admit({"op": PAY, "target": "log"})
            assert "ok" == site.send()["status"]
        path = site.folder / "log" / LOG
        with closing(sqlite3.connect(path)) as sql, sql:
            sql.execute(change)
        if not told:
            with site.gateway():
                code, answer = perform(site, "another")
                said = (code, answer["type"], answer["effect"])
                assert (409, "log_damaged", "in doubt") == said
                assert "LOG_DAMAGED" in answer["detail"]
        else:
            with site.started() as process:
                _, said = process.communicate(timeout=PATIENCE_S)
            assert (1, True) == (process.returncode, told in said.decode())
            assert b"Traceback" not in said
        assert ["pay"] == site.applied()
