"""Signatures: each has evidence that shows it, and evidence beside it that does not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.history import Event
from harness.load import load, names
from harness.oracle import Expectation
from harness.signature import GOVERNS, Evidence, Signature, classify, diagnosis, evidence


WELL = Evidence(run="r", status="running", moves="yes", worker="alive", work="open")

CASES = [
    (Signature.CLEAN, WELL),
    (Signature.CLEAN, replace(WELL, status="completed", moves="unknown", worker="gone")),
    (Signature.CLEAN, replace(WELL, status="escalated")),
    (Signature.CLEAN, replace(WELL, status="waiting")),
    (Signature.CHAIN_BROKEN, replace(WELL, moves="no", work="done")),
    (Signature.CHAIN_BROKEN, replace(WELL, status="failed", work="done", worker="gone")),
    (Signature.ORPHANED_CLAIM, replace(WELL, moves="no", claim="w1", claimant="gone")),
    (Signature.STUCK_RUN, replace(WELL, moves="no", claim="w1", claimant="alive")),
    (Signature.SDK_UNREACHABLE, replace(WELL, status="retrying", worker="gone")),
    (Signature.CLEAN, replace(WELL, status="retrying", worker="alive")),
    (Signature.ATTEMPTS_BURNT, replace(WELL, status="failed", worker="gone")),
    (Signature.ATTEMPTS_BURNT, replace(WELL, status="dead")),
    (Signature.UNKNOWN, replace(WELL, status="failed", erred=True)),
    (Signature.HUNG_HANDLER, replace(WELL, moves="no", open=True)),
    (Signature.STUCK_RUN, replace(WELL, moves="no")),
    (Signature.LOST_RUN, replace(WELL, status="absent")),
    (Signature.UNKNOWN, replace(WELL, status="unknown")),
    (Signature.UNKNOWN, replace(WELL, status="absent", accepted=False)),
    (Signature.UNKNOWN, replace(WELL, moves="unknown")),
]


@pytest.mark.parametrize(("expected", "seen"), CASES)
def test_classify(expected, seen):
    """Each kind of evidence has one name."""
    assert expected is classify(seen)


def test_every_signature_is_reached():
    """Every signature is reached."""
    assert set(Signature) == {expected for expected, _ in CASES}


def test_governing_setting_is_named():
    """The runtime's own name of the setting and its value stand in the diagnosis."""
    settings = {"governs": {"attempts": "retries"}, "retries": 4}

    told = diagnosis(replace(WELL, status="failed", worker="gone"), settings)

    assert ("retries", 4) == (told.setting, told.value)
    assert "the engine says failed" in told.evidence


def test_a_well_run_has_no_setting():
    """A well run has no setting."""
    assert "" == diagnosis(WELL, {"governs": {"attempts": "retries"}, "retries": 4}).setting


EXPECTED = Expectation(
    exact=True,
    ends=frozenset({"completed"}),
    violated=frozenset(),
    permitted=frozenset(),
    owed=(("r", "mail"),),
    world={},
    output=None,
)


def _history(*lines):
    return [
        Event(index, index * 1_000, kind, run, data)
        for index, (kind, run, data) in enumerate(lines)
    ]


def _view(**data):
    base = {"status": "running", "moves": "no", "claim": "", "detail": {}, "output": None}
    return ("view", "r", base | data)


CALL = ("call", "r", {"incarnation": "w-1", "seq": 1, "step": "mail"})
REPLY = ("reply", "r", {"incarnation": "w-1", "seq": 1, "step": "mail", "reply": {"status": "ok"}})
HANG = (
    "reply",
    "r",
    {"incarnation": "w-1", "seq": 1, "step": "mail", "reply": {"status": "hang"}},
)
BORN = ("attached", "", {"incarnation": "w-1"})
DIED = ("exit", "", {"incarnation": "w-1"})
DONE = ("apply", "r", {"step": "mail"})


@pytest.mark.parametrize(
    ("expected", "lines"),
    [
        (Signature.CHAIN_BROKEN, [BORN, CALL, DONE, REPLY, _view()]),
        (Signature.STUCK_RUN, [BORN, CALL, REPLY, _view()]),
        (Signature.HUNG_HANDLER, [BORN, CALL, HANG, _view()]),
        (Signature.SDK_UNREACHABLE, [BORN, CALL, DIED, _view()]),
        (Signature.CLEAN, [BORN, CALL, DONE, REPLY, _view(status="completed")]),
        (Signature.ATTEMPTS_BURNT, [BORN, CALL, DIED, _view(status="failed")]),
        (Signature.LOST_RUN, [BORN, CALL, _view(status="absent")]),
    ],
)
def test_history_tells(expected, lines):
    """A trial gives the evidence of a deployment."""
    seen = evidence(_history(*lines), EXPECTED)

    assert seen is not None
    assert expected is classify(seen)


def test_claim_of_the_dead_is_orphaned():
    """Another worker lives, but the one that holds the run is dead."""
    other = ("attached", "", {"incarnation": "w-2"})
    seen = evidence(_history(BORN, CALL, DIED, other, _view(claim="w-1")), EXPECTED)

    assert seen is not None
    assert Signature.ORPHANED_CLAIM is classify(seen)


def test_without_a_view_there_is_no_evidence():
    """Without a view there is no evidence."""
    assert evidence(_history(BORN, CALL), EXPECTED) is None


@pytest.mark.parametrize("name", names("runtimes"))
def test_governing_settings_exist(name):
    """Every runtime that ever ran says which of its settings decides each kind, and has it."""
    runtime = load(names("runtimes")[name], "RUNTIME")
    for profile in runtime.profiles:
        settings = runtime.settings(profile)
        if settings.get("never_run"):
            assert "governs" not in settings
            continue

        assert set(GOVERNS.values()) == set(settings["governs"])
        assert set(settings["governs"].values()) <= set(settings)
