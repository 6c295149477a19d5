"""``python -m runtimes.reference.enumeration``: what ``nox -s enumerate`` runs."""

from __future__ import annotations

import json
import sys
import time

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256

import click

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Column, Table
from rich.text import Text

from harness.effects import Tier
from runtimes.reference.collector import seldom
from runtimes.reference.enumeration.campaign import SMALL, WHOLE, Campaign, Tally
from runtimes.reference.enumeration.mutants import MUTANTS, Mutant
from runtimes.reference.enumeration.oracles import SCORES
from runtimes.reference.enumeration.sharing import Ended
from runtimes.reference.enumeration.state import State


WINDOW = "between the look and the write only a provider with versions keeps strangers out"
AWAKE = "what was frozen before it sent sends when it wakes: only a provider's fence keeps it out"


COUNTED = (
    "A run is one way from a fresh world to an end that every oracle has judged. Runs that can "
    "only end alike are played once, by the shipped code, and counted each: stops that leave the "
    "same disk and the same world, strangers' writes between two looks, zombies that change "
    "nothing. Hunts for mutants are not counted."
)
LETTERS = {WINDOW: "a", AWAKE: "b"}
COLUMNS = [(tier, fences) for tier in Tier for fences in (True, False)]


def open_(campaign: str, tier: Tier, *, fences: bool) -> str:
    """Return why violations of a cell are not the reference's to prevent; empty if they are."""
    if "drift at" in campaign and tier is not Tier.V:
        return WINDOW
    return AWAKE if "zombie" in campaign and not fences else ""


@dataclass(slots=True)
class Cell:
    """A campaign against one kind of provider, and what came of it."""

    campaign: str
    tier: Tier
    fences: bool
    tally: Tally
    seconds: float = 0.0
    ways: str = ""
    """The hash of all schedules, in order."""

    @property
    def excuse(self) -> str:
        """Return why violations here are published and fail nothing."""
        return open_(self.campaign, self.tier, fences=self.fences)

    @property
    def failed(self) -> bool:
        """Say whether anything was violated here that must not be."""
        return bool(self.tally.violated) and not self.excuse


@dataclass(slots=True)
class Kill:
    """How a mutant was found out: the oracles, and the way of the run; none if it survived."""

    mutant: str
    runs: int
    oracles: list[str] = field(default_factory=list)
    where: str = ""
    seconds: float = 0.0


def cells(campaigns: Mapping[str, Campaign]) -> Iterator[Cell]:
    """Run campaigns against every kind of provider."""
    for name, campaign in campaigns.items():
        for tier, fences in COLUMNS:
            cell = Cell(name, tier, fences, Tally(name))
            began, ways = time.process_time(), sha256()
            for ended in campaign(partial(State.fresh, tier, fences=fences)):
                cell.tally.take(ended)
                ways.update("\0".join((*ended.way, "")).encode())
            cell.seconds, cell.ways = time.process_time() - began, ways.hexdigest()
            yield cell


PATIENCE = 1000
"""How many more runs a hunt has for harm, once a needless question was found."""


def hunt(name: str, mutant: Mutant) -> Kill:
    """Run the small campaigns until an oracle finds the mutant out.

    Harm is a better proof than a needless question: after one of those the hunt goes on a while.
    """
    runs, found = 0, Kill(name, 0)
    with mutant.here():
        for campaign, tier, fences, ended in _all(mutant.first):
            runs += 1
            violated = ended.evidence.violated
            harm = bool(violated.keys() - SCORES)
            if harm or (violated and not found.oracles):
                where = f"{campaign}, {tier}{'' if fences else ' unfenced'}"
                found = Kill(name, runs, [*violated], f"{where}: {' > '.join(ended.way)}")
            if harm or (found.oracles and runs >= found.runs + PATIENCE):
                return found
    return found if found.oracles else Kill(name, runs)


def _all(first: str) -> Iterator[tuple[str, Tier, bool, Ended]]:
    """Yield every run of the small campaigns in which nothing may be violated."""
    for campaign, runs in sorted(SMALL.items(), key=lambda each: each[0] != first):
        for tier, fences in COLUMNS:
            if open_(campaign, tier, fences=fences):
                continue
            for ended in runs(partial(State.fresh, tier, fences=fences)):
                yield campaign, tier, fences, ended


@click.command(
    epilog="\b\nExamples:\n  python -m runtimes.reference.enumeration --quick\n"
    "  python -m runtimes.reference.enumeration --json > enumeration.json"
)
@click.option("--quick", is_flag=True, help="Every point once, not every pair of points.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document, not tables.")
def main(quick: bool, as_json: bool) -> None:
    """Drive the shipped recovery code over every way to die, and over each safeguard's absence.

    A run is a small migration that dies, is frozen, is overtaken or meets a stranger's write at
    each of its stops, and at each stop of each recovery.  Its ledger and its log are held to every
    oracle.  Then each safeguard is taken away in turn: an oracle must notice.

    Progress goes to stderr.  The exit code is 1 if anything is violated that must not be, a
    question to a human was needless, or a mutant survives; 130 after Ctrl-C.
    """
    campaigns = SMALL if quick else WHOLE
    with _progress(len(campaigns) * len(COLUMNS) + len(MUTANTS)) as progress:
        task = progress.tasks[0].id
        found: list[Cell] = []
        for cell in cells(campaigns):
            found.append(cell)
            _say(
                progress, f"{cell.campaign}, {_column(cell.tier, fences=cell.fences)}", _cell(cell)
            )
            progress.advance(task)
        kills = []
        for name, mutant in MUTANTS.items():
            began = time.process_time()
            kills.append(hunt(name, mutant))
            kills[-1].seconds = time.process_time() - began
            _say(progress, f"without: {name}", ", ".join(kills[-1].oracles) or "SURVIVES")
            progress.advance(task)
    if as_json:
        click.echo(json.dumps(_document(found, kills), indent=1))
    else:
        _print(Console(width=None if sys.stdout.isatty() else 100, highlight=False), found, kills)
    sys.exit(any(cell.failed for cell in found) or not all(kill.oracles for kill in kills))


def _progress(total: int) -> Progress:
    screen = Console(stderr=True, soft_wrap=True, highlight=False)
    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=screen,
        disable=not screen.is_terminal,
        transient=True,
    )
    progress.add_task("starting", total=total)
    return progress


def _say(progress: Progress, what: str, came: str) -> None:
    """Show where it is: on a terminal in the bar, elsewhere as a line."""
    progress.update(progress.tasks[0].id, description=what)
    if not progress.console.is_terminal:
        progress.console.print(f"{what}: {came}", markup=False)


def _column(tier: Tier, *, fences: bool) -> str:
    return f"{tier}{'' if fences else ' open'}"


def _cell(cell: Cell) -> str:
    """Return a cell in few words: its runs, and what was violated how often."""
    violated = sum(cell.tally.violated.values())
    if not violated:
        return f"{cell.tally.runs:,}"
    return f"{cell.tally.runs:,} {violated}{LETTERS.get(cell.excuse, '!')}"


def _print(console: Console, found: list[Cell], kills: list[Kill]) -> None:
    by = {(cell.campaign, cell.tier, cell.fences): cell for cell in found}
    table = Table(
        "campaign",
        *(Column(tier + ("" if fences else "*"), justify="right") for tier, fences in COLUMNS),
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    for campaign in dict.fromkeys(cell.campaign for cell in found):
        row = [by[campaign, tier, fences] for tier, fences in COLUMNS]
        texts = (Text(_cell(cell), "red" if cell.failed else "") for cell in row)
        table.add_row(campaign, *texts)
    console.print(table)
    console.print(
        "Runs by what the provider promises: K honours a key, Q can be asked, V has versions, "
        "O says nothing; * does not refuse calls of older epochs."
    )
    for excuse in sorted({c.excuse for c in found if c.excuse and c.tally.violated}):
        open_ = Counter[str]()
        for cell in found:
            open_ += cell.tally.violated if cell.excuse == excuse else Counter()
        what = ", ".join(f"{name} {n:,}" for name, n in sorted(open_.items()))
        console.print(
            f"{LETTERS[excuse]}  open, and not the reference's to prevent: {excuse} ({what})"
        )
    for cell in found:
        for name, (way, why) in cell.tally.example.items() if cell.failed else ():
            where = _column(cell.tier, fences=cell.fences)
            text = f"!  {name}: {cell.campaign}, {where}: {' > '.join(way)}: {why}"
            console.print(Text(text, "red"))
    console.print()
    mutants = Table("without", "found by", Column("run", justify="right"), "where", box=SIMPLE_HEAD)
    for kill in kills:
        by_whom = ", ".join(kill.oracles) if kill.oracles else Text("NOBODY", "red")
        mutants.add_row(kill.mutant, by_whom, f"{kill.runs:,}", kill.where)
    console.print(mutants)
    console.print(COUNTED)
    console.print(summary(found, kills))


def summary(found: list[Cell], kills: list[Kill]) -> str:
    """Return the one line that says it all."""
    runs, seconds = sum(c.tally.runs for c in found), sum(c.seconds for c in found)
    played, hunts = sum(c.tally.played for c in found), sum(kill.seconds for kill in kills)
    hard = sum(
        n
        for cell in found
        if not cell.excuse
        for name, n in cell.tally.violated.items()
        if name not in SCORES
    )
    needless = sum(
        cell.tally.violated[name] for cell in found if not cell.excuse for name in SCORES
    )
    killed = sum(bool(kill.oracles) for kill in kills)
    ways = sha256("".join(cell.ways for cell in found).encode()).hexdigest()[:12]
    return (
        f"{runs:,} runs, {played:,} of them played, in {seconds:.0f} s of one core, {hard} "
        f"violations, {needless} needless escalations; {killed} of {len(kills)} mutants found in "
        f"{hunts:.0f} s more; schedules {ways}"
    )


def _document(found: list[Cell], kills: list[Kill]) -> dict[str, object]:
    return {
        "cells": [
            {
                "campaign": cell.campaign,
                "tier": str(cell.tier),
                "fences": cell.fences,
                "runs": cell.tally.runs,
                "played": cell.tally.played,
                "completed": cell.tally.completed,
                "escalated": cell.tally.escalated,
                "violated": dict(cell.tally.violated),
                "examples": {k: [*way, why] for k, (way, why) in cell.tally.example.items()},
                "open": cell.excuse,
                "cpu_s": cell.seconds,
                "schedules": cell.ways,
            }
            for cell in found
        ],
        "mutants": [
            {
                "mutant": kill.mutant,
                "runs": kill.runs,
                "oracles": kill.oracles,
                "where": kill.where,
                "cpu_s": kill.seconds,
            }
            for kill in kills
        ],
        "counted": COUNTED,
        "summary": summary(found, kills),
    }


if __name__ == "__main__":
    seldom()
    try:
        main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        sys.exit(130)
