"""Child workflows: a tenant is set up by two runs of their own, one after the other."""

from typing import Any

from harness.effects import Effect, Op, Tier
from harness.program import invoke, step
from harness.scenario import Program, Scenario


READ = Op("read", Effect.READ)
CREATE = Op("create", Effect.IDEMPOTENT)
APPEND = Op("append", Effect.IRREVERSIBLE)


async def onboard(arg: Any) -> Any:
    """Set up what the plan contains, then say welcome."""
    plan = await step("read_plan", READ, {"path": "plan"})
    space = await invoke("set_up_space", "space", {"name": plan.value})
    seat = await invoke("set_up_seat", "seat", {"space": space["space"]})
    await step("welcome", APPEND, {"path": "mail/welcome", "value": seat["seat"]})
    return {"space": space, "seat": seat, "run": arg["run"]}


async def space(arg: Any) -> Any:
    """Create the space."""
    await step("create_space", CREATE, {"path": "space", "value": arg["name"]})
    return {"space": arg["name"]}


async def seat(arg: Any) -> Any:
    """Buy the seat: it costs money each time."""
    await step("buy_seat", APPEND, {"path": "seats", "value": arg["space"]})
    return {"seat": f"{arg['space']}/1"}


SCENARIO = Scenario(
    name="onboarding",
    programs=(
        Program(name="onboard", body=onboard),
        Program(name="space", body=space),
        Program(name="seat", body=seat),
    ),
    world={"plan": "team", "space": None, "seats": [], "mail/welcome": []},
    tiers=(Tier.O, Tier.K, Tier.Q, Tier.V),
)
