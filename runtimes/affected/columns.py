"""The columns: all but what the bug is about is that of the product's own column."""

from runtimes.dbos.adapter import DbosRuntime
from runtimes.hatchet.adapter import Hatchet
from runtimes.restate.adapter import RestateRuntime


RESTATE = RestateRuntime(name="restate-readme", module="runtimes.affected.restate_worker")
DBOS = DbosRuntime(name="dbos-own-ids", module="runtimes.affected.dbos_worker")
HATCHET = Hatchet(name="hatchet-evicting", module="runtimes.affected.hatchet_worker")
