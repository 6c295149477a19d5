"""Finding runtimes and scenarios: by name, by ``module:attribute``, or by a path to a file."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import traceback

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from harness.scenario import Scenario


class LoadError(Exception):
    """Nothing usable under that reference; the message says what was expected and seen."""


@cache
def names(group: str) -> Mapping[str, str]:
    """Return the entry points of ``bakeoff.GROUP``: name to ``module:attribute``.

    They are looked up once: every file of every installed package is opened for it.
    """
    from importlib.metadata import entry_points  # noqa: PLC0415 - a worker needs none

    return {point.name: point.value for point in entry_points(group=f"bakeoff.{group}")}


def resolve(group: str, reference: str) -> str:
    """Return the full reference of a name, an entry point or a path.

    Raises:
        LoadError: it is none of them.

    """
    known = names(group)
    if reference in known:
        return known[reference]
    path, _, attribute = reference.partition(":")
    if path.endswith(".py"):
        if not Path(path).is_file():
            msg = f"{reference}: there is no file {path}"
            raise LoadError(msg)
        return f"{Path(path).resolve()}:{attribute}"
    if ":" in reference:
        return reference
    listed = ", ".join(known)
    msg = f"unknown {group[:-1]} {reference!r}; known: {listed}; or module:attribute, or ./file.py"
    raise LoadError(msg)


def load(reference: str, default: str) -> Any:  # noqa: ANN401 - whatever is there
    """Import what a full reference names; ``default`` is the attribute if it names none.

    Raises:
        LoadError: it cannot be imported, or has no such attribute.

    """
    place, _, attribute = reference.rpartition(":")
    try:
        module = _file(Path(place)) if place.endswith(".py") else importlib.import_module(place)
    except SyntaxError as error:
        msg = f"{error.filename}, line {error.lineno}: {error.msg}"
        raise LoadError(msg) from error
    except ImportError as error:
        msg = f"{place} cannot be imported: {error}"
        raise LoadError(msg) from error
    except Exception as error:  # whatever a stranger's file does when it is imported
        line = traceback.extract_tb(error.__traceback__)[-1]
        msg = f"{line.filename}, line {line.lineno}: {type(error).__name__}: {error}"
        raise LoadError(msg) from error
    wanted = attribute or default
    if not hasattr(module, wanted):
        found = ", ".join(name for name in vars(module) if name.isupper()) or "none in capitals"
        msg = f"{place} has no attribute {wanted!r} (it has {found})"
        raise LoadError(msg)
    return getattr(module, wanted)


def load_scenario(reference: str) -> Scenario:
    """Return the scenario of a full reference.

    Raises:
        LoadError: it is missing, or no ``Scenario``.

    """
    found = load(reference, "SCENARIO")
    if not isinstance(found, Scenario):
        msg = f"{reference}: expected a harness.scenario.Scenario, seen {type(found).__name__}"
        raise LoadError(msg)
    return found


def _file(path: Path) -> Any:  # noqa: ANN401 - a module
    name = f"bakeoff_file_{path.stem}_{abs(hash(str(path)))}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        msg = f"{path} is no Python file"
        raise LoadError(msg)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
