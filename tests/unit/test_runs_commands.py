"""``bakeoff runs`` and ``effects resolve``: begun, killed, resumed, watched, decided by a human."""

from __future__ import annotations

import asyncio
import json

from pathlib import Path

import pytest

from click.testing import CliRunner, Result
from support.command import Home
from support.effects import intent, read

from harness.effects import Json
from runtimes.reference.commands import effects
from runtimes.reference.effect_log.errors import FencedError
from runtimes.reference.effect_log.folder import effect_log
from runtimes.reference.effect_log.log import wall_ms
from runtimes.reference.effect_log.records import Lease
from runtimes.reference.runs import runs


AGENT = """
import os, signal
from pathlib import Path
from harness.effects import Effect, Op, Tier
from harness.program import FailedError, draw, emit, gather, now, sleep, step
from runtimes.reference.effect_log.records import Outcome
from runtimes.reference.upstreams.base import Answer, Contract, LostError, UnreachableError

PAY = Op("pay", Effect.IRREVERSIBLE)
LEDGER = Path(__file__).with_name("ledger")

async def body(arg):
    await sleep("rest", 0.01)
    drawn = f"{await draw()} {await now()}"
    for name in ("first", "second", "third"):
        await step(name, PAY, {"path": name, "drawn": drawn})
    return {"paid": arg}

async def fails(arg):
    await step("first", PAY, {"path": "first"})
    raise FailedError("no money")

async def broken(arg):
    return arg["nothing"]

async def emits(arg):
    await emit("paid", "k")

async def wide(arg):
    await gather(*(step(name, PAY, {"path": name}) for name in ("first", "second")))

class Till:
    def contract(self, op, target):
        tier = Tier(os.environ.get("TIER", "K"))
        return Contract(effect=Effect.IRREVERSIBLE, tier=tier, retention_s=10**6, deadline_s=0)

    async def call(self, order):
        if os.environ.get("AWAY") == order.slot:
            raise UnreachableError("nobody answers")
        known = LEDGER.read_text().split() if LEDGER.exists() else []
        if order.key not in known:
            with LEDGER.open("a") as file:
                file.write(f"{order.slot} {order.key}\\n")
        if os.environ.get("DIE") == order.slot:
            os.kill(os.getpid(), signal.SIGKILL)
        if os.environ.get("LOSE") == order.slot:
            raise LostError("no answer")
        return Answer(outcome=Outcome.OK, response={"paid": True})

    async def fence(self, run, epoch):
        return False

def upstream():
    return Till()
"""


@pytest.fixture
def agent(tmp_path: Path) -> Path:
    """Return the file of an agent that pays three times; ``ledger`` beside it has what was paid."""
    path = tmp_path / "agent.py"
    path.write_text(AGENT)
    return path


def paid(agent: Path) -> list[str]:
    """Return the payments in their order."""
    ledger = agent.with_name("ledger")
    return [line.split()[0] for line in ledger.read_text().splitlines()] if ledger.exists() else []


def call(*words: str | Path, group: object = runs, **env: str) -> Result:
    """Run a command; ``--log`` is beside the agent."""
    return CliRunner().invoke(group, [str(word) for word in words], env=env)  # type: ignore[arg-type]


def start(agent: Path, run: str, *more: str, program: str = "", **env: str) -> Result:
    """Begin a run."""
    of = f"{agent}:{program}" if program else agent
    return call("start", of, run, "--log", agent.with_name("log"), *more, **env)


def resume(agent: Path, run: str, **env: str) -> Result:
    """Go on with a run."""
    return call("resume", run, "--log", agent.with_name("log"), **env)


def begun(agent: Path) -> dict[str, Json]:
    """Return what the folder of the log keeps of its runs."""
    path = agent.with_name("log") / "runs.json"
    return json.loads(path.read_text()) if path.exists() else {}  # type: ignore[no-any-return]


def test_a_run_completes(agent: Path) -> None:
    """Exit code 0, its output, each step as it ends, and its line in the list."""
    done = start(agent, "r1", "--arg", '{"order": 5}')
    assert 0 == done.exit_code
    assert ["r1: completed", '{"paid": {"order": 5}}'] == done.stdout.splitlines()
    assert ["first: ok", "second: ok", "third: ok"] == [
        line.partition("  ")[2] for line in done.stderr.splitlines()
    ]
    assert ["first", "second", "third"] == paid(agent)
    (one,) = json.loads(call("list", "--log", agent.with_name("log"), "--json").output)
    assert ("r1", "completed", 3, 0, 1) == tuple(
        one[name] for name in ("run", "status", "done", "unresolved", "epoch")
    )
    listed = call("list", "--log", agent.with_name("log")).output
    assert listed.startswith("r1                       completed   3 done, 0 unresolved, epoch 1, ")


def test_resuming_what_has_ended_does_nothing(agent: Path) -> None:
    """Exit code 0 and the same output."""
    start(agent, "r1")
    again = resume(agent, "r1")
    assert (0, ["r1: completed", '{"paid": null}']) == (again.exit_code, again.stdout.splitlines())
    assert 3 == len(paid(agent))


def test_a_killed_run_is_resumed_and_repeats_nothing(agent: Path, home: Home) -> None:
    """A watcher sees it to its end; what was drawn and timed before the death is the same."""
    log = ("--log", str(agent.with_name("log")))
    killed = home.run("runs", "start", str(agent), "r1", *log, DIE="second")
    assert -9 == killed.code
    assert ["first", "second"] == paid(agent)
    with home.begun("runs", "watch", "r1", *log, "--timeout", "60") as watcher:
        done = home.run("runs", "resume", "r1", *log)
        seen, _ = watcher.communicate(timeout=60)
        assert 0 == watcher.returncode
    assert (0, "r1: completed") == (done.code, done.out.splitlines()[0])
    assert ["first", "second", "third"] == paid(agent)
    told = [line.partition("  ")[2] for line in done.err.splitlines()]
    assert ["first: ok, from the log", "second: ok, from the log", "third: ok"] == told
    assert seen.splitlines()[-1].endswith("terminal    completed")
    assert seen.splitlines() == call("show", "r1", *log).output.splitlines()


def test_a_watcher_waits_no_longer_than_it_is_told(agent: Path) -> None:
    """Exit code 1 after the time, with the records so far; one of an ended run ends at once."""
    log = agent.with_name("log")
    assert 1 == start(agent, "r1", AWAY="second").exit_code
    watched = call("watch", "r1", "--log", log, "--timeout", "0.01")
    assert (1, True) == (watched.exit_code, "r1 goes on after 0.01 s" in watched.stderr)
    assert "completion  first ok" in watched.stdout
    resume(agent, "r1")
    assert 0 == call("watch", "r1", "--log", log).exit_code


def test_a_provider_that_is_away_is_told(agent: Path) -> None:
    """Exit code 1 in one line, nothing done; a resume goes on from there."""
    away = start(agent, "r1", AWAY="second")
    last = away.stderr.splitlines()[-1]
    assert (1, "bakeoff: UnreachableError: nobody answers") == (away.exit_code, last)
    assert ["first"] == paid(agent)
    assert 0 == resume(agent, "r1").exit_code
    assert ["first", "second", "third"] == paid(agent)


def test_a_program_that_fails_ends_its_run(agent: Path) -> None:
    """Exit code 1 with its words, and a resume is told the same without trying."""
    for done in (start(agent, "r1", program="fails"), resume(agent, "r1")):
        assert (1, "r1: failed: no money\n") == (done.exit_code, done.stdout)
    assert ["first"] == paid(agent)


def test_a_program_with_a_fault_shows_where(agent: Path) -> None:
    """Exit code 1 with the traceback; the log stands, so that a mended one can go on."""
    done = start(agent, "r1", "--arg", "{}", program="broken")
    assert (1, True) == (done.exit_code, "KeyError: 'nothing'" in done.stderr)
    assert "r1" in begun(agent)


def test_what_needs_an_engine_is_refused(agent: Path) -> None:
    """An event has nobody to go to: one line that says where it would have."""
    done = start(agent, "r1", program="emits")
    assert (1, True) == (done.exit_code, "bakeoff: ProgramError: emit paid k" in done.stderr)


@pytest.mark.parametrize(
    ("verdict", "payments"),
    [("--applied", ["first", "second"]), ("--absent", ["first", "second", "first"])],
)
def test_a_human_decides_what_nobody_can_know(
    agent: Path, verdict: str, payments: list[str]
) -> None:
    """Exit code 3, its siblings done; after the word of a human it goes on by that word."""
    log = ("--log", agent.with_name("log"))
    stopped = start(agent, "r1", program="wide", TIER="O", LOSE="first")
    assert (3, "r1: escalated\n") == (stopped.exit_code, stopped.stdout)
    assert "a human must say, with `bakeoff effects resolve`" in stopped.stderr
    assert ["first", "second"] == paid(agent)
    assert 3 == resume(agent, "r1", TIER="O").exit_code
    agent.with_name("ledger").write_text("first -\nsecond -\n")  # so that no key is known
    said = ("resolve", "r1", "first", *log, verdict, "--by", "ann", "--evidence", "the bank's list")
    assert 0 == call(*said, group=effects).exit_code
    assert 0 == resume(agent, "r1", TIER="O").exit_code
    assert payments == paid(agent)
    again = call(*said, group=effects)
    assert (2, True) == (
        again.exit_code,
        "'first' of r1 is not in doubt; in doubt: none" in again.output,
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "there is no file"),
        ("body = 1 +", "line 1: invalid syntax"),
        ("x = {}['a']", "line 1: KeyError: 'a'"),
        ("async def other(arg): ...", "has no attribute 'body'"),
        ("async def body(arg): ...", "has no attribute 'upstream'"),
    ],
)
def test_a_bad_agent_is_told(tmp_path: Path, text: str | None, words: str) -> None:
    """Exit code 2 in one message, and nothing is begun: a mended file can begin."""
    path = tmp_path / "agent.py"
    if text is not None:
        path.write_text(text)
    done = start(path, "r1")
    assert (2, True) == (done.exit_code, words in done.output)
    assert {} == begun(path)


def test_bad_words_are_told(agent: Path) -> None:
    """No JSON, begun twice, unknown runs, no verdict: exit code 2 and what to do."""
    log = ("--log", agent.with_name("log"))
    assert "expected JSON for --arg, saw '{'" in start(agent, "r1", "--arg", "{").output
    assert "is no effect log" in call("list", *log).output
    assert "it has none at all" in resume(agent, "r1").output
    start(agent, "r1")
    twice = start(agent, "r1")
    assert (2, True) == (twice.exit_code, "r1 was begun already; go on with" in twice.output)
    for word in ("resume", "show", "watch"):
        done = call(word, "r2", *log)
        assert (2, True) == (done.exit_code, "r1" in done.output), word
    by = ("--by", "ann", "--evidence", "e")
    for words, expected in (
        (("r1", "first", *log, *by), "say --applied or --absent"),
        (("r2", "first", *log, *by, "--absent"), "the log has no run 'r2'; it has r1"),
        (("r1", "fourth", *log, *by, "--absent"), "'fourth' of r1 is not in doubt"),
    ):
        done = call("resolve", *words, group=effects)
        assert (2, True) == (done.exit_code, expected in done.output)
    assert 3 == len(paid(agent))


def test_the_command_says_wrong_usage_as_elsewhere(agent: Path, home: Home) -> None:
    """Exit code 64 of the command itself."""
    done = home.run("runs", "resume", "r1", "--log", str(agent.with_name("log")))
    assert (64, True) == (done.code, "has no run 'r1'" in done.err)


def test_another_program_is_refused(agent: Path) -> None:
    """Who lost the list of runs may begin again with the same program only."""
    start(agent, "r1", AWAY="second")
    (agent.with_name("log") / "runs.json").unlink()
    other = start(agent, "r1", program="fails")
    assert (2, True) == (other.exit_code, "r1 was begun by program" in other.output)
    assert {} == begun(agent)
    assert 0 == start(agent, "r1").exit_code
    assert ["first", "second", "third"] == paid(agent)


def test_absent_is_not_believed_while_a_call_is_on_its_way(tmp_path: Path) -> None:
    """`--absent` has to wait, because it is done again; `--applied` has not."""
    late = intent("notify", deadline_ms=wall_ms() + 60_000)

    async def fill() -> None:
        with effect_log(tmp_path, "agent") as log:
            await log.open("r1").append(Lease(epoch=1, holder="agent", claim="c"), late)

    asyncio.run(fill())
    words = ("resolve", "r1", "notify", "--log", tmp_path, "--by", "ann", "--evidence", "e")
    early = call(*words, "--absent", group=effects)
    assert (2, True) == (early.exit_code, "may still arrive for 60 s" in early.output)
    assert 0 == call(*words, "--applied", group=effects).exit_code


def test_who_holds_the_run_is_fenced_by_a_human(tmp_path: Path) -> None:
    """After `resolve` a living agent can write no more, so that it cannot act on what it knew."""

    async def story() -> None:
        with effect_log(tmp_path, "agent") as log:
            held = log.open("r1")
            await held.append(Lease(epoch=1, holder="agent", claim="c"), intent("notify"))
            said = await asyncio.to_thread(
                call,
                *("resolve", "r1", "notify", "--log", tmp_path, "--applied"),
                *("--by", "ann", "--evidence", "e"),
                group=effects,
            )
            assert 0 == said.exit_code
            with pytest.raises(FencedError):
                await held.append(read("zone"))

    asyncio.run(story())
    (one,) = json.loads(call("list", "--log", tmp_path, "--json").output)
    assert (2, "human:ann") == (one["epoch"], one["holder"])
