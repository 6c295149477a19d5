"""A workflow written by hand for its engine stands the same deaths as the portable program."""

from __future__ import annotations

import pytest

from support.campaign import CAMPAIGN
from support.sweeps import sweep, target

from harness.load import load


ENGINES = ["restate", *(["dbos", "hatchet", "inngest", "temporal"] if CAMPAIGN else [])]
CASES = {
    "migration[O]": 40,
    **({"migration[O,throttled]": 44, "fan_out[O]": 16, "webhook[O]": 22} if CAMPAIGN else {}),
}


def _found(swept):
    return {
        (row["case"], row["schedule"]): (row["outcome"], row["end"], row["violated"])
        for row in swept.broken
    }


@pytest.mark.engine
@pytest.mark.parametrize(
    "engine", [pytest.param(name, marks=pytest.mark.xdist_group(name)) for name in ENGINES]
)
def test_native_and_portable_agree(engine, tmp_path):
    """Killed at every point, both end alike and violate the same, and nothing is unknown."""
    rows = [target(case, "kill(worker)") for case in CASES]
    places = (f"runtimes.{engine}.native.adapter", f"runtimes.{engine}.adapter")
    native, portable = (
        sweep(load(f"{place}:RUNTIME", "RUNTIME"), tmp_path / place, *rows, confirm=False)
        for place in places
    )

    if native.skips:
        pytest.skip(native.skips[0])
    assert [] == native.surprises
    assert sum(CASES.values()) == native.judged == native.planned
    assert _found(portable) == _found(native)
