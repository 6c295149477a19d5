"""The file of an embedded pool: runs start once, end once, and belong to one worker."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from harness.effects import Guard
from harness.runtime import TERMINAL, Envelope, Start
from runtimes.embedded.store import FencedError, Record, Store


Open = Callable[[], Store]


@pytest.fixture
def another(tmp_path: Path) -> Iterator[Open]:
    """Open the same file again, as another process would."""
    opened: list[Store] = []

    def make() -> Store:
        opened.append(Store(tmp_path / "pool.db"))
        return opened[-1]

    yield make
    for store in opened:
        store.close()


@pytest.fixture
def store(another: Open) -> Store:
    """Return an empty store."""
    return another()


def start(run: str, arg: Any = None) -> Start:
    """Return a run to be submitted."""
    envelope = Envelope(
        trial="t", pool="p", cell="c", run=run, armed=("s/after_ack",), guard=Guard.KEYS
    )
    return Start(envelope=envelope, program="main", arg=arg)


def status(store: Store, run: str, worker: str = "") -> tuple[str, str, str]:
    """Return what is known of a run: status, moves, claim."""
    (view,) = store.views([run], worker)
    return view.status, view.moves, view.claim


# Runs ----------------------------------------------------------------------------------------


def test_submit(store: Store, another: Open) -> None:
    """What was submitted is pending, whole and in order, for every process."""
    runs = [start("b", {"run": "b"}), start("a")]
    store.submit(runs)
    assert runs == store.pending() == another().pending()
    assert ("queued", "unknown", "") == status(store, "b")


def test_submit_is_idempotent(store: Store) -> None:
    """A run that exists is left alone, whatever comes with it."""
    store.submit([start("r", 1)])
    store.set_status("r", "running", claim="w1")
    store.submit([start("r", 2), start("s", 3)])
    assert [1, 3] == [found.arg for found in store.pending()]
    assert "running" == status(store, "r")[0]


@pytest.mark.parametrize("end", sorted(TERMINAL))
def test_ended_stays_ended(store: Store, end: str) -> None:
    """No later word changes an end, and the run is pending no more."""
    store.submit([start("r")])
    store.set_status("r", end, output={"n": 1}, detail="why")
    for later in ("running", *sorted(TERMINAL)):
        store.set_status("r", later, claim="w2", output={"n": 2})
    (view,) = store.views(["r"], "w2")
    assert (end, {"n": 1}, "", "no") == (view.status, view.output, view.claim, view.moves)
    assert {"detail": "why"} == view.detail
    assert [] == store.pending()
    store.submit([start("r")])
    assert [] == store.pending()


def test_views(store: Store) -> None:
    """Views come in the order asked for; who is unknown is said to be."""
    store.submit([start("a"), start("b")])
    assert ["b", "nobody", "a"] == [view.run for view in store.views(["b", "nobody", "a"], "")]
    assert ("absent", "unknown", "") == status(store, "nobody")
    assert [] == store.views([], "w1")


def test_moves(store: Store) -> None:
    """A run in the living worker's hands may move; in a dead one's, it does not."""
    store.submit([start("r")])
    store.set_status("r", "running", claim="w1")
    assert ("running", "unknown", "w1") == status(store, "r", "w1")
    assert ("running", "no", "w1") == status(store, "r", "w2")
    assert ("running", "unknown", "w1") == status(store, "r")


# Records and the fence -----------------------------------------------------------------------


def test_records(store: Store, another: Open) -> None:
    """Facts of a run are kept in order, apart from those of others."""
    facts = [Record("s", "intent", {"op": "set"}), Record("s", "completion", [1, None])]
    for fact in facts:
        store.append("r", fact)
    store.append("other", Record("s", "completion", 2))
    assert facts == store.records("r") == another().records("r")
    assert [] == store.records("nobody")


def test_fence(store: Store, another: Open) -> None:
    """Once a later worker has taken over, the earlier one writes no fenced fact."""
    later = another()
    store.take_over()
    store.append("r", Record("a", "intent", 1), fenced=True)
    later.take_over()
    assert (1, 2) == (store.epoch, later.epoch)
    with pytest.raises(FencedError, match="epoch 1 is over"):
        store.append("r", Record("b", "intent", 2), fenced=True)
    later.append("r", Record("c", "intent", 3), fenced=True)
    assert ["a", "c"] == [record.name for record in later.records("r")]


def test_without_fence(store: Store, another: Open) -> None:
    """What asks for no fence is written by whoever lives."""
    store.take_over()
    another().take_over()
    store.append("r", Record("a", "completion", 1))
    assert [Record("a", "completion", 1)] == store.records("r")


def test_nobody_took_over(store: Store) -> None:
    """Without an epoch nothing fenced is written."""
    with pytest.raises(FencedError):
        store.append("r", Record("a", "intent", 1), fenced=True)
    assert [] == store.records("r")


def test_a_fenced_write_leaves_the_file_free(store: Store, another: Open) -> None:
    """A refused write ends its transaction: the next one goes through."""
    later = another()
    store.take_over()
    later.take_over()
    with pytest.raises(FencedError):
        store.append("r", Record("b", "intent", 2), fenced=True)
    store.submit([start("r")])
    assert ["r"] == [found.envelope.run for found in later.pending()]


# Events --------------------------------------------------------------------------------------


def test_events(store: Store, another: Open) -> None:
    """An event waits for its run, by name and key; the first one counts."""
    assert store.event("r", "reviewed", "boss") is None
    store.add_event("r", "reviewed", "boss", {"yes": True})
    store.add_event("r", "reviewed", "boss", {"yes": False})
    assert {"payload": {"yes": True}} == another().event("r", "reviewed", "boss")
    assert store.event("r", "reviewed", "peer") is None
    assert store.event("other", "reviewed", "boss") is None


@pytest.mark.parametrize("durable", [False, True])
def test_reopened(tmp_path: Path, *, durable: bool) -> None:
    """What was committed is there for the next process, and so is the epoch."""
    path = tmp_path / "pool.db"
    with closing(Store(path, durable=durable)) as first:
        first.take_over()
        first.submit([start("r")])
        first.append("r", Record("a", "completion", 1))
    with closing(Store(path, durable=durable)) as second:
        second.take_over()
        assert 2 == second.epoch
        assert [start("r")] == second.pending()
        assert [Record("a", "completion", 1)] == second.records("r")
