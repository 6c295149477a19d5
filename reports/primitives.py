"""``primitives.html``: what each runtime has, as far as the conformance suite has shown it.

The file of that suite is ``conformance.json``: the one that ``bakeoff report --conformance`` has
put into the results folder, or else the one that stands beside the folder.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.compat import Column, Conformance, Standing, read_conformance
from harness.compat_profile import CompatError, read_json
from harness.policy import PRIMITIVES
from reports.matrix import put
from reports.pages import page_of, render
from reports.sheet import Sheet
from reports.words import State


NAME = "conformance.json"
RUN = "nox -s conformance"
STANDINGS: Mapping[Standing, State] = {
    Standing.NATIVE: State("clean", "✓", "native", "the engine's own, and its check passed"),
    Standing.EMULATED: State(
        "escalated",
        "≈",
        "emulated",
        "made of other things by code beside the engine, and its check passed; the number is how "
        "many lines of such code the runtime needs in all",
    ),
    Standing.MISSING: State("missing", "−", "missing", "it says so, and its check did not pass"),  # noqa: RUF001 - a sign
    Standing.UNMEASURED: State(
        "gap", "∅", "not measured", "no check has shown anything: neither a pass nor a failure"
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Square:
    """One primitive of one runtime."""

    runtime: str
    primitive: str
    state: State
    lines: int
    note: str
    test: str

    @property
    def anchor(self) -> str:
        """Return the id of its row in the evidence."""
        return f"{page_of(self.runtime).removesuffix('.html')}-{self.primitive}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One runtime: its squares in the order of the table, and how many there are of each."""

    name: str
    page: str
    version: str
    profile: str
    other: str
    """The version that the sweep ran, where it is another one."""
    squares: Sequence[Square]

    def counts(self) -> list[tuple[State, int]]:
        """Return how many primitives stand how."""
        states = [square.state for square in self.squares]
        return [(state, states.count(state)) for state in STANDINGS.values()]


def source(results: Path) -> Path:
    """Return where the conformance file of a results folder is to be."""
    own = results / NAME
    return own if own.is_file() else results.parent / NAME


def shown(name: str, column: Column, asked: Mapping[str, Any], why: Mapping[str, str]) -> Shown:
    """Return what is known of a runtime; ``asked`` is what the sweep says of it, if it ran there.

    ``why`` are the reasons of the primitives that are not measured.
    """
    declared = asked.get("capabilities") or {}
    squares = []
    for primitive in PRIMITIVES:
        found = column.of(primitive)
        note = found.note
        if found.standing is Standing.UNMEASURED:
            said = f"; declared {declared[primitive]}" if primitive in declared else ""
            note = f"{why.get(primitive) or note or column.reason or 'no check has run'}{said}"
        squares.append(
            Square(
                runtime=name,
                primitive=primitive,
                state=STANDINGS[found.standing],
                lines=found.lines,
                note=note,
                test=found.test,
            )
        )
    swept = str(asked.get("version") or "")
    return Shown(
        name=name,
        page=page_of(name) if asked else "",
        version=column.version,
        profile=column.profile,
        other=swept if column.version and swept != column.version else "",
        squares=squares,
    )


def table(sheet: Sheet, file: Path, known: Conformance) -> list[Shown]:
    """Return the runtimes of the sweep, then those that only the conformance file has."""
    raw: Any = read_json(file)
    swept = {column["runtime"]: column for column in sheet.columns}
    absent = f"it is not in {file.name}; run: {RUN}"
    return [
        shown(
            name,
            known.columns.get(name) or Column(name=name, reason=absent),
            swept.get(name, {}),
            raw["runtimes"].get(name, {}).get("unmeasured") or {},
        )
        for name in [*swept, *sorted(set(known.columns) - set(swept))]
    ]


def checks(file: Path) -> dict[str, str]:
    """Return what the check of each primitive says of itself, in the words of the file."""
    raw: Any = read_json(file)
    return {
        primitive: row["checked"]
        for column in raw["runtimes"].values()
        for primitive, row in column["primitives"].items()
        if row.get("checked")
    }


def write(sheet: Sheet) -> Path:
    """Write the page; without a file it says what to run."""
    file = source(sheet.path)
    try:
        known = read_conformance(file)
    except CompatError as error:
        known, why = None, str(error).replace(str(file), file.name)
    text = render(
        "primitives.html",
        title="Bakeoff: primitives",
        home="report.html",
        runtimes=table(sheet, file, known) if known else [],
        why="" if known else why,
        primitives=PRIMITIVES,
        checks=checks(file) if known else {},
        standings=STANDINGS.values(),
        when=known.when if known else "",
        host=known.host if known and isinstance(known.host, dict) else {},
        file=file.name,
        run=RUN,
    )
    return put(sheet.path / "primitives.html", text)
