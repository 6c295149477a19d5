"""What a guard says of dead runs is evidence: it stands in the history, or nothing does."""

from __future__ import annotations

import threading

from pathlib import Path
from types import SimpleNamespace

import pytest

from harness.history import History
from harness.trial import EXPLAINED, Trial


class Guardian:
    """A guard that says of every run what it was given, one answer after another."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = []

    def explain(self, runs):
        """Say the next answer of each run, and the last one for ever."""
        self.asked.append([*runs])
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return dict.fromkeys(runs, answer) if answer else {}


def told(*unresolved, kind="done"):
    """Return what is said of a run with one effect."""
    line = {"kind": kind, "slot": "pay", "text": "it was"}
    return {"run": "r", "true": [line], "authority": [], "next": [], "unresolved": [*unresolved]}


def explained(guardian, runs=("r1", "r2"), most_s=0.0):
    """Return the events that a trial writes of what a guard says."""
    history = History()
    scene = SimpleNamespace(guardian=guardian, runs=[*runs], history=history)
    trial = Trial(scene=scene, runtime=None, secret="", logs=Path(), stop=threading.Event())
    trial.explain(most_s)
    return list(history)


def test_each_run_has_its_answer():
    """One question for all runs, and an event for each, with the document as it was said."""
    guardian = Guardian(told())
    events = explained(guardian)
    assert [["r1", "r2"]] == guardian.asked
    assert [("explained", "r1", told()), ("explained", "r2", told())] == [
        (event.kind, event.run, event.data) for event in events
    ]


def test_an_answer_on_its_way_is_waited_for():
    """While something is in doubt it asks again; what it writes down is the last answer."""
    guardian = Guardian(told("pay", kind="in doubt"), told())
    assert [told()] == [event.data for event in explained(guardian, ["r"], most_s=5.0)]
    assert 2 == len(guardian.asked)


def test_a_doubt_that_stays_is_written_down():
    """Where nothing settles it, the doubt itself is the evidence."""
    doubt = told("pay", kind="unknown")
    assert [doubt] == [event.data for event in explained(Guardian(doubt), ["r"])]


@pytest.mark.parametrize("guardian", [None, Guardian({})])
def test_nobody_to_ask_is_no_evidence(guardian):
    """Without a guard, or with a dead one, nothing is written."""
    assert [] == explained(guardian)


def test_large_batches_are_not_asked_for():
    """Of hundreds of runs nobody asks: the fault would last as long as that takes."""
    guardian = Guardian(told())
    assert [] == explained(guardian, [f"r{n}" for n in range(EXPLAINED + 1)])
    assert [] == guardian.asked
