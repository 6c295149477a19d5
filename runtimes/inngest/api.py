"""The server's interfaces over HTTP: events in, runs and jobs out."""

from __future__ import annotations

import itertools
import json

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import httpx

from harness.deadline import Deadline, DeadlineError, wait_until
from harness.effects import Json
from runtimes.inngest.stores import Keys


PATIENCE_S = 10.0
PAGE = 1000
APPS = "{apps {id externalID}}"
RUNS = """query ($app: [UUID!], $after: String) {
  runs(first: 1000, after: $after, preview: false, orderBy: [{field: QUEUED_AT, direction: ASC}],
       filter: {from: "2000-01-01T00:00:00Z", appIDs: $app}) {
    edges {node {id status output triggerIDs function {slug}}}
    pageInfo {hasNextPage endCursor}
  }
}"""
WORKERS = """query ($app: [UUID!]) {
  workerConnections(first: 1000, orderBy: [{field: CONNECTED_AT, direction: DESC}],
                    filter: {appIDs: $app}) {edges {node {instanceId status}}}
}"""
SPAN = "name status attempts stepOp stepID startedAt endedAt outputID"
TRACE = f"""query ($run: String!) {{
  run(runID: $run) {{
    trace(preview: true) {{{SPAN} childrenSpans {{{SPAN} childrenSpans {{{SPAN}}}}}}}
  }}
}}"""
CANCEL = "mutation ($run: ULID!) {cancelRun(runID: $run) {id}}"
OUTPUT = """query ($id: String!) {
  runTraceSpanOutputByID(outputID: $id) {data error {message name}}
}"""


class InngestError(Exception):
    """The server refused a request, or answered none within ``PATIENCE_S``."""


@dataclass(frozen=True, slots=True)
class Api:
    """One server; what may be repeated is, until it is back."""

    http: httpx.Client
    keys: Keys
    revive: Callable[[], None]
    _fresh: Iterator[int] = field(default_factory=itertools.count)

    def call(self, method: str, path: str, body: Json = None) -> Any:  # noqa: ANN401 - JSON
        """Return what the server answers.

        Raises:
            InngestError: it refused, or did not answer in time.

        """
        seen: list[httpx.Response | httpx.TransportError] = []

        def answered() -> bool:
            try:
                seen.append(self.http.request(method, path, json=body))
            except httpx.TransportError as error:
                seen.append(error)
                self.revive()
            return isinstance(seen[-1], httpx.Response) and not seen[-1].is_server_error

        with suppress(DeadlineError):
            wait_until(answered, Deadline.after(PATIENCE_S), f"{path} answers", poll_s=0.1)
        last = seen[-1]
        if isinstance(last, httpx.Response) and last.is_success:
            return last.json() if last.content else None
        said = last.text[:500] if isinstance(last, httpx.Response) else repr(last)
        msg = f"{method} {path}: refused, or no answer within {PATIENCE_S:g} s: {said}"
        raise InngestError(msg)

    def ask(self, query: str, **variables: Json) -> Any:  # noqa: ANN401 - JSON
        """Return the data of a GraphQL query.

        Raises:
            InngestError: there are errors in the answer, or none came.

        """
        answer = self.call("POST", "/v0/gql", {"query": query, "variables": variables})
        if answer.get("errors"):
            msg = f"the server answered a query with errors: {json.dumps(answer['errors'])}"
            raise InngestError(msg)
        return answer["data"]

    def send(self, events: Sequence[Mapping[str, Json]]) -> list[str]:
        """Hand in events; return the server's ids for them, in order."""
        batch: list[Json] = [dict(event) for event in events]
        return list(self.call("POST", f"/e/{self.keys.event}", batch)["ids"])

    def app(self, name: str) -> str:
        """Return the server's id of an app, or nothing while it knows none."""
        apps = self.ask(APPS)["apps"]
        return next((str(app["id"]) for app in apps if app["externalID"] == name), "")

    def workers(self, app: str) -> Mapping[str, str]:
        """Return the status of each worker that dialled, by its instance."""
        edges = self.ask(WORKERS, app=[app])["workerConnections"]["edges"]
        return {edge["node"]["instanceId"]: edge["node"]["status"] for edge in reversed(edges)}

    def runs(self, app: str) -> Iterator[Mapping[str, Any]]:
        """Yield all runs of an app."""
        after, more = None, True
        while more:
            page = self.ask(RUNS, app=[app], after=after)["runs"]
            yield from (edge["node"] for edge in page["edges"])
            more, after = page["pageInfo"]["hasNextPage"], page["pageInfo"]["endCursor"]

    def event(self, ident: str) -> Mapping[str, Any]:
        """Return an event by the server's id."""
        found: Mapping[str, Any] = self.call("GET", f"/v1/events/{ident}")["data"]
        return found

    def jobs(self, run: str) -> list[Mapping[str, Any]]:
        """Return what the queue holds for a run; the number keeps it from a cache of 5 s."""
        path = f"/v1/runs/{run}/jobs?{next(self._fresh)}"
        return list(self.call("GET", path)["data"])

    def result(self, run: str) -> Mapping[str, Any]:
        """Return the record of a run: it has the output as soon as it has the end."""
        found: Mapping[str, Any] = self.call("GET", f"/v1/runs/{run}?{next(self._fresh)}")["data"]
        return found

    def trace(self, run: str) -> Iterator[dict[str, Any]]:
        """Yield the spans of a run, outermost first, with what they recorded."""
        left = [self.ask(TRACE, run=run)["run"]["trace"]]
        while left:
            span = left.pop(0)
            if span is None:
                continue
            left += span.pop("childrenSpans", None) or []
            if span["outputID"]:
                span["output"] = self.ask(OUTPUT, id=span["outputID"])["runTraceSpanOutputByID"]
            yield span

    def cancel(self, run: str) -> None:
        """Stop a run; no error where it has ended."""
        with suppress(InngestError):
            self.ask(CANCEL, run=run)
