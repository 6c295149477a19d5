"""Every runtime carries out every command, with and without a death in between."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from conformance.columns import columns
from support.campaign import runtime
from support.sweeps import abreast, golden, schedules, started, target

from harness.runtime import RuntimeUnavailableError
from harness.schedule import Point


CASE = str(Path(__file__).with_name("every_command.py"))
FAULT = "kill(worker)"
TOGETHER = [
    Point("note", "after_ack"),
    Point("choose", "after_ack"),
    Point("mail_right", "after_ack"),
    Point("recall", "before_effect"),
    Point("recall", "after_ack"),
    Point("mail_end", "after_ack"),
    Point("", "finalize"),
]
ALONE = [
    Point("rest", "waiting"),
    Point("called friend", "waiting"),
]
OUTPUT = {
    "chose": ["left", "right"],
    "sides": ["ok", "ok"],
    "child": {"of": "you", "sent": "ok"},
    "silence": "timeout",
    "answer": ["ok", {"tea": True}],
    "same moment": True,
    "time does not go back": True,
    "luck is in range": True,
    "done": "ok",
}


def _applied(events, run):
    """Return how often each step of a run and its children was applied."""
    return Counter(
        event.data["step"]
        for event in events
        if event.kind == "apply" and event.run.partition(".")[0] == run
    )


def _output(events, run):
    views = [event for event in events if event.kind == "view" and event.run == run]
    return views[-1].data["status"], views[-1].data["output"]


@pytest.fixture(scope="module")
def trials(request, tmp_path_factory):
    """Run the program golden, then killed: at some points together, and at two waits alone."""
    name = request.param
    if getattr(runtime(name), "scenarios", None) is not None:
        pytest.skip("it runs workflows written by hand, and not this program")
    row = target(CASE, FAULT)
    found = {}
    try:
        with started(runtime(name), tmp_path_factory.mktemp(name), row) as column:
            events, clean, points = golden(column, row)
            found["golden"] = [(clean, events)]
            offered = [point for point in (*TOGETHER, *ALONE) if point in points]
            together = schedules([p for p in offered if p in TOGETHER], FAULT)
            alone = schedules([point for point in offered if point in ALONE], FAULT)
            trials = {"batch": (FAULT, together)}
            trials |= {f"alone-{index}": (FAULT, (one,)) for index, one in enumerate(alone)}
            found["killed"] = [
                (judged, events)
                for events, rows in abreast(column, row, trials).values()
                for judged in rows
            ]
    except RuntimeUnavailableError as error:
        pytest.skip(str(error))
    return found


def _each():
    return pytest.mark.parametrize("trials", columns(), indirect=True)


@_each()
def test_all_commands_work(trials):
    """Without a fault the run completes with the output that the program describes."""
    [(row, events)] = trials["golden"]

    assert ("completed", OUTPUT) == _output(events, row["run"])
    assert "ok" == row["outcome"], row


@_each()
def test_child_and_listener_run_once(trials):
    """The invoked child and the run that the event starts each act exactly once."""
    [(row, events)] = trials["golden"]
    applied = _applied(events, row["run"])

    assert 1 == applied["child_mail"] == applied["listener_mail"] == applied["mail_right"]


@_each()
def test_death_changes_no_answer(trials):
    """A run whose worker was killed completes with the same output: values are recorded."""
    told = {
        row["schedule"]: _output(events, row["run"])
        for row, events in trials["killed"]
        if row["end"] != "escalated"
    }

    assert told
    assert dict.fromkeys(told, ("completed", OUTPUT)) == told


@_each()
def test_death_repeats_no_child(trials):
    """Whatever step the worker died at, child and listener acted exactly once."""
    told = {row["schedule"]: _applied(events, row["run"]) for row, events in trials["killed"]}

    for schedule, applied in told.items():
        assert 1 == applied["child_mail"] == applied["listener_mail"], schedule


@_each()
def test_every_point_is_judged(trials):
    """Each chosen point is reached and judged as predicted, the two waits among them."""
    assert [] == [
        (row["schedule"], row["outcome"], row["unpredicted"], row["absent"], row["why"])
        for row, _ in trials["killed"]
        if row["surprising"] or row["outcome"] == "unknown"
    ]
    assert {str(point) for point in (*TOGETHER, *ALONE)} == {
        row["schedule"].rpartition(":")[0] for row, _ in trials["killed"]
    }
