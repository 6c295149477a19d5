"""The column of hand-written workflows; all but its worker is the portable column's."""

from runtimes.dbos.adapter import DbosRuntime


RUNTIME = DbosRuntime(
    name="dbos-native",
    module="runtimes.dbos.native.worker",
    scenarios=("migration", "fan_out", "webhook"),
)
