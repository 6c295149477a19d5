"""The migration as an Inngest function."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import inngest

from runtimes.inngest.native.steps import step
from runtimes.inngest.ops import ROUNDED_S
from runtimes.support import providers
from runtimes.support.port import scaled


async def migrate(context: inngest.Context, arg: dict[str, Any]) -> dict[str, Any]:
    """Move tables to a new database, empty the old one, switch the name, tell people."""
    target = f"target-{arg['run']}"
    tables = await step(context, "read_tables", providers.list_tables)
    await step(context, "read_foreign_keys", providers.read, "schema/foreign_keys")
    await step(context, "read_grants", providers.read, "schema/grants")
    version = await step(context, "read_dns", providers.read_dns)
    order = await step(context, "decide_order", providers.choose_order, tables)
    await step(context, "create_target", providers.create, f"{target}/database", "created")
    for table in order:
        await step(context, f"copy_{table}", providers.copy_table, table, target)
    for table in sorted(order):
        await step(context, f"verify_{table}", providers.read, f"{target}/{table}")
    await step(context, "truncate_source", providers.truncate_tables)
    cut = await step(context, "cut_over", providers.switch_dns, target, version)
    told, after_s = await step(context, "notify", providers.mail_customers)
    if told == "throttled":
        wait_s = scaled(after_s) + ROUNDED_S
        await context.step.sleep("wait_for_mail", timedelta(seconds=wait_s))
        told, _ = await step(context, "notify_again", providers.mail_customers, after_s)
    return {"tables": sorted(order), "cut_over": cut, "told": told}
