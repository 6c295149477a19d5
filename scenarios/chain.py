"""Chained events: each stage of an order is a run of its own, started by the one before.

Nobody waits for the next stage, so a link that breaks is silent: the chain just ends there.
"""

from typing import Any

from harness.effects import Effect, Op, Tier
from harness.program import emit, step
from harness.scenario import Program, Scenario


READ = Op("read", Effect.READ)
APPEND = Op("append", Effect.IRREVERSIBLE)


async def receive(arg: Any) -> Any:
    """Take the order and tell whoever packs."""
    order = await step("read_order", READ, {"path": "order"})
    await step("confirm_order", APPEND, {"path": "mail/customer", "value": order.value})
    await emit("received", "order", {"order": order.value})
    await step("log_order", APPEND, {"path": "log", "value": arg["run"]})
    return {"order": order.value}


async def pack(arg: Any) -> Any:
    """Pack, and tell whoever ships."""
    await step("pack_parcel", APPEND, {"path": "parcels", "value": arg["order"]})
    await emit("packed", "order", {"order": arg["order"]})


async def ship(arg: Any) -> Any:
    """Hand the parcel over."""
    await step("ship", APPEND, {"path": "van", "value": arg["order"]})


async def bill(arg: Any) -> Any:
    """Send the bill, beside the parcel."""
    await step("send_bill", APPEND, {"path": "mail/bill", "value": arg["order"]})


SCENARIO = Scenario(
    name="chain",
    programs=(
        Program(name="receive", body=receive),
        Program(name="pack", body=pack, on=("received",)),
        Program(name="ship", body=ship, on=("packed",)),
        Program(name="bill", body=bill, on=("packed",)),
    ),
    world={
        "order": "book",
        "mail/customer": [],
        "log": [],
        "parcels": [],
        "van": [],
        "mail/bill": [],
    },
    tiers=(Tier.O, Tier.K, Tier.Q, Tier.V),
)
