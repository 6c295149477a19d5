"""The negative controls fail, and exactly where the model says that they must."""

from __future__ import annotations

import pytest

from support.sweeps import sweep, target

from harness.load import load, resolve
from harness.oracle import Outcome


CELLS = [
    ("migration[O]", "none"),
    ("migration[K]", "keys"),
    ("fan_out[O]", "none"),
    ("approval[O]", "none"),
]
CONTROLS = ["naive", "checkpoint"]


def _runtime(name):
    return load(resolve("runtimes", name), "RUNTIME")


@pytest.mark.parametrize("name", CONTROLS)
@pytest.mark.parametrize(("case", "guard"), CELLS, ids=[f"{c}-{g}" for c, g in CELLS])
def test_observed_is_predicted_at_every_point(name, case, guard, tmp_path):
    """Observed equals predicted at every point, none is unknown, and unguarded controls fail."""
    found = sweep(
        _runtime(name), tmp_path, target(case, "kill(worker)", guard=guard), confirm=False
    )

    assert [] == found.surprises
    assert found.planned == found.judged > 0
    for row in found.broken:
        told = {v["oracle"] for v in row["verdicts"] if v["outcome"] == Outcome.VIOLATED}
        assert set(row["violated"]) == told
        assert all(v["predicted"] for v in row["verdicts"] if v["oracle"] in told)
    failed = {row["schedule"] for row in found.broken if "duplicate_effect" in row["violated"]}
    assert bool(failed) is (guard == "none")


def test_checkpoint_repeats_only_the_step_in_flight(tmp_path):
    """Its violations in the migration are at the after_effect points of what acts once."""
    found = sweep(_runtime("checkpoint"), tmp_path, target("migration[O]", "kill(worker)"))

    acts_once = ("truncate_source", "cut_over", "notify")
    assert {f"{step}/after_effect#1:kill(worker)" for step in acts_once} == {
        row["schedule"] for row in found.broken if row["violated"]
    }
    assert {"single", "batch"} == {row["mode"] for row in found.broken}
