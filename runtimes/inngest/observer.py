"""A live Inngest, seen through the interface that the environment names.

Whatever moves a run is a job of the server's queue: a request to make, a timer, a wait.  A run
that goes on without any is one that nothing will ever wake.
"""

from __future__ import annotations

import json
import os

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any, Literal

import httpx

from harness.observer import Observer, Remedy, answering, named
from harness.runtime import RuntimeUnavailableError
from harness.signature import Evidence, Signature
from runtimes.inngest.api import Api, InngestError
from runtimes.inngest.server import ENGINE
from runtimes.inngest.stores import Keys
from runtimes.inngest.view import ENDS, Job, Node, status_of
from runtimes.support.reach import reach


PATIENCE_S = 10.0
RECENT = timedelta(days=1)
EVER = datetime(2000, 1, 1, tzinfo=UTC)
APPS = "{apps {id externalID url method}}"
OPEN = """query ($from: Time!, $until: Time!, $after: String, $status: [FunctionRunStatus!]) {
  runs(first: 400, after: $after, preview: false, orderBy: [{field: QUEUED_AT, direction: ASC}],
       filter: {from: $from, until: $until, status: $status}) {
    edges {node {id appID status output queuedAt startedAt function {slug}}}
    pageInfo {hasNextPage endCursor}
  }
}"""
UNREACHED = (
    "Unable to reach SDK URL",
    "Your server closed the request",
    "reset the connection",
    "The worker stopped responding",
    "Could not find a healthy connection",
)
"""How the server says that nobody was there: no error of the function's own."""
ALIVE = ("READY", "DRAINING")
Life = Literal["alive", "gone", "unknown"]


@dataclass(frozen=True, slots=True)
class InngestObserver:
    """A server by its interface."""

    api: Api
    place: str
    found: dict[str, Life] = field(default_factory=dict)

    def look(self, older_than_s: float) -> Sequence[Evidence]:
        """Return what is visible of each run that goes on, or that was given up within a day."""
        now = datetime.now(UTC)
        until = now - timedelta(seconds=older_than_s)
        self.found.clear()
        with _answering(self.place):
            apps = {app["id"]: app for app in self.api.ask(APPS)["apps"]}
            live = [
                self._seen(node, apps.get(node["appID"], {}), now)
                for node in self._runs(EVER, until, "RUNNING", "QUEUED")
            ]
            failed = [
                _given_up(node)
                for node in self._runs(now - RECENT, until, "FAILED")
                if _unreached(str(node["output"]))
            ]
        return [seen for seen in (*live, *failed) if seen]

    def _runs(self, since: datetime, until: datetime, *status: str) -> Iterator[Node]:
        after, more = None, since < until
        while more:
            page = self.api.ask(
                OPEN,
                **{"from": since.isoformat(), "until": until.isoformat()},
                after=after,
                status=[*status],
            )["runs"]
            yield from (edge["node"] for edge in page["edges"])
            more, after = page["pageInfo"]["hasNextPage"], page["pageInfo"]["endCursor"]

    def _seen(self, node: Node, app: Mapping[str, Any], now: datetime) -> Evidence | None:
        """Return the evidence of a run that went on when it was listed.

        Between two of its jobs a run has none for a moment, so that is asked twice; and the list
        may show an end late.
        """
        ident = str(node["id"])
        jobs = self.api.jobs(ident) or self.api.jobs(ident)
        if not jobs and str(self.api.result(ident)["status"]).upper() in ENDS:
            return None
        if not jobs and self._forgotten(ident):
            return _lost(node)
        failure = self._failure(ident) if any(job["attempt"] for job in jobs) else ""
        answers = self._answers(app)
        if answers != "alive":
            answers = "gone" if _unreached(failure) else "unknown"
        began = datetime.fromisoformat(node["startedAt"] or node["queuedAt"])
        return Evidence(
            run=f"{node['function']['slug']} {ident}",
            status=status_of(node, jobs),
            moves="yes" if jobs else "no",
            worker=answers,
            failure=failure,
            note=f"{_jobs(jobs)}; its app is at {app.get('url') or 'a connection of its own'}, "
            f"begun {(now - began).total_seconds():.0f} s ago",
        )

    def _answers(self, app: Mapping[str, Any]) -> Life:
        """Say whether an app can be called: one that dials by its connections."""
        ident = str(app.get("id", ""))
        if ident and ident not in self.found:
            self.found[ident] = self._tried(app)
        return self.found.get(ident, "unknown")

    def _tried(self, app: Mapping[str, Any]) -> Life:
        if app["method"] == "CONNECT":
            states = self.api.workers(str(app["id"])).values()
            return "alive" if any(state in ALIVE for state in states) else "gone"
        return reach(str(app["url"])) if app.get("url") else "unknown"

    def _forgotten(self, run: str) -> bool:
        """Say whether the server has no state of a run any more, only its record."""
        return self.api.http.get(f"/v0/runs/{run}/actions").status_code == HTTPStatus.GONE

    def _failure(self, run: str) -> str:
        """Return what the last attempt that failed was told of."""
        told = [span["output"] for span in self.api.trace(run) if span.get("output")]
        errors = [one["error"]["message"] for one in told if one.get("error")]
        return str(errors[-1]) if errors else ""

    def remedy(self, seen: Evidence, signature: Signature) -> Remedy | None:
        """Cancel what nothing will wake; otherwise say what would help.

        What has no state any more only a new run replaces.
        """
        ident = seen.run.rpartition(" ")[2]
        if signature is Signature.STUCK_RUN:
            return Remedy(
                run=seen.run,
                does="cancel it; whether to run it again is its owner's choice",
                harms="whoever waits for its result: it ends as cancelled",
                proven=seen.moves == "no",
                verb="cancel",
                args={"run": ident},
            )
        if signature in {Signature.ATTEMPTS_BURNT, Signature.LOST_RUN}:
            return Remedy(
                run=seen.run,
                does="rerun it, as a new run from its first step",
                harms="the world: what its steps have done already is done again",
                proven=False,
                verb="",
            )
        if signature is Signature.SDK_UNREACHABLE:
            return Remedy(
                run=seen.run,
                does="bring its app back before its attempts are used up",
                harms="nobody",
                proven=False,
                verb="",
            )
        return None

    def carry_out(self, remedy: Remedy) -> str:
        """Cancel a run."""
        run = str(remedy.args["run"])
        with _answering(self.place):
            try:
                self.api.ask("mutation ($run: ULID!) {cancelRun(runID: $run) {id}}", run=run)
            except InngestError as error:
                return f"Inngest refused to cancel it: {error}"
        return "Inngest took the cancellation"


def _unreached(said: str) -> bool:
    return any(text in said for text in UNREACHED)


def _lost(node: Node) -> Evidence:
    """Return the evidence of a run whose state is gone: no cancellation reaches it either."""
    return Evidence(
        run=f"{node['function']['slug']} {node['id']}",
        status="absent",
        moves="no",
        note=f"its record says {node['status']}, but the server has no state of it any more",
    )


def _given_up(node: Node) -> Evidence:
    """Return the evidence of a run that failed although its own code did not."""
    output = json.loads(str(node["output"]))
    said = output.get("message", output) if isinstance(output, dict) else output
    return Evidence(
        run=f"{node['function']['slug']} {node['id']}",
        status="failed",
        moves="no",
        failure=str(said),
    )


def _jobs(jobs: Sequence[Job]) -> str:
    if not jobs:
        return "the queue holds no job, no timer and no wait for it"
    return "; ".join(f"{job['kind']} at {job['at']}, attempt {job['attempt']}" for job in jobs)


@contextmanager
def _answering(place: object) -> Iterator[None]:
    with answering("inngest", place, ENGINE.env_address):
        try:
            yield
        except InngestError as error:
            msg = f"inngest at {place}: {error}; see {ENGINE.env_address}, INNGEST_SIGNING_KEY"
            raise RuntimeUnavailableError(msg) from error


@contextmanager
def observing() -> Iterator[Observer]:
    """Lend an observer of the server that the environment names.

    Raises:
        RuntimeUnavailableError: it names none, or what answers there is no Inngest.

    """
    place = named(ENGINE)
    keys = Keys(event="", signing=os.environ.get("INNGEST_SIGNING_KEY", ""))
    with httpx.Client(
        base_url=f"http://{place}", headers=keys.headers, timeout=PATIENCE_S, trust_env=False
    ) as http:
        with _answering(place):
            http.get("/health").raise_for_status().json()["message"]
            observer = InngestObserver(Api(http, keys, lambda: None), str(place))
            observer.api.ask(APPS)["apps"]
        yield observer
