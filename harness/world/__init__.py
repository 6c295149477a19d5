"""The world: every external effect goes here, and its ledger is the ground truth."""

from harness.world.cell import Call, Cell
from harness.world.server import World


__all__ = ["Call", "Cell", "World"]
