"""A transfer whose words a model chooses: asked again, it chooses other ones."""

from typing import Any

from harness.effects import Effect, Op, Tier
from harness.program import decide, step
from harness.scenario import Program, Scenario


READ = Op("read", Effect.READ)
PAY = Op("append", Effect.IRREVERSIBLE)


async def transfer(arg: Any) -> Any:
    """Read what is owed, have the model word the transfer, and send it."""
    owed = await step("read_invoice", READ, {"path": "invoice"})
    words = await decide("word_transfer", {"options": ["rent for May", "May's rent"]})
    sent = {"amount": owed.value, "for": words.value[0], "by": arg["run"]}
    paid = await step("send_money", PAY, {"path": "transfers", "value": sent})
    told = await step("tell_landlord", PAY, {"path": "mail", "value": owed.value})
    return {"paid": paid.status, "told": told.status}


SCENARIO = Scenario(
    name="transfer",
    programs=(Program(name="transfer", body=transfer),),
    world={"invoice": 900, "transfers": [], "mail": []},
    tiers=(Tier.K, Tier.O, Tier.Q, Tier.V),
)
