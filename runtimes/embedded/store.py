"""What an embedded runtime keeps: one SQLite file for the runs of one pool.

The harness submits and looks by the same file that the worker writes, so nothing has to be
asked of a dead process.
"""

from __future__ import annotations

import json
import sqlite3

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.effects import Json
from harness.runtime import TERMINAL, Envelope, RunView, Start


SCHEMA = """
create table if not exists runs (run text primary key, envelope text, program text, arg text,
  status text default 'queued', output text, claim text default '', detail text default '');
create table if not exists records (seq integer primary key, run text, name text, kind text,
  body text);
create index if not exists records_by_run on records (run, name);
create table if not exists events (run text, event text, key text, payload text);
create table if not exists meta (epoch integer);
"""


class FencedError(Exception):
    """A later worker has taken over: this one may not write any more."""


@dataclass(frozen=True, slots=True)
class Record:
    """A fact of a run: an ``intent``, a ``completion``, a ``timer``, an ``escalation``."""

    name: str
    kind: str
    body: Any


class Store:
    """The runs of one pool; ``epoch`` is raised by each worker that takes over.

    ``durable`` waits for the disk at each commit, against power loss; what a killed
    process committed survives either way.
    """

    def __init__(self, path: Path, *, durable: bool = False) -> None:
        """Open or make the file."""
        self._sql = sqlite3.connect(
            path, isolation_level=None, check_same_thread=False, timeout=30.0
        )
        self._sql.execute("pragma journal_mode=wal")
        self._sql.execute(f"pragma synchronous={'full' if durable else 'normal'}")
        self._sql.executescript(SCHEMA)
        self.epoch = 0

    def close(self) -> None:
        """Close the file."""
        self._sql.close()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._sql.execute("begin immediate")
        try:
            yield
        except BaseException:
            self._sql.execute("rollback")
            raise
        self._sql.execute("commit")

    def take_over(self) -> None:
        """Raise the epoch: earlier workers are fenced from what checks it."""
        with self._transaction():
            row = self._sql.execute("select epoch from meta").fetchone()
            self.epoch = (row[0] if row else 0) + 1
            self._sql.execute("delete from meta")
            self._sql.execute("insert into meta values (?)", (self.epoch,))

    def submit(self, starts: Sequence[Start]) -> None:
        """Add runs; those that exist already are left alone."""
        rows = [
            (
                start.envelope.run,
                json.dumps(start.envelope.to_json()),
                start.program,
                json.dumps(start.arg),
            )
            for start in starts
        ]
        with self._transaction():
            self._sql.executemany(
                "insert or ignore into runs (run, envelope, program, arg) values (?, ?, ?, ?)",
                rows,
            )

    def pending(self) -> list[Start]:
        """Return the runs that have not ended, oldest first."""
        rows = self._sql.execute(
            "select envelope, program, arg, status from runs order by rowid"
        ).fetchall()
        return [
            Start(
                envelope=Envelope.from_json(json.loads(envelope)),
                program=program,
                arg=json.loads(arg),
            )
            for envelope, program, arg, status in rows
            if status not in TERMINAL
        ]

    def set_status(
        self,
        run: str,
        status: str,
        *,
        claim: str = "",
        output: Json = None,
        detail: str = "",
        fenced: bool = False,
    ) -> None:
        """Write where a run stands; one that has ended stays ended.

        With ``fenced``, a worker that was superseded writes nothing.
        """
        self._sql.execute(
            "update runs set status=?, claim=?, output=?, detail=? where run=? "
            "and status not in ('completed', 'failed', 'cancelled', 'dead', 'escalated') "
            "and (? or (select epoch from meta) = ?)",
            (status, claim, json.dumps(output), detail, run, not fenced, self.epoch),
        )

    def views(self, runs: Sequence[str], worker: str) -> list[RunView]:
        """Return what is known of runs; ``worker`` is the incarnation that lives now."""
        marks = ",".join("?" * len(runs))
        rows = self._sql.execute(
            f"select run, status, output, claim, detail from runs where run in ({marks})",  # noqa: S608
            list(runs),
        )
        found = {row[0]: row[1:] for row in rows}
        views = []
        for run in runs:
            status, output, claim, detail = found.get(run, ("unknown", "null", "", ""))
            stray = bool(worker) and status not in TERMINAL and claim != worker
            views.append(
                RunView(
                    run=run,
                    status=status,
                    output=json.loads(output or "null"),
                    engine_id=run,
                    moves="no" if status in TERMINAL or stray else "unknown",
                    claim=claim,
                    detail={"detail": detail},
                )
            )
        return views

    def append(self, run: str, record: Record, *, fenced: bool = False) -> None:
        """Add a record.

        Raises:
            FencedError: ``fenced`` was asked for and a later worker has taken over.

        """
        with self._transaction():
            if fenced and self._sql.execute("select epoch from meta").fetchone() != (self.epoch,):
                msg = f"epoch {self.epoch} is over"
                raise FencedError(msg)
            self._sql.execute(
                "insert into records (run, name, kind, body) values (?, ?, ?, ?)",
                (run, record.name, record.kind, json.dumps(record.body)),
            )

    def records(self, run: str) -> list[Record]:
        """Return the records of a run, in order."""
        rows = self._sql.execute(
            "select name, kind, body from records where run=? order by seq", (run,)
        )
        return [Record(name, kind, json.loads(body)) for name, kind, body in rows]

    def add_event(self, run: str, event: str, key: str, payload: Json) -> None:
        """Keep an event for a run."""
        self._sql.execute(
            "insert into events values (?, ?, ?, ?)", (run, event, key, json.dumps(payload))
        )

    def event(self, run: str, event: str, key: str) -> dict[str, Json] | None:
        """Return the event that a run waits for, if it has come."""
        row = self._sql.execute(
            "select payload from events where run=? and event=? and key=?", (run, event, key)
        ).fetchone()
        return {"payload": json.loads(row[0])} if row else None
