"""Deadlines: every wait ends, and says what it waited for."""

from __future__ import annotations

import threading
import time

import pytest

from harness.deadline import Deadline, DeadlineError, Patience, wait_until


def test_deadline() -> None:
    """A deadline counts down and is over once it has passed."""
    later, past = Deadline.after(60.0), Deadline.after(-1.0)
    assert 59.0 < later.left_s <= 60.0
    assert not later.over
    assert (0.0, True) == (past.left_s, past.over)


def test_what_holds_already() -> None:
    """What holds is not waited for, even when the time is up."""
    wait_until(lambda: True, Deadline.after(-1.0), "it holds")


def test_asked_again() -> None:
    """The question is asked until the answer is yes."""
    answers = iter([False, False, True])
    wait_until(lambda: next(answers), Deadline.after(10.0), "it holds", poll_s=0.001)
    assert next(answers, "asked three times") == "asked three times"


def test_missed() -> None:
    """A missed deadline says what was waited for."""
    with pytest.raises(DeadlineError) as caught:
        wait_until(lambda: False, Deadline.after(0.01), "the sun rises", poll_s=0.001)
    assert str(caught.value) == "timed out waiting until the sun rises"


def test_asked_at_least_once() -> None:
    """A deadline that is over still lets the question be asked once."""
    asked: list[bool] = []
    with pytest.raises(DeadlineError):
        wait_until(lambda: bool(asked.append(True)), Deadline.after(-1.0), "never")
    assert [True] == asked


def test_woken_by_news() -> None:
    """News end the wait at once, however long the poll."""
    news, told = threading.Event(), threading.Event()
    began_s = time.monotonic()

    def tell() -> None:
        told.set()
        news.set()

    timer = threading.Timer(0.01, tell)
    timer.start()
    wait_until(told.is_set, Deadline.after(60.0), "told", poll_s=60.0, changed=news)
    timer.join()
    assert time.monotonic() - began_s < 30.0


def test_an_error_of_the_question() -> None:
    """A question that raises is not asked again."""

    def ask() -> bool:
        msg = "broken"
        raise ValueError(msg)

    with pytest.raises(ValueError, match="broken"):
        wait_until(ask, Deadline.after(10.0), "never")


@pytest.mark.parametrize(
    ("began_ago_s", "moved_ago_s", "over"),
    [
        (5.0, 5.0, False),
        (20.0, 20.0, True),
        (20.0, 5.0, False),
        (5.0, 20.0, False),
        (99.0, 0.0, True),
    ],
)
def test_patience(began_ago_s: float, moved_ago_s: float, *, over: bool) -> None:
    """Patience lasts ten idle seconds after the last progress, and ninety in any case."""
    now_s = time.monotonic()
    patience = Patience(10.0, lambda: now_s - moved_ago_s, 90.0, now_s - began_ago_s)
    assert over is patience.over
    assert over is (patience.left_s == 0.0)


def test_patience_that_is_exhausted() -> None:
    """A wait with patience ends when nothing moves any more."""
    with pytest.raises(DeadlineError, match="waiting until it moves"):
        wait_until(lambda: False, Patience(0.01, lambda: 0.0), "it moves", poll_s=0.001)
