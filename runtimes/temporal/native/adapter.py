"""The column of hand-written workflows; they use four commands."""

from harness.runtime import Support
from runtimes.temporal.adapter import Temporal


RUNTIME = Temporal(
    name="temporal-native",
    module="runtimes.temporal.native.worker",
    scenarios=("migration", "fan_out", "webhook"),
    capabilities=dict.fromkeys(("step", "decide", "gather", "sleep"), Support.NATIVE),
)
