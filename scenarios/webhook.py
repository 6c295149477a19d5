"""Webhook dispatch: one delivery, told to every subscriber once, then acknowledged."""

from typing import Any

from harness.effects import Effect, Op, Tier
from harness.program import gather, step
from harness.scenario import Answer, Program, Scenario


READ = Op("read", Effect.READ)
CREATE = Op("create", Effect.IDEMPOTENT)
APPEND = Op("append", Effect.IRREVERSIBLE)
SET = Op("set", Effect.IDEMPOTENT)
SUBSCRIBERS = ("billing", "search", "audit")


async def dispatch(arg: Any) -> Any:
    """Note the delivery's id, tell all subscribers side by side, acknowledge."""
    hook = await step("read_hook", READ, {"path": "hook"})
    await step("remember", CREATE, {"path": f"seen/{hook.value['id']}", "value": arg["run"]})
    owner = await step("look_up", READ, {"path": f"seen/{hook.value['id']}"})
    if owner.value != arg["run"]:
        return {"told": [], "duplicate": True}
    parts = {n: {"path": f"inbox/{n}", "value": hook.value["body"]} for n in SUBSCRIBERS}
    told = await gather(*(step(f"tell_{n}", APPEND, parts[n]) for n in SUBSCRIBERS))
    for name, one in zip(SUBSCRIBERS, told, strict=True):
        if one.status == "failed":
            await step(f"tell_{name}_again", APPEND, parts[name])
    await step("acknowledge", SET, {"path": "hook/state", "value": "done"})
    return {"told": list(SUBSCRIBERS), "duplicate": False}


SCENARIO = Scenario(
    name="webhook",
    programs=(Program(name="dispatch", body=dispatch),),
    world={
        "hook": {"id": "evt-1", "body": "paid"},
        "hook/state": "open",
        **{f"inbox/{name}": [] for name in SUBSCRIBERS},
    },
    tiers=(Tier.O, Tier.K, Tier.Q, Tier.V),
    variants={"refused": (Answer(step="tell_search", status="failed"),)},
)
