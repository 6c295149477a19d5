"""A workload profile: which primitives each workflow asks for, and how often.

A profile speaks the words of the engine that it was counted from.  ``vocabulary.toml`` beside
the scenarios maps them to the names of `harness.policy.PRIMITIVES`; what no word of it covers is
kept as *unmapped*, never dropped and never guessed.
"""

from __future__ import annotations

import json
import re
import tomllib

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from harness.policy import PRIMITIVES


class CompatError(Exception):
    """A profile, a conformance file or a code base cannot be used: expected, seen, what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workflow:
    """One workflow: ``uses`` counts call sites by primitive, ``unmapped`` what no primitive is."""

    name: str
    asks: str = ""
    uses: Mapping[str, int] = field(default_factory=dict)
    unmapped: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Counts over a whole code base: how often each set of primitives is asked for."""

    name: str
    uses: Mapping[tuple[str, ...], int]
    unmapped: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """The workflows that count, and tables of counts."""

    source: str
    workflows: Sequence[Workflow]
    tables: Sequence[Table]


@cache
def vocabulary() -> Mapping[str, Any]:
    """Return the words of profiles and what they map to."""
    return tomllib.loads(_data("vocabulary.toml"))


def read_profile(path: Path | None) -> Profile:
    """Read a profile; without a path, the one that comes with the scenarios.

    Raises:
        CompatError: it cannot be read, or is no profile.

    """
    name = str(path or "workload_profile.json")
    data = read_json(path) if path else json.loads(_data(name))
    listed = data.get("workflows", data.get("top25")) if isinstance(data, dict) else None
    if not isinstance(listed, list) or not listed:
        seen = f"the fields {', '.join(data)}" if isinstance(data, dict) else type(data).__name__
        msg = f'{name}: expected a list "workflows" (or "top25") of one or more, seen {seen}'
        raise CompatError(msg)
    tables = [_table(key, value) for key, value in data.items() if isinstance(value, dict)]
    workflows = [_workflow(name, index, item) for index, item in enumerate(listed)]
    return Profile(source=str(data.get("source", name)), workflows=workflows, tables=tables)


def read_json(path: Path) -> Any:  # noqa: ANN401 - JSON
    """Read a JSON file.

    Raises:
        CompatError: there is none, or it is no JSON.

    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        msg = f"{path} cannot be read: {error.strerror}"
        raise CompatError(msg) from error
    except ValueError as error:
        msg = f"{path} is no JSON: {error}"
        raise CompatError(msg) from error


def _data(name: str) -> str:
    return files("scenarios").joinpath("data", name).read_text(encoding="utf-8")


def _workflow(file: str, index: int, item: Any) -> Workflow:  # noqa: ANN401 - a stranger's JSON
    ident = item.get("id") if isinstance(item, dict) else None
    profile = item.get("profile") if isinstance(item, dict) else None
    if not isinstance(ident, str) or not isinstance(profile, dict):
        msg = (
            f'{file}: workflow {index + 1} must be an object with a string "id" and an object '
            f'"profile", but is {json.dumps(item)[:80]}'
        )
        raise CompatError(msg)
    steps = profile.get("steps", {})
    bad = not isinstance(steps, dict) or [n for n in steps.values() if not isinstance(n, int)]
    if bad:
        msg = f"{file}: the steps of {ident} must be counts by name, but are {json.dumps(steps)}"
        raise CompatError(msg)
    words, uses = vocabulary(), Counter[str]()
    unmapped = [f"undecided: {why}" for why in item.get("undecided", ())]
    for name, count in steps.items():
        unmapped += [] if name in words["steps"] else [f"steps.{name}"]
        uses.update(dict.fromkeys(words["steps"].get(name, ()), count))
    full = {**words["defaults"], **profile}
    known = {rule["field"] for rule in words["rule"]}
    for name, entry in _entries(full):
        if name not in known:
            unmapped += [] if name in words["ignored"]["fields"] else [name]
            continue
        fitting = (r for r in words["rule"] if r["field"] == name and _fits(r, entry, full))
        rule: Mapping[str, Any] = next(fitting, {"unmapped": "no rule fits"})
        uses.update(rule.get("uses", ()))
        if "unmapped" in rule:
            unmapped.append(f"{name} {json.dumps(entry)}: {rule['unmapped']}")
    # In the order of the primitives, so that all pages agree.
    counts = {name: uses[name] for name in PRIMITIVES if uses[name]}
    return Workflow(
        name=ident, asks=str(item.get("asks", "")), uses=counts, unmapped=tuple(unmapped)
    )


def _entries(profile: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield each entry of each field; an object of timeouts has one field for each of them."""
    nested = {
        rule["field"].partition(".")[0] for rule in vocabulary()["rule"] if "." in rule["field"]
    }
    for name, value in profile.items():
        if name in nested and isinstance(value, dict):
            yield from ((f"{name}.{inner}", entry) for inner, entry in value.items())
        else:
            yield from ((name, entry) for entry in (value if isinstance(value, list) else [value]))


def _fits(rule: Mapping[str, Any], entry: Any, profile: Mapping[str, Any]) -> bool:  # noqa: ANN401
    for key, pattern in rule.get("when", {}).items():
        seen = entry if key == "." else entry.get(key) if isinstance(entry, dict) else None
        if pattern == "$events":
            if seen not in profile.get("events", ()):
                return False
        elif seen is None or not re.fullmatch(pattern, str(seen), re.DOTALL):
            return False
    return True


def _table(name: str, counts: Mapping[str, Any]) -> Table:
    words, uses = vocabulary(), Counter[tuple[str, ...]]()
    unmapped = []
    for word, count in counts.items():
        if word in words["counts"] and isinstance(count, int):
            uses[tuple(words["counts"][word])] += count
        elif word not in words["ignored"]["counts"]:
            unmapped.append(word)
    return Table(name=name, uses={k: n for k, n in uses.items() if n}, unmapped=tuple(unmapped))
