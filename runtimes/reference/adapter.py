"""The reference: intents before calls; what is in doubt is resolved or escalated."""

from harness.runtime import Guarantee, Kind
from runtimes.embedded.adapter import EmbeddedRuntime


RUNTIME = EmbeddedRuntime(
    name="reference", policy="intent", guarantee=Guarantee.EFFECT_ONCE, kind=Kind.LIBRARY
)
