"""Wait for a human: the reviewer stays silent, so the run escalates and waits again."""

from typing import Any

from harness.effects import Effect, Op, Tier
from harness.program import step, wait_for
from harness.scenario import Program, Scenario, Signal


MAIL = Op("append", Effect.IRREVERSIBLE)
PUBLISH = Op("append", Effect.IRREVERSIBLE)
HOUR_S, MONTH_S = 3600.0, 30 * 24 * 3600.0


async def approve(arg: Any) -> Any:
    """Ask the reviewer, after four hours the manager, and publish what was approved."""
    await step("ask_reviewer", MAIL, {"path": "mail/reviewer", "value": arg["run"]})
    answer = await wait_for("reviewed", "reviewer", 4 * HOUR_S)
    if not answer.ok:
        await step("ask_manager", MAIL, {"path": "mail/manager", "value": arg["run"]})
        answer = await wait_for("reviewed", "manager", MONTH_S)
    if not answer.ok:
        return {"published": False}
    await step("publish", PUBLISH, {"path": "site", "value": answer.value})
    return {"published": True, "by": answer.value}


SCENARIO = Scenario(
    name="approval",
    programs=(Program(name="approve", body=approve),),
    world={"mail/reviewer": [], "mail/manager": [], "site": []},
    tiers=(Tier.O, Tier.K, Tier.Q, Tier.V),
    signals=(Signal(event="reviewed", key="manager", payload="manager"),),
    time_scale=1e-4,
)
