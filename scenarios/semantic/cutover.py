"""A name is pointed elsewhere; who looks again afterwards finds nothing left to do."""

from typing import Any

from harness.effects import Effect, Op, Tier
from harness.program import step
from harness.scenario import Program, Scenario


READ = Op("read", Effect.READ)
NOTE = Op("set", Effect.IDEMPOTENT)
SWITCH = Op("set", Effect.HYBRID)
RETIRE = Op("clear", Effect.IRREVERSIBLE)
NAME = "dns/app.example"


async def cut_over(arg: Any) -> Any:
    """Point the name at the new place if it is not there yet, then retire the old one.

    Where somebody else has changed it meanwhile, look again and plan anew.
    """
    found = await step("look_up", READ, {"path": NAME})
    if found.value == "new":
        return {"needed": False}
    await step("announce_switch", NOTE, {"path": "notice", "value": arg["run"]})
    switched = await step("switch", SWITCH, {"path": NAME, "value": "new"}, [found.premise])
    if not switched.ok:
        seen = await step("look_again", READ, {"path": NAME})
        if seen.value != "new":
            await step("switch_again", SWITCH, {"path": NAME, "value": "new"}, [seen.premise])
    retired = await step("retire_old", RETIRE, {"path": "old/*"})
    return {"needed": True, "retired": retired.status}


SCENARIO = Scenario(
    name="cutover",
    programs=(Program(name="cut_over", body=cut_over),),
    world={NAME: "old", "notice": "", "old/records": ["a", "b"]},
    tiers=(Tier.V, Tier.O, Tier.K, Tier.Q),
    drift={NAME: "elsewhere"},
)
