"""Whether the long tests are wanted, and which runtimes there are.

``BAKEOFF_CAMPAIGN=1`` asks for campaigns; what conformance asks for is in its ``columns.py``.
"""

from __future__ import annotations

import os

from typing import Any

import pytest

from harness.load import load, names
from harness.runtime import Kind, Runtime


CAMPAIGN = os.environ.get("BAKEOFF_CAMPAIGN") == "1"
only_in_campaign = pytest.mark.skipif(not CAMPAIGN, reason="long; set BAKEOFF_CAMPAIGN=1")


def runtime(name: str) -> Runtime:
    """Return the runtime of an entry point."""
    return load(names("runtimes")[name], "RUNTIME")


def every_runtime(*, variants: bool = CAMPAIGN) -> list[Any]:
    """Return a parameter for each runtime; what needs an engine or an SDK is marked.

    Without ``variants`` it is one for each package that can run here: what a package offers
    beside its ``RUNTIME`` is the same engine over another store or transport.  The parameters
    of one runtime share an xdist group, so that no two servers of a kind start at once.
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
        for name, place in names("runtimes").items()
        if variants
        or (place.endswith(":RUNTIME") and getattr(runtime(name), "scenarios", None) is None)
    ]


def quick_runtimes() -> list[Any]:
    """Return those whose single trials take about a second; in a campaign, all of them."""
    quick = {"naive", "checkpoint", "reference", "dbos", "restate"}
    return [one for one in every_runtime() if CAMPAIGN or one.values[0] in quick]


def has_server(name: str) -> bool:
    """Say whether a server can be killed."""
    return runtime(name).kind is Kind.SERVER
