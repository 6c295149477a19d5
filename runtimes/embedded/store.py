"""What an embedded runtime keeps: one SQLite file for the runs of one pool.

The harness submits and looks by the same file that the worker writes, so nothing has to be
asked of a dead process.
"""

from __future__ import annotations

import json
import sqlite3
import time

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.effects import Json
from harness.runtime import TERMINAL, Envelope, RunView, Start
from runtimes.embedded.starts import Decision, Row


SCHEMA = """
create table if not exists runs (run text primary key, envelope text, program text, arg text,
  status text default 'queued', output text, claim text default '', detail text default '',
  asked_s real, began_s real);
create index if not exists runs_by_program on runs (program);
create table if not exists records (seq integer primary key, run text, name text, kind text,
  body text);
create index if not exists records_by_run on records (run, name);
create table if not exists events (run text, event text, key text, payload text);
create table if not exists published (seq integer primary key, envelope text, event text,
  key text, payload text, asked_s real, delivered integer default 0, unique (event, key));
create table if not exists meta (epoch integer);
"""


class FencedError(Exception):
    """A later worker has taken over: this one may not write any more."""


ALIVE = "status not in ('completed', 'failed', 'cancelled', 'dead', 'escalated')"
WRITE = (
    "update runs set status=?, claim=?, output=?, detail=? where run=? "  # noqa: S608 - ours
    f"and {ALIVE} and (? or (select epoch from meta) = ?)"
)
CANCEL = f"update runs set status='cancelled', detail=? where run=? and {ALIVE}"  # noqa: S608
WAITS = "waits for its start"


@dataclass(frozen=True, slots=True)
class Published:
    """An event from outside, as it was sent."""

    envelope: Envelope
    event: str
    key: str
    payload: Json
    asked_s: float


@dataclass(frozen=True, slots=True)
class Record:
    """A fact of a run: an ``intent``, a ``completion``, a ``timer``, ``errors``."""

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
        self.path = path
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

    def submit(self, starts: Sequence[Start], asked_s: float | None = None) -> None:
        """Add runs; those that exist already are left alone."""
        with self._transaction():
            self._add(starts, asked_s)

    def _add(self, starts: Sequence[Start], asked_s: float | None = None) -> None:
        moment_s = time.time() if asked_s is None else asked_s
        self._sql.executemany(
            "insert or ignore into runs (run, envelope, program, arg, asked_s) "
            "values (?, ?, ?, ?, ?)",
            [
                (
                    start.envelope.run,
                    json.dumps(start.envelope.to_json()),
                    start.program,
                    json.dumps(start.arg),
                    moment_s,
                )
                for start in starts
            ],
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
            WRITE,
            (status, claim, json.dumps(output), detail, run, not fenced, self.epoch),
        )

    def fail(self, run: str, why: str, then: Sequence[Start], *, fenced: bool = False) -> None:
        """End a run as failed, and add what its failure starts: both or neither."""
        with self._transaction():
            ended = self._sql.execute(
                WRITE, ("failed", "", "null", why, run, not fenced, self.epoch)
            )
            if ended.rowcount:
                self._add(then)

    def cancelled(self) -> set[str]:
        """Return the runs that were cancelled."""
        return {
            row[0] for row in self._sql.execute("select run from runs where status='cancelled'")
        }

    # Starts ------------------------------------------------------------------------------

    def rows(self, program: str) -> list[Row]:
        """Return the runs of a program, in the order of asking."""
        found = self._sql.execute(
            "select run, arg, asked_s, began_s, status from runs where program=? "
            "order by asked_s, rowid",
            (program,),
        )
        return [
            Row(
                run=run, arg=json.loads(arg), asked_s=asked, began_s=began, ended=status in TERMINAL
            )
            for run, arg, asked, began, status in found
        ]

    def decided(self, said: Decision, now_s: float) -> None:
        """Write down a decision, in one transaction."""
        changes: dict[str, Sequence[tuple[Any, ...]]] = {
            CANCEL: [(why, run) for run, why in said.drop.items()],
            "update runs set arg=? where run=?": [(json.dumps(a), r) for r, a in said.args.items()],
            "update runs set began_s=?, detail='' where run=?": [(now_s, r) for r in said.begin],
            "update runs set detail=? where run=?": [(WAITS, run) for run in said.wait],
        }
        with self._transaction():
            for change, values in changes.items():
                self._sql.executemany(change, values)

    def publish(self, envelope: Envelope, event: str, key: str, payload: Json) -> None:
        """Keep an event from outside; one of the same key is the same event."""
        self._sql.execute(
            "insert or ignore into published (envelope, event, key, payload, asked_s) "
            "values (?, ?, ?, ?, ?)",
            (json.dumps(envelope.to_json()), event, key, json.dumps(payload), time.time()),
        )

    def published(self) -> list[Published]:
        """Return the events that were not delivered yet, in order."""
        found = self._sql.execute(
            "select envelope, event, key, payload, asked_s from published "
            "where not delivered order by seq"
        )
        return [
            Published(Envelope.from_json(json.loads(env)), event, key, json.loads(payload), asked_s)
            for env, event, key, payload, asked_s in found
        ]

    def deliver(self, sent: Published, cancel: Sequence[str], starts: Sequence[Start]) -> None:
        """Cancel runs and add others because of an event, and tick it off: all or nothing."""
        with self._transaction():
            why = f"{sent.event} {sent.key}"
            self._sql.executemany(CANCEL, [(why, run) for run in cancel])
            self._add(starts, sent.asked_s)
            self._sql.execute(
                "update published set delivered=1 where event=? and key=?", (sent.event, sent.key)
            )

    def views(self, runs: Sequence[str], worker: str) -> list[RunView]:
        """Return what is known of runs; ``worker`` is the name of the one that lives now."""
        marks = ",".join("?" * len(runs))
        rows = self._sql.execute(
            f"select run, status, output, claim, detail from runs where run in ({marks})",  # noqa: S608
            list(runs),
        )
        found = {row[0]: row[1:] for row in rows}
        views = []
        for run in runs:
            status, output, claim, detail = found.get(run, ("absent", "null", "", ""))
            waits = status == "queued" and detail == WAITS
            stray = bool(worker) and status not in TERMINAL and claim != worker and not waits
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
