"""A run whose executor is dead, beside one that lives: dbos-inc/dbos-transact-py#453."""

from typing import Any

from harness.effects import Effect, Op, Tier
from harness.program import step
from harness.scenario import Program, Scenario


READ = Op("read", Effect.READ)
MAIL = Op("append", Effect.IRREVERSIBLE)


async def ship(arg: Any) -> Any:
    """Look up the parcel, and tell the carrier."""
    parcel = await step("find_parcel", READ, {"path": "parcel"})
    told = await step("tell_carrier", MAIL, {"path": "carrier", "value": parcel.value})
    return {"run": arg["run"], "told": told.status}


SCENARIO = Scenario(
    name="successor",
    programs=(Program(name="ship", body=ship),),
    world={"parcel": "p-1", "carrier": []},
    tiers=(Tier.O,),
)
