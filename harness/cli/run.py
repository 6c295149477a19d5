"""``bakeoff run``: sweep, print a line for each cell, write the report."""

from __future__ import annotations

import json
import shlex
import signal
import sys
import threading
import time

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from harness.cli.bench import Bench, bench, git, host, runtimes, write_reports
from harness.cli.screen import Screen
from harness.effects import Guard
from harness.known import listed, read
from harness.lanes import lanes, sweep_all
from harness.runtime import Runtime, RuntimeUnavailableError
from harness.situations import Entry, entries, told
from harness.store import Store
from harness.suite import columns, situations, targets
from harness.summary import Cell, cells, exit_code
from harness.sweep import NO_FAULT, SAMPLE, Column, Request


def column(
    bench_: Bench,
    reference: str,
    runtime: Runtime,
    request: Request,
    store: Store,
    screen: Screen,
    stop: threading.Event,
    lane: str = "",
) -> Column:
    """Return the column of a runtime, or one of its lanes."""
    return Column(
        runtime=runtime,
        reference=reference,
        request=request,
        store=store,
        world=bench_.world,
        stands=bench_.stands,
        site=bench_.site,
        make_runner=bench_.for_trials(),
        server_runner=bench_.runner(store.path / "servers" / f"{runtime.name}{lane}"),
        listener=screen,
        secret=bench_.secret,
        stop=stop,
        lane=lane,
        depth=request.depth,
    )


def describe(reference: str, runtime: Runtime, profile: str) -> dict[str, Any]:
    """Return what a column of the report says of a runtime."""
    try:
        version = runtime.version()
    except RuntimeUnavailableError as error:
        version = f"not here: {error}"
    return {
        "runtime": runtime.name,
        "reference": reference,
        "kind": str(runtime.kind),
        "guarantee": str(runtime.guarantee),
        "version": version,
        "profile": profile,
        "settings": dict(runtime.settings(profile)),
        "profiles": {name: dict(runtime.settings(name)) for name in runtime.profiles},
        "witness": {phase: str(who) for phase, who in runtime.witness.items()},
        "capabilities": {name: str(how) for name, how in runtime.capabilities.items()},
    }


@contextmanager
def stopping(stop: threading.Event) -> Iterator[None]:
    """Let Ctrl-C and SIGTERM set ``stop`` instead of breaking in anywhere.

    Raises:
        KeyboardInterrupt: at the end, if one of them came.

    """
    interrupted = threading.Event()

    def interrupt(number: int, frame: object) -> None:
        del number, frame
        interrupted.set()
        stop.set()

    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if interrupted.is_set():
        raise KeyboardInterrupt


def _latest(results: Path, resume: str) -> Store:
    path = Path(resume) if resume != "latest" else results / "latest"
    return Store.open(path)


@click.command()
@click.option(
    "--suite",
    default="standard",
    show_default=True,
    help="smoke, standard, full, finalization or another of scenarios/suites.toml.",
)
@click.option(
    "--runtime",
    "names",
    multiple=True,
    help="A name, module:attribute, or ./file.py:NAME; if not given, those that the suite names "
    "(smoke and standard: eight), or all (the other suites, and --scenario).",
)
@click.option(
    "--scenario",
    "scenarios",
    multiple=True,
    help="NAME, NAME[TIER,variant] or ./file.py; instead of a suite.",
)
@click.option(
    "--fault",
    "faults",
    multiple=True,
    help="These faults instead of the suite's, e.g. 'kill(worker)'; of finalization, these only.",
)
@click.option(
    "--guard", type=click.Choice([each.value for each in Guard]), help="Only with this guard."
)
@click.option("--profile", default="fast", show_default=True, help="Settings that govern recovery.")
@click.option(
    "--depth",
    type=click.IntRange(1, 2),
    default=1,
    show_default=True,
    help="2: after every first fault a second one, at each point that follows.",
)
@click.option(
    "--sample",
    type=click.IntRange(min=0),
    default=SAMPLE,
    show_default=True,
    help="How many clean schedules of a cell are proved alone.",
)
@click.option(
    "--confirm/--no-confirm",
    default=True,
    help="Prove violations (and the sample) by single trials.",
)
@click.option("--seed", default=7, show_default=True, help="Chooses samples.")
@click.option(
    "--budget",
    type=click.IntRange(min=0),
    default=0,
    help="At most so many schedules a cell, sampled by the seed.",
)
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    default=3,
    show_default=True,
    help="Columns at the same time: a runtime with one world each.",
)
@click.option(
    "--controls/--no-controls",
    default=True,
    help="Run the negative controls too: results without them prove little.",
)
@click.option(
    "--results",
    type=click.Path(path_type=Path),
    default=Path("results"),
    show_default=True,
    help="Where results go.",
)
@click.option(
    "--resume",
    is_flag=False,
    flag_value="latest",
    metavar="[DIR]",
    help="Go on with an interrupted sweep.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the cells as one JSON document.")
def run(
    suite: str,
    names: tuple[str, ...],
    scenarios: tuple[str, ...],
    faults: tuple[str, ...],
    guard: str | None,
    profile: str,
    depth: int,
    sample: int,
    confirm: bool,
    seed: int,
    budget: int,
    jobs: int,
    controls: bool,
    results: Path,
    resume: str | None,
    as_json: bool,
) -> None:
    """Break runtimes at every point and judge what they did.

    Results go to results/<time>-<id>/ (and results/latest): raw histories, verdicts, the
    report.  An interrupted sweep goes on with --resume and repeats no finished trial.
    """
    asked: dict[str, Any] = {
        "suite": suite,
        "names": list(names),
        "scenarios": list(scenarios),
        "faults": list(faults),
        "guard": guard,
        "profile": profile,
        "depth": depth,
        "sample": sample,
        "confirm": confirm,
        "seed": seed,
        "budget": budget,
        "controls": controls,
    }
    store = _latest(results, resume) if resume else None
    if store:
        asked = store.facts()["asked"]
    elif not names and not scenarios:
        asked["names"] = list(columns(suite))
    chosen = targets(asked["suite"], asked["scenarios"], asked["faults"], asked["guard"] or "")
    found = runtimes(asked["names"], controls=asked["controls"])
    for runtime in found.values():
        if asked["profile"] not in runtime.profiles:
            known = ", ".join(runtime.profiles)
            msg = f"{runtime.name} has no profile {asked['profile']!r}; it has {known}"
            raise click.UsageError(msg)
    request = Request(
        targets=chosen,
        profile=asked["profile"],
        depth=asked["depth"],
        sample=asked["sample"],
        seed=asked["seed"],
        budget=asked["budget"],
        confirm=asked["confirm"],
    )
    facts = {
        "asked": asked,
        "argv": shlex.join(["bakeoff", *sys.argv[1:]]),
        "git": git(),
        "host": host(),
        "jobs": jobs,
        "started_at": datetime.now(UTC).isoformat(),
        "columns": [describe(*item, request.profile) for item in found.items()],
        "known": [entry.to_json() for entry in listed()],
        "situations": []
        if asked["scenarios"] or asked["faults"]
        else situations(asked["suite"], asked["guard"] or ""),
    }
    store = store or Store.create(results, facts)
    sys.exit(_sweep(store, request, found, jobs, as_json=as_json))


def _sweep(
    store: Store, request: Request, found: Mapping[str, Runtime], jobs: int, *, as_json: bool
) -> int:
    began_s = time.monotonic()
    stop = threading.Event()
    total = len(found) * sum(len(target.faults) for target in request.targets)
    screen = Screen(store, quiet=as_json, cells_=total)
    swept: list[Column] = []
    with store.owned():
        try:
            with stopping(stop), bench() as bench_, screen.progress:
                store.reindex()
                swept += (
                    column(bench_, *item, store, screen, stop, f"-{number}")
                    for number, item in enumerate(lanes(found, request), 1)
                )
                sweep_all(swept, jobs, stop)
        except KeyboardInterrupt:
            again = f"bakeoff run --resume {store.path}"
            click.echo(f"interrupted; nothing finished is lost: {again}", err=True)
            return 130
        return _conclude(store, request, swept, screen, began_s, as_json=as_json)


def _conclude(
    store: Store,
    request: Request,
    swept: Sequence[Column],
    screen: Screen,
    began_s: float,
    *,
    as_json: bool,
) -> int:
    """Count, write the reports, say how it went, and return the exit code."""
    rows, facts = store.reindex(), store.facts()
    planned, judged = sum(c.planned for c in swept), sum(c.judged for c in swept)
    matrix = cells(rows, read(facts.get("known", ())))
    measured = [cell for cell in matrix if cell.fault != "none"]
    budget = f"{request.budget} a cell, seed {request.seed}" if request.budget else ""
    code = exit_code(matrix, planned, judged, budget)
    unknown = sum(cell.unknown for cell in measured)
    took_s = round(time.monotonic() - began_s, 1)
    store.update(
        planned=planned,
        judged=judged,
        unknown=unknown,
        skips=screen.skips,
        exit_code=code,
        budget=budget,
        took_s=took_s,
    )
    written = write_reports(store)
    if as_json:
        click.echo(json.dumps(document(store, matrix), indent=1))
        return code
    for text in told(_situations(store, matrix)):
        screen.say(text)
    singles = sum(row["mode"] == "single" for row in rows)
    screen.say("")
    screen.say(
        f"planned {planned}, run {judged}{f' (budget {budget})' if budget else ''}, "
        f"skipped cells {len(screen.skips)}, unknown {unknown}; {singles} single trials; "
        f"{took_s:.0f} s"
    )
    screen.say(verdict(code, matrix) if matrix else "exit 2: nothing was measured")
    for path in written:
        if path.name == "report.html":
            screen.say(f"report: {path}")
    return code


def _situations(store: Store, matrix: Sequence[Cell]) -> list[tuple[str, list[Entry]]]:
    """Return what a sweep says of the situations of its suite, if it has any."""
    facts = store.facts()
    names = [column["runtime"] for column in facts.get("columns") or ()]
    proved = [row for cell in matrix for row in cell.rows]
    return entries(facts.get("situations") or (), names, proved, facts.get("skips") or ())


def verdict(code: int, matrix: Sequence[Cell]) -> str:
    """Return what an exit code means for these cells."""
    known = sum(cell.known for cell in matrix)
    but = f", but for {known} known failures (scenarios/known.toml)" if known else ""
    return {
        0: f"exit 0: every verdict is as the model predicts{but}",
        1: "exit 1: the model was contradicted; see the lines above",
        2: "exit 2: too much is unknown, or fewer trials ran than planned",
    }[code]


def document(store: Store, matrix: Sequence[Cell]) -> dict[str, Any]:
    """Return the matrix, and the situations of the suite, as JSON."""
    names = (
        "runtime",
        "kind",
        "case",
        "guard",
        "fault",
        "depth",
        "schedules",
        "clean",
        "escalated",
        "predicted",
        "surprising",
        "known",
        "unknown",
        "confirmed",
        "disagreed",
        "state",
    )
    facts = store.facts()
    return {
        "results": str(store.path),
        **{
            name: facts.get(name) for name in ("planned", "judged", "unknown", "exit_code", "skips")
        },
        "cells": [
            {**{name: getattr(cell, name) for name in names}, "oracles": dict(cell.oracles)}
            for cell in matrix
            if cell.fault != NO_FAULT
        ],
        "situations": [entry.to_json() for _, line in _situations(store, matrix) for entry in line],
    }
