"""Runs that can only end alike are played once, and each of them is counted.

A life is a function of what it finds: its clocks are the world's, its new names are counted from
the log.  So what comes after a stop depends on the whole ``State`` and on nothing else, and where
two stops leave equal states, in all of their fields, what follows the one follows the other.
Where something happens to a living process, its memory counts too: then it is the same at two
stops only if in between the process touched nothing that what happens touches, or if what happens
changes nothing at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, MutableMapping, Sequence
from dataclasses import dataclass, replace

from runtimes.reference.enumeration.life import Life, Snapshot
from runtimes.reference.enumeration.oracles import Evidence
from runtimes.reference.enumeration.state import State
from runtimes.reference.enumeration.world import Thing


@dataclass(frozen=True, slots=True)
class Ended:
    """A run that is over, and the way it took; ``shared`` says that another one was played."""

    way: tuple[str, ...]
    evidence: Evidence
    state: State
    shared: bool = False


@dataclass(slots=True)
class Left:
    """What is left by a death at each of these stops, one after another."""

    labels: list[str]
    state: State


def alike(found: Iterable[Snapshot | Life]) -> Iterator[Left | Life]:
    """Put stops together that leave equal states."""
    left: Left | None = None
    for one in found:
        if isinstance(one, Life):
            if left:
                yield left
            yield one
            return
        label, state = one
        if left and left.state == state:
            left.labels.append(label)
            continue
        if left:
            yield left
        left = Left([label], state)


def each(labels: Sequence[str], ends: Iterable[Ended], place: int) -> Iterator[Ended]:
    """Yield what follows the first stop, and the same for the others; ``place`` is theirs."""
    _, *others = labels
    kept: list[Ended] = []
    for ended in ends:
        if others:
            kept.append(ended)
        yield ended
    for label in others:
        for ended in kept:
            way = (*ended.way[:place], label, *ended.way[place + 1 :])
            yield replace(ended, way=way, shared=True)


class Watched(MutableMapping[str, Thing]):
    """The things of a world, of which one is watched: whoever asks for it, or for all, is seen."""

    def __init__(self, things: MutableMapping[str, Thing], path: str) -> None:
        """Have seen nobody."""
        self._things, self._path = things, path
        self.touched = False

    def __getitem__(self, path: str) -> Thing:
        """Return what is at a path."""
        self.touched |= path == self._path
        return self._things[path]

    def __setitem__(self, path: str, thing: Thing) -> None:
        """Put something there."""
        self.touched |= path == self._path
        self._things[path] = thing

    def __delitem__(self, path: str) -> None:
        """Have nothing there."""
        self.touched |= path == self._path
        del self._things[path]

    def __iter__(self) -> Iterator[str]:
        """Yield all paths."""
        self.touched = True
        return iter(self._things)

    def __len__(self) -> int:
        """Return how many there are."""
        self.touched = True
        return len(self._things)


def untouched(state: State, holder: str, path: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the stops of a life, those together between which it does not touch a thing.

    Each with the number of its first one.
    """
    state.world.things = watched = Watched(state.world.things, path)
    with Life(state, holder) as life:
        first, labels = 0, list[str]()
        while (label := life.step()) is not None:
            if labels and watched.touched:
                yield first, labels
                first, labels = first + len(labels), []
            labels.append(label)
            watched.touched = False
        if labels:
            yield first, labels
