"""Who tests the tester: every planted defect is convicted by the oracle that is named for it."""

from __future__ import annotations

import importlib.util
import sys

from pathlib import Path

import pytest

from support.sweeps import sweep, target

from harness.oracles import ORACLES


def _family():
    """Import the family from its file: importlib mode knows no packages of tests."""
    path = Path(__file__).parent / "defects" / "family.py"
    spec = importlib.util.spec_from_file_location("defects_family", path)
    module = sys.modules.setdefault("defects_family", importlib.util.module_from_spec(spec))
    spec.loader.exec_module(module)
    return module


FAMILY = _family()
PLACES = sorted({(d.case, d.fault, d.guard) for d in FAMILY.DEFECTS})


@pytest.mark.parametrize(
    "defect", FAMILY.DEFECTS, ids=[f"{d.name}-{d.fault}" for d in FAMILY.DEFECTS]
)
def test_defect_is_convicted(defect, tmp_path):
    """The named oracle finds the defect, and the model does not excuse it."""
    row = target(defect.case, defect.fault, guard=defect.guard)

    found = sweep(defect.runtime, tmp_path, row, confirm=False)

    convicted = {
        oracle
        for judged in found.broken
        if judged["outcome"] == "violated"
        for oracle in judged["unpredicted"]
    }
    assert defect.oracle in convicted, found.surprises


@pytest.mark.parametrize(("case", "fault", "guard"), PLACES, ids=[f"{p[0]}-{p[1]}" for p in PLACES])
def test_sound_reference_is_as_predicted(case, fault, guard, tmp_path):
    """The same sweep of the same worker without a defect contradicts the model nowhere."""
    found = sweep(FAMILY.DEFECTIVE, tmp_path, target(case, fault, guard=guard), confirm=False)

    assert [] == found.surprises
    assert [] == found.skips
    assert found.planned == found.judged > 0


def test_every_safeguard_is_broken_once():
    """No safeguard of the reference is without a defect that breaks it."""
    assert {defect.safeguard for defect in FAMILY.DEFECTS} == FAMILY.SAFEGUARDS


def test_every_oracle_convicts_something():
    """Each oracle that can accuse has a defect that only it is named for.

    Two need a runtime that takes cancellations and ignores them (`test_faults`), one a server
    that loses its store (`test_finalization`), one a stranger's words (`test_semantic`), one a
    gateway with a defect (`test_gateway_log`).
    """
    elsewhere = {"cancelled_effect", "cancel_ignored", "lost_run", "overreach"}
    elsewhere |= {"unlogged_effect"}
    assert {defect.oracle for defect in FAMILY.DEFECTS} == set(ORACLES) - {"vacuity"} - elsewhere
