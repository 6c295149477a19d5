"""Promises that no effect happens twice, and calls whatever was in flight again."""

from harness.runtime import Guarantee, Kind
from runtimes.embedded.adapter import EmbeddedRuntime


BOASTER = EmbeddedRuntime(
    name="boaster", policy="memo", guarantee=Guarantee.EFFECT_ONCE, kind=Kind.LIBRARY
)
