"""Keeps what completed, calls the step in flight again, and promises no more than that."""

from harness.runtime import Guarantee, Kind
from runtimes.embedded.adapter import EmbeddedRuntime


HONEST = EmbeddedRuntime(name="honest", policy="memo", guarantee=Guarantee.MEMO, kind=Kind.LIBRARY)
