"""Negative control: after a death the run begins again from zero."""

from harness.runtime import Guarantee, Kind
from runtimes.embedded.adapter import EmbeddedRuntime


RUNTIME = EmbeddedRuntime(
    name="naive", policy="restart", guarantee=Guarantee.RESTART, kind=Kind.CONTROL
)
