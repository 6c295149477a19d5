"""What breaks around the command is told in one message; other columns go on."""

from __future__ import annotations

import os
import signal
import subprocess

from contextlib import contextmanager
from pathlib import Path

import pytest

from harness.deadline import Deadline, wait_until


SMALL = str(Path(__file__).parents[1] / "chaos" / "small.py")
SWEEP = ("--scenario", SMALL, "--fault", "kill(worker)", "--no-confirm")
CRASH, UNSURE = 70, 2
RUNTIME = """
from harness.runtime import Guarantee, Kind
from runtimes.embedded.adapter import EmbeddedRuntime
RUNTIME = EmbeddedRuntime(
    name="broken", policy="memo", guarantee=Guarantee.MEMO, kind=Kind.LIBRARY, argv={argv!r}
)
"""
NEVER_READY = """
import sys
from contextlib import contextmanager
import harness.sweep
from harness.process import WorkerSpec
from harness.runtime import Guarantee, Kind
from harness.service import Server
from runtimes.embedded.adapter import EmbeddedRuntime

harness.sweep.READY_S = 1.0
PROGRAM = "import sys, time; print('still warming up', file=sys.stderr, flush=True); {then}"

class Slow(EmbeddedRuntime):
    @contextmanager
    def start(self, site, profile):
        spec = WorkerSpec(argv=[sys.executable, "-c", PROGRAM], ready=False)
        with EmbeddedRuntime.start(self, site, profile) as backend:
            with Server("slow-server", site.runner, spec, lambda: False) as server:
                backend.servers = [server]
                yield backend

RUNTIME = Slow(name="slow", policy="memo", guarantee=Guarantee.MEMO, kind=Kind.SERVER)
"""


def clear(done):
    """Check that there was no traceback, and return the lines of the message."""
    assert "Traceback" not in done.text, done.text
    return done.err.strip().splitlines()


@pytest.mark.engine
def test_missing_engine_is_not_measured(home):
    """A server that is not where the environment says is "not measured", the others run on."""
    done = home.run(
        *("run", "--runtime", "restate", "--runtime", "checkpoint", "--no-controls", *SWEEP),
        "--json",
        BAKEOFF_RESTATE_BIN="/nowhere/restate-server",
    )

    clear(done)
    found = done.json()
    assert 0 == done.code, done.text
    assert ["checkpoint"] == [cell["runtime"] for cell in found["cells"]]
    assert ["restate"] == [skip["runtime"] for skip in found["skips"]]
    assert "/nowhere/restate-server" in found["skips"][0]["reason"]


@pytest.mark.engine
def test_missing_engine_alone_is_no_pass(home):
    """With nothing measured the run is no success: exit 2, and the reason is on the screen."""
    done = home.run(
        *("run", "--runtime", "restate", "--no-controls", *SWEEP),
        BAKEOFF_RESTATE_BIN="/nowhere/restate-server",
    )

    clear(done)
    assert UNSURE == done.code, done.text
    assert "not measured" in done.out
    assert "/nowhere/restate-server" in done.out


@pytest.mark.engine
def test_missing_engine_cannot_replay(home):
    """A replay on a server that is not there is one message, and no verdict."""
    done = home.run(
        *("replay", "golden", "--runtime", "restate"),
        BAKEOFF_RESTATE_BIN="/nowhere/restate-server",
    )

    clear(done)
    assert done.code not in {0, 1}, done.text
    assert "/nowhere/restate-server" in done.err


@pytest.mark.engine
@pytest.mark.parametrize("package", ["dbos", "restate", "temporalio"])
def test_sdk_that_fails_at_import_is_told(package, home):
    """A broken SDK makes its runtime not measured, with the SDK's own words; the others run."""
    name = {"temporalio": "temporal"}.get(package, package)
    sdk = home.path / "broken" / package
    sdk.mkdir(parents=True)
    (sdk / "__init__.py").write_text("raise RuntimeError('no luck with this SDK')\n")

    done = home.run(
        *("run", "--runtime", name, "--runtime", "checkpoint", "--no-controls", *SWEEP, "--json"),
        PYTHONPATH=str(sdk.parent),
    )

    assert "Traceback" not in done.err, done.err  # the reason may quote the worker's own
    found = done.json()
    assert ["checkpoint"] == [cell["runtime"] for cell in found["cells"]]
    assert "no luck with this SDK" in "".join(skip["reason"] for skip in found["skips"])


def test_worker_that_dies_at_start_tells_why(home):
    """A worker that dies at once is told with the end of what it wrote."""
    argv = ("-c", "raise SystemExit('no fuel in the tank')")
    (home.path / "broken.py").write_text(RUNTIME.format(argv=argv))

    done = home.run("run", "--runtime", "./broken.py", "--no-controls", *SWEEP)

    assert "" == done.err
    assert UNSURE == done.code, done.text
    assert "no fuel in the tank" in done.text


def test_worker_that_cannot_be_started_tells_why(home):
    """A replay whose worker dies at once is unknown, and says why."""
    argv = ("-c", "raise SystemExit('no fuel in the tank')")
    (home.path / "broken.py").write_text(RUNTIME.format(argv=argv))

    done = home.run("replay", "golden", "--runtime", "./broken.py", "--scenario", SMALL)

    clear(done)
    assert UNSURE == done.code, done.text
    assert "no fuel in the tank" in done.text


@pytest.mark.parametrize(
    ("then", "words"),
    [("time.sleep(600)", "did not get ready in time"), ("sys.exit(3)", "died at start-up")],
    ids=["hangs", "dies"],
)
def test_server_that_never_serves_tells_why(then, words, home):
    """A server that does not serve in time is told with its log's end; the others run on."""
    (home.path / "slow.py").write_text(NEVER_READY.replace("{then}", then))

    done = home.run(
        *("run", "--runtime", "./slow.py", "--runtime", "checkpoint", "--no-controls", *SWEEP)
    )

    clear(done)
    assert done.code != 0
    assert words in done.text
    assert "still warming up" in done.text
    assert [] == home.left()


def _small_result(home, *more):
    done = home.run("run", "--runtime", "checkpoint", "--no-controls", *SWEEP, *more)
    assert 0 == done.code, done.text
    return home.path / "results" / "latest"


@pytest.mark.parametrize("command", ["analyze", "report", "resume", "list", "repro"])
@pytest.mark.parametrize(
    ("damage", "words"),
    [
        ('{"schema": 99}', ["schema 99", "schema 1"]),
        ('{"schema": 1, "asked"', ["sweep.json", "damaged"]),
        ("[]", ["sweep.json", "damaged"]),
        (None, ["no sweep.json"]),
    ],
    ids=["other schema", "torn", "no object", "missing"],
)
def test_unusable_results_are_told(command, damage, words, home):
    """Results of another schema, damaged or missing ones are refused; nothing is overwritten."""
    folder = home.path / "old"
    folder.mkdir()
    if damage is not None:
        (folder / "sweep.json").write_text(damage)
    argv = {
        "analyze": ("analyze", "old"),
        "report": ("report", "old"),
        "resume": ("run", "--resume", "old"),
        "list": ("list", "--results", "old"),
        "repro": ("repro", "golden", "--runtime", "naive", "--results", "old"),
    }[command]

    done = home.run(*argv)

    assert 1 == len(clear(done)), done.text
    assert CRASH == done.code
    for word in words:
        assert word in done.err
    assert (damage is None) or damage == (folder / "sweep.json").read_text()


def test_damaged_verdicts_are_told(home):
    """A verdict file that is no JSON is named by the commands that read it."""
    folder = _small_result(home)
    victim = min(folder.glob("trials/**/verdicts.json"))
    victim.write_text("[{")

    done = home.run("run", "--resume")

    clear(done)
    assert CRASH == done.code, done.text
    assert "verdicts.json" in done.err


def test_results_that_cannot_be_written_are_told(home):
    """A place where no folder can be is one message that names it and the option."""
    (home.path / "file").write_text("")

    done = home.run("run", "--runtime", "naive", *SWEEP, "--results", "file/results")

    assert 1 == len(clear(done)), done.text
    assert CRASH == done.code
    assert "file/results" in done.err
    assert "--results" in done.err


@contextmanager
def tiny_disk(folder: Path, size: str):
    """Mount a disk of this size, which only root may."""
    folder.mkdir()
    if os.geteuid() != 0:
        pytest.skip("only root may mount a tiny disk")
    argv = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no tiny disk here: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.parametrize("size", ["4k", "64k", "160k"])
def test_full_disk_is_told(size, home):
    """A disk that fills up stops the sweep with one message; nothing runs on."""
    with tiny_disk(home.path / "tiny", size):
        done = home.run(
            *("run", "--runtime", "reference", "--scenario", SMALL, "--fault", "kill(worker)"),
            *("--results", "tiny/results"),
        )

        assert CRASH == done.code, done.text
        assert 1 == len(clear(done)), done.text
        assert "tiny/results" in done.err
        assert "full" in done.err or "No space left" in done.err
        assert [] == home.left()


def test_busy_results_are_told(home):
    """A results folder that another harness writes to is refused by every writing command."""
    argv = ("run", "--runtime", "reference", "--scenario", "approval", "--fault", "kill(worker)")
    with home.begun(*argv, "--no-controls") as process:
        wait_until(
            lambda: bool(list(home.path.glob("results/latest/trials/**/history.jsonl"))),
            Deadline.after(30.0),
            "the first harness works",
        )
        for command in (("run", "--resume"), ("analyze",)):
            done = home.run(*command)
            assert CRASH == done.code, done.text
            assert 1 == len(clear(done)), done.text
            assert "another bakeoff" in done.err
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30.0)
