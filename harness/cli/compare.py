"""``bakeoff compare``: is HEAD worse than BASE?  For people, for machines, for a comment."""

from __future__ import annotations

import json
import sys

from collections.abc import Iterator
from pathlib import Path

import click

from harness.comparison.compare import Comparison, compare
from harness.comparison.sides import Finding, Side, Weight
from harness.comparison.slowdown import Recovery
from harness.store import StoreError


LISTED = 25
"""How many findings of a weight stand in a comment; --json has them all."""
MEANS = {
    0: "exit 0: nothing is worse",
    1: "exit 1: something is worse",
    2: "exit 2: it cannot be told whether anything is worse",
}


def _place(finding: Finding) -> str:
    parts = (finding.runtime, finding.case, finding.guard, finding.fault)
    return "  ".join(part for part in parts if part)


def _chance(line: Recovery) -> str:
    machine = "unknown" if line.machine is None else f"x {line.machine:.2f}"
    return f"{line.slower} of {line.pairs} pairs beyond the tolerance, machine {machine}"


def text(found: Comparison) -> Iterator[str]:
    """Yield the lines for a terminal."""
    yield f"BASE {found.base.path}"
    yield f"HEAD {found.head.path}"
    yield f"{found.compared} schedules of HEAD are in cells that BASE has too"
    for finding in found.findings:
        yield f"{finding.weight}: {finding.what}  {_place(finding)}"
        if finding.schedule:
            yield f"    {finding.schedule}"
        yield f"    {finding.note}"
        if finding.command:
            yield f"    {finding.command}"
    for line in found.recovery:
        yield (
            f"recovery  {line.runtime}  {line.fault}  median {line.base_s:.3g} s -> "
            f"{line.head_s:.3g} s, ratio {line.ratio:.2f}; {_chance(line)}"
        )
    yield MEANS[found.exit_code]


def _code(said: str) -> str:
    """Return a text in code; what would end it or the cell of a table is replaced."""
    return f"`{' '.join(said.split()).replace('`', chr(39)).replace('|', '¦')}`"


def markdown(found: Comparison) -> Iterator[str]:
    """Yield the lines of a comment; what is worse comes first and stays open."""
    counts = [f"{len(found.of(weight))} {weight}" for weight in Weight if found.of(weight)]
    yield f"### Bakeoff: {MEANS[found.exit_code].partition(': ')[2]}"
    yield ""
    yield f"{found.compared} schedules compared. {', '.join(counts) or 'No difference'}."
    for weight in Weight:
        findings = found.of(weight)
        if not findings:
            continue
        opened = " open" if weight is Weight.WORSE else ""
        yield ""
        yield f"<details{opened}><summary>{weight} ({len(findings)})</summary>"
        yield ""
        for finding in findings[:LISTED]:
            place = _code(_place(finding)) if _place(finding) else "the sweep"
            schedule = f" {_code(finding.schedule)}" if finding.schedule else ""
            command = f"<br>{_code(finding.command)}" if finding.command else ""
            yield f"- **{finding.what}** {place}{schedule}<br>{_code(finding.note)}{command}"
        if len(findings) > LISTED:
            yield f"- and {len(findings) - LISTED} more: `bakeoff compare --json`"
        yield ""
        yield "</details>"
    if found.recovery:
        yield ""
        yield "| runtime | fault | pairs | BASE s | HEAD s | ratio | slower |"
        yield "|---|---|--:|--:|--:|--:|---|"
    for line in found.recovery:
        yield (
            f"| {_code(line.runtime)} | {_code(line.fault)} | {line.pairs} | {line.base_s:.3g} "
            f"| {line.head_s:.3g} | {line.ratio:.2f} | {_chance(line)} |"
        )


@click.command("compare")
@click.argument("base", type=click.Path(path_type=Path))
@click.argument("head", type=click.Path(path_type=Path))
@click.option(
    "--recovery/--no-recovery",
    default=True,
    help="Compare recovery times too; where they cannot be compared, that is exit code 2.",
)
@click.option(
    "--across-hosts",
    is_flag=True,
    help="Compare recovery though machine, kernel or Python differ.",
)
@click.option("--json", "as_json", is_flag=True, help="Print as one JSON document.")
@click.option("--markdown", "as_markdown", is_flag=True, help="Print a comment for a review.")
def compare_command(
    base: Path,
    head: Path,
    recovery: bool,
    across_hosts: bool,
    as_json: bool,
    as_markdown: bool,
) -> None:
    """Say whether the results in HEAD are worse than those in BASE.

    Worse is: a new contradiction of the model; a schedule that was clean and is violated, under
    a fault that can mean one thing only; more such schedules than chance gives, where races
    decide; a cell that is not measured any more, without a reason; slower recovery, beyond
    noise, by single trials of the same schedules.

    \b
    Exit codes: 0 nothing is worse; 1 something is; 2 it cannot be told; 64 usage.
    """
    if as_json and as_markdown:
        msg = "--json and --markdown exclude each other"
        raise click.UsageError(msg)
    try:
        sides = [Side.read(path) for path in (base, head)]
    except StoreError as error:
        raise click.UsageError(str(error)) from error
    found = compare(*sides, recovery=recovery, across_hosts=across_hosts)
    if as_json:
        click.echo(json.dumps(found.to_json(), indent=1))
    else:
        for line in markdown(found) if as_markdown else text(found):
            click.echo(line)
    sys.exit(found.exit_code)
