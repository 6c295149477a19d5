"""Which runtimes the checks are for.

``BAKEOFF_CONFORMANCE=1`` asks for the checks of engines, one runtime of each package: what a
package offers beside its ``RUNTIME`` is the same engine over another store or transport.
``BAKEOFF_CONFORMANCE=all`` asks for those too.
"""

from __future__ import annotations

import os

import pytest

from support.campaign import every_runtime


ASKED = os.environ.get("BAKEOFF_CONFORMANCE", "")
_LONG = pytest.mark.skipif(not ASKED, reason="long; run nox -s conformance")


def columns() -> list[object]:
    """Return a parameter for each runtime; for variants too, where all are asked for."""
    return every_runtime(variants=ASKED == "all")


def only_if_asked() -> list[object]:
    """Leave one runtime to the plain test run, the one without an engine that promises most.

    The controls share its engine, and real engines take minutes.
    """
    return [
        one
        if one.values == ("reference",)
        else pytest.param(*one.values, marks=[*one.marks, _LONG])
        for one in columns()
    ]
