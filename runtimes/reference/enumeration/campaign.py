"""The campaigns: which deaths, which drifts, which zombies, and what came of all of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import count
from typing import cast

from runtimes.reference.enumeration.agent import DRIFT, OWED
from runtimes.reference.enumeration.life import Change, Life, Snapshot, Twin, deaths, say
from runtimes.reference.enumeration.oracles import Evidence
from runtimes.reference.enumeration.sharing import Ended, alike, each, untouched
from runtimes.reference.enumeration.state import State
from runtimes.reference.enumeration.world import DEADLINE_S, RETENTION_S


@dataclass(slots=True)
class Tally:
    """What came of a campaign: runs, how they ended, which oracles were violated where."""

    name: str
    runs: int = 0
    played: int = 0
    """Each of the others can only end like one of these."""
    completed: int = 0
    escalated: int = 0
    violated: Counter[str] = field(default_factory=Counter)
    example: dict[str, tuple[tuple[str, ...], str]] = field(default_factory=dict)

    def take(self, ended: Ended) -> None:
        """Judge a run and count it."""
        self.runs += 1
        self.played += not ended.shared
        self.completed += ended.evidence.completed
        self.escalated += ended.evidence.escalated
        for name, why in ended.evidence.violated.items():
            self.violated[name] += 1
            self.example.setdefault(name, (ended.way, why))


def over(life: Life, way: tuple[str, ...], *, drifted: bool = False, aged: bool = False) -> Ended:
    """Return what a life leaves that came to its end."""
    state = life.state
    evidence = Evidence(
        state.world,
        state.records,
        life.facts,
        state.given,
        life.error,
        drifted=drifted,
        aged=aged,
    )
    return Ended(way, evidence, state)


def drift(state: State) -> None:
    """Have a stranger write what the plan rests on."""
    state.world.drift(*DRIFT)


def age(state: State) -> None:
    """Be away for longer than any provider keeps a key."""
    state.world.time.now += (RETENTION_S + 3600) * 1000


def rephrase(state: State) -> None:
    """Have the agent find other words for the same, as a model does."""
    state.text = "we have moved"


def redeploy(state: State) -> None:
    """Deploy another version of the program, which calls its slots otherwise."""
    state.program = ".v2"


def give_up(state: State) -> None:
    """Have whoever owns the run give it up."""
    state.given_up = True


def kills(
    first: State,
    *,
    power: bool,
    depth: int,
    change: Change | None = None,
    way: tuple[str, ...] = (),
) -> Iterator[Ended]:
    """Die at every stop, and at every stop of each recovery, ``depth`` times.

    ``change`` happens to the world after the first death.
    """
    drifted, aged = (bool(way) and change is each for each in (drift, age))
    name = f"life-{len(way) + 1}"
    if len(way) == depth:
        with Life(first, name) as last:
            yield over(last.finish(), way, drifted=drifted, aged=aged)
        return
    for found in alike(deaths(first, name, power=power)):
        if isinstance(found, Life):
            yield over(found, way, drifted=drifted, aged=aged)
        elif len(way) < depth:
            state, label = found.state, found.labels[0]
            if change and not way:
                change(state)
            ends = kills(state, power=power, depth=depth, change=change, way=(*way, label))
            yield from each(found.labels, ends, len(way))


def drifts(first: State) -> Iterator[Ended]:
    """Die at every stop, and have a stranger write at every stop of the recovery."""
    for found in alike(deaths(first, "life-1", power=False)):
        if isinstance(found, Life):
            return
        yield from each(found.labels, _drifts(found.state, found.labels[0]), 0)


def _drifts(left: State, where: str) -> Iterator[Ended]:
    """Have a stranger write, once between two moments at which the run looks."""
    for stop, labels in untouched(left.copy(), "life-2", DRIFT[0]):
        state = left.copy()
        with Life(state, "life-2") as second:
            second.reach(stop)
            drift(state)
            ended = over(second.finish(), (where, f"drift at {labels[0]}"), drifted=True)
        yield from each([f"drift at {label}" for label in labels], [ended], 1)


FIRST, SECOND = ("life", "life-1"), ("life", "life-2")
"""Two lives that hold the run under one name."""


def zombies(fresh: Callable[[], State]) -> Iterator[Ended]:
    """Freeze the first life at every stop, and wake it at every stop of the second one.

    Both hold the run under one name, as workers have whose names are stable.
    """
    for frozen, found in enumerate(deaths(fresh(), *FIRST, power=False)):
        if isinstance(found, Life):
            return
        yield from _zombies(fresh, frozen, *found)


def _zombies(fresh: Callable[[], State], frozen: int, where: str, left: State) -> Iterator[Ended]:
    """Wake it everywhere; where that changes nothing, the second one ends as if it were alone."""
    *stops, last = deaths(left.copy(), *SECOND, power=False)
    second = cast("Life", last)
    alone, before, idle, shared = over(second, ()), left, False, False
    for woken, found in enumerate([*cast("list[Snapshot]", stops), ("its end", second.state)]):
        at, met = found
        way = (f"frozen at {where}", f"woken at {at}")
        # Where it meets the same as before, it does the same as before.
        if woken == 0 or met != before:
            before, idle = met, _idle(fresh(), frozen, left, met)
        if idle and not second.fenced:
            yield replace(alone, way=way, shared=shared)
            shared = True
        else:
            yield _woken(fresh(), frozen, woken, way)


def _idle(state: State, frozen: int, left: State, met: State) -> bool:
    """Say whether a zombie that wakes where it meets this does nothing."""
    with Life(state, *FIRST) as zombie:
        zombie.reach(frozen)
        if state != left:
            return False  # it is not the same one
        state.become(met)
        zombie.finish()
        return state == met


def _woken(state: State, frozen: int, woken: int, way: tuple[str, ...]) -> Ended:
    with Life(state, *FIRST) as zombie, Life(state, *SECOND) as second:
        zombie.reach(frozen)
        second.reach(woken)
        zombie.finish()
        return over(zombie if second.finish().fenced else second, way)


def late(fresh: Callable[[], State]) -> Iterator[Ended]:
    """Lose the first life while a call is on its way, and have it arrive at every later stop.

    No call arrives after its deadline: that is what a deadline is.
    """
    for sent in count():
        for stop in count():
            state = fresh()
            with Life(state, "life-1") as dead, Life(state, "life-2") as second:
                where = dead.reach(sent)
                if where is None:
                    return
                if not where.startswith("send "):
                    break
                sent_ms = state.world.time.now
                at = second.reach(stop)
                if state.world.time.now >= sent_ms + DEADLINE_S * 1000:
                    break
                dead.step()  # it arrives; its answer finds nobody
                dead.close()
                yield over(second.finish(), (f"sent at {where}", f"there at {at or 'its end'}"))
            if at is None:
                break


def troubles(fresh: Callable[[], State], depth: int) -> Iterator[Ended]:
    """Have one call come to grief in each way, and die at every stop, ``depth`` times."""
    for slot in OWED:
        for how in ("request", "reply", "unreachable"):
            state = fresh()
            state.world.trouble = (slot, how)
            for ended in kills(state, power=False, depth=depth):
                yield replace(ended, way=(f"{slot}: {how}", *ended.way))


def astray(fresh: Callable[[], State]) -> Iterator[Ended]:
    """Lose a request to its living sender, and have it arrive at every later stop in time."""
    for slot in OWED:
        for stop in count():
            state = fresh()
            state.world.trouble = (slot, "request")
            with Life(state, "life-1") as life:
                lost_ms, label, left = 0, "", stop
                while left >= 0 and (step := life.step()) is not None:
                    label = step
                    lost_ms = lost_ms or (state.world.time.now if state.world.astray else 0)
                    left -= bool(state.world.astray)
                if left >= 0 or state.world.time.now >= lost_ms + DEADLINE_S * 1000:
                    break
                state.world.arrive()
                yield over(life.finish(), (f"{slot}: request", f"there at {label}"))


def humans(first: State) -> Iterator[Ended]:
    """Die at every stop; where recovery has to ask, a human says how it is, and it goes on."""
    for ended in kills(first, power=False, depth=1):
        if not ended.evidence.escalated:
            continue
        say(state := ended.state.copy())
        with Life(state, "life-3") as last:
            yield over(last.finish(), (*ended.way, "a human says"))


def twins(fresh: Callable[[], State]) -> Iterator[Ended]:
    """Ask for what is being done once more, from the same process, at every stop of it."""
    for stop in count():
        with Life(fresh(), "life-1") as life:
            where = life.reach(stop)
            if where is None:
                return
            if life.ops is None or not life.ops.session.busy:
                continue
            with Twin(life) as twin:
                twin.go()
                life.finish()
                twin.go()
            yield over(life, (f"asked again at {where}",))


Campaign = Callable[[Callable[[], State]], Iterator[Ended]]
SMALL: Mapping[str, Campaign] = {
    "kill": lambda fresh: kills(fresh(), power=False, depth=1),
    "power": lambda fresh: kills(fresh(), power=True, depth=1),
    "kill, drift": lambda fresh: kills(fresh(), power=False, depth=1, change=drift),
    "kill, a day": lambda fresh: kills(fresh(), power=False, depth=1, change=age),
    "kill, other words": lambda fresh: kills(fresh(), power=False, depth=1, change=rephrase),
    "kill, other program": lambda fresh: kills(fresh(), power=False, depth=1, change=redeploy),
    "kill, given up": lambda fresh: kills(fresh(), power=False, depth=1, change=give_up),
    "kill, a human": lambda fresh: humans(fresh()),
    "asked twice at": twins,
    "astray": astray,
    "late": late,
    "trouble": lambda fresh: troubles(fresh, depth=0),
    "drift at": lambda fresh: drifts(fresh()),
    "zombie": zombies,
}
"""Every point once: what mutants are hunted with."""
WHOLE: Mapping[str, Campaign] = {
    "death x death": lambda fresh: kills(fresh(), power=True, depth=2),
    "death, drift, death": lambda fresh: kills(fresh(), power=True, depth=2, change=drift),
    "death, a day, death": lambda fresh: kills(fresh(), power=True, depth=2, change=age),
    "kill, given up, kill": lambda fresh: kills(fresh(), power=False, depth=2, change=give_up),
    "kill, other words, kill": lambda fresh: kills(fresh(), power=False, depth=2, change=rephrase),
    "kill, other program": SMALL["kill, other program"],
    "kill, a human": SMALL["kill, a human"],
    "asked twice at": twins,
    "kill x drift at": SMALL["drift at"],
    "zombie x woken at": zombies,
    "late x there at": late,
    "astray x there at": astray,
    "trouble x kill": lambda fresh: troubles(fresh, depth=1),
}
"""Every pair of points.  A death is that of the process or, if that leaves another disk, of the
machine."""
