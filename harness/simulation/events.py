"""What may become of an attempt, as the model plays it."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from harness.guardian import Scope
from harness.program import (
    Step,
)
from harness.world.cell import resources


class ModelError(Exception):
    """The body does something that the model cannot follow."""


class Died(Exception):  # noqa: N818 - an event, not an error
    """The attempt reached its point."""


class Escalated(Exception):  # noqa: N818 - an event, not an error
    """The runtime hands the run to a human."""


class Stuck(Exception):  # noqa: N818 - an event, not an error
    """Nobody will go on."""


class Replanned(Exception):  # noqa: N818 - an event, not an error
    """The plan does not hold: the body begins anew over what is sealed."""


class Spent(Exception):  # noqa: N818 - an event, not an error
    """An orphaned attempt has no step left."""


def drive(coroutine: Coroutine[Any, Any, Any]) -> Any:  # noqa: ANN401 - a program's result
    """Run a coroutine that never waits, and return its result."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    finally:
        coroutine.close()
    msg = "the model's commands never wait, but the body did"
    raise ModelError(msg)


def scopes_of(command: Step) -> frozenset[Scope]:
    """Return all that a step does, as a guard would permit it."""
    verb, effect = command.op.verb, command.op.effect
    return frozenset(Scope(verb, effect, path) for path in resources(verb, command.args))
