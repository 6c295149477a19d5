"""A run that stays where it was when its server was started again: inngest/inngest#2531."""

from typing import Any

from harness.effects import Effect, Op, Tier
from harness.program import step
from harness.scenario import Program, Scenario


READ = Op("read", Effect.READ)
MAIL = Op("append", Effect.IRREVERSIBLE)


async def remind(arg: Any) -> Any:
    """Look up who has not paid, and remind them."""
    debtor = await step("look_up", READ, {"path": "debtor"})
    sent = await step("remind", MAIL, {"path": "mail", "value": debtor.value})
    return {"run": arg["run"], "sent": sent.status}


SCENARIO = Scenario(
    name="restart",
    programs=(Program(name="remind", body=remind),),
    world={"debtor": "ada", "mail": []},
    tiers=(Tier.O,),
)
