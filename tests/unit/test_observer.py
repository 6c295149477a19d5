"""Diagnosis of a deployment: read-only unless asked, and never at what may be alive."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from harness import observer
from harness.observer import Remedy, examine, fix
from harness.signature import Evidence, Signature


DEAD = Evidence(run="r1", status="running", moves="no", worker="alive", claim="w", claimant="gone")
SETTINGS = {"governs": {"dead_worker": "lease_s"}, "lease_s": 30.0}


@dataclass
class Deployment:
    """A deployment as one list after the other; the last stays."""

    looks: list
    proven: bool = True
    done: list = field(default_factory=list)

    def look(self, older_than_s):
        del older_than_s
        return self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]

    def remedy(self, seen, signature):
        del signature
        return Remedy(run=seen.run, does="resume it", harms="nobody", proven=self.proven, verb="x")

    def carry_out(self, remedy):
        self.done.append(remedy.run)
        return "resumed"


def test_only_what_is_wrong_is_listed():
    """Only what is wrong is listed."""
    well = replace(DEAD, run="r2", moves="yes")

    [found] = examine(Deployment([[DEAD, well]]), SETTINGS, 60.0)

    assert ("r1", Signature.ORPHANED_CLAIM) == (found.run, found.diagnosis.signature)
    assert ("lease_s", 30.0) == (found.diagnosis.setting, found.diagnosis.value)


def test_examining_changes_nothing():
    """Examining changes nothing."""
    deployment = Deployment([[DEAD]])
    examine(deployment, SETTINGS, 60.0)

    assert [] == deployment.done


def test_proven_is_mended():
    """Proven is mended: it is done once, and the same is not seen any more."""
    deployment = Deployment([[DEAD], [DEAD], []])

    [mended] = fix(deployment, SETTINGS, 60.0, examine(deployment, SETTINGS, 60.0))

    assert ["r1"] == deployment.done
    assert ("resumed", True) == (mended.done, mended.mended)


def test_what_did_not_help_is_not_mended(monkeypatch):
    """What was done counts only where it is seen to have helped."""
    monkeypatch.setattr(observer, "MEND_S", 0.0)
    deployment = Deployment([[DEAD]])

    [left] = fix(deployment, SETTINGS, 60.0, examine(deployment, SETTINGS, 60.0))

    assert ["r1"] == deployment.done
    assert ("resumed", False) == (left.done, left.mended)


def test_unproven_is_left_alone():
    """Unproven is left alone."""
    deployment = Deployment([[DEAD]], proven=False)

    [left] = fix(deployment, SETTINGS, 60.0, examine(deployment, SETTINGS, 60.0))

    assert [] == deployment.done
    assert "" == left.done


def test_what_moved_meanwhile_is_left_alone():
    """Between the look and the act the run went on: nothing is done to it."""
    deployment = Deployment([[DEAD], []])

    [left] = fix(deployment, SETTINGS, 60.0, examine(deployment, SETTINGS, 60.0))

    assert [] == deployment.done
    assert left.done.startswith("left alone")


def test_what_changed_its_nature_is_left_alone():
    """What changed its nature is left alone."""
    other = replace(DEAD, claimant="alive", open=True)
    deployment = Deployment([[DEAD], [other]])

    [left] = fix(deployment, SETTINGS, 60.0, examine(deployment, SETTINGS, 60.0))

    assert [] == deployment.done
    assert left.done.startswith("left alone")
