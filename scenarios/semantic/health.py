"""A health check at a provider whose debug page repeats what it was sent."""

from typing import Any

from harness.effects import Effect, Op, Tier
from harness.program import step
from harness.scenario import Answer, Program, Scenario


READ = Op("read", Effect.READ)
TELL = Op("append", Effect.IRREVERSIBLE)


async def check(arg: Any) -> Any:
    """Read how the service is, and tell whoever is on call."""
    seen = await step("read_health", READ, {"path": "health"})
    told = await step("page_on_call", TELL, {"path": "pager", "value": seen.value})
    return {"seen": seen.value, "told": told.status, "run": arg["run"]}


SCENARIO = Scenario(
    name="health",
    programs=(Program(name="check", body=check),),
    world={"health": "poor", "pager": []},
    tiers=(Tier.O, Tier.K, Tier.Q, Tier.V),
    variants={"echo": (Answer(step="read_health", status="echo", lasting=True),)},
)
