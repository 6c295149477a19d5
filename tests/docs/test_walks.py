"""Pages that a reader walks through: each command in order, each output as it stands there.

``<!-- walk: NAME -->`` runs a script in the page's folder (``exit 3`` where it must end so), and
``<!-- beside: NAME -->`` starts one that goes on beside the others, to the end of the page.
``<!-- prints: NAME -->`` is all that the script of that name printed: only times, ports, holders,
hashes and where a line is broken may differ.  ``<!-- part of: FILE -->`` stands in an example.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import threading

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from support.command import COMMAND, Home
from support.pages import ROOT, Block, blocks

from harness.deadline import Deadline, wait_until
from harness.engines import engines, locate
from runtimes.reference.effect_log.facts import Standing
from runtimes.reference.effect_log.folder import LOG, reading
from runtimes.reference.effect_log.log import wall_ms
from runtimes.reference.effect_log.reading import recover
from runtimes.support.postgres import DEBIAN


PATIENCE_S = 120.0
LOGS = ("log", "gateway/log")
EXAMPLES = ROOT / "docs" / "examples"
VARIES = (
    (re.compile(r"^bash: line \d+: .*Killed.*$", re.MULTILINE), ""),
    (re.compile(r"\b\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\b"), "TIME"),
    (re.compile(r"\b[\w.-]+:\d{2,}\b"), "PLACE"),
    (re.compile(r"\bgateway-\d+\b"), "PROCESS"),
    (re.compile(r"\b\d+\.\d{3,}\b"), "MOMENT"),
    (re.compile(r"\b[0-9a-f]{12,64}\b"), "HASH"),
    (re.compile(r"\s+"), " "),
)
WIDTH, HEIGHT = 80, 40
POSTGRES = pytest.mark.skipif(
    not (DEBIAN / "postgres").is_file() and shutil.which("postgres") is None,
    reason="no PostgreSQL on this machine: apt-get install postgresql-15",
)
KNOT = pytest.mark.skipif(
    not shutil.which("knotd") and not Path("/usr/sbin/knotd").is_file(),
    reason="no Knot on this machine: apt-get install knot",
)
TEMPORAL = pytest.mark.skipif(
    locate(engines()["temporal"]) is None, reason="run: bakeoff engines install temporal"
)


def same(text: str) -> str:
    """Return a text without what differs each time."""
    for pattern, instead in VARIES:
        text = pattern.sub(instead, text)
    return text.strip()


def started(block: Block, home: Home) -> subprocess.Popen[str]:
    """Start a script in the page's folder."""
    return subprocess.Popen(
        ["bash", "-euo", "pipefail", "-c", block.text],
        cwd=home.path,
        env=home.environment(PATH=f"{Path(COMMAND).parent}{os.pathsep}{os.environ['PATH']}"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


@contextmanager
def beside(block: Block, home: Home, lines: int) -> Iterator[str]:
    """Lend a script that goes on, and what it printed by the time it was ready; end it."""
    with started(block, home) as process:
        late = threading.Timer(PATIENCE_S, process.kill)
        late.start()
        assert process.stdout
        try:
            said = [process.stdout.readline() for _ in range(lines)]
            late.cancel()
            yield "".join(said)
            os.killpg(process.pid, signal.SIGINT)
            process.communicate(timeout=PATIENCE_S)
            assert block.code == process.returncode, block.text
        finally:
            late.cancel()
            process.kill()


def arrived(folder: Path) -> None:
    """Return once no call of a dead process is on its way: a reader is slower than a test."""

    def quiet() -> bool:
        with reading(folder) as (store, heads):
            tried = [
                each
                for run in store.runs()
                for each in recover(store, heads, run).facts.effects.values()
            ]
        return not any(
            each.standing is Standing.IN_DOUBT and each.intent.deadline_ms > wall_ms()
            for each in tried
        )

    if (folder / LOG).exists():
        wait_until(quiet, Deadline.after(PATIENCE_S), "no call is on its way")


def walked(page: Path, home: Home) -> None:
    """Walk through a page."""
    for file in EXAMPLES.glob("*.py"):
        shutil.copy(file, home.path)
    shown = {block.name: block.text for block in blocks(page) if block.kind == "prints"}
    with ExitStack() as stack:
        for block in blocks(page):
            if block.kind == "beside":
                lines = len(shown[block.name].splitlines())
                printed = stack.enter_context(beside(block, home, lines))
            elif block.kind == "walk":
                for name in LOGS:
                    arrived(home.path / name)
                process = started(block, home)
                printed, _ = process.communicate(timeout=PATIENCE_S)
                code = abs(process.returncode) + 128 * (process.returncode < 0)
                assert block.code == code, f"{page.name}:{block.line} ended with {code}\n{printed}"
            elif block.kind == "part of":
                assert block.text in (EXAMPLES / block.name).read_text(encoding="utf-8")
                continue
            else:
                continue
            if block.name in shown:
                where = f"{page.name}:{block.line}"
                assert same(shown[block.name]) == same(printed), f"{where} printed\n{printed}"
            if " explain " in block.text:
                rows = printed.splitlines()
                assert max(map(len, rows)) <= WIDTH, printed
                assert len(rows) <= HEIGHT, printed


@pytest.mark.engine
@pytest.mark.xdist_group("docs-resume")
@POSTGRES
@KNOT
def test_a_killed_migration_is_resumed(home: Home) -> None:
    """Nothing is done twice or lost, drift is not overwritten, and what mail hides is asked."""
    walked(ROOT / "docs" / "resume.md", home)


@pytest.mark.engine
@pytest.mark.xdist_group("temporal")
@TEMPORAL
def test_an_engine_is_put_behind_the_gateway(home: Home) -> None:
    """By one address: what was done twice is done once, and what was not granted is refused."""
    walked(ROOT / "docs" / "gateway.md", home)


@pytest.mark.engine
@pytest.mark.xdist_group("temporal")
@TEMPORAL
@POSTGRES
@KNOT
def test_the_gateway_stands_before_real_providers(home: Home) -> None:
    """Worker and gateway die; rows, name and mail are as if neither had."""
    walked(ROOT / "docs" / "providers.md", home)
