"""The pytest plugin, as a user's own test run has it: real cells, in a process of its own."""

from __future__ import annotations

import pytest


pytest_plugins = ("pytester",)

SCENARIO = """
from harness.effects import Effect, Op, Tier
from harness.program import step
from harness.scenario import Program, Scenario

NOTE, MAIL = Op("set", Effect.IDEMPOTENT), Op("append", Effect.IRREVERSIBLE)


async def greet(arg):
    await step("note", NOTE, {"path": "noted", "value": arg["run"]})
    CALL
    return {}


SCENARIO = Scenario(
    name="NAME", programs=(Program(name="greet", body=greet),), world={"noted": "", "mail": []}
)
"""
SEND = 'await step("send", MAIL, {"path": "mail", "value": arg["run"]})'
RUNTIME = """
from contextlib import contextmanager
from dataclasses import dataclass

from harness.runtime import RuntimeUnavailableError, RunView
from runtimes.embedded.adapter import EmbeddedRuntime
from runtimes.naive.adapter import RUNTIME as NAIVE

PARTS = {"policy": NAIVE.policy, "guarantee": NAIVE.guarantee, "kind": NAIVE.kind}


class Gone(EmbeddedRuntime):
    def start(self, site, profile):
        raise RuntimeUnavailableError("it has no fuel; run: fetch fuel")


class Blind(EmbeddedRuntime):
    def settings(self, profile):
        return {**super().settings(profile), "settle_s": 0.5}

    @contextmanager
    def start(self, site, profile):
        with super().start(site, profile) as backend:
            yield Curtain(backend)


class Curtain:
    servers = ()

    def __init__(self, backend):
        self._backend = backend

    def __getattr__(self, name):
        return getattr(self._backend, name)

    def submit(self, starts):
        pass

    def inspect(self, pool, runs):
        return [RunView(run=run, status="queued") for run in runs]


GONE, BLIND = Gone(name="gone", **PARTS), Blind(name="blind", **PARTS)
"""
KILL = ("--bakeoff-fault", "kill(worker)")


@pytest.fixture
def user(pytester):
    """Lend a folder with two scenarios, two odd runtimes, and warnings that are errors."""
    pytester.makepyfile(
        my_mail=SCENARIO.replace("NAME", "mail").replace("CALL", SEND),
        my_note=SCENARIO.replace("NAME", "note").replace("CALL", ""),
        my_runtime=RUNTIME,
    )
    pytester.makeini(
        "[pytest]\naddopts = --strict-markers --strict-config --import-mode=importlib\n"
        "filterwarnings = error\n"
    )
    return pytester


def run(user, *argv):
    """Run pytest there."""
    return user.runpytest_subprocess("-p", "no:cacheprovider", "-rs", *argv, timeout=120)


def test_clean_and_violated(user):
    """A clean cell passes; a violated one fails with schedule, oracle and the command."""
    done = run(user, "--bakeoff-runtime", "naive", *KILL, "my_note.py", "my_mail.py")

    done.assert_outcomes(passed=1, failed=1)
    done.stdout.fnmatch_lines(
        [
            "*send/after_effect#1:kill(worker)*",
            "*duplicate_effect (as the guarantee predicts): send was applied twice*",
            "*bakeoff replay 'send/after_effect#1:kill(worker)' --runtime naive *my_mail.py*",
            "*evidence: *",
        ]
    )


def test_predicted_may_be_accepted(user):
    """What the guarantee predicts does not fail where the user says so."""
    done = run(
        user, "--bakeoff-runtime", "naive", *KILL, "--bakeoff-accept-predicted", "my_mail.py"
    )

    done.assert_outcomes(passed=1)


def test_not_measured_is_skipped(user):
    """A runtime that is not here, and a fault that cannot come, are skipped with the reason."""
    faults = (*KILL, "--bakeoff-fault", "kill(server)")
    runtimes = ("--bakeoff-runtime", "naive", "--bakeoff-runtime", "./my_runtime.py:GONE")
    done = run(user, *runtimes, *faults, "my_note.py")

    done.assert_outcomes(passed=1, skipped=3)
    for words in ("*[[]2]*it has no fuel; run: fetch fuel*", "*[[]1]*no server that the harness*"):
        done.stdout.fnmatch_lines([words])


def test_unknown_is_an_error(user):
    """A runtime that may still be about to begin proves nothing: an error, no pass, no failure."""
    done = run(user, "--bakeoff-runtime", "./my_runtime.py:BLIND", *KILL, "my_note.py")

    done.assert_outcomes(errors=1)
    done.stdout.fnmatch_lines(["*UNKNOWN: the cell shows nothing, and that is no pass*"])


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("--bakeoff-runtime", "nonesuch"), "*nonesuch*naive*"),
        (("--bakeoff-runtime", "naive", "--bakeoff-fault", "explode"), "*explode*kill(worker)*"),
        (("--bakeoff-runtime", "naive", "--bakeoff-scenario", "nonesuch"), "*nonesuch*"),
        (("--bakeoff-runtime", "naive", "--bakeoff-profile", "warp"), "*warp*fast*"),
        (("--bakeoff-scenario", "./my_note.py"), "*needs --bakeoff-runtime*"),
    ],
)
def test_bad_name_is_refused(user, argv, words):
    """What does not exist is one message and pytest's code for wrong usage."""
    done = run(user, *argv)

    assert pytest.ExitCode.USAGE_ERROR == done.ret
    done.stderr.fnmatch_lines([words])
    done.stderr.no_fnmatch_line("*Traceback*")


def test_broken_scenario_is_told(user):
    """A file whose scenario cannot be used is an error of its collection."""
    (user.path / "my_bad.py").write_text('SCENARIO = "thing"\n', encoding="utf-8")

    done = run(user, "--bakeoff-runtime", "naive", "my_bad.py")

    done.assert_outcomes(errors=1)
    done.stdout.fnmatch_lines(["*expected a harness.scenario.Scenario, seen str*"])


def test_two_at_a_time(user):
    """With xdist each runtime stays on one worker, named cases too, and the verdicts are the same."""
    runtimes = ("--bakeoff-runtime", "naive", "--bakeoff-runtime", "reference")
    cases = ("--bakeoff-scenario", "./my_note.py", "--bakeoff-scenario", "./my_mail.py")
    argv = (*runtimes, *cases, *KILL, "-n", "2", "--dist", "loadgroup", "-v", "my_runtime.py")
    done = run(user, *argv)

    done.assert_outcomes(passed=3, failed=1)
    places = {}
    for line in done.stdout.lines:
        if line.startswith("[gw") and "bakeoff::" in line:
            places.setdefault(line.rpartition("@")[2].strip(), set()).add(line[:5])
    assert {"naive", "reference"} == set(places)
    assert [1, 1] == [len(workers) for workers in places.values()]


def test_without_a_runtime_nothing_happens(user):
    """A test run that names no runtime is left alone."""
    user.makepyfile(test_own="def test_own():\n    pass\n")

    run(user).assert_outcomes(passed=1)
