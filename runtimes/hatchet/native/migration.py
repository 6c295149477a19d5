"""The migration as a durable task of Hatchet."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from hatchet_sdk import DurableContext

from runtimes.hatchet.native.steps import step
from runtimes.hatchet.settings import whole_s
from runtimes.support import providers
from runtimes.support.port import scaled


async def migrate(arg: dict[str, Any], context: DurableContext) -> dict[str, Any]:
    """Move tables to a new database, empty the old one, switch the name, tell people."""
    target = f"target-{arg['run']}"
    tables = await step("read_tables", providers.list_tables)
    await step("read_foreign_keys", providers.read, "schema/foreign_keys")
    await step("read_grants", providers.read, "schema/grants")
    version = await step("read_dns", providers.read_dns)
    order = await step("decide_order", providers.choose_order, tables)
    await step("create_target", providers.create, f"{target}/database", "created")
    for table in order:
        await step(f"copy_{table}", providers.copy_table, table, target)
    for table in sorted(order):
        await step(f"verify_{table}", providers.read, f"{target}/{table}")
    await step("truncate_source", providers.truncate_tables)
    cut = await step("cut_over", providers.switch_dns, target, version)
    told, after_s = await step("notify", providers.mail_customers)
    if told == "throttled":
        await context.aio_sleep_for(timedelta(seconds=whole_s(scaled(after_s))))
        told, _ = await step("notify_again", providers.mail_customers, after_s)
    return {"tables": sorted(order), "cut_over": cut, "told": told}
