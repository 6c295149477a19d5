"""The column of hand-written workflows; all but its worker is the portable column's."""

from runtimes.temporal.adapter import Temporal


RUNTIME = Temporal(
    name="temporal-native",
    module="runtimes.temporal.native.worker",
    scenarios=("migration", "fan_out", "webhook"),
)
