"""The column of hand-written functions; they use four commands."""

from harness.runtime import Support
from runtimes.inngest.adapter import Inngest
from runtimes.inngest.stores import Store


RUNTIME = Inngest(
    name="inngest-native",
    store=Store.REDIS,
    module="runtimes.inngest.native.worker",
    scenarios=("migration", "fan_out", "webhook"),
    capabilities=dict.fromkeys(("step", "decide", "gather", "sleep"), Support.NATIVE),
)
