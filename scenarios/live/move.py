"""The migration on real parts: a PostgreSQL, a name server, a mail server.

To begin again after the old tables are empty copies nothing over the good copy.
"""

from typing import Any

from harness.effects import Effect, Json, Op, Tier
from harness.program import step
from harness.scenario import Program, Provider, Scenario


READ = Op("read", Effect.READ)
OPEN = Op("set", Effect.IDEMPOTENT)
COPY = Op("copy", Effect.IDEMPOTENT)
TRUNCATE = Op("clear", Effect.IRREVERSIBLE)
CUT_OVER = Op("set", Effect.HYBRID)
MAIL = Op("append", Effect.IRREVERSIBLE)
NAME, INBOX = "dns/shop", "mail/customers"
OLD, NEW, ELSEWHERE = "192.0.2.1", "192.0.2.2", "192.0.2.99"
TABLES = ("users", "orders")


async def move(arg: Any) -> Any:
    """Copy two tables, check them, empty the old ones, switch the name, tell people."""
    del arg
    rows = {of: await step(f"read_{of}", READ, {"path": f"db/old_{of}"}) for of in TABLES}
    name = await step("read_name", READ, {"path": NAME})
    await step("open_shop", OPEN, {"path": "db/shop", "value": "open"})
    for of in TABLES:
        await step(f"copy_{of}", COPY, {"path": f"db/old_{of}", "to": f"db/new_{of}"})
    for of in TABLES:
        copied = await step(f"verify_{of}", READ, {"path": f"db/new_{of}"})
        if copied.value != rows[of].value:
            return {"moved": False}
    for of in TABLES:
        await step(f"truncate_{of}", TRUNCATE, {"path": f"db/old_{of}"})
    if name.value == OLD:  # else it is somebody else's by now
        await step("cut_over", CUT_OVER, {"path": NAME, "value": NEW}, [name.premise])
    told = await step("notify", MAIL, {"path": INBOX, "value": "we have moved"})
    return {"moved": True, "told": told.status}


WORLD: dict[str, Json] = {
    "db/old_users": ["ada", "grace", "edsger"],
    "db/old_orders": [1815, 1906, 1930, 1972],
    "db/new_users": [],
    "db/new_orders": [],
    "db/shop": "closed",
    NAME: OLD,
    INBOX: [],
}
LIVE = "runtimes.reference.live.world"

SCENARIO = Scenario(
    name="live-move",
    programs=(Program(name="move", body=move),),
    world=WORLD,
    tiers=(Tier.K,),
    drift={NAME: ELSEWHERE},
    providers={
        "db": Provider(live=f"{LIVE}.sql:START"),
        "dns": Provider(tier=Tier.V, by_content=True, fenced=False, live=f"{LIVE}.dns:START"),
        "mail": Provider(tier=Tier.O, fenced=False, live=f"{LIVE}.mail:START"),
    },
)
