"""The history: the only evidence.

One writer gives each event an index and a monotonic time, and puts it on disk as a JSON
line before anything else happens.  The index is the order; oracles and metrics are pure
functions of the list; old histories can be judged again by new oracles.

Kinds of events, with what they carry beside ``run``:

=========== ==================================================================
trial       what is run: runtime, settings, case, schedules
spawn       a process started: name, incarnation, pid
ready       a worker announced itself and was attached: incarnation, stage times
submit      a run was handed to the runtime
call        a request arrived at the world: the call, its ``nth`` of that step
held        a request is held at ``point``
apply       an effect was applied (the ledger): the call, ``premise_broken``
reply       an answer left the world
discard     a request whose caller went away before it was applied
at          a worker reported a phase: phase, step
fault       something was broken: fault, stage, what died with pid and wait status
undo        a fault was undone
copy        the engine's store was copied
repeat      runs were handed to the runtime once more: runs
rewind      the copy took the place of the store: whether of all pools
wipe        a copy from before the run took the place of the store
told        what else is to be said of a fault: a sentence
backlog     further runs were queued: size
gate        whether a run stood where it should when the fault came: ok, why
event       an event was sent to a run
view        what the runtime says of a run
explained   what the gateway tells an operator of a run: true, authority, next
journal     the runtime's own record of a run
bystander   how a healthy run of the second worker fared: name, outcome, why
scan        where secrets were looked for, and what was found
exit        a process ended
world       the values of a run's cell at the end, and where a stranger had the last word
=========== ==================================================================
"""

from __future__ import annotations

import json
import re
import threading
import time

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Event:
    """One line of a history; ``run`` is empty for what concerns the whole trial."""

    index: int
    t_ns: int
    kind: str
    run: str
    data: Mapping[str, Any]

    def to_line(self) -> str:
        """Return the event as one line of JSON."""
        return json.dumps([self.index, self.t_ns, self.kind, self.run, self.data])

    @classmethod
    def from_line(cls, line: str) -> Event:
        """Read what ``to_line`` wrote."""
        return cls(*json.loads(line))


ANEW = re.compile(r"@\d+\Z")


def step_of(event: Event) -> str:
    """Return the step that an event is of, as the program calls it."""
    return step_name(str(event.data["step"]))


def step_name(text: str) -> str:
    """Return a step's name in its program: a later plan asks for it anew as ``NAME@2``."""
    return ANEW.sub("", text)


class History(Sequence[Event]):
    """An append-only list of events, flushed live to ``path`` where one is given."""

    def __init__(self, path: Path | None = None) -> None:
        """Open a new history; an existing file is refused, raw files never change."""
        self._events: list[Event] = []
        self._lock = threading.Lock()
        self._listeners: list[Callable[[Event], None]] = []
        self._file = path.open("x", encoding="utf-8") if path else None
        self.changed = threading.Event()

    def append(self, kind: str, run: str = "", /, **data: Any) -> Event:  # noqa: ANN401 - JSON values
        """Add an event, on disk before it is returned."""
        with self._lock:
            event = Event(len(self._events), time.monotonic_ns(), kind, run, data)
            if self._file and not self._file.closed:
                self._file.write(event.to_line() + "\n")
                self._file.flush()
            self._events.append(event)
            for listener in self._listeners:
                listener(event)
        self.changed.set()
        return event

    def subscribe(self, listener: Callable[[Event], None]) -> None:
        """Call ``listener`` with each later event, inside the writer's lock: be quick."""
        self._listeners.append(listener)

    def __enter__(self) -> Self:
        """Return the history."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the file; what is appended later stays in memory only."""
        with self._lock:
            if self._file:
                self._file.close()

    def __len__(self) -> int:
        """Return the number of events."""
        return len(self._events)

    def __getitem__(self, index: Any) -> Any:  # noqa: ANN401 - Sequence's overloads
        """Return an event, or a list of them."""
        return self._events[index]

    def __iter__(self) -> Iterator[Event]:
        """Iterate over what is there now."""
        return iter(self._events[:])


def read(path: Path) -> list[Event]:
    """Read a history file; a last line that was torn by a kill is left out."""
    events = []
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            if not line.endswith("\n"):
                break
            events.append(Event.from_line(line))
    return events


def split(events: Iterable[Event]) -> dict[str, list[Event]]:
    """Return a history per run, in order: its own events, its children's, the whole trial's.

    A child's id is its parent's, a dot, and a name.
    """
    shared: list[Event] = []
    runs: dict[str, list[Event]] = {}
    for event in events:
        if event.run:
            runs.setdefault(event.run.partition(".")[0], []).append(event)
        else:
            shared.append(event)
    return {
        run: sorted([*own, *shared], key=lambda event: event.index) for run, own in runs.items()
    }
