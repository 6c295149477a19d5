"""The smoke suite on every runtime that is here: all points judged, none unknown."""

from __future__ import annotations

import pytest

from support.campaign import CAMPAIGN, every_runtime, has_server


POINTS = 40
QUICK = {"restate", "temporal"}


@pytest.mark.parametrize("name", every_runtime())
def test_smoke(name, home):
    """All 40 points of the migration are judged under each kill, and all are as predicted."""
    # Where a server takes half a minute or more to come back to its work, it is for campaigns.
    server = has_server(name) and (CAMPAIGN or name in QUICK)
    faults = ["kill(worker)", *(["kill(server)"] if server else [])]

    done = home.run(
        *("run", "--suite", "smoke", "--runtime", name, "--no-controls", "--json"),
        *(word for fault in faults for word in ("--fault", fault)),
        "--confirm" if CAMPAIGN else "--no-confirm",
        timeout_s=400.0,
    )

    found = done.json()
    if not found["cells"]:
        pytest.skip(found["skips"][0]["reason"])
    assert 0 == done.code, done.text
    assert [] == found["skips"]
    assert {(fault, POINTS, 0, 0) for fault in faults} == {
        (cell["fault"], cell["schedules"], cell["unknown"], cell["surprising"])
        for cell in found["cells"]
    }
