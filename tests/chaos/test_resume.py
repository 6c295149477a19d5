"""The harness dies at any moment: what is finished stays, the rest is done, nothing runs on.

A moment is an amount of evidence on disk, drawn from a seed, so that a failure names it.
"""

from __future__ import annotations

import json
import os
import random
import signal

from contextlib import suppress
from pathlib import Path

import pytest

from support.campaign import CAMPAIGN
from support.command import listening, ports

from harness.deadline import Deadline, wait_until


SMALL = str(Path(__file__).with_name("small.py"))
STUBBORN = f"{Path(__file__).with_name('stubborn.py')}:STUBBORN"
SWEEP = (
    *("run", "--runtime", "reference", "--runtime", "checkpoint", "--runtime", "naive"),
    *("--scenario", SMALL, "--fault", "kill(worker)", "--sample", "1", "--jobs", "2"),
)
KILLS = 5
SEEDS = 4 if CAMPAIGN else 2
COUNTED = (
    *("runtime", "fault", "schedules", "clean", "escalated", "predicted"),
    *("surprising", "unknown", "confirmed", "disagreed", "oracles"),
)


def _evidence(results):
    """Return how many bytes of histories and verdicts are there; folders may come and go."""
    total = 0
    for folder, _, names in os.walk(results):
        for name in names:
            if ".json" in name and name != "index.jsonl":
                with suppress(FileNotFoundError):
                    total += (Path(folder) / name).stat().st_size
    return total


def _finished(results):
    """Return what identifies the files of each finished trial."""
    return {
        str(file.parent): [
            (path.stat().st_ino, path.stat().st_mtime_ns)
            for path in (file, file.with_name("history.jsonl"), file.with_name("trial.json"))
        ]
        for file in results.glob("*/trials/**/verdicts.json")
    }


def _cells(done):
    return sorted(
        json.dumps([cell[name] for name in COUNTED], sort_keys=True)
        for cell in done.json()["cells"]
    )


def _begun(process, results, size):
    wait_until(
        lambda: _evidence(results) >= size or process.poll() is not None,
        Deadline.after(60.0),
        f"{size} bytes of evidence are there",
        poll_s=0.005,
    )


@pytest.mark.parametrize("seed", range(SEEDS))
def test_killed_harness_resumes(seed, home):
    """After each of five SIGKILLs, --resume loses and repeats no finished trial."""
    undisturbed = home.run(*SWEEP, "--json", "--results", "whole")
    results = home.path / "results"
    whole = _evidence(home.path / "whole")
    chance = random.Random(seed)  # noqa: S311 - no secret
    moments = sorted(int(whole * chance.uniform(0.0, 0.75)) for _ in range(KILLS))
    killed = 0
    for moment in moments:
        argv = [*SWEEP, "--resume"] if list(results.glob("latest/sweep.json")) else SWEEP
        before = _finished(results)
        with home.begun(*argv) as process:
            _begun(process, results, moment)
            process.send_signal(signal.SIGKILL)
            killed += process.wait() == -signal.SIGKILL
        after = _finished(results)
        assert before == {key: after.get(key) for key in before}, f"{moment} of {whole} bytes"
    left = home.left()
    were_open = ports(left)
    before = _finished(results)

    resumed = home.run(*SWEEP, "--json", "--resume")

    assert KILLS == killed
    assert 0 == resumed.code == undisturbed.code, resumed.text
    assert _cells(undisturbed) == _cells(resumed)
    after = _finished(results)
    assert before == {key: after.get(key) for key in before}
    assert [] == home.left()
    assert set() == were_open & listening()
    assert 1 == len(list(results.glob("2*")))


def test_interrupt_leaves_nothing_running(home):
    """Ctrl-C in the middle exits 130, with one message that says how to go on."""
    results = home.path / "results"
    with home.begun(*SWEEP) as process:
        _begun(process, results, 20_000)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30.0)

    assert 130 == process.returncode
    assert 1 == len(err.strip().splitlines()), err
    assert "--resume" in err
    assert [] == home.left()
    assert 0 == home.run(*SWEEP, "--resume").code


def test_interrupt_before_the_sweep_is_no_traceback(home):
    """Ctrl-C while the command still starts exits 130, with one message."""
    results = home.path / "results"
    with home.begun(*SWEEP) as process:
        wait_until(
            lambda: bool(list(results.glob("2*/sweep.json"))) or process.poll() is not None,
            Deadline.after(30.0),
            "there is a results folder",
            poll_s=0.001,
        )
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30.0)

    assert 130 == process.returncode, err
    assert "Traceback" not in err
    assert 1 == len(err.strip().splitlines()), err


def test_living_harness_is_not_swept(home):
    """A second harness sweeps nothing of a first one that is alive; both end as predicted."""
    with home.begun(*SWEEP, "--json", "--results", "first") as first:
        _begun(first, home.path / "first", 5_000)
        mine = set(home.left())
        second = home.run(
            *("run", "--runtime", "reference", "--scenario", SMALL, "--no-controls"),
            *("--fault", "kill(worker)", "--no-confirm", "--results", "second"),
        )
        out, err = first.communicate(timeout=60.0)

    assert mine
    assert 0 == second.code, second.text
    assert "swept" not in second.text
    assert 0 == first.returncode, err
    assert 0 == json.loads(out)["unknown"]
    assert 3 == len(json.loads(out)["cells"])


def _stays(pid):
    """Say whether a process lives and no SIGKILL is on its way to it."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    pending = int(fields["SigPnd"], 16) | int(fields["ShdPnd"], 16)
    return fields["State"][0] not in "ZX" and not pending & 1 << signal.SIGKILL - 1


def test_what_a_dead_harness_left_is_swept(home):
    """The next command kills the workers that outlived a killed harness, and says so."""
    argv = ("run", "--runtime", STUBBORN, *SWEEP[SWEEP.index("--scenario") :], "--no-controls")

    def frozen_with_a_worker():
        process.send_signal(signal.SIGSTOP)
        found = any(
            "stubborn.py" in line and _stays(line.split()[0])
            for line in home.left()
            if str(process.pid) not in line
        )
        if not found:
            process.send_signal(signal.SIGCONT)
        return found

    with home.begun(*argv) as process:
        wait_until(frozen_with_a_worker, Deadline.after(30.0), "a worker lives")
        process.send_signal(signal.SIGKILL)
        process.wait()
    orphans = home.left()

    done = home.run(*argv, "--resume")

    assert orphans
    assert 0 == done.code, done.text
    for line in orphans:
        assert f"killed process {line.split()[0]} of site-" in done.err
    assert "removed " in done.err
