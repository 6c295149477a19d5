"""The migration as a Temporal workflow."""

from __future__ import annotations

from typing import Any

from temporalio import workflow

from runtimes.support import providers
from runtimes.support.port import scaled
from runtimes.temporal.native.steps import step


@workflow.defn(name="migrate")
class Migrate:
    """Move tables to a new database, empty the old one, switch the name, tell people."""

    @workflow.run
    async def run(self, arg: dict[str, Any]) -> dict[str, Any]:
        """Return which tables moved, and how the last two steps went."""
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
            await workflow.sleep(scaled(after_s))
            told, _ = await step("notify_again", providers.mail_customers, after_s)
        return {"tables": sorted(order), "cut_over": cut, "told": told}
