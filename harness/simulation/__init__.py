"""A runtime with a given guarantee, in memory: what the model drives.

``World`` is a cell with a history, as the HTTP face has them.  ``Run`` plays a body over
``SimulatedOps`` until its end, dying and beginning again where its happenings say so; what
is kept in between is the guarantee.  ``Trace`` is the ideal run, with notes.
"""

from harness.simulation.events import ModelError, drive
from harness.simulation.run import Run
from harness.simulation.trace import Trace
from harness.simulation.world import CREDENTIAL, World


__all__ = ["CREDENTIAL", "ModelError", "Run", "Trace", "World", "drive"]
