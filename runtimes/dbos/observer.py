"""A live DBOS, seen through the database that the environment names.

DBOS has no heartbeat: whether the executor of a run still lives is in no table.  On PostgreSQL it
is proven dead when nobody is connected; else only who runs the executors knows, and may say so
in ``BAKEOFF_DBOS_EXECUTORS``: the ids of those that live, with commas between.
"""

from __future__ import annotations

import os
import sys
import tempfile

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from harness.observer import Observer, Remedy, answering, needs
from harness.rpc import Rpc
from harness.runtime import RuntimeUnavailableError
from harness.signature import Evidence, Signature


URL, EXECUTORS = "BAKEOFF_DBOS_URL", "BAKEOFF_DBOS_EXECUTORS"
ANSWER_S = 60.0
STATUSES = {
    "PENDING": "running",
    "ENQUEUED": "queued",
    "DELAYED": "waiting",
    "MAX_RECOVERY_ATTEMPTS_EXCEEDED": "dead",
}
Life = Literal["alive", "gone", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DbosObserver:
    """A database; ``living`` are the executors that live, or None where nobody said."""

    rpc: Rpc
    place: str
    living: frozenset[str] | None

    def look(self, older_than_s: float) -> Sequence[Evidence]:
        """Return what is visible of each workflow that has not ended, or was given up."""
        with answering("dbos", self.place, URL):
            others = self.rpc.call("others", ANSWER_S)
            rows = self.rpc.call("runs", ANSWER_S)
        staffed: Life = "gone" if others == 0 else "unknown"
        if self.living is not None:
            staffed = "alive" if self.living else "gone"
        return [self._seen(row, staffed, others) for row in rows if row["age_s"] >= older_than_s]

    def _seen(self, row: Mapping[str, Any], staffed: Life, others: int | None) -> Evidence:
        pending, executor = row["status"] == "PENDING", row["executor"]
        claimant: Life = "gone" if staffed == "gone" else "unknown"
        if self.living is not None:
            claimant = "alive" if executor in self.living else "gone"
        works = claimant if pending else staffed
        connected = "" if others is None else f"; {others} others are connected"
        return Evidence(
            run=row["run"],
            status="waiting" if row["waits"] else STATUSES.get(row["status"], "running"),
            moves="yes" if works == "alive" else "unknown",
            claim=executor if pending else "",
            worker=staffed,
            claimant=claimant if pending else "unknown",
            idle_s=row["idle_s"],
            note=f"{row['name']}, {row['status']}, attempt {row['attempts']}{connected}",
        )

    def remedy(self, seen: Evidence, signature: Signature) -> Remedy | None:
        """Resume what a dead executor has; its completed steps are kept."""
        if signature is Signature.SDK_UNREACHABLE:
            return Remedy(
                run=seen.run,
                does=f"start a worker as executor {seen.claim or 'of any id'}: "
                "it takes over at its start",
                harms="nobody",
                proven=False,
                verb="",
            )
        if signature not in {Signature.ORPHANED_CLAIM, Signature.ATTEMPTS_BURNT}:
            return None
        burnt = signature is Signature.ATTEMPTS_BURNT
        harms = "itself: a step in flight when its executor died may be done twice"
        if burnt:
            harms += "; and the next executor, if it is this run that kills them"
        return Remedy(
            run=seen.run,
            does="resume it on the internal queue, for any executor of its version",
            harms=harms,
            proven=not burnt,
            verb="resume",
            args={"run": seen.run, "queue": None},
        )

    def carry_out(self, remedy: Remedy) -> str:
        """Resume a workflow."""
        with answering("dbos", self.place, URL):
            self.rpc.call("resume", ANSWER_S, **remedy.args)
        return "it is in the queue again"


@contextmanager
def observing() -> Iterator[Observer]:
    """Lend an observer of the database that the environment names.

    Raises:
        RuntimeUnavailableError: it names none, or none of DBOS.

    """
    url, said = os.environ.get(URL, ""), os.environ.get(EXECUTORS)
    if not url:
        msg = f"dbos: no database is named; set {URL} to its system database, as DBOS has it"
        raise RuntimeUnavailableError(msg)
    needs("dbos", "dbos")
    place = url.rpartition("@")[2]
    if not url.startswith(("sqlite:///", "postgresql://", "postgres://")):
        msg = f"dbos: expected a URL of PostgreSQL or of an SQLite file in {URL}; correct it"
        raise RuntimeUnavailableError(msg)
    if url.startswith("sqlite:///") and not Path(url.removeprefix("sqlite:///")).is_file():
        msg = f"dbos: {url} names no file; correct {URL}"
        raise RuntimeUnavailableError(msg)
    living = None if said is None else frozenset(filter(None, said.replace(" ", "").split(",")))
    argv = [sys.executable, "-m", "runtimes.dbos.look"]
    with (
        tempfile.TemporaryDirectory(prefix="bakeoff-") as folder,
        Rpc(argv, Path(folder) / "look.log", os.environ) as rpc,
    ):
        with answering("dbos", place, URL):
            rpc.call("others", ANSWER_S)
        yield DbosObserver(rpc=rpc, place=place, living=living)
