"""The column of hand-written durable tasks; they use four commands."""

from harness.runtime import Support
from runtimes.hatchet.adapter import Hatchet


RUNTIME = Hatchet(
    name="hatchet-native",
    module="runtimes.hatchet.native.worker",
    scenarios=("migration", "fan_out", "webhook"),
    capabilities=dict.fromkeys(("step", "decide", "gather", "sleep"), Support.NATIVE),
)
