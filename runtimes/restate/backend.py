"""A running Restate, driven through its admin and ingress interfaces.

The server knows workers by address.  So each pool has one link, whose address is registered
once, and one workflow service, ``bakeoff-POOL``: a successor is only a new end of the link, and
no run of one pool can reach a worker of another.
"""

from __future__ import annotations

import json
import sys
import time

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field

import httpx

from harness.deadline import Deadline, DeadlineError, wait_until
from harness.effects import Json
from harness.process import Address, Link, Process, Service, Site, WorkerSpec
from harness.runtime import Envelope, JournalEntry, RunView, Start
from runtimes.restate.declared import ASKED
from runtimes.restate.profiles import PROFILES
from runtimes.restate.views import Row, invocations, readable, tails, view


PATIENCE_S = 10.0


class RestateError(Exception):
    """The server refused a request, or answered none within ``PATIENCE_S``."""


@dataclass(slots=True)
class RestateBackend:
    """A server by its two addresses; what it has said for good is not asked again.

    ``module`` is the worker's, run as a script.
    """

    site: Site
    profile: str
    admin: str
    ingress: str
    http: httpx.Client
    threads: ThreadPoolExecutor
    module: str
    servers: Sequence[Service] = ()
    links: dict[str, Link] = field(default_factory=dict)
    registered: set[str] = field(default_factory=set)
    heard: dict[str, Json] = field(default_factory=dict)
    ids: dict[tuple[str, str], str] = field(default_factory=dict)
    outputs: dict[tuple[str, str], Json] = field(default_factory=dict)

    def _call(
        self, method: str, url: str, body: Json = None, headers: Mapping[str, str] | None = None
    ) -> httpx.Response:
        """Send a request that may be repeated, until the server is back."""
        seen: list[httpx.Response | httpx.TransportError] = []

        def answered() -> bool:
            try:
                seen.append(self.http.request(method, url, json=body, headers=headers))
            except httpx.TransportError as error:
                seen.append(error)
            return isinstance(seen[-1], httpx.Response) and not seen[-1].is_server_error

        with suppress(DeadlineError):
            wait_until(answered, Deadline.after(PATIENCE_S), f"{url} answers", poll_s=0.1)
        last = seen[-1]
        if isinstance(last, httpx.Response) and not last.is_server_error:
            return last
        text = last.text[:500] if isinstance(last, httpx.Response) else repr(last)
        msg = f"{method} {url}: no answer within {PATIENCE_S:g} s, at last: {text}"
        raise RestateError(msg)

    def _do(
        self, method: str, url: str, body: Json = None, headers: Mapping[str, str] | None = None
    ) -> httpx.Response:
        response = self._call(method, url, body, headers)
        if not response.is_success:
            msg = f"{method} {url} was refused: {response.status_code} {response.text[:500]}"
            raise RestateError(msg)
        return response

    def _rows(self, sql: str) -> list[Row]:
        return list(self._do("POST", f"{self.admin}/query", {"query": sql}).json()["rows"])

    def _run_url(self, envelope: Envelope) -> str:
        return f"{self.ingress}/{service(envelope.pool)}/{envelope.run}"

    def worker(self, pool: str, scenario: str) -> WorkerSpec:
        """Return how to start a worker; it serves on a port of its own choice."""
        settings = json.dumps(PROFILES[self.profile].service)
        argv = [sys.executable, "-m", self.module, pool, settings]
        return WorkerSpec(argv=argv, env={"BAKEOFF_SCENARIO": scenario})

    def attach(self, pool: str, worker: Process, announced: Mapping[str, Json]) -> None:
        """Lead the pool's link to the worker; the first one has its services discovered."""
        del worker
        if pool not in self.links:
            self.links[pool] = self.site.link(f"restate-{pool}")
        link = self.links[pool]
        link.point_at(Address("127.0.0.1", int(str(announced["port"]))))
        if pool not in self.registered:
            self._do("POST", f"{self.admin}/deployments", {"uri": f"http://{link.address}"})
            self.registered.add(pool)
            self.heard[pool] = announced.get("events", [])
            for program in _listed(announced.get("clocks")):
                self._do("POST", f"{self.ingress}/{service(pool)}.gate/{program}/tick/send", 0)

    def submit(self, starts: Sequence[Start]) -> None:
        """Send each start; the server knows a workflow by its key, so a second send is none."""
        list(self.threads.map(self._submit, starts))

    def _submit(self, start: Start) -> None:
        envelope = start.envelope
        body: dict[str, Json] = {"envelope": envelope.to_json(), "program": start.program}
        body["arg"] = start.arg
        asked = {ASKED: repr(time.time())}
        sent = self._do("POST", f"{self._run_url(envelope)}/run/send", body, asked).json()
        self.ids[envelope.pool, envelope.run] = str(sent["invocationId"])

    def send_event(self, envelope: Envelope, event: str, key: str, payload: Json) -> None:
        """Have the run's promise resolved, in order; the server keeps what no worker did yet."""
        body = {"name": f"{event}/{key}", "payload": payload}
        url = f"{self.ingress}/{service(envelope.pool)}.queue/{envelope.run}/post/send"
        self._do("POST", url, body)

    def publish(self, envelope: Envelope, event: str, key: str, payload: Json) -> None:
        """Have a worker route the event: the server has no routes."""
        if event in _listed(self.heard[envelope.pool]):
            told: dict[str, Json] = {"envelope": envelope.to_json(), "event": event, "key": key}
            told["payload"] = payload
            self._do("POST", f"{self.ingress}/{service(envelope.pool)}.aids/publish/send", told)

    def cancel(self, pool: str, runs: Sequence[str]) -> None:
        """Kill runs and their children; a cancellation would wait for a worker."""
        wanted, heads = set(runs), tuple(f"{run}." for run in runs)
        where = f"target_service_name = '{service(pool)}' and status <> 'completed'"
        left = {row["id"]: str(row["target_service_key"]) for row in self._rows(invocations(where))}
        urls = [
            f"{self.admin}/invocations/{ident}/kill"
            for ident, run in left.items()
            if run in wanted or run.startswith(heads)
        ]
        list(self.threads.map(lambda url: self._call("PATCH", url), urls))

    def inspect(self, pool: str, runs: Sequence[str]) -> Sequence[RunView]:
        """Ask for all runs at once, and for each output once."""
        try:
            rows = self._invocations(pool, runs)
            live = [row["id"] for row in rows.values() if row["status"] == "running"]
            ends = {row["id"]: row for row in self._rows(tails(live))} if live else {}
            done = [run for run in rows if rows[run].get("completion_result") == "success"]
            new = [run for run in done if (pool, run) not in self.outputs]
            list(self.threads.map(lambda run: self._output(pool, run), new))
        except RestateError:
            return [RunView(run=run, status="unknown") for run in runs]
        outputs = self.outputs
        return [
            view(run, row, ends.get(row["id"]) if row else None, outputs.get((pool, run)))
            for run, row in ((run, rows.get(run)) for run in runs)
        ]

    def _invocations(self, pool: str, runs: Sequence[str]) -> dict[str, Row]:
        """Look up runs, by id where all ids are known: that does not scan the whole table."""
        ids = [self.ids.get((pool, run), "") for run in runs]
        listed = ", ".join(f"'{ident}'" for ident in ids)
        by_id = f"id in ({listed})" if ids and all(ids) else ""
        rows = self._rows(invocations(by_id or f"target_service_name = '{service(pool)}'"))
        wanted = set(runs)
        found = {str(row["target_service_key"]): row for row in rows}
        self.ids |= {(pool, run): str(row["id"]) for run, row in found.items()}
        return {run: row for run, row in found.items() if run in wanted}

    def _output(self, pool: str, run: str) -> None:
        url = f"{self.ingress}/restate/workflow/{service(pool)}/{run}/output"
        content = self._do("GET", url).content
        self.outputs[pool, run] = json.loads(content) if content else None

    def journal(self, pool: str, run: str) -> Sequence[JournalEntry]:
        """Read the commands and notifications of a run, with their values."""
        row = self._invocations(pool, [run]).get(run)
        if row is None:
            return []
        columns = "index, entry_type, name, entry_json, appended_at"
        where = f"id = '{row['id']}' order by index"
        sql = f"select {columns} from sys_journal where {where}"  # noqa: S608 - the server's own id
        return [
            JournalEntry(
                run=run,
                name=str(line.get("name", "")),
                kind=str(line["entry_type"]),
                detail={**line, "entry_json": readable(json.loads(str(line["entry_json"])))},
            )
            for line in self._rows(sql)
        ]


def _listed(told: Json) -> list[Json]:
    return told if isinstance(told, list) else []


def service(pool: str) -> str:
    """Return the name of the workflow service of a pool."""
    return f"bakeoff-{pool}"
