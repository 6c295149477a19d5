"""Moves a shop from one set of tables to another: fourteen steps, three of them for good.

For `bakeoff runs start`, which wants ``body`` and ``upstream``.  The database, the name server and
the mail server are those of ``python -m runtimes.reference.live``.
"""

from __future__ import annotations

import json
import os
import signal

from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.effects import Effect, Json, Op
from harness.process import Address
from harness.program import FailedError, step
from runtimes.reference.upstreams.base import Answer, Contract, Order
from runtimes.reference.upstreams.credential import Credential
from runtimes.reference.upstreams.dns import Dns
from runtimes.reference.upstreams.mail import Mail
from runtimes.reference.upstreams.router import Router
from runtimes.reference.upstreams.sql import Sql
from runtimes.reference.upstreams.sql_tables import Statement


OLD, NEW = "192.0.2.1", "192.0.2.2"


AGES, TABLES = ("old", "new"), ("users", "orders")
COUNT = {f"{age}_{of}": Op(f"count_{age}_{of}", Effect.READ) for of in TABLES for age in AGES}
COPY = {of: Op(f"copy_{of}", Effect.IDEMPOTENT) for of in TABLES}
CLEAR = {of: Op(f"clear_{of}", Effect.IRREVERSIBLE) for of in TABLES}
KEYS, GRANTS = Op("keys", Effect.READ), Op("grants", Effect.READ)
OPEN = Op("open", Effect.IDEMPOTENT)
LOOK_UP, NAME = Op("dns.read", Effect.READ), Op("dns.set", Effect.HYBRID)
MAIL = Op("mail.send", Effect.IRREVERSIBLE)


async def body(arg: Any) -> Any:
    """Copy the shop's rows, check them, delete the old ones, switch its name, tell people."""
    shop, name = arg["shop"], f"dns/example.test/{arg['shop']}/A"
    users = await step("read_users", COUNT["old_users"], {"path": "db/old_users", "shop": shop})
    orders = await step("read_orders", COUNT["old_orders"], {"path": "db/old_orders", "shop": shop})
    await step("read_keys", KEYS, {"path": "db/schema"})
    await step("read_grants", GRANTS, {"path": "db/schema"})
    dns = await step("read_dns", LOOK_UP, {"path": name})
    await step("open_shop", OPEN, {"path": "db/new_shops", "shop": shop})
    await step("copy_users", COPY["users"], {"path": "db/new_users", "shop": shop})
    await step("copy_orders", COPY["orders"], {"path": "db/new_orders", "shop": shop})
    copied = (
        await step("verify_users", COUNT["new_users"], {"path": "db/new_users", "shop": shop}),
        await step("verify_orders", COUNT["new_orders"], {"path": "db/new_orders", "shop": shop}),
    )
    if [each.value["rows"] for each in copied] != [users.value["rows"], orders.value["rows"]]:
        msg = f"{shop}: not all was copied"
        raise FailedError(msg)
    await step("clear_orders", CLEAR["orders"], {"path": "db/old_orders", "shop": shop})
    await step("clear_users", CLEAR["users"], {"path": "db/old_users", "shop": shop})
    text = f"{shop} has moved to {NEW}"
    if dns.value["records"] == [OLD]:
        to: dict[str, Json] = {"path": name, "records": [NEW], "ttl": 60}
        await step("cut_over", NAME, to, [dns.premise])
    else:
        text = f"{shop} has moved; somebody else had put its name at {dns.value['records'][0]}"
    mail = {"path": "mail/ann@example.test", "subject": f"{shop} has moved", "text": text}
    await step("notify", MAIL, mail)
    return {"said": text}


def _statements() -> dict[str, Statement]:
    """Return what may be asked of the database: an agent sends no SQL."""
    where = "where shop = %(shop)s"
    made = {
        "keys": Statement(
            sql="select conname from pg_constraint where contype = 'f' order by 1",
            effect=Effect.READ,
            kind="schema",
        ),
        "grants": Statement(
            sql="select distinct privilege_type from information_schema.role_table_grants "
            "where table_name = 'old_users' order by 1",
            effect=Effect.READ,
            kind="schema",
        ),
        "open": Statement(
            sql="insert into new_shops values (%(shop)s) on conflict do nothing",
            effect=Effect.IDEMPOTENT,
            kind="new_shops",
        ),
    }
    for table in TABLES:
        for age in AGES:
            made[f"count_{age}_{table}"] = Statement(
                sql=f"select count(*) as rows from {age}_{table} {where}",
                effect=Effect.READ,
                kind=f"{age}_{table}",
            )
        made[f"copy_{table}"] = Statement(
            # Makes the copy anew: of an emptied table it makes an empty one.
            sql=f"with gone as (delete from new_{table} {where}) "
            f"insert into new_{table} select * from old_{table} {where}",
            effect=Effect.IDEMPOTENT,
            kind=f"new_{table}",
        )
        made[f"clear_{table}"] = Statement(
            sql=f"delete from old_{table} {where}",
            effect=Effect.IRREVERSIBLE,
            kind=f"old_{table}",
        )
    return made


NEAR_S = 2
DIE = os.environ.get("DIE", "")
"""``before SLOT`` or ``after SLOT``: there this process kills itself, for the reader to see."""


class Near(Router):
    """Providers of this machine: no call is on its way for longer than two seconds."""

    def contract(self, op: str, target: str) -> Contract:
        """Return what is promised; a fenced call needs no time to pass."""
        said = super().contract(op, target)
        return said if said.fenced else replace(said, deadline_s=NEAR_S)

    async def call(self, order: Order) -> Answer:
        """Carry an order out; die where the reader has said."""
        if f"before {order.slot}" == DIE:
            os.kill(os.getpid(), signal.SIGKILL)
        answer = await super().call(order)
        if f"after {order.slot}" == DIE:
            os.kill(os.getpid(), signal.SIGKILL)
        return answer


def servers() -> dict[str, Any]:
    """Return where the servers are, and what they ask for."""
    found: dict[str, Any] = json.loads(Path(os.environ.get("SERVERS", "servers.json")).read_text())
    return found


def database(at: dict[str, Any]) -> Sql:
    """Return the connector of the database."""
    where, credential = _way(at)
    return Sql(where, at["database"], credential, statements=_statements(), rows={}, tls=False)


def upstream() -> Near:
    """Return the providers: what this process holds the credentials of."""
    at = servers()
    name_server, zones = _way(at["knot"]), tuple(at["knot"]["zones"])
    post, user = _way(at["mail"])
    return Near(
        {
            "db": database(at["postgres"]),
            "dns": Dns(name_server[0], zones, name_server[1]),
            "mail": Mail(post, "shops@example.test", user, tls=False),
        }
    )


def _way(at: dict[str, Any]) -> tuple[Address, Credential]:
    host, _, port = at["address"].rpartition(":")
    return Address(host, int(port)), Credential(name=at["user"], secret=at["secret"])
