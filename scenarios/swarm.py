"""A swarm: agents in waves, each wave side by side, and no further wave once one failed."""

from typing import Any

from harness.effects import Effect, Op, Tier
from harness.program import decide, gather, step
from harness.scenario import Answer, Program, Scenario


READ = Op("read", Effect.READ)
APPEND = Op("append", Effect.IRREVERSIBLE)
SET = Op("set", Effect.IDEMPOTENT)
WAVES = (("scan_code", "scan_deps"), ("patch_core", "patch_api", "patch_docs"), ("release",))


async def swarm(arg: Any) -> Any:
    """Ask for an order, let wave after wave act, stop at the first that fails."""
    goal = await step("read_goal", READ, {"path": "goal"})
    order = await decide("plan_waves", {"options": ["careful", "bold"]})
    for number, wave in enumerate(WAVES):
        acted = await gather(
            *(step(name, APPEND, {"path": f"work/{name}", "value": goal.value}) for name in wave)
        )
        if any(one.status == "failed" for one in acted):
            await step("call_off", SET, {"path": "state", "value": f"stopped in wave {number}"})
            return {"waves": number, "failed": [one.status for one in acted]}
    await step("sum_up", SET, {"path": "state", "value": "done"})
    return {"waves": len(WAVES), "order": sorted(order.value), "run": arg["run"]}


SCENARIO = Scenario(
    name="swarm",
    programs=(Program(name="swarm", body=swarm),),
    world={
        "goal": "no more warnings",
        "state": "open",
        **{f"work/{name}": [] for wave in WAVES for name in wave},
    },
    tiers=(Tier.O, Tier.K, Tier.Q, Tier.V),
    variants={"failing": (Answer(step="patch_api", status="failed", lasting=True),)},
)
