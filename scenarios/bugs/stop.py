"""A worker that is asked to stop while its run waits, and does not: restatedev/sdk-python#226."""

from typing import Any

from harness.effects import Effect, Op, Tier
from harness.program import step, wait_for
from harness.scenario import Program, Scenario, Signal


READ = Op("read", Effect.READ)
MAIL = Op("append", Effect.IRREVERSIBLE)
DAY_S = 24 * 3600.0


async def renew(arg: Any) -> Any:
    """Read the contract, wait until the customer agrees, confirm."""
    contract = await step("read_contract", READ, {"path": "contract"})
    answer = await wait_for("agreed", "customer", DAY_S)
    sent = await step("confirm", MAIL, {"path": "mail", "value": contract.value})
    return {"run": arg["run"], "answer": answer.value, "sent": sent.status}


SCENARIO = Scenario(
    name="stop",
    programs=(Program(name="renew", body=renew),),
    world={"contract": "c-1", "mail": []},
    tiers=(Tier.O,),
    signals=(Signal(event="agreed", key="customer", payload="yes"),),
    time_scale=1e-2,
)
