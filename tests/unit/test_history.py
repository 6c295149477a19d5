"""The history: one order, on disk at once, and readable after any death."""

from __future__ import annotations

import json
import threading

from pathlib import Path

import pytest

from harness.history import Event, History, read, split


def event(index: int, run: str, kind: str = "call") -> Event:
    """Return an event at a place."""
    return Event(index, index, kind, run, {})


def test_order() -> None:
    """Events get the next index and a time that never goes back."""
    history = History()
    for number in range(5):
        history.append("call", "r", number=number)
    assert [0, 1, 2, 3, 4] == [e.index for e in history] == [e.data["number"] for e in history]
    times = [e.t_ns for e in history]
    assert sorted(times) == times
    assert (5, "call", "r") == (len(history), history[0].kind, history[0].run)
    assert [3, 4] == [e.index for e in history[3:]]


def test_order_of_many_writers() -> None:
    """Writers of several threads share one order, and the file has the same."""
    history = History()
    seen: list[int] = []
    history.subscribe(lambda found: seen.append(found.index))

    def write() -> None:
        for _ in range(200):
            history.append("call", "r")

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(range(800)) == [e.index for e in history] == seen


def test_live(tmp_path: Path) -> None:
    """An event is on disk before ``append`` returns."""
    path = tmp_path / "history.jsonl"
    with History(path) as history:
        written = history.append("call", "r", step="s")
        assert [written] == read(path)
        assert [0, written.t_ns, "call", "r", {"step": "s"}] == json.loads(path.read_text())


def test_closed(tmp_path: Path) -> None:
    """What comes after the end stays in memory."""
    path = tmp_path / "history.jsonl"
    with History(path) as history:
        history.append("call")
    history.append("late")
    assert (1, 2) == (len(read(path)), len(history))


def test_an_existing_file_is_refused(tmp_path: Path) -> None:
    """Raw files never change."""
    path = tmp_path / "history.jsonl"
    path.write_text("[]\n")
    with pytest.raises(FileExistsError):
        History(path)
    assert path.read_text() == "[]\n"


def test_torn_last_line(tmp_path: Path) -> None:
    """A line that a kill tore is left out; those before it are whole."""
    path = tmp_path / "history.jsonl"
    with History(path) as history:
        history.append("call", "r", step="s")
        history.append("apply", "r", step="s")
    whole = path.read_text()
    for torn in range(1, len(event(1, "r").to_line())):
        path.write_text(whole[:-torn])
        assert [history[0]] == read(path)


def test_round_trip() -> None:
    """An event is what its line says."""
    first = Event(3, 99, "call", "r", {"args": {"path": "ä"}, "seq": 1})
    assert first == Event.from_line(first.to_line())
    assert first.to_line().isascii()


def test_split_by_run() -> None:
    """Each run has its own events and those of the whole trial, in order."""
    events = [
        event(0, "", "trial"),
        event(1, "a"),
        event(2, "b"),
        event(3, "", "fault"),
        event(4, "a"),
    ]
    found = split(events)
    assert {"a": [0, 1, 3, 4], "b": [0, 2, 3]} == {
        run: [e.index for e in own] for run, own in found.items()
    }


def test_split_of_nothing() -> None:
    """A trial without runs has none."""
    assert {} == split([event(0, "", "trial")])


def test_changed() -> None:
    """Who waits for news is woken by each event."""
    history = History()
    assert not history.changed.is_set()
    history.append("call")
    assert history.changed.is_set()
