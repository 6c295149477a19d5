"""A long sleep that outlives its worker, and then its successor's: hatchet-dev/hatchet#4969."""

from typing import Any

from harness.effects import Effect, Op, Tier
from harness.program import sleep, step
from harness.scenario import Program, Scenario


READ = Op("read", Effect.READ)
MAIL = Op("append", Effect.IRREVERSIBLE)
TRIAL_S = 200.0


async def follow_up(arg: Any) -> Any:
    """Look up who is on trial, wait until the trial is over, and ask how it was."""
    guest = await step("look_up", READ, {"path": "guest"})
    await sleep("trial", TRIAL_S)
    sent = await step("ask", MAIL, {"path": "mail", "value": guest.value})
    return {"run": arg["run"], "sent": sent.status}


# The engine gives a dead worker's run away after 30 s, and the sleep must last longer than that
# and until the successor's eviction: 60 s, where the fault comes meanwhile.
SCENARIO = Scenario(
    name="eviction",
    programs=(Program(name="follow_up", body=follow_up),),
    world={"guest": "ada", "mail": []},
    tiers=(Tier.O,),
    time_scale=0.1,
)
