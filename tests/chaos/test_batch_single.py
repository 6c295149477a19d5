"""A batch searches, a single trial proves: both must say the same of a schedule."""

from __future__ import annotations

import random

import pytest

from support.campaign import CAMPAIGN, quick_runtimes, runtime
from support.sweeps import golden, schedules, started, target

from harness.runtime import RuntimeUnavailableError


FAULT = "kill(worker)"
SEED = 20
SAMPLE = 5


def _found(rows):
    return {row["schedule"]: (row["outcome"], row["end"], row["violated"]) for row in rows}


@pytest.mark.parametrize("name", quick_runtimes())
def test_batch_and_single_agree(name, tmp_path):
    """What a schedule showed among 40 it shows alone: outcome, end and violated oracles."""
    row = target("migration[O]", FAULT)
    try:
        with started(runtime(name), tmp_path, row) as column:
            _, clean, points = golden(column, row)
            assert "ok" == clean["outcome"], clean
            every = schedules(points, FAULT)
            chosen = every if CAMPAIGN else random.Random(SEED).sample(every, SAMPLE)  # noqa: S311
            _, many = column.trial(row, FAULT, 1, "batch", tuple(every))
            alone = []
            for index, schedule in enumerate(chosen):
                alone += column.trial(row, FAULT, 1, f"single-{index}", (schedule,))[1]
    except RuntimeUnavailableError as error:
        pytest.skip(str(error))

    batch = _found(many)
    assert 40 == len(batch)
    assert {schedule: batch[schedule] for schedule in _found(alone)} == _found(alone)
    assert "unknown" not in {outcome for outcome, _, _ in batch.values()}
