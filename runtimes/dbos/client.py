"""The client child of DBOS: it reads and writes the databases of all pools, and runs nothing.

Everything goes through ``DBOSClient``, but for one query: what a run waits for is in the
system tables that DBOS documents, and asking run by run would be hundreds of calls.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sqlite3
import time

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from dbos import DBOS, DBOSClient, DebouncerClient
from sqlalchemy.pool import NullPool

from harness.effects import Json
from harness.rpc import serve
from runtimes.dbos.starts import APPLICATION, QUEUE


BUSY_S = 30
OPEN_POOLS = 32

WAITS = """
SELECT o.workflow_uuid, o.function_name, o.output, o.child_workflow_id, o.function_id
FROM {schema}workflow_status AS w
JOIN {schema}operation_outputs AS o ON o.workflow_uuid = w.workflow_uuid
LEFT JOIN {schema}operation_outputs AS received ON received.workflow_uuid = o.workflow_uuid
  AND received.function_id = o.function_id - 1 AND received.function_name = 'DBOS.recv'
LEFT JOIN {schema}workflow_status AS child ON child.workflow_uuid = o.child_workflow_id
WHERE w.status = 'PENDING' AND w.workflow_uuid IN :runs AND (
  (o.function_name = 'DBOS.sleep' AND received.function_id IS NULL)
  OR (COALESCE(child.queue_name, '') <> :queue
    AND child.status IN ('PENDING', 'ENQUEUED', 'DELAYED')))
"""


@lru_cache(OPEN_POOLS)
def opened(url: str) -> tuple[DBOSClient, sa.Engine]:
    """Return a client of a pool's database, set up as DBOS does; no connection stays open."""
    where = sa.make_url(url)
    if where.drivername == "sqlite":
        engine = sa.create_engine(where, poolclass=NullPool, connect_args={"timeout": BUSY_S})

        @sa.event.listens_for(engine, "connect")
        def prepare(connection: sqlite3.Connection, record: object) -> None:
            del record
            connection.isolation_level = "IMMEDIATE"
            connection.execute("PRAGMA foreign_keys=ON")
    else:
        engine = sa.create_engine(where.set(drivername="postgresql+psycopg"), poolclass=NullPool)
    return DBOSClient(system_database_engine=engine, application_name=APPLICATION), engine


def create(url: str, journal: str | None) -> None:
    """Make the migrated database that each pool's is a copy of."""
    DBOS.migrate(url)
    if journal:
        with opened(url)[1].connect() as connection:
            connection.exec_driver_sql(f"PRAGMA journal_mode={journal}")


def declare(
    url: str, queues: list[dict[str, Any]], poll_s: float, schedules: list[dict[str, Any]]
) -> None:
    """Register what a pool's programs come by, before its first worker looks."""
    client, _ = opened(url)
    for queue in queues:
        client.register_queue(**queue, polling_interval_sec=poll_s)
    for schedule in schedules:
        client.create_schedule(**schedule)


def take_over(url: str, executor: str) -> None:
    """Resume the runs of all other executors, each on its queue, for any worker to take.

    Nobody notices here that an executor has died: to say so and to resume is its operator's,
    or Conductor's.
    """
    client, _ = opened(url)
    left: dict[str | None, list[str]] = {}
    for row in client.list_workflows(status="PENDING", load_input=False):
        if row.executor_id != executor:
            left.setdefault(row.queue_name, []).append(row.workflow_id)
    for queue, runs in left.items():
        client.resume_workflows(runs, queue_name=queue)


def enqueue(url: str, starts: Sequence[dict[str, Any]]) -> None:
    """Enqueue workflows; one that exists is left alone.

    What may be merged with another has a transaction of its own, all others share one.
    """
    client, engine = opened(url)
    alone = []
    with engine.begin() as connection:
        for start in starts:
            if start.get("debounce") or "duplication_policy" in start["options"]:
                alone.append(start)
            else:
                client.enqueue_in_transaction(connection, start["options"], *start["args"])
    for start in alone:
        if calm := start.get("debounce"):
            debouncer = DebouncerClient(
                client, start["options"], debounce_timeout_sec=calm["most_s"]
            )
            debouncer.debounce(calm["key"], calm["period_s"], *start["args"])
        else:
            client.enqueue(start["options"], *start["args"])


def waits(engine: sa.Engine, runs: Sequence[str]) -> dict[str, list[str]]:
    """Return what each run waits for.

    The row of a sleep precedes it and has its end; so does that of the timeout of a
    ``recv``, whose own row, one number before, comes when it returns.
    """
    found: dict[str, list[str]] = {}
    schema = "" if engine.dialect.name == "sqlite" else "dbos."
    query = sa.text(WAITS.format(schema=schema)).bindparams(sa.bindparam("runs", expanding=True))
    with engine.connect() as connection:
        for run, name, output, child, number in connection.execute(
            query, {"runs": list(runs), "queue": QUEUE}
        ):
            if child is None and float(json.loads(output)) <= time.time():
                continue
            found.setdefault(run, []).append(f"{number} {child or name}")
    return found


def look(url: str, runs: Sequence[str], debounced: Sequence[str]) -> dict[str, Any]:
    """Return a row for each run that exists; a debounced one is the last that was asked for."""
    client, engine = opened(url)
    waiting = waits(engine, runs)
    found = {
        row.workflow_id: row
        for row in client.list_workflows(workflow_ids=list(runs), load_input=False)
    }
    if debounced:
        for row in client.list_workflows(name=list(debounced)):
            if row.input and (run := row.input["args"][0]["run"]) in runs:
                found[run] = row
    return {
        run: {
            "status": row.status,
            "attempt": row.recovery_attempts or 0,
            "output": row.output,
            "error": None if row.error is None else repr(row.error),
            "id": row.workflow_id,
            "executor": row.executor_id,
            "queue": row.queue_name,
            "waits": waiting.get(row.workflow_id, []),
        }
        for run, row in found.items()
    }


def steps(url: str, run: str) -> list[dict[str, Any]]:
    """Return the recorded steps of a run."""
    return [
        {
            "name": row["function_name"],
            "kind": "child" if row["child_workflow_id"] else "step",
            "number": row["function_id"],
            "output": row["output"],
            "error": None if row["error"] is None else repr(row["error"]),
            "child": row["child_workflow_id"],
            "started_ms": row["started_at_epoch_ms"],
            "completed_ms": row["completed_at_epoch_ms"],
        }
        for row in opened(url)[0].list_workflow_steps(run)
    ]


async def main() -> None:
    """Serve the adapter."""
    logging.getLogger("dbos").setLevel(logging.WARNING)

    async def send(url: str, run: str, topic: str, payload: Json) -> None:
        client, _ = opened(url)
        await client.send_async(run, {"payload": payload}, topic)

    async def cancel(url: str, runs: list[str]) -> None:
        await opened(url)[0].cancel_workflows_async(runs, cancel_children=True)

    await serve(
        {
            "prepare": lambda **given: asyncio.to_thread(create, **given),
            "open": lambda **given: asyncio.to_thread(declare, **given),
            "take_over": lambda **given: asyncio.to_thread(take_over, **given),
            "submit": lambda **given: asyncio.to_thread(enqueue, **given),
            "inspect": lambda **given: asyncio.to_thread(look, **given),
            "journal": lambda **given: asyncio.to_thread(steps, **given),
            "send": send,
            "cancel": cancel,
        }
    )


if __name__ == "__main__":
    asyncio.run(main())
