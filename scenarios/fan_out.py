"""Parallel effects, joined: one order is charged, shipped and announced side by side."""

from typing import Any

from harness.effects import Effect, Op, Tier
from harness.program import gather, step
from harness.scenario import Program, Scenario


READ = Op("read", Effect.READ)
APPEND = Op("append", Effect.IRREVERSIBLE)
SET = Op("set", Effect.IDEMPOTENT)


async def fulfil(arg: Any) -> Any:
    """Read the order, act on it three times at once, then close it."""
    order = await step("read_order", READ, {"path": "order"})
    done = await gather(
        step("charge", APPEND, {"path": "charges", "value": order.value}),
        step("ship", APPEND, {"path": "parcels", "value": order.value}),
        step("announce", APPEND, {"path": "mail", "value": arg["run"]}),
    )
    closed = await step("close_order", SET, {"path": "order/state", "value": "closed"})
    return {"parts": [part.status for part in done], "closed": closed.status}


SCENARIO = Scenario(
    name="fan_out",
    programs=(Program(name="fulfil", body=fulfil),),
    world={"order": "book", "charges": [], "parcels": [], "mail": []},
    tiers=(Tier.O, Tier.K, Tier.Q, Tier.V),
)
