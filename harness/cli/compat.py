"""`bakeoff compat` and `bakeoff import`: what a workload asks, and which runtimes have it."""

from __future__ import annotations

import dataclasses
import json
import sys

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import click

from rich.console import Console
from rich.table import Table

from harness.compat import (
    Column,
    Conformance,
    Mapped,
    Standing,
    Totals,
    fit,
    read_conformance,
    totals,
)
from harness.compat_profile import CompatError, Profile, Workflow, read_profile, vocabulary
from harness.load import load, names, resolve
from harness.runtime import Kind, Runtime, RuntimeUnavailableError


P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """What is shown: the profile against each runtime."""

    profile: Profile
    conformance: Conformance
    columns: Sequence[Column]
    totals: Mapping[str, Totals]


def _refusing(command: Callable[P, R]) -> Callable[P, R]:
    """Turn what cannot be used into a usage error: one message and its exit code."""

    @wraps(command)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except CompatError as error:
            raise click.UsageError(str(error)) from error

    return guarded


@click.command()
@click.argument("profile", type=click.Path(path_type=Path), required=False)
@click.option(
    "--conformance",
    type=click.Path(path_type=Path),
    default=Path("results/conformance.json"),
    show_default=True,
    help="What `nox -s conformance` wrote.",
)
@click.option("--runtime", "chosen", multiple=True, help="Only this runtime; may be repeated.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@_refusing
def compat(profile: Path | None, conformance: Path, chosen: tuple[str, ...], as_json: bool) -> None:
    """Say which workflows of PROFILE run on which runtime: native, emulated or not at all.

    PROFILE is what `bakeoff import` wrote; by default the profile that comes with bakeoff.
    A workflow stands as the worst primitive that it uses, each by the evidence of the
    conformance suite.  Without evidence it is "not measured".
    """
    read, shown = read_conformance(conformance), read_profile(profile)
    columns = [_column(name, read) for name in chosen or _everything(read)]
    sheet = Sheet(
        profile=shown,
        conformance=read,
        columns=columns,
        totals={column.name: totals(shown, column) for column in columns},
    )
    if as_json:
        click.echo(json.dumps(_json(sheet), indent=1))
    else:
        _print(sheet)


@click.command("import")
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), required=True, help="The profile to write."
)
@_refusing
def import_(folder: Path, output: Path) -> None:
    """Count what the TypeScript functions of FOLDER ask for, and write it as a profile.

    What cannot be decided is listed, not guessed.
    """
    try:
        from harness.importer import Words, read  # noqa: PLC0415 - the parser is an extra
    except ModuleNotFoundError as error:
        msg = f"the parser is not installed ({error}); run: pip install 'bakeoff[compat]'"
        raise CompatError(msg) from error
    words = Words(**vocabulary()["code"])
    found = read(folder, words)
    if not found["workflows"]:
        msg = (
            f"{folder}: none of its {found['files']} TypeScript files calls {words.create}() on a "
            f"client made of {words.module!r}; name the folder that has package.json"
        )
        raise CompatError(msg)
    try:
        output.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        msg = f"{output} cannot be written: {error.strerror}"
        raise CompatError(msg) from error
    doubts = found["undecided"]
    click.echo(
        f"{output}: {len(found['workflows'])} functions in {found['files']} files, "
        f"{len(doubts)} places undecided"
    )
    for doubt in doubts:
        click.echo(f"  {doubt['at']}: {doubt['why']}: {doubt['text']}")


def _everything(read: Conformance) -> list[str]:
    """Return the runtimes of the conformance file, then the registered ones, without controls."""
    registered = {name: load(value, "RUNTIME") for name, value in names("runtimes").items()}
    return [
        *read.columns,
        *(n for n, r in registered.items() if n not in read.columns and r.kind != Kind.CONTROL),
    ]


def _column(name: str, read: Conformance) -> Column:
    """Return a runtime's evidence; or the reason why there is none, and what is claimed."""
    column = read.columns.get(name)
    if column and name not in names("runtimes"):
        return column
    runtime: Runtime = load(resolve("runtimes", name), "RUNTIME")
    claims = runtime.mapping if isinstance(runtime, Mapped) else {}
    if column:
        return dataclasses.replace(column, claims=claims)
    try:
        version, reason = runtime.version(), f"it is not in {read.file}; run: nox -s conformance"
    except RuntimeUnavailableError as error:
        version, reason = "", str(error)
    return Column(name=name, version=version, reason=reason, claims=claims)


def _json(sheet: Sheet) -> dict[str, Any]:
    read = sheet.conformance
    return {
        "profile": {"source": sheet.profile.source, "workflows": len(sheet.profile.workflows)},
        "conformance": {"file": read.file, "when": read.when, "host": read.host},
        "runtimes": {
            column.name: {
                "version": column.version,
                "profile": column.profile,
                "not_measured": column.reason,
                **dataclasses.asdict(sheet.totals[column.name]),
            }
            for column in sheet.columns
        },
        "workflows": [
            {
                "id": workflow.name,
                "asks": workflow.asks,
                "uses": workflow.uses,
                "unmapped": workflow.unmapped,
                "runtimes": {
                    column.name: {
                        **dataclasses.asdict(fit(workflow, column)),
                        "primitives": {
                            name: dataclasses.asdict(column.of(name)) for name in workflow.uses
                        },
                    }
                    for column in sheet.columns
                },
            }
            for workflow in sheet.profile.workflows
        ],
    }


def _print(sheet: Sheet) -> None:
    # A pipe has no width: there the lines stay whole.
    width = None if sys.stdout.isatty() else 1000
    console = Console(markup=False, highlight=False, emoji=False, width=width)
    console.print(f"profile: {sheet.profile.source}")
    console.print(f"evidence: {sheet.conformance.file}, {sheet.conformance.when}\n")
    table = Table("workflow", "uses", *(column.name for column in sheet.columns), box=None)
    for workflow in sheet.profile.workflows:
        uses = sum(workflow.uses.values()) + len(workflow.unmapped)
        table.add_row(workflow.name, str(uses), *(_cell(workflow, c) for c in sheet.columns))
    console.print(table)
    for column in sheet.columns:
        console.print()
        for line in _lines(sheet, column):
            console.print(line)


def _cell(workflow: Workflow, column: Column) -> str:
    found = fit(workflow, column)
    if found.standing == Standing.NATIVE or column.reason:
        return str(found.standing)
    return f"{found.standing}: {', '.join(found.why)}"


def _lines(sheet: Sheet, column: Column) -> list[str]:
    """Return what is said of one runtime below the table."""
    total = sheet.totals[column.name]
    version = ", ".join(filter(None, (column.version, column.profile)))
    lines = [f"{column.name} ({version})" if version else column.name]
    lines.append(f"  {_counted(total.workflows, 'workflows')}")
    lines.append(f"  {_counted(total.uses, 'uses')}")
    lines += [f"  {_counted(counts, name)}" for name, counts in total.tables.items()]
    for what, counts in total.claimed.items():
        lines.append(f"  mapped, not measured: {_counted(counts, what)}")
    if column.reason:
        return [*lines, f"  not measured: {column.reason}"]
    uses: Counter[str] = Counter()
    for workflow in sheet.profile.workflows:
        uses.update(workflow.uses)
        uses.update(workflow.unmapped)
    for standing in (Standing.MISSING, Standing.UNMEASURED, Standing.EMULATED):
        for name, count in uses.items():
            evidence = column.of(name)
            if evidence.standing == standing:
                size = f"{evidence.lines} lines" if evidence.lines else ""
                detail = "; ".join(filter(None, (evidence.test, size, evidence.note)))
                lines.append(f"  {standing}: {name} ({count}) {detail}".rstrip())
    return lines


def _counted(counts: Mapping[Any, int], what: str) -> str:
    total = sum(counts.values())
    parts = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    return f"{what}: {total}" + (f" = {parts}" if total else "")
