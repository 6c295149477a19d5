"""Negative control: completed steps are kept, the one in flight is called again."""

from harness.runtime import Guarantee, Kind
from runtimes.embedded.adapter import EmbeddedRuntime


RUNTIME = EmbeddedRuntime(
    name="checkpoint", policy="memo", guarantee=Guarantee.MEMO, kind=Kind.CONTROL
)
