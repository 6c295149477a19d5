"""What may be done about a call whose outcome nobody knows, as the model has it.

Who writes intents finds one with nothing after it.  What may follow depends on the class of the
effect and on what its provider offers; the first line that fits is taken:

======================  ==================================================================
it rests on a value     its target shows: as it was, as it should be, or otherwise; then who
                        can be asked is, and else a new plan begins: under that the same is done
                        again with a known key only
known key, or twice is  the same call again, unless what it rests on has changed
once
can be asked            ask; a search that lags and finds nothing tells nothing
versioned               its target shows
otherwise               a human must say
======================  ==================================================================
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from harness.effects import Effect, Json, Tier
from harness.program import Step
from harness.world.cell import RETENTION_S, Cell, resources


class Remedy(Enum):
    """What is found of a call in doubt, or what to do about it."""

    DONE = "done"
    AGAIN = "again"
    ESCALATE = "escalate"


@dataclass(frozen=True, slots=True)
class Intent:
    """A call that was written down before it went out; ``since_s`` is in virtual seconds.

    ``expect`` is the version that its target had, where that is looked at.
    """

    since_s: float
    target: str
    expect: str
    args: Mapping[str, Json] = field(default_factory=dict)


def intend(command: Step, cell: Cell, since_s: float) -> Intent:
    """Return what is written down before a call."""
    target = resources(command.op.verb, command.args)[0]
    tier = cell.tier_of(target)
    shown = _rests(command, target) or (tier is Tier.V and command.op.effect.once)
    return Intent(since_s, target, cell.etag(target) if shown else "", command.args)


def remedy(
    command: Step, tried: Intent, cell: Cell, *, keyed: bool, found: bool, drifted: bool
) -> Remedy:
    """Return what follows for a call in doubt.

    ``keyed``: it goes out with a key that its provider honours.  ``found``: its provider would
    say that it was done.  ``drifted``: something that it rests on has changed.
    """
    known, tier = keyed and cell.clock_s - tried.since_s < RETENTION_S, cell.tier_of(tried.target)
    if command.op.effect is Effect.HYBRID and tried.expect:
        if shown := _compared(command, tried, cell):
            return shown
        if not _rests(command, tried.target):
            return Remedy.ESCALATE
        if tier is not Tier.Q:
            # A plan that asks for something else by now is no repetition of it.
            anew = known or drifted or command.args != tried.args
            return Remedy.AGAIN if anew else Remedy.ESCALATE
        return _asked(cell, found=found)
    if known or not command.op.effect.once:
        if not drifted:
            return Remedy.AGAIN
        if tier is not Tier.Q:  # it may not be done any more, nor be called not done
            return Remedy.ESCALATE
    if tier is Tier.Q:
        return _asked(cell, found=found)
    if tier is Tier.V and tried.expect:
        return _compared(command, tried, cell) or Remedy.ESCALATE
    return Remedy.ESCALATE


def _asked(cell: Cell, *, found: bool) -> Remedy:
    """Return what a provider says of a call that can be asked for it."""
    if found:
        return Remedy.DONE
    return Remedy.ESCALATE if cell.lag_s else Remedy.AGAIN


def _compared(command: Step, tried: Intent, cell: Cell) -> Remedy | None:
    """Return what a target shows of a call; nothing where it is neither as before nor as wanted."""
    if cell.etag(tried.target) == tried.expect:
        return Remedy.AGAIN
    if command.op.verb == "set" and cell.look(tried.target)[0] == command.args.get("value"):
        return Remedy.DONE
    return None


def _rests(command: Step, target: str) -> bool:
    return any(premise.path == target for premise in command.premises)
