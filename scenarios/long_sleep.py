"""A long sleep: a trial of thirty days, and whatever restarts meanwhile."""

from typing import Any

from harness.effects import Effect, Op, Tier
from harness.program import sleep, step
from harness.scenario import Program, Scenario


READ = Op("read", Effect.READ)
SET = Op("set", Effect.HYBRID)
APPEND = Op("append", Effect.IRREVERSIBLE)
DAY_S = 24 * 3600.0


async def try_out(arg: Any) -> Any:
    """Open the account, wait a month, charge, and close the trial."""
    await step("open_trial", SET, {"path": "account", "value": "trial"})
    await sleep("month", 30 * DAY_S)
    account = await step("read_account", READ, {"path": "account"})
    await step("charge", APPEND, {"path": "charges", "value": arg["run"]})
    await step("close_trial", SET, {"path": "account", "value": "paid"}, [account.premise])
    return {"account": account.value}


SCENARIO = Scenario(
    name="long_sleep",
    programs=(Program(name="try_out", body=try_out),),
    world={"account": "none", "charges": []},
    tiers=(Tier.O, Tier.K, Tier.Q, Tier.V),
    drift={"account": "cancelled"},
    # A month in one second: long enough to be killed in, short enough to be waited for.
    time_scale=1.0 / (30 * DAY_S),
)
