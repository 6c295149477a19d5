"""What the harness knows of the runs of a live trial, kept up with each event."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from harness.history import Event


@dataclass(slots=True)
class RunWatch:
    """One run: what is open, what is held, what was answered."""

    open: set[tuple[str, int]] = field(default_factory=set)
    held: str = ""
    held_by: tuple[str, int] = ("", 0)
    replied: set[str] = field(default_factory=set)
    acked: set[tuple[str, str]] = field(default_factory=set)
    called: set[tuple[str, str]] = field(default_factory=set)
    attempts: Counter[tuple[str, str]] = field(default_factory=Counter)
    incarnations: set[str] = field(default_factory=set)
    asked: dict[str, set[str]] = field(default_factory=dict)
    """Which incarnations have asked a gateway for a step."""
    last: int = -1
    last_incarnation: str = ""

    @property
    def rejoined(self) -> bool:
        """Say whether a second incarnation asks a gateway for the step that is held."""
        return len(self.asked.get(self.held.partition("/")[0], ())) > 1

    def recorded(self, step: str) -> bool:
        """Say whether a step is recorded: by the incarnation that called it last, if any."""
        mine = (self.last_incarnation, step)
        return (
            mine in self.acked
            if mine in self.called
            else any(name == step for _, name in self.acked)
        )


class Watch:
    """All runs by id; subscribe ``see`` to the history."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self.runs: dict[str, RunWatch] = {}
        self._moved_ns = 0

    def of(self, run: str) -> RunWatch:
        """Return what is known of a run."""
        return self.runs.setdefault(run, RunWatch())

    def moved_s(self) -> float:
        """Return when anything moved last (seconds of the monotonic clock)."""
        return self._moved_ns / 1e9

    def see(self, event: Event) -> None:
        """Take in an event; children count with the run that began them."""
        if event.kind == "probe" and event.data["ask"] == "asked":
            asked = self.of(event.run.partition(".")[0]).asked
            asked.setdefault(event.data["step"], set()).add(event.data["incarnation"])
            self._moved_ns = event.t_ns
        if event.kind not in {"call", "at", "held", "reply", "discard"}:
            return
        watch = self.of(event.run.partition(".")[0])
        self._moved_ns = event.t_ns
        data = event.data
        ident = (data["incarnation"], data["seq"])
        watch.last, watch.last_incarnation = event.index, data["incarnation"]
        match event.kind:
            case "call":
                watch.open.add(ident)
                watch.incarnations.add(data["incarnation"])
                watch.called.add((data["incarnation"], data["step"]))
                watch.attempts[data["incarnation"], f"{event.run}/{data['step']}"] += 1
            case "at":
                watch.open.add(ident)
                watch.incarnations.add(data["incarnation"])
            case "held":
                watch.held, watch.held_by = data["point"], ident
            case "reply" | "discard":
                watch.open.discard(ident)
                if ident == watch.held_by:
                    watch.held = ""
                if event.kind == "reply" and "phase" in data:
                    watch.acked.add((data["incarnation"], data["step"]))
                elif event.kind == "reply":
                    watch.replied.add(data["step"])
