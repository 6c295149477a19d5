"""``bakeoff runs``: agents on the reference runtime, begun, watched and resumed from a shell.

An agent is a Python file with a program, ``async def body(arg)``, and ``upstream()``, which
returns its provider.  The folder of the log keeps which file began which run, so that it can be
resumed by its name alone.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
import time
import traceback

from collections.abc import Callable, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from filelock import FileLock

from harness.effects import Json
from harness.load import LoadError, load, resolve
from harness.program import Body, ProgramError
from runtimes.reference.agent import program_hash, work
from runtimes.reference.commands import AS_JSON, LOG_FOLDER, of, opened
from runtimes.reference.effect_log.errors import EffectLogError
from runtimes.reference.effect_log.facts import Facts, Standing
from runtimes.reference.effect_log.folder import effect_log, has_log
from runtimes.reference.effect_log.log import wall_ms
from runtimes.reference.effect_log.reading import entries, recover
from runtimes.reference.effect_log.records import plain
from runtimes.reference.explain import Line, moment, next_branch
from runtimes.reference.resume.clock import WallClock
from runtimes.reference.resume.errors import PlanError, ResumeError
from runtimes.reference.resume.recovery import same_program
from runtimes.reference.resume.remedy import Move
from runtimes.reference.upstreams.base import Upstream, UpstreamError


BEGUN = "runs.json"
FAILED, ESCALATED = 1, 3
POLL_S = 0.2


@click.group()
def runs() -> None:
    """Begin, watch and resume agents on the reference runtime."""


def status_of(facts: Facts) -> str:
    """Return how a run stands, in one word or two."""
    standings = {tried.standing for tried in facts.effects.values()}
    if facts.terminal:
        return facts.terminal.status
    if Standing.UNKNOWN in standings:
        return "escalated"
    return "in doubt" if Standing.IN_DOUBT in standings else "unfinished"


@runs.command("list")
@LOG_FOLDER
@AS_JSON
def list_(folder: Path, as_json: bool) -> None:
    """List the runs of a log: how each stands, what it has done, who held it last."""
    with opened(folder) as (store, heads):
        found = []
        for run in store.runs():
            facts = recover(store, heads, run).facts
            done = sum(tried.standing is Standing.DONE for tried in facts.effects.values())
            found.append(
                {
                    "run": run,
                    "status": status_of(facts),
                    "done": done,
                    "unresolved": len(facts.unresolved),
                    "epoch": facts.epoch,
                    "holder": facts.holder,
                }
            )
    if as_json:
        click.echo(json.dumps(found, indent=1))
        return
    for one in found:
        click.echo(
            f"{one['run']:<24} {one['status']:<11} {one['done']} done, "
            f"{one['unresolved']} unresolved, epoch {one['epoch']}, {one['holder']}"
        )


@runs.command()
@click.argument("run")
@LOG_FOLDER
def show(run: str, folder: Path) -> None:
    """Show the records of RUN, a line each."""
    with opened(folder) as (store, _):
        for entry, _row in entries(store, of(store, run)):
            click.echo(_line(entry.seq, entry.wall_ms, entry.record))


@runs.command()
@click.argument("run")
@LOG_FOLDER
@click.option("--timeout", "timeout_s", type=float, default=0.0, help="Seconds; 0: for ever.")
def watch(run: str, folder: Path, timeout_s: float) -> None:
    """Print the records of RUN as they come, until it ends."""
    seen, until_s = 0, time.monotonic() + timeout_s
    while True:
        with opened(folder) as (store, heads):
            for entry, _row in entries(store, of(store, run)):
                if entry.seq > seen:
                    seen = entry.seq
                    click.echo(_line(entry.seq, entry.wall_ms, entry.record))
            if recover(store, heads, run).facts.terminal:
                return
        if timeout_s and time.monotonic() > until_s:
            click.echo(f"bakeoff: {run} goes on after {timeout_s:g} s", err=True)
            sys.exit(FAILED)
        time.sleep(POLL_S)  # a log in a file tells nobody that it grew


def _line(seq: int, at_ms: int, record: object) -> str:
    data = plain(record)
    kind = type(record).__name__.lower()
    place = str(data.get("slot") or data.get("why") or data.get("holder") or "")
    how = str(data.get("outcome") or data.get("verdict") or data.get("status") or "")
    said = " ".join(word for word in (place, how) if word)
    return f"{seq:>4}  {moment(at_ms)}  {kind:<11} {said}".rstrip()


@runs.command()
@click.argument("agent")
@click.argument("run")
@LOG_FOLDER
@click.option("--arg", default="null", show_default=True, help="What the program is given (JSON).")
def start(agent: str, run: str, folder: Path, arg: str) -> None:
    """Begin RUN: play AGENT, a file with `body` and `upstream`, over the log.

    Exit code 0: completed; 1: it cannot go on now; 3: a human must say something first.
    """
    try:
        given = json.loads(arg)
    except ValueError as error:
        msg = f"expected JSON for --arg, saw {arg!r}: {error}"
        raise click.UsageError(msg) from error
    try:
        reference = resolve("agents", f"{agent}:body" if ":" not in agent else agent)
    except LoadError as error:
        raise click.UsageError(str(error)) from error
    with _said():
        _loaded(reference)
        if has_log(folder):
            with opened(folder) as (store, heads):
                same_program(run, recover(store, heads, run).facts, program_hash(reference))
    _begin(folder, run, reference, given)
    _work(folder, run, reference, given)


def _begin(folder: Path, run: str, reference: str, arg: Json) -> None:
    """Keep which file began a run.

    Raises:
        UsageError: it was begun already.

    """
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / f"{BEGUN}.lock"):
        begun = _begun(folder)
        if run in begun:
            msg = f"{run} was begun already; go on with `bakeoff runs resume {run} --log {folder}`"
            raise click.UsageError(msg)
        begun[run] = {"agent": reference, "arg": arg}
        fresh = folder / f"{BEGUN}.new"
        fresh.write_text(json.dumps(begun, indent=1))
        fresh.replace(folder / BEGUN)


@runs.command()
@click.argument("run")
@LOG_FOLDER
def resume(run: str, folder: Path) -> None:
    """Go on with RUN where its log ends: what is done is not done again.

    Exit codes as of `start`.
    """
    begun = _begun(folder)
    if run not in begun:
        known = ", ".join(begun) or "none at all"
        msg = f"{folder} has no run {run!r} that was begun here; it has {known}"
        raise click.UsageError(msg)
    for line in _waits(folder, run):
        click.echo(f"{run} waits: {line.slot}: {line.text}", err=True)
    _work(folder, run, begun[run]["agent"], begun[run]["arg"])


def _waits(folder: Path, run: str) -> list[Line]:
    """Return what has to be waited out before anything is done, so that nobody wonders."""
    if not has_log(folder):
        return []
    with opened(folder) as (store, heads):
        facts = recover(store, heads, run).facts
    return [line for line in next_branch(facts, wall_ms()) if line.kind == Move.WAIT]


def _begun(folder: Path) -> dict[str, Any]:
    path = folder / BEGUN
    return json.loads(path.read_text()) if path.exists() else {}


@contextmanager
def _said() -> Any:  # noqa: ANN401 - a context manager's value
    """Say in one line what keeps a run from going on."""
    try:
        yield
    except click.ClickException:
        raise
    except (LoadError, PlanError) as error:
        raise click.UsageError(str(error)) from error
    except (EffectLogError, UpstreamError, ResumeError, ProgramError) as error:
        click.echo(f"bakeoff: {type(error).__name__}: {error}", err=True)
        sys.exit(FAILED)
    except Exception:  # noqa: BLE001 - whatever a stranger's program does; the log has what is done
        traceback.print_exc()
        sys.exit(FAILED)


def _loaded(reference: str) -> tuple[Body, Callable[[], Upstream]]:
    """Return the program of an agent and what connects it.

    Raises:
        LoadError: the file is no agent.

    """
    place = reference.rpartition(":")[0]
    return load(reference, "body"), load(f"{place}:upstream", "upstream")


def _work(folder: Path, run: str, reference: str, arg: Json) -> None:
    actor = f"{socket.gethostname()}:{os.getpid()}"
    with _said():
        body, connect = _loaded(reference)
        upstream = connect()
        with effect_log(folder, actor) as log:
            session = asyncio.run(
                work(log, run, upstream, body, arg, WallClock(), program=reference, told=_tell)
            )
            facts = session.facts
    status = status_of(facts)
    why = facts.terminal.why if facts.terminal else ""
    click.echo(f"{run}: {status}{': ' if why else ''}{why}")
    if facts.terminal and facts.terminal.output is not None:
        click.echo(json.dumps(facts.terminal.output))
    sys.exit(0 if status == "completed" else ESCALATED if status == "escalated" else FAILED)


def _tell(slot: str, reply: Mapping[str, Json]) -> None:
    click.echo(f"{moment(wall_ms())}  {slot}: {reply.get('status')}", err=True)
