"""What hand-written workflows of every engine call: a company's own code around its providers.

One function is one effect.  None knows which engine calls it, nor the name of its step.
"""

from __future__ import annotations

from typing import Any

from harness.effects import Effect, Op
from harness.program import Premise
from runtimes.support.port import perform


READ = Op("read", Effect.READ)
ASK = Op("ask", Effect.READ)
CREATE = Op("create", Effect.IDEMPOTENT)
COPY = Op("copy", Effect.IDEMPOTENT)
SET = Op("set", Effect.IDEMPOTENT)
CLEAR = Op("clear", Effect.IRREVERSIBLE)
APPEND = Op("append", Effect.IRREVERSIBLE)
SWITCH = Op("set", Effect.HYBRID)
DNS, CUSTOMERS = "dns/app.example", "mail/customers"


async def read(path: str) -> Any:  # noqa: ANN401 - whatever is there
    """Return what is at a path."""
    reply = await perform(READ, {"path": path})
    return reply.get("value")


async def list_tables() -> list[str]:
    """Return the names of the tables that are to move."""
    reply = await perform(READ, {"path": "source/*"})
    return [path.removeprefix("source/") for path in reply["value"]]


async def read_dns() -> str:
    """Return the version of the DNS record."""
    reply = await perform(READ, {"path": DNS})
    return str(reply["etag"])


async def choose_order(tables: list[str]) -> list[str]:
    """Ask the model in which order to copy."""
    reply = await perform(ASK, {"options": [*tables]})
    return [str(table) for table in reply["value"]]


async def create(path: str, value: str) -> None:
    """Write what is not there yet; a second time changes nothing."""
    await perform(CREATE, {"path": path, "value": value})


async def copy_table(table: str, target: str) -> None:
    """Copy one table."""
    await perform(COPY, {"path": f"source/{table}", "to": f"{target}/{table}"})


async def truncate_tables() -> None:
    """Empty the old tables, for good."""
    await perform(CLEAR, {"path": "source/*"})


async def switch_dns(target: str, version: str) -> str:
    """Lead the name to the new database, if it is as it was read; return how that went."""
    premise = Premise(DNS, version)
    reply = await perform(SWITCH, {"path": DNS, "value": target}, [premise])
    return str(reply["status"])


async def mail_customers(slept_s: float = 0.0) -> list[Any]:
    """Tell all customers; return how that went and, if throttled, for how long to wait."""
    mail = {"path": CUSTOMERS, "value": "we have moved"}
    reply = await perform(APPEND, {**mail}, slept_s=slept_s)
    return [str(reply["status"]), float(reply.get("after_s", 0.0))]


async def append(path: str, value: Any) -> str:  # noqa: ANN401 - whatever is to be there
    """Add a line to a provider's list, which cannot be taken back; return how that went."""
    reply = await perform(APPEND, {"path": path, "value": value})
    return str(reply["status"])


async def mark(path: str, state: str) -> str:
    """Write a state; return how that went."""
    reply = await perform(SET, {"path": path, "value": state})
    return str(reply["status"])


EFFECTS = (
    *(read, list_tables, read_dns, choose_order, create, copy_table),
    *(truncate_tables, switch_dns, mail_customers, append, mark),
)
