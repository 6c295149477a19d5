"""Known failures: violations that no model predicts, listed as data with where they are told of.

A listed one is still shown, and still red; it does not fail a sweep.  One that is listed to occur
always and does not is as telling as a new one: something was mended, or the instrument broke.
"""

from __future__ import annotations

import re
import tomllib

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from importlib.resources import files
from typing import Any


class KnownError(Exception):
    """The list cannot be read; the message says what was expected and what was seen."""


PLACE = ("runtime", "case", "guard", "fault", "schedule")


def fits(text: str, pattern: str) -> bool:
    """Say whether a text is what a pattern names; only ``*`` is more than itself."""
    return fnmatchcase(text, re.sub(r"[\[?]", r"[\g<0>]", pattern))


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A known failure: where, which oracles, why, and a ``link``.

    A ``*`` in a name or a schedule stands for any text.
    ``always``: it occurs in every trial of it; otherwise a race decides.
    """

    runtime: str
    case: str
    guard: str
    fault: str
    schedule: str
    oracles: tuple[str, ...]
    why: str
    link: str = ""
    always: bool = False

    def covers(self, row: Mapping[str, Any]) -> bool:
        """Say whether a judged run is one of these."""
        return all(fits(row[name], getattr(self, name)) for name in PLACE)

    def to_json(self) -> dict[str, Any]:
        """Return the entry as a JSON object."""
        return {**asdict(self), "oracles": list(self.oracles)}


def read(entries: Iterable[Mapping[str, Any]]) -> tuple[Known, ...]:
    """Return what entries of a list say.

    Raises:
        KnownError: an entry lacks a field, or has one that there is not.

    """
    found = []
    for entry in entries:
        try:
            found.append(Known(**{**entry, "oracles": tuple(entry["oracles"])}))
        except (KeyError, TypeError) as error:
            msg = (
                f"a known failure has runtime, case, guard, fault, schedule, oracles, why: {error}"
            )
            raise KnownError(msg) from error
    return tuple(found)


def listed() -> tuple[Known, ...]:
    """Return the list beside the scenarios.

    Raises:
        KnownError: it cannot be read.

    """
    text = files("scenarios").joinpath("known.toml").read_text(encoding="utf-8")
    return read(tomllib.loads(text).get("known", ()))


def mark(rows: Iterable[Mapping[str, Any]], known: Sequence[Known]) -> list[dict[str, Any]]:
    """Return the rows; those whose surprise is a listed one say so in ``known``.

    A row of which an entry says that it always fails, and which did not, is surprising: what
    was listed is then ``absent``.
    """
    return [_marked(dict(row), [entry for entry in known if entry.covers(row)]) for row in rows]


def _marked(row: dict[str, Any], entries: Sequence[Known]) -> dict[str, Any]:
    if not entries or row["outcome"] == "unknown":
        return row
    allowed = {name for entry in entries for name in entry.oracles}
    if row["surprising"] and row["unpredicted"] and not row["absent"]:
        if set(row["unpredicted"]) <= allowed:
            whys = [f"{entry.why} {entry.link}".strip() for entry in entries]
            return {**row, "surprising": False, "known": "; ".join(whys)}
        return row
    due = {name for entry in entries if entry.always for name in entry.oracles}
    if due - set(row["violated"]):
        absent = sorted({*row["absent"], *(due - set(row["violated"]))})
        return {**row, "surprising": True, "absent": absent}
    return row
