"""The column of hand-written workflows; all but its worker is the portable column's."""

from runtimes.restate.adapter import RestateRuntime


RUNTIME = RestateRuntime(
    name="restate-native",
    module="runtimes.restate.native.worker",
    scenarios=("migration", "fan_out", "webhook"),
)
