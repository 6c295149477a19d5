"""Read a price, charge for it, and send a receipt."""

from typing import Any

from harness.effects import Effect, Op, Tier
from harness.program import step
from harness.scenario import Program, Scenario


READ = Op("read", Effect.READ)
CHARGE = Op("append", Effect.IRREVERSIBLE)
MAIL = Op("append", Effect.IRREVERSIBLE)


async def sell(arg: Any) -> Any:
    """Sell one book."""
    price = await step("read_price", READ, {"path": "price"})
    await step("charge", CHARGE, {"path": "charges", "value": price.value})
    sent = await step("send_receipt", MAIL, {"path": "mail", "value": arg["run"]})
    return {"receipt": sent.status}


SCENARIO = Scenario(
    name="shop",
    programs=(Program(name="sell", body=sell),),
    world={"price": 12, "charges": [], "mail": []},
    tiers=(Tier.O,),
)
