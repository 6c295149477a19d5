"""Suites: which cells a sweep has, read from ``suites.toml`` beside the scenarios."""

from __future__ import annotations

import tomllib

from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

from harness.effects import Guard
from harness.faults import fault
from harness.load import LoadError, load_scenario, resolve
from harness.model import ideal
from harness.plan import arg_of
from harness.scenario import Case, ScenarioError, cases
from harness.schedule import parse
from harness.sweep import Target


DEFAULT_FAULTS = ("kill(worker)", "kill(server)")


def suites() -> Mapping[str, Mapping[str, Any]]:
    """Return all suites by name."""
    return tomllib.loads(files("scenarios").joinpath("suites.toml").read_text(encoding="utf-8"))


def case(text: str) -> Case:
    """Return the case that ``NAME``, ``NAME[O,variant]`` or ``./file.py[K]`` names.

    Raises:
        LoadError: there is no such scenario, or its file cannot be loaded.
        ScenarioError: it has no such tier or variant.

    """
    name, _, inner = text.partition("[")
    reference = resolve("scenarios", name)
    found = cases(load_scenario(reference), reference, inner.rstrip("]"))[0]
    try:
        ideal(found, "r", arg_of(found, "r"))
    except Exception as error:
        msg = f"{found.id} cannot be run: {type(error).__name__}: {error}"
        raise ScenarioError(msg) from error
    return found


def default_case() -> str:
    """Return the case that is meant where none is named: the standard suite's first."""
    return str(suites()["standard"]["cells"][0]["case"])


def targets(
    suite: str, scenarios: Sequence[str], faults: Sequence[str], guard: str
) -> tuple[Target, ...]:
    """Return the targets of a suite, or those of the scenarios and faults that are named.

    Named faults take the place of a cell's own; where a cell names its points, it is about its own
    faults, and stays only with those of them that are named.

    Raises:
        LoadError: there is no such suite, a scenario cannot be loaded, or nothing is left.
        FaultError: there is no such fault.

    """
    for name in faults:
        fault(name)
    if scenarios:
        names = tuple(faults or DEFAULT_FAULTS)
        return tuple(
            Target(case=case(text), guard=Guard(guard or "none"), faults=names)
            for text in scenarios
        )
    chosen = _suite(suite)
    found = []
    for cell in chosen["cells"]:
        own = cell.get("faults") or chosen["faults"]
        points = tuple(parse(f"{text}:none").stages[0].point for text in cell.get("points", ()))
        kept = [name for name in own if name in faults] if points else faults
        wanted = kept if faults else own
        if wanted:
            target = Target(
                case=case(cell["case"]),
                guard=Guard(guard or cell["guard"]),
                faults=tuple(wanted),
                points=points,
            )
            found.append(target)
    if not found:
        msg = f"suite {suite} has no cell with {', '.join(faults)}; give a --scenario instead"
        raise LoadError(msg)
    return tuple(found)


def columns(suite: str) -> tuple[str, ...]:
    """Return the runtimes that a suite names; none for all.

    Raises:
        LoadError: there is no such suite.

    """
    return tuple(_suite(suite).get("runtimes", ()))


def situations(suite: str) -> list[dict[str, str]]:
    """Return the situations of a suite: what operators call each, and its schedule.

    Raises:
        LoadError: there is no such suite.

    """
    return [
        {"name": cell["situation"], "case": cell["case"], "schedule": f"{point}:{fault_}"}
        for cell in _suite(suite)["cells"]
        if "situation" in cell
        for fault_ in cell["faults"]
        for point in cell["points"]
    ]


def _suite(name: str) -> Mapping[str, Any]:
    known = suites()
    if name not in known:
        msg = f"unknown suite {name!r}; known: {', '.join(known)}"
        raise LoadError(msg)
    return known[name]
