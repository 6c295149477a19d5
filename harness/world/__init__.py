"""The world: every external effect goes here, and its ledger is the ground truth."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.world.cell import Call, Cell


if TYPE_CHECKING:
    from harness.world.server import World

__all__ = ["Call", "Cell", "World"]


def __getattr__(name: str) -> object:
    """Import the server where it is asked for: a worker needs the words of the world only."""
    if name == "World":
        from harness.world.server import World  # noqa: PLC0415

        return World
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)
