"""A migration agent: thirteen steps, the last three of which cannot be taken back.

Copying an emptied table copies nothing: to begin again after the truncation destroys all.
"""

from typing import Any

from harness.effects import Effect, Json, Op, Tier
from harness.program import decide, sleep, step
from harness.scenario import Answer, Program, Scenario


READ = Op("read", Effect.READ)
CREATE = Op("create", Effect.IDEMPOTENT)
COPY = Op("copy", Effect.IDEMPOTENT)
TRUNCATE = Op("clear", Effect.IRREVERSIBLE)
CUT_OVER = Op("set", Effect.HYBRID)
MAIL = Op("append", Effect.IRREVERSIBLE)
DNS, INBOX = "dns/app.example", "mail/customers"


async def migrate(arg: Any) -> Any:
    """Move two tables to a new database, empty the old one, switch the name, tell people."""
    target = f"target-{arg['run']}"
    tables = await step("read_tables", READ, {"path": "source/*"})
    await step("read_foreign_keys", READ, {"path": "schema/foreign_keys"})
    await step("read_grants", READ, {"path": "schema/grants"})
    dns = await step("read_dns", READ, {"path": DNS})
    names = [path.removeprefix("source/") for path in tables.value]
    order = await decide("decide_order", {"options": names})
    await step("create_target", CREATE, {"path": f"{target}/database", "value": "created"})
    for table in order.value:
        await step(f"copy_{table}", COPY, {"path": f"source/{table}", "to": f"{target}/{table}"})
    for table in sorted(order.value):
        await step(f"verify_{table}", READ, {"path": f"{target}/{table}"})
    await step("truncate_source", TRUNCATE, {"path": "source/*"})
    cut = await step("cut_over", CUT_OVER, {"path": DNS, "value": target}, [dns.premise])
    mail = {"path": INBOX, "value": "we have moved"}
    told = await step("notify", MAIL, mail)
    if told.status == "throttled":
        await sleep("wait_for_mail", told.after_s)
        told = await step("notify_again", MAIL, mail)
    return {"tables": sorted(order.value), "cut_over": cut.status, "told": told.status}


WORLD: dict[str, Json] = {
    "source/users": ["ada", "grace", "edsger"],
    "source/orders": [1815, 1906, 1930, 1972],
    "schema/foreign_keys": ["orders.user -> users"],
    "schema/grants": ["app: all"],
    DNS: "source",
    INBOX: [],
}

SCENARIO = Scenario(
    name="migration",
    programs=(Program(name="migrate", body=migrate),),
    world=WORLD,
    tiers=(Tier.O, Tier.K, Tier.Q, Tier.V),
    drift={DNS: "elsewhere"},
    variants={"throttled": (Answer(step="notify", status="throttled", after_s=7200.0),)},
)
