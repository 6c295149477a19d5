"""Money is paid out as a human allows it, on a balance that somebody else may change meanwhile."""

from typing import Any

from harness.effects import Effect, Op, Tier
from harness.program import step, wait_for
from harness.scenario import Program, Scenario, Signal


READ = Op("read", Effect.READ)
NOTE = Op("set", Effect.IDEMPOTENT)
PAY = Op("append", Effect.IRREVERSIBLE)
MONTH_S = 30 * 24 * 3600.0


async def pay(arg: Any) -> Any:
    """Read the balance, ask for leave to pay an invoice out of it, and pay that."""
    found = await step("read_balance", READ, {"path": "balance"})
    await step("ask_reviewer", NOTE, {"path": "inbox/reviewer", "value": arg["run"]})
    answer = await wait_for("approved", "payout", MONTH_S)
    if not answer.ok:
        return {"paid": "not approved"}
    invoice = {"path": "payouts", "value": arg["run"]}
    paid = await step("pay_out", PAY, invoice, [found.premise])
    return {"paid": paid.status}


SCENARIO = Scenario(
    name="payout",
    programs=(Program(name="pay", body=pay),),
    world={"balance": 1000, "inbox/reviewer": "", "payouts": []},
    tiers=(Tier.O, Tier.K, Tier.Q, Tier.V),
    signals=(Signal(event="approved", key="payout", payload="reviewer", approves="pay_out"),),
    drift={"balance": 10},
    approvals=(PAY,),
)
