"""Three steps and no more, so that twenty sweeps of it take little time."""

from typing import Any

from harness.effects import Effect, Op, Tier
from harness.program import step
from harness.scenario import Program, Scenario


READ = Op("read", Effect.READ)
SET = Op("set", Effect.IDEMPOTENT)
MAIL = Op("append", Effect.IRREVERSIBLE)


async def greet(arg: Any) -> Any:
    """Look up a name, note it, and send a greeting."""
    name = await step("look_up", READ, {"path": "name"})
    await step("note", SET, {"path": "noted", "value": name.value})
    sent = await step("send", MAIL, {"path": "mail", "value": arg["run"]})
    return {"sent": sent.status}


SCENARIO = Scenario(
    name="small",
    programs=(Program(name="greet", body=greet),),
    world={"name": "ada", "noted": "", "mail": []},
    tiers=(Tier.O,),
)
