"""The child of the observer: it lists what a database of DBOS has of runs that have not ended.

Runs are read and resumed through ``DBOSClient``.  Two things it does not tell are asked of the
system tables: when a run's last step ended, and whether anybody else is connected.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time

from functools import cached_property
from typing import Any

import sqlalchemy as sa

from dbos import DBOSClient

from harness.rpc import serve
from runtimes.dbos.client import opened, waits
from runtimes.dbos.observer import URL


OPEN = ["PENDING", "ENQUEUED", "DELAYED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"]
STEPS = """
SELECT workflow_uuid, MAX(completed_at_epoch_ms) FROM {schema}operation_outputs
WHERE workflow_uuid IN :runs GROUP BY workflow_uuid
"""
OTHERS = """
SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database()
AND backend_type = 'client backend' AND pid <> pg_backend_pid()
"""


class Looks:
    """The methods of the child, for one database."""

    def __init__(self, url: str) -> None:
        """Prepare; the first call opens it, so that what is wrong with it is an answer."""
        self._url = url

    @cached_property
    def _opened(self) -> tuple[DBOSClient, sa.Engine, bool]:
        client, engine = opened(self._url)
        return client, engine, engine.dialect.name == "sqlite"

    def others(self) -> int | None:
        """Return how many others are connected; nobody can tell of a file.

        A worker stays connected as long as it lives, because it listens.
        """
        _, engine, is_file = self._opened
        with engine.connect() as connection:
            if is_file:
                connection.execute(sa.text("SELECT COUNT(*) FROM workflow_status"))
                return None
            return int(connection.execute(sa.text(OTHERS)).scalar_one())

    def runs(self) -> list[dict[str, Any]]:
        """Return a row for each run that has not ended, or that was given up."""
        client, engine, is_file = self._opened
        rows = client.list_workflows(status=OPEN, load_input=False, load_output=False)
        if not rows:
            return []
        runs = [row.workflow_id for row in rows]
        schema = "" if is_file else "dbos."
        steps = sa.text(STEPS.format(schema=schema))
        with engine.connect() as connection:
            asked = steps.bindparams(sa.bindparam("runs", expanding=True))
            told = connection.execute(asked, {"runs": runs}).all()
            ended: dict[str, int | None] = {row[0]: row[1] for row in told}
        waiting = waits(engine, runs)
        now_ms = time.time() * 1000
        return [
            {
                "run": row.workflow_id,
                "name": row.name,
                "status": row.status,
                "executor": row.executor_id or "",
                "attempts": row.recovery_attempts or 0,
                "queue": row.queue_name,
                "waits": waiting.get(row.workflow_id, []),
                "age_s": (now_ms - (row.created_at or now_ms)) / 1000,
                "idle_s": (now_ms - (ended.get(row.workflow_id) or row.created_at or now_ms))
                / 1000,
            }
            for row in rows
        ]

    def resume(self, run: str, queue: str | None) -> None:
        """Give a run to whoever takes from its queue; completed steps are kept."""
        self._opened[0].resume_workflows([run], queue_name=queue)


async def main(url: str) -> None:
    """Serve the observer."""
    logging.getLogger("dbos").setLevel(logging.WARNING)
    looks = Looks(url)
    await serve(
        {
            "others": lambda: asyncio.to_thread(looks.others),
            "runs": lambda: asyncio.to_thread(looks.runs),
            "resume": lambda **given: asyncio.to_thread(looks.resume, **given),
        }
    )


if __name__ == "__main__":
    asyncio.run(main(os.environ[URL]))
