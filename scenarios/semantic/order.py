"""An order: it is charged, handed over, and a receipt is sent, or the money goes back."""

from typing import Any

from harness.effects import Effect, Op, Tier
from harness.program import step
from harness.scenario import Answer, Program, Scenario


READ = Op("read", Effect.READ)
ONCE = Op("append", Effect.IRREVERSIBLE)


async def sell(arg: Any) -> Any:
    """Read the price, charge it, hand the parcel over; where there is none, pay it back."""
    price = await step("read_price", READ, {"path": "price"})
    paid = await step("charge", ONCE, {"path": "charges", "value": price.value})
    sent = await step("hand_over", ONCE, {"path": "parcels", "value": arg["run"]})
    if sent.status == "failed":
        back = await step("pay_back", ONCE, {"path": "refunds", "value": price.value})
        return {"paid": paid.status, "back": back.status}
    told = await step("send_receipt", ONCE, {"path": "mail", "value": arg["run"]})
    return {"paid": paid.status, "sent": sent.status, "told": told.status}


SCENARIO = Scenario(
    name="order",
    programs=(Program(name="sell", body=sell),),
    world={"price": 12, "charges": [], "parcels": [], "refunds": [], "mail": []},
    tiers=(Tier.O, Tier.K, Tier.Q, Tier.V),
    # A search that does not know yet what was done half a minute ago.
    lag_s=30.0,
    variants={"sold_out": (Answer(step="hand_over", status="failed", lasting=True),)},
)
