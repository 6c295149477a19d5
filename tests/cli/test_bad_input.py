"""Bad input is answered by one clear message and the right exit code, never by a traceback."""

from __future__ import annotations

import pytest


USAGE = 64
RUN = ("run", "--runtime", "reference", "--no-controls", "--fault", "kill(worker)")
REPLAY = ("replay", "--runtime", "reference")


def refused(done, *words):
    """Check that a command was refused as bad usage, in one message with these words."""
    assert USAGE == done.code, done.text
    assert "Traceback" not in done.text
    assert "" == done.out
    for word in words:
        assert word in done.err, done.err


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("run", "--runtime", "nonesuch"), ["nonesuch", "reference", "./file.py"]),
        (("run", "--runtime", "./none.py:X"), ["./none.py", "no file"]),
        (("run", "--runtime", "no.such.module:X"), ["no.such.module", "cannot be imported"]),
        (("run", "--runtime", "runtimes.naive.adapter:X"), ["no attribute 'X'", "RUNTIME"]),
        ((*RUN, "--scenario", "nonesuch"), ["nonesuch", "migration"]),
        ((*RUN, "--scenario", "./none.py"), ["./none.py", "no file"]),
        ((*RUN, "--scenario", "migration[Z]"), ["'Z'", "throttled"]),
        ((*RUN, "--scenario", "migration", "--fault", "explode"), ["explode", "kill(worker)"]),
        (("run", "--suite", "nonesuch"), ["nonesuch", "smoke"]),
        ((*RUN, "--suite", "smoke", "--profile", "nonesuch"), ["nonesuch", "fast"]),
        (("run", "--guard", "nonesuch"), ["nonesuch", "keys"]),
        (("run", "--depth", "3"), ["3", "1<=x<=2"]),
        (("run", "--jobs", "0"), ["--jobs", "0"]),
        (("run", "--budget", "-1"), ["--budget", "-1"]),
        (("run", "--sample", "-1"), ["--sample", "-1"]),
        (("run", "--nonesuch"), ["--nonesuch"]),
        (("nonesuch",), ["nonesuch"]),
        (("replay", "golden"), ["--runtime"]),
        ((*REPLAY, "garbage"), ["'garbage'", "STEP/PHASE#N:FAULT"]),
        ((*REPLAY, "a/b#1:kill(worker)"), ["before_effect"]),
        ((*REPLAY, "no_step/after_effect#1:kill(worker)"), ["no_step", "truncate_source"]),
        ((*REPLAY, "notify/after_effect#2:kill(worker)"), ["#1"]),
        ((*REPLAY, "notify/after_effect#0:kill(worker)"), ["#1"]),
        ((*REPLAY, "notify/after_effect#1:explode"), ["explode", "kill(worker)"]),
        ((*REPLAY, "notify/after_effect#1:late(request)"), ["late(request)", "after_effect"]),
        ((*REPLAY, "notify/after_effect#1:kill(server)"), ["kill(server)", "no server"]),
        ((*REPLAY, "golden", "--scenario", "nonesuch"), ["nonesuch"]),
        ((*REPLAY, "golden", "--profile", "nonesuch"), ["nonesuch", "fast"]),
        (("engines", "install", "nonesuch"), ["nonesuch", "restate"]),
    ],
    ids=lambda value: " ".join(value)[-60:] if isinstance(value, tuple) else "",
)
def test_unknown_name_is_refused(argv, words, home):
    """What does not exist is named, with what there is instead."""
    refused(home.run(*argv), *words)


def test_syntax_error_names_file_and_line(home):
    """A scenario file that is no Python is refused with its line."""
    (home.path / "bad.py").write_text("x = 1\nasync def (:\n")

    refused(home.run(*RUN, "--scenario", "./bad.py"), "bad.py", "line 2")


def test_file_without_scenario_is_refused(home):
    """A scenario file without SCENARIO is refused, with what it has."""
    (home.path / "empty.py").write_text('OTHER = "thing"\n')

    refused(home.run(*RUN, "--scenario", "./empty.py"), "SCENARIO", "OTHER")


def test_scenario_of_the_wrong_type_is_refused(home):
    """A SCENARIO that is none is refused, with its type."""
    (home.path / "wrong.py").write_text('SCENARIO = "thing"\n')

    refused(home.run(*RUN, "--scenario", "./wrong.py"), "harness.scenario.Scenario", "str")


def test_file_that_raises_is_refused(home):
    """A scenario file that raises when it is imported is refused with what it raised."""
    (home.path / "raises.py").write_text("x = 1\nraise ValueError('no fuel')\n")

    refused(home.run(*RUN, "--scenario", "./raises.py"), "raises.py", "ValueError", "no fuel")


def test_runtime_of_the_wrong_type_is_refused(home):
    """A runtime that is none is refused, with what was expected."""
    (home.path / "wrong.py").write_text('RUNTIME = "thing"\n')

    refused(home.run("run", "--runtime", "./wrong.py"), "Runtime", "str")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("await asyncio.sleep(0)", ["await only commands"]),
        ("await step('a', READ, {}); await step('a', READ, {})", ["'a'", "used twice"]),
        ("await step('a', READ, {'path': object()})", ["'a'", "JSON"]),
        ("return object()", ["must return JSON"]),
        ("raise ValueError('no fuel')", ["ValueError", "no fuel"]),
    ],
    ids=["foreign await", "name twice", "no JSON in", "no JSON out", "raises"],
)
@pytest.mark.parametrize("command", ["run", "replay"])
def test_broken_program_is_refused(command, body, words, home):
    """A body that breaks a rule is refused before anything runs, with how to mend it."""
    (home.path / "bad.py").write_text(
        "import asyncio\n"
        "from harness.effects import Effect, Op, Tier\n"
        "from harness.program import step\n"
        "from harness.scenario import Program, Scenario\n"
        "READ = Op('read', Effect.READ)\n"
        f"async def body(arg):\n    {body}\n"
        "SCENARIO = Scenario(name='bad', programs=(Program(name='bad', body=body),), world={})\n"
    )
    argv = RUN if command == "run" else (*REPLAY, "golden")

    refused(home.run(*argv, "--scenario", "./bad.py"), *words)
