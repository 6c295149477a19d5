"""``python -m runtimes.reference.enumeration``: what ``nox -s enumerate`` runs."""

from __future__ import annotations

import json
import sys
import time

from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256

import click

from rich.console import Console
from rich.table import Table

from harness.effects import Tier
from runtimes.reference.enumeration.campaign import SMALL, WHOLE, Campaign, Ended, Tally
from runtimes.reference.enumeration.life import State
from runtimes.reference.enumeration.mutants import MUTANTS, Mutant
from runtimes.reference.enumeration.oracles import SCORES, judge


WINDOW = "between the look and the write only a provider with versions keeps strangers out"
AWAKE = "what was frozen before it sent sends when it wakes: only a provider's fence keeps it out"


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


def cells(campaigns: dict[str, Campaign]) -> Iterator[Cell]:
    """Run campaigns against every kind of provider."""
    for name, campaign in campaigns.items():
        for tier in Tier:
            for fences in (True, False):
                cell = Cell(name, tier, fences, Tally(name))
                began, ways = time.process_time(), sha256()
                for ended in campaign(lambda t=tier, f=fences: State.fresh(t, fences=f)):  # type: ignore[misc]
                    cell.tally.take(ended)
                    ways.update("\0".join((*ended.way, "")).encode())
                cell.seconds, cell.ways = time.process_time() - began, ways.hexdigest()
                yield cell


def hunt(name: str, mutant: Mutant) -> Kill:
    """Run the small campaigns until an oracle finds the mutant out."""
    runs = 0
    with mutant.here():
        for campaign, tier, fences, ended in _all():
            runs += 1
            if found := judge(ended.evidence):
                where = (
                    f"{campaign}, {tier}{'' if fences else ' unfenced'}: {' > '.join(ended.way)}"
                )
                return Kill(name, runs, [*found], where)
    return Kill(name, runs)


def _all() -> Iterator[tuple[str, Tier, bool, Ended]]:
    for campaign, runs in SMALL.items():
        for tier in Tier:
            for fences in (True, False):
                if open_(campaign, tier, fences=fences):
                    continue
                for ended in runs(lambda t=tier, f=fences: State.fresh(t, fences=f)):  # type: ignore[misc]
                    yield campaign, tier, fences, ended


@click.command()
@click.option("--quick", is_flag=True, help="Every point once, not every pair of points.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def main(quick: bool, as_json: bool) -> None:
    """Drive the shipped recovery code over every way to die, and every safeguard's absence.

    Exit code 1 if anything is violated that must not be, or a mutant survives.
    """
    console, screen = Console(), Console(stderr=True)
    found: list[Cell] = []
    for cell in cells(dict(SMALL if quick else WHOLE)):
        found.append(cell)
        screen.print(
            f"{cell.campaign:20} {cell.tier} {'fenced' if cell.fences else 'unfenced':9}"
            f" {cell.tally.runs:6} runs, {sum(cell.tally.violated.values())} violations",
            highlight=False,
        )
    kills = []
    for name, mutant in MUTANTS.items():
        kills.append(hunt(name, mutant))
        screen.print(f"mutant {name}: {kills[-1].oracles or 'SURVIVES'}", highlight=False)
    failed = any(cell.failed for cell in found) or not all(kill.oracles for kill in kills)
    if as_json:
        click.echo(json.dumps(_document(found, kills), indent=1))
    else:
        _print(console, found, kills)
    sys.exit(failed)


def _print(console: Console, found: list[Cell], kills: list[Kill]) -> None:
    table = Table("campaign", "provider", "runs", "completed", "escalated", "violated")
    for cell in found:
        violated = ", ".join(f"{name} {n}" for name, n in sorted(cell.tally.violated.items()))
        table.add_row(
            cell.campaign,
            f"{cell.tier}{', fences' if cell.fences else ''}",
            f"{cell.tally.runs:,}",
            f"{cell.tally.completed:,}",
            f"{cell.tally.escalated:,}",
            f"{violated} (open)" if violated and cell.excuse else violated or "0",
        )
    console.print(table)
    mutants = Table("safeguard that is gone", "found by", "in run", "where")
    for kill in kills:
        mutants.add_row(
            kill.mutant, ", ".join(kill.oracles) or "NOBODY", f"{kill.runs:,}", kill.where
        )
    console.print(mutants)
    for cell in found:
        for name, (way, why) in cell.tally.example.items() if cell.failed else ():
            console.print(f"{name} in {cell.campaign}, {cell.tier}: {' > '.join(way)}: {why}")
    for excuse in sorted({cell.excuse for cell in found if cell.excuse and cell.tally.violated}):
        console.print(f"open: {excuse}", highlight=False)
    console.print(summary(found, kills), highlight=False)


def summary(found: list[Cell], kills: list[Kill]) -> str:
    """Return the one line that says it all."""
    runs, seconds = sum(c.tally.runs for c in found), sum(c.seconds for c in found)
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
        f"{runs:,} runs in {seconds:.0f} s of one core, {hard} violations, {needless} needless "
        f"escalations; {killed} of {len(kills)} mutants found; schedules {ways}"
    )


def _document(found: list[Cell], kills: list[Kill]) -> dict[str, object]:
    return {
        "cells": [
            {
                "campaign": cell.campaign,
                "tier": str(cell.tier),
                "fences": cell.fences,
                "runs": cell.tally.runs,
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
            {"mutant": kill.mutant, "runs": kill.runs, "oracles": kill.oracles, "where": kill.where}
            for kill in kills
        ],
        "summary": summary(found, kills),
    }


if __name__ == "__main__":
    main()
