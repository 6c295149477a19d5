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
from harness.schedule import Point, Schedule, Stage, parse
from harness.sweep import NO_FAULT, Target


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
        points, then = _points(cell, "points"), _points(cell, "then")
        kept = [name for name in own if name in faults] if points else faults
        wanted = kept if faults else own
        for each in _guards(cell, guard) if wanted else ():
            target = Target(
                case=case(cell["case"]),
                guard=each,
                faults=tuple(name for name in wanted if name != NO_FAULT),
                points=points,
                then=then,
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


def situations(suite: str, guard: str = "") -> list[dict[str, str]]:
    """Return the situations of a suite: what operators call each, its guards and its schedule.

    Raises:
        LoadError: there is no such suite.

    """
    found: list[dict[str, str]] = []
    for cell in _suite(suite)["cells"]:
        name = cell.get("situation")
        if name:
            id_, guards = case(cell["case"]).id, _guards(cell, guard)
            found += [
                {"name": name, "case": id_, "guard": str(each), "schedule": schedule}
                for schedule in _schedules(cell)
                for each in guards
            ]
    return found


def _guards(cell: Mapping[str, Any], guard: str) -> tuple[Guard, ...]:
    """Return the guards of a cell: those that it has, or the one that is asked for."""
    if "guards" not in cell:
        return (Guard(guard or cell["guard"]),)
    return tuple(Guard(each) for each in cell["guards"] if guard in {"", each})


def _points(cell: Mapping[str, Any], key: str) -> tuple[Point, ...]:
    return tuple(parse(f"{text}:{NO_FAULT}").stages[0].point for text in cell.get(key, ()))


def _schedules(cell: Mapping[str, Any]) -> list[str]:
    """Return the schedules of a cell with a situation; without a fault it is the golden run."""
    if cell["faults"] == [NO_FAULT]:
        return [str(Schedule())]
    then = _points(cell, "then")
    return [
        str(Schedule(tuple(Stage(at, name) for at in (point, *then))))
        for name in cell["faults"]
        for point in _points(cell, "points")
    ]


def _suite(name: str) -> Mapping[str, Any]:
    known = suites()
    if name not in known:
        msg = f"unknown suite {name!r}; known: {', '.join(known)}"
        raise LoadError(msg)
    return known[name]
