"""Whether the workflows of a profile run on a runtime, told from conformance evidence alone.

A primitive is ``native``, ``emulated`` or ``missing`` because a conformance test said so, and
the test is named.  Without a test it is ``not measured``, whatever a runtime says of itself.  A
workflow stands as its worst primitive does.  What a vendor's documentation says (`Mapped`) is
counted apart, as a claim, and changes no verdict.
"""

from __future__ import annotations

import tomllib

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from harness.compat_profile import CompatError, Profile, Table, Workflow, read_json
from harness.policy import PRIMITIVES
from harness.runtime import Support


class Standing(StrEnum):
    """How a workflow or a primitive stands on a runtime, from best to worst."""

    NATIVE = "native"
    EMULATED = "emulated"
    UNMEASURED = "not measured"
    MISSING = "missing"


WORST = {standing: rank for rank, standing in enumerate(Standing)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What the conformance suite said of a primitive; ``test`` is the id of what showed it."""

    standing: Standing = Standing.UNMEASURED
    test: str = ""
    lines: int = 0
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What documentation says of a primitive, and where; nobody has seen it run.

    ``read``: the source was read when the claim was written.
    """

    support: Support
    how: str
    source: str
    read: bool


@runtime_checkable
class Mapped(Protocol):
    """A runtime that has its primitives mapped from documentation."""

    mapping: Mapping[str, Claim]


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A runtime: its evidence by primitive, or the reason why there is none."""

    name: str
    version: str = ""
    profile: str = ""
    reason: str = ""
    evidence: Mapping[str, Evidence] = field(default_factory=dict)
    claims: Mapping[str, Claim] = field(default_factory=dict)

    def of(self, primitive: str) -> Evidence:
        """Return what is known of a primitive."""
        return self.evidence.get(primitive, Evidence())


@dataclass(frozen=True, slots=True, kw_only=True)
class Conformance:
    """What ``nox -s conformance`` wrote."""

    file: str
    when: str
    host: object
    columns: Mapping[str, Column]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """A workflow on a runtime; ``why`` lists the primitives that stand as badly as the whole."""

    standing: Standing
    why: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """A runtime over the whole profile: workflows, uses and counts of tables by standing.

    ``claimed`` counts workflows and uses by what documentation claims; empty without claims.
    """

    workflows: Mapping[Standing, int]
    uses: Mapping[Standing, int]
    tables: Mapping[str, Mapping[Standing, int]]
    claimed: Mapping[str, Mapping[Standing, int]] = field(default_factory=dict)


def read_conformance(path: Path) -> Conformance:
    """Read the conformance file.

    Raises:
        CompatError: there is none, or it is not what the suite writes.

    """
    if not path.is_file():
        msg = (
            f"{path}: there is no conformance file, and without evidence nothing can be said; "
            f"run: nox -s conformance (or name one with --conformance)"
        )
        raise CompatError(msg)
    data = read_json(path)
    found = data.get("runtimes") if isinstance(data, dict) else None
    if not isinstance(found, dict):
        msg = f'{path}: expected an object with "runtimes"; write it with: nox -s conformance'
        raise CompatError(msg)
    return Conformance(
        file=str(path),
        when=str(data.get("when", "")),
        host=data.get("host"),
        columns={name: _column(path, name, value) for name, value in found.items()},
    )


def read_claims(text: str) -> dict[str, Claim]:
    """Read a mapping of all primitives, as TOML.

    Raises:
        CompatError: a primitive is missing or unknown, or has no source.

    """
    rows = tomllib.loads(text)
    wrong = sorted(set(PRIMITIVES) ^ set(rows)) or [
        n for n, row in rows.items() if not row["source"]
    ]
    if wrong:
        msg = f"a mapping must have every primitive once, with its source; look at {wrong}"
        raise CompatError(msg)
    return {
        name: Claim(**{**row, "support": Support(row["support"])}) for name, row in rows.items()
    }


def fit(workflow: Workflow, column: Column) -> Fit:
    """Tell how a workflow stands on a runtime, and because of which primitives."""
    by_name = {name: column.of(name).standing for name in workflow.uses}
    by_name |= dict.fromkeys(workflow.unmapped, Standing.UNMEASURED)
    standing = worst(by_name.values())
    return Fit(standing=standing, why=[name for name, how in by_name.items() if how == standing])


def worst(standings: Iterable[Standing]) -> Standing:
    """Return the worst; of none at all nothing is measured."""
    return max(standings, key=WORST.__getitem__, default=Standing.UNMEASURED)


def totals(profile: Profile, column: Column) -> Totals:
    """Count a runtime over the whole profile, weighted by use."""
    claimed = replace(
        column,
        evidence={
            name: Evidence(standing=Standing(claim.support))
            for name, claim in column.claims.items()
        },
    )
    return Totals(
        workflows=_workflows(profile, column),
        uses=_uses(profile, column),
        tables={table.name: _counted(table, column) for table in profile.tables},
        claimed={"workflows": _workflows(profile, claimed), "uses": _uses(profile, claimed)}
        if column.claims
        else {},
    )


def _workflows(profile: Profile, column: Column) -> dict[Standing, int]:
    return _sorted(Counter(fit(workflow, column).standing for workflow in profile.workflows))


def _uses(profile: Profile, column: Column) -> dict[Standing, int]:
    found: Counter[Standing] = Counter()
    for workflow in profile.workflows:
        for name, count in workflow.uses.items():
            found[column.of(name).standing] += count
        found[Standing.UNMEASURED] += len(workflow.unmapped)
    return _sorted(found)


def _counted(table: Table, column: Column) -> dict[Standing, int]:
    found: Counter[Standing] = Counter()
    for names, count in table.uses.items():
        found[worst(column.of(name).standing for name in names)] += count
    return _sorted(found)


def _sorted(counts: Mapping[Standing, int]) -> dict[Standing, int]:
    return {standing: counts.get(standing, 0) for standing in Standing}


def _column(path: Path, name: str, value: Any) -> Column:  # noqa: ANN401 - a stranger's JSON
    primitives = value.get("primitives") if isinstance(value, dict) else None
    if not isinstance(primitives, dict):
        msg = f'{path}: {name} has no "primitives"; write the file with: nox -s conformance'
        raise CompatError(msg)
    unknown = sorted(set(primitives) - set(PRIMITIVES))
    if unknown:
        msg = f"{path}: {name} has primitives that do not exist: {unknown}; see harness/policy.py"
        raise CompatError(msg)
    return Column(
        name=name,
        version=str(value.get("version", "")),
        profile=str(value.get("profile", "")),
        evidence={key: _evidence(path, f"{name}.{key}", row) for key, row in primitives.items()},
    )


def _evidence(path: Path, where: str, row: Any) -> Evidence:  # noqa: ANN401 - a stranger's JSON
    support = row.get("support") if isinstance(row, dict) else None
    if support not in set(Support):
        msg = f"{path}: the support of {where} must be one of {[*Support]}, but is {support!r}"
        raise CompatError(msg)
    test = str(row.get("evidence") or "")
    note = str(row.get("note") or "")
    if "::" not in test:
        return Evidence(note=note or "the conformance suite names no test of it")
    return Evidence(
        standing=Standing(support), test=test, lines=int(row.get("lines") or 0), note=note
    )
