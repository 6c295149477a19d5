"""What the enumeration plays once for several runs is what each of them comes to, played alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass, replace
from functools import partial
from itertools import pairwise
from random import Random
from typing import Any

import pytest

from harness.effects import Tier
from runtimes.reference.effect_log.chain import Row
from runtimes.reference.effect_log.errors import DamagedError
from runtimes.reference.effect_log.reading import Recovered, recover
from runtimes.reference.enumeration.agent import DNS, DRIFT
from runtimes.reference.enumeration.campaign import (
    WHOLE,
    Tally,
    age,
    drift,
    drifts,
    give_up,
    kills,
    over,
    rephrase,
    zombies,
)
from runtimes.reference.enumeration.disk import Disk, Heads, Store
from runtimes.reference.enumeration.life import Change, Life, deaths
from runtimes.reference.enumeration.mutants import MUTANTS
from runtimes.reference.enumeration.oracles import judge
from runtimes.reference.enumeration.sharing import Ended, Left, Watched, alike, each, untouched
from runtimes.reference.enumeration.state import State
from runtimes.reference.enumeration.world import Time, World


Fresh = Callable[[], State]
Plain = Callable[[Fresh, int, int], Ended | None]
"""A run of its own: from a fresh world, by the numbers of its stops; ``None`` past the last."""


def died(fresh: Fresh, first: int, then: int, change: Change | None = None) -> Ended | None:
    """Die at two stops, and live on."""
    state, way = fresh(), []
    drifted, aged = change is drift, change is age
    for number, stop in enumerate((first, then), 1):
        with Life(state, f"life-{number}") as life:
            at = life.reach(stop)
        if at is None:
            return None
        way.append(at)
        if number == 1 and change:
            change(state)
    with Life(state, "life-3") as life:
        return over(life.finish(), tuple(way), drifted=drifted, aged=aged)


def drifted(fresh: Fresh, first: int, then: int) -> Ended | None:
    """Die at a stop, and meet a stranger's write at one of the recovery."""
    state = fresh()
    with Life(state, "life-1") as life:
        where = life.reach(first)
    with Life(state, "life-2") as life:
        at = where and life.reach(then)
        if at is None:
            return None
        drift(state)
        return over(life.finish(), (str(where), f"drift at {at}"), drifted=True)


def woken(fresh: Fresh, first: int, then: int) -> Ended | None:
    """Freeze at a stop, and wake at one of the second life."""
    state = fresh()
    with Life(state, "life", "life-1") as zombie, Life(state, "life", "life-2") as second:
        where = zombie.reach(first)
        at = second.reach(then)
        if where is None or (at is None and second.stops <= then):
            return None
        zombie.finish()
        last = zombie if second.finish().fenced else second
        return over(last, (f"frozen at {where}", f"woken at {at or 'its end'}"))


Shared = Callable[[Fresh], Iterator[Ended]]
CASES: dict[str, tuple[Shared, Plain]] = {
    "deaths": (lambda fresh: kills(fresh(), power=True, depth=2), died),
    **{
        f"deaths, {change.__name__}": (
            partial(lambda fresh, change: kills(fresh(), power=False, depth=2, change=change), change=change),
            partial(died, change=change),
        )
        for change in (drift, age, rephrase, give_up)
    },
    "drifts": (lambda fresh: drifts(fresh()), drifted),
    "zombies": (zombies, woken),
}  # fmt: skip
KINDS = [(Tier.K, False), (Tier.Q, True), (Tier.V, False)]


def placed(runs: list[Ended]) -> list[tuple[int, int, Ended]]:
    """Return the runs of two stops with the numbers of these; a second life begins with a lease."""
    found: list[tuple[int, int, Ended]] = []
    first, then = -1, 0
    for ended in runs:
        if len(ended.way) == 2:
            first, then = (first + 1, 0) if ended.way[1].endswith("lease") else (first, then + 1)
            found.append((first, then, ended))
    return found


def facts(ended: Ended) -> dict[str, Any]:
    """Return all that is known of a run that is over, to be compared."""
    seen = ended.evidence
    return {
        "way": ended.way,
        "state": ended.state,
        "evidence": replace(seen, error=None),
        "error": (type(seen.error), str(seen.error)),
        "verdict": judge(seen),
        "kept verdict": seen.violated,
    }


def differences(shared: Shared, plain: Plain, fresh: Fresh, much: int) -> list[str]:
    """Return the runs of a sample that come to something else when they are played alone."""
    runs = list(shared(fresh))
    assert any(ended.shared for ended in runs)
    at = placed(runs)
    found = []
    for first, then, ended in Random(1815).sample(at, min(much, len(at))):  # noqa: S311
        alone = plain(fresh, first, then)
        if alone is None or facts(alone) != facts(ended):
            found.append(f"{first} {then} {ended.way}")
    return found


@pytest.mark.parametrize(("tier", "fences"), KINDS)
@pytest.mark.parametrize("case", CASES)
def test_a_run_played_alone_comes_to_the_same(case: str, tier: Tier, fences: bool) -> None:
    """Every row, all facts, the world, what was given, every verdict: of a sample of all runs."""
    fresh = partial(State.fresh, tier, fences=fences)
    assert [] == differences(*CASES[case], fresh, 60)


@pytest.mark.parametrize("name", ["new key", "own fence", "no fence", "premises not checked"])
@pytest.mark.parametrize("case", ["deaths", "zombies", "drifts"])
def test_so_it_does_without_a_safeguard(case: str, name: str) -> None:
    """What does harm does the same harm; where keys are drawn anew, by its verdict."""
    shared, plain = CASES[case]
    fresh = partial(State.fresh, Tier.K if name == "new key" else Tier.V, fences=name != "no fence")
    with MUTANTS[name].here():
        at = placed(list(shared(fresh)))
        for first, then, ended in Random(1906).sample(at, 40):  # noqa: S311
            alone = plain(fresh, first, then)
            assert alone
            assert judge(alone.evidence) == ended.evidence.violated
            if name != "new key":
                assert facts(alone) == facts(ended)


# The sample would show it --------------------------------------------------------------------


def test_a_state_that_is_compared_in_part_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """If the world did not count, runs would be shared that end otherwise."""
    monkeypatch.setattr(World, "__eq__", lambda *_: True)
    assert differences(*CASES["deaths"], partial(State.fresh, Tier.Q, fences=True), 200)


def test_a_look_that_nobody_sees_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """If a look at the stranger's thing were passed over, so would the others."""
    monkeypatch.setattr(Watched, "__getitem__", lambda self, path: self._things[path])
    assert differences(*CASES["drifts"], partial(State.fresh, Tier.V, fences=True), 200)


def test_a_zombie_that_is_not_looked_at_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """If each of them counted as idle, its late call would be missing."""
    monkeypatch.setattr("runtimes.reference.enumeration.campaign._idle", lambda *_: True)
    assert differences(*CASES["zombies"], partial(State.fresh, Tier.O, fences=False), 200)


def read(rows: list[Row], since: Recovered | None = None) -> Recovered:
    """Read rows as a log, on from what is known of it."""
    disk = Disk(rows, len(rows))
    return recover(Store(disk), Heads(disk), "r", since=since)


# The parts -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [State, Disk, World, Time])
def test_all_of_a_state_is_compared(kind: type[Any]) -> None:
    """No field is left out of it, and each of its parts compares by value."""
    assert is_dataclass(kind)
    assert all(each_.compare for each_ in fields(kind))
    assert kind.__eq__ is not object.__eq__


def test_a_life_that_is_played_again_is_the_same() -> None:
    """Clocks and new names come from the state: each row has the same bytes."""
    ends = []
    for _ in range(2):
        with Life(State.fresh(Tier.V, fences=True), "life-1") as life:
            ends.append(life.finish().state)
    assert ends[0] == ends[1]
    assert len({row.hash for row in ends[0].disk.rows}) > 25


def test_who_becomes_another_state_keeps_its_parts() -> None:
    """Whoever has hold of a part finds the other one's there, and a copy of it."""
    state, other = (State.fresh(Tier.V, fences=True) for _ in range(2))
    held = state.disk, state.world, state.world.time, state.given
    with Life(other, "life-1") as life:
        life.finish()
    state.become(other)
    assert other == state
    assert all(part is now for part, now in zip(held, (state.disk, state.world, state.world.time, state.given), strict=True))  # fmt: skip
    state.world.drift(*DRIFT)
    state.given.clear()
    state.disk.rows.clear()
    assert DRIFT[1] != other.world.things[DNS].value
    assert other.given
    assert other.disk.rows


def test_stops_that_leave_the_same_stand_together() -> None:
    """All labels are there, in order; neighbours differ, and those together do not."""
    fresh = partial(State.fresh, Tier.Q, fences=True)
    *stops, _ = deaths(fresh(), "life-1", power=False)
    found = [one for one in alike(deaths(fresh(), "life-1", power=False)) if isinstance(one, Left)]
    assert [label for label, _ in stops if isinstance(label, str)] == [
        label for left in found for label in left.labels
    ]
    assert ["answer create", "append completion"] in [left.labels[:2] for left in found]
    assert all(one.state != two.state for one, two in pairwise(found))


def test_each_stop_has_all_that_follows() -> None:
    """What was played comes first, and then the same for each other label in its place."""
    with Life(State.fresh(Tier.V, fences=True), "life-1") as life:
        ends = [over(life.finish(), ("a", "x", last)) for last in "yz"]
    found = list(each(["x", "w"], iter(ends), 1))
    assert [("a", "x", "y"), ("a", "x", "z"), ("a", "w", "y"), ("a", "w", "z")] == [
        ended.way for ended in found
    ]
    assert [False, False, True, True] == [ended.shared for ended in found]
    assert found[0].evidence is found[2].evidence


@pytest.mark.parametrize(
    ("use", "seen"),
    [
        (lambda things: things["dns"], True),
        (lambda things: things.get("dns"), True),
        (lambda things: "dns" in things, True),
        (lambda things: things.update(dns=things["mail"]), True),
        (lambda things: things.pop("dns"), True),
        (dict, True),
        (len, True),
        (lambda things: things["mail"], False),
        (lambda things: things.get("nothing"), False),
        (lambda things: things.update(mail=things["users"]), False),
    ],
)
def test_whoever_touches_what_is_watched_is_seen(
    use: Callable[[Watched], object], seen: bool
) -> None:
    """Every way to a thing, and every way to all of them, is noticed."""
    things = Watched(State.fresh(Tier.V, fences=True).world.things, DNS)
    use(things)
    assert seen is things.touched


def test_stops_between_two_looks_stand_together() -> None:
    """Every stop is there once, each group with the number of its first."""
    state = State.fresh(Tier.V, fences=True)
    with Life(state.copy(), "life-1") as life:
        labels = [*iter(life.step, None)]
    found = list(untouched(state, "life-1", DNS))
    assert labels == [label for _, group in found for label in group]
    for (first, group), (after, _) in pairwise(found):
        assert first + len(group) == after
    assert 1 < len(found) < len(labels) / 3


def test_what_was_played_is_counted_apart() -> None:
    """Runs are schedules; the tally says how many of them were played."""
    tally = Tally("zombie x woken at")
    for ended in WHOLE[tally.name](partial(State.fresh, Tier.V, fences=True)):
        tally.take(ended)
    assert tally.runs > 1000
    assert 0 < tally.played < tally.runs / 2


def test_a_log_that_is_read_on_says_the_same() -> None:
    """From each of its beginnings on; what is damaged after it is seen."""
    with Life(State.fresh(Tier.V, fences=True), "life-1") as life:
        rows = life.finish().state.disk.rows
    whole = read(rows)
    assert life.facts == whole.facts
    for kept in range(1, len(rows) + 1):
        assert whole == read(rows, read(rows[:kept]))
    damaged = [*rows[:-1], replace(rows[-1], crc=0)]
    with pytest.raises(DamagedError):
        read(damaged, read(rows[:5]))
    with pytest.raises(DamagedError):
        read([*rows[:8], *rows[9:]], read(rows[:5]))
