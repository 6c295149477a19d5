"""Whether the long tests are wanted, and which runtimes there are.

``BAKEOFF_CAMPAIGN=1`` asks for campaigns, ``BAKEOFF_CONFORMANCE=1`` for the checks of engines.
"""

from __future__ import annotations

import os

import pytest

from harness.load import load, names
from harness.runtime import Kind, Runtime


CONFORMANCE = os.environ.get("BAKEOFF_CONFORMANCE") == "1"
CAMPAIGN = os.environ.get("BAKEOFF_CAMPAIGN") == "1"
only_in_campaign = pytest.mark.skipif(not CAMPAIGN, reason="long; set BAKEOFF_CAMPAIGN=1")


def runtime(name: str) -> Runtime:
    """Return the runtime of an entry point."""
    return load(names("runtimes")[name], "RUNTIME")


def every_runtime() -> list[object]:
    """Return a parameter for each entry point; what needs an engine or an SDK is marked.

    The parameters of one runtime share an xdist group, so that no two servers of a kind
    start at the same time.
    """
    embedded = {"naive", "checkpoint", "reference"}
    return [
        pytest.param(
            name,
            marks=[
                pytest.mark.xdist_group(name),
                *([] if name in embedded else [pytest.mark.engine]),
            ],
        )
        for name in names("runtimes")
    ]


def only_in_conformance(parameters: list[object]) -> list[object]:
    """Leave one runtime to the plain test run, the one without an engine that promises most.

    The controls share its engine, and real engines take minutes.
    """
    skip = pytest.mark.skipif(not CONFORMANCE, reason="long; run nox -s conformance")
    return [
        one if one.values == ("reference",) else pytest.param(*one.values, marks=[*one.marks, skip])
        for one in parameters
    ]


def has_server(name: str) -> bool:
    """Say whether a server can be killed."""
    return runtime(name).kind is Kind.SERVER
