"""A live Temporal, seen through the server that the environment names.

The server knows its workers only by their polls: one that lives asks each task queue at least
once a minute.  So nothing here is ever proven dead, and nothing is carried out.
"""

from __future__ import annotations

import os
import sys
import tempfile

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from harness.observer import Observer, Remedy, answering, named, needs
from harness.rpc import Rpc
from harness.runtime import RuntimeUnavailableError
from harness.signature import Evidence, Signature
from runtimes.temporal.server import ENGINE
from runtimes.temporal.settings import PROFILES, STARTED, Place, view


NAMESPACE = "BAKEOFF_TEMPORAL_NAMESPACE"
POLL_S = 65.0
"""A poll is answered after a minute at the latest, and the next one follows at once."""
TROUBLE = 5
"""As often in a row a workflow task fails before the server itself calls it a problem."""
ANSWER_S = 60.0
Life = Literal["alive", "gone", "unknown"]


@dataclass(frozen=True, slots=True)
class TemporalObserver:
    """A server, and the child that asks it."""

    rpc: Rpc
    place: str

    def look(self, older_than_s: float) -> Sequence[Evidence]:
        """Return what is visible of each running workflow."""
        with answering("temporal", self.place, ENGINE.env_address):
            rows = self.rpc.call("runs", ANSWER_S, older_than_s=older_than_s)
            queues = {
                queue: self.rpc.call("pollers", ANSWER_S, queue=queue)
                for queue in dict.fromkeys(row["queue"] for row in rows)
            }
            now = datetime.now(UTC)
            return [_seen(row, queues[row["queue"]], now) for row in rows]

    def remedy(self, seen: Evidence, signature: Signature) -> Remedy | None:
        """Say what would help; silence proves no death, so nothing is proven."""
        known = {
            Signature.SDK_UNREACHABLE: (
                "start a worker on its task queue: the server then goes on by itself",
                "nobody, if its code fits the run's history",
            ),
            Signature.ORPHANED_CLAIM: (
                "wait for the activity's timer, or reset the activity",
                "itself: the activity may be done twice if its worker is alive but cut off",
            ),
            Signature.STUCK_RUN: (
                "unpause it",
                "whatever whoever paused it wanted to keep it from",
            ),
        }
        if signature not in known:
            return None
        does, harms = known[signature]
        return Remedy(run=seen.run, does=does, harms=harms, proven=False, verb="")

    def carry_out(self, remedy: Remedy) -> str:
        """Do nothing: no remedy is proven.

        Raises:
            RuntimeUnavailableError: always.

        """
        msg = f"temporal: nothing proves that nobody is at work on {remedy.run}"
        raise RuntimeUnavailableError(msg)


def _seen(row: Mapping[str, Any], pollers: Mapping[str, float], now: datetime) -> Evidence:
    """Return the evidence of a running workflow.

    ``pollers`` has the seconds since each identity asked for work.  What a silent worker holds
    moves only when a timer of the server is over; a task that fails again and again does not.
    """
    told = row["seen"]
    stands = view(row["run"], told)
    living = {name for name, since_s in pollers.items() if since_s <= POLL_S}
    held = [a for a in told.get("activities", ()) if a.get("state") == STARTED]
    holders = [str(a.get("lastWorkerIdentity", "")) for a in held]
    claim = next((holder for holder in holders if holder not in living), stands.claim)
    claimant: Life = "unknown"
    if claim:
        claimant = "alive" if claim in living else "gone"
    task: Mapping[str, Any] = told.get("task") or {}
    troubled = int(task.get("attempt", 1)) >= TROUBLE
    signalled = stands.status == "waiting" and stands.moves == "no"
    paused = stands.status == "parked"
    moves = stands.moves
    if claimant == "gone" or troubled or signalled:
        moves = "unknown"
    ages = sorted(pollers.items(), key=lambda one: one[1])
    notes = [f"{row['type']} on {row['queue']}"]
    notes += [f"polled by {name} {since_s:.0f} s ago" for name, since_s in ages[:3]]
    notes += ["nobody polls its task queue"] if not living else []
    notes += ["it waits for a signal or an update, which come from outside"] if signalled else []
    notes += [f"its workflow task fails, attempt {task['attempt']}"] if troubled else []
    notes += ["it is paused"] if paused else []
    moments = [a.get("lastHeartbeatTime") or a.get("lastStartedTime") for a in held]
    return Evidence(
        run=row["run"],
        status="waiting" if paused else stands.status,
        moves=moves,
        claim=claim,
        worker="alive" if living else "gone",
        claimant=claimant,
        idle_s=max((_since_s(moment, now) for moment in moments if moment), default=None),
        failure=str(stands.detail.get("failure") or ""),
        note="; ".join(notes),
    )


def _since_s(moment: str, now: datetime) -> float:
    """Return the seconds since a moment of the API, which has up to nine digits of a second."""
    whole = datetime.fromisoformat(f"{moment[:19]}+00:00")
    return (now - whole).total_seconds()


@contextmanager
def observing() -> Iterator[Observer]:
    """Lend an observer of the server that the environment names.

    Raises:
        RuntimeUnavailableError: it names none, or what answers there is no Temporal.

    """
    address = named(ENGINE)
    needs("temporalio", "temporal")
    place = Place(
        target=str(address),
        namespace=os.environ.get(NAMESPACE, "default"),
        prefix="",
        timers=PROFILES["default"],
    )
    argv = [sys.executable, "-m", "runtimes.temporal.look"]
    environment = {**os.environ, **place.environment()}
    with (
        tempfile.TemporaryDirectory(prefix="bakeoff-") as folder,
        Rpc(argv, Path(folder) / "look.log", environment) as rpc,
    ):
        with answering("temporal", address, ENGINE.env_address):
            rpc.call("ping", ANSWER_S)
        yield TemporalObserver(rpc, str(address))
