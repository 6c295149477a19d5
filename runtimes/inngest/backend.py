"""A running Inngest: events go in, runs are looked up by the events that started them."""

from __future__ import annotations

import json
import sys

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field

import httpx

from harness.deadline import Deadline, DeadlineError, wait_until
from harness.effects import Json
from harness.process import Address, Link, Process, Service, WorkerSpec
from harness.runtime import Envelope, JournalEntry, RunView, Start
from runtimes.inngest.api import Api, InngestError
from runtimes.inngest.emulated import Letter, Letters
from runtimes.inngest.names import app, happens, reaches, started, starts
from runtimes.inngest.settings import Profile
from runtimes.inngest.view import ENDS, Job, Node, view
from runtimes.support.confine import Place


ATTACH_S = 60.0
LISTED_S = 5.0


@dataclass(slots=True, kw_only=True)
class InngestBackend:
    """A server by its interface; what it has said for good is not asked again."""

    place: Place
    profile: Profile
    module: str
    """The worker's."""
    api: Api
    threads: ThreadPoolExecutor
    interface: Address
    gateway: Address | None
    """Where workers dial, where they do; nothing where they are called."""
    servers: Sequence[Service] = ()
    databases: Sequence[Service] = ()
    links: dict[tuple[str, str], Link] = field(default_factory=dict)
    apps: dict[str, str] = field(default_factory=dict)
    starters: dict[tuple[str, str], str] = field(default_factory=dict)
    """The run that an event starts in a function, by the server's ids."""
    letters: Letters = field(default_factory=Letters)

    def _link(self, what: str, pool: str, make: Callable[[str], Link]) -> Link:
        """Return a link of a pool, which is made once: what the server registers stays true."""
        if (what, pool) not in self.links:
            self.links[what, pool] = make(f"inngest-{what}-{pool}")
        return self.links[what, pool]

    def _out(self, what: str, pool: str, server: Address) -> Address:
        """Return the address by which a pool's workers reach the server."""
        return self._link(what, pool, lambda name: self.place.expose(name, server)).address

    def worker(self, pool: str, scenario: str) -> WorkerSpec:
        """Return how to start a worker."""
        dials = self.gateway
        settings = {
            "api": f"http://{self._out('api', pool, self.interface)}",
            "production": bool(self.api.keys.signing),
            "connect": str(self._out("gateway", pool, dials)) if dials else "",
            "retries": self.profile.retries,
        }
        argv = [sys.executable, "-m", self.module, pool, json.dumps(settings)]
        env = {**self.api.keys.environment, "BAKEOFF_SCENARIO": scenario}
        return WorkerSpec(argv=argv, env=env)

    def attach(self, pool: str, worker: Process, announced: Mapping[str, Json]) -> None:
        """Have the worker register itself; over HTTP always under the address of one link."""
        deadline = Deadline.after(ATTACH_S)
        if self.gateway is None:
            serves = Address("127.0.0.1", int(str(announced["port"])))
            link = self._link("calls", pool, self.place.admit)
            link.point_at(serves)
            wait_until(
                lambda: _registers(serves, link.address), deadline, f"{worker.name} is registered"
            )
        wait_until(lambda: self._knows(pool), deadline, f"the server knows {app(pool)}")
        if self.gateway is not None:
            ident = self.apps[pool]
            wait_until(
                lambda: self.api.workers(ident).get(worker.incarnation) == "READY",
                deadline,
                f"the server sends to {worker.incarnation}",
            )

    def _knows(self, pool: str) -> bool:
        self.apps[pool] = self.apps.get(pool) or self.api.app(app(pool))
        return bool(self.apps[pool])

    def submit(self, starts: Sequence[Start]) -> None:
        """Send an event for each run; the run is its id, so a second one starts nothing."""
        idents = self.api.send([_begins(start) for start in starts])
        for start, ident in zip(starts, idents, strict=True):
            self.starters[ident, start.program] = start.envelope.run

    def publish(self, envelope: Envelope, event: str, key: str, payload: Json) -> None:
        """Send one event: the server finds who listens, and whom it cancels."""
        data: Json = {"envelope": envelope.to_json(), "key": key, "arg": payload}
        ident = f"{envelope.run}.{event}.{key}"
        self.api.send([{"name": happens(envelope.pool, event), "id": ident, "data": data}])

    def send_event(self, envelope: Envelope, event: str, key: str, payload: Json) -> None:
        """Take an event; `inspect` hands it in, once the server says that the run waits for it.

        The server keeps no event for a run that does not wait yet.
        """
        name, run = reaches(envelope.pool, event), envelope.run
        data: Json = {"run": run, "key": key, "arg": payload}
        body: dict[str, Json] = {"name": name, "data": data}
        letter = Letter(run=run, event=name, step=f"{event} {key}", body=body)
        self.letters.keep(envelope.pool, letter)

    def cancel(self, pool: str, runs: Sequence[str]) -> None:
        """Stop runs and their children; one that was just asked for is waited for.

        The server's list is behind its queue, and what it does not list it cannot cancel.
        """
        wanted, heads = set(runs), tuple(f"{run}." for run in runs)
        asked = wanted & {*self.starters.values()}
        nodes: dict[str, Node] = {}

        def listed() -> bool:
            nodes.update(self._nodes(pool))
            return asked <= nodes.keys()

        with suppress(DeadlineError):  # it is lost, and `inspect` says so
            wait_until(listed, Deadline.after(LISTED_S), "the server lists the runs", poll_s=0.1)
        left = [
            str(node["id"])
            for run, node in nodes.items()
            if (run in wanted or run.startswith(heads)) and node["status"] not in ENDS
        ]
        list(self.threads.map(self.api.cancel, left))

    def inspect(self, pool: str, runs: Sequence[str]) -> Sequence[RunView]:
        """Ask for all runs of the pool at once, and for the jobs of each live one."""
        try:
            nodes = self._nodes(pool)
            ours = [run for run in runs if run in nodes]
            whole = self.threads.map(lambda run: self._whole(nodes[run]), ours)
            nodes |= zip(ours, list(whole), strict=True)
            live = [run for run in runs if run in nodes and nodes[run]["status"] not in ENDS]
            asked = self.threads.map(lambda run: self._jobs(nodes[run]), live)
            jobs = dict(zip(live, asked, strict=True))
            self.letters.deliver(pool, jobs, self.api.send)
        except InngestError as error:
            return [
                RunView(run=run, status="unknown", detail={"error": str(error)}) for run in runs
            ]
        return [view(run, nodes.get(run), jobs.get(run)) for run in runs]

    def _whole(self, node: Node) -> Node:
        """Return a completed run with its output, which the list may show later than its end."""
        if node["status"] != "COMPLETED" or node["output"] is not None:
            return node
        record = self.api.result(str(node["id"]))
        if record["status"] != "Completed":
            return {**node, "status": "RUNNING"}
        return {**node, "output": json.dumps(record.get("output"))}

    def _jobs(self, node: Node) -> Sequence[Job] | None:
        try:
            return self.api.jobs(str(node["id"]))
        except InngestError:
            return None

    def _nodes(self, pool: str) -> dict[str, Node]:
        """Return the server's runs of a pool, by ours."""
        nodes = list(self.api.runs(self.apps[pool]))
        ours = self.threads.map(lambda node: self._run(pool, node), nodes)
        return dict(zip(ours, nodes, strict=True))

    def _run(self, pool: str, node: Node) -> str:
        program = str(node["function"]["slug"]).removeprefix(f"{app(pool)}-")
        ident = str(node["triggerIDs"][0])
        if (ident, program) not in self.starters:
            event = self.api.event(ident)
            envelope, _ = started(program, event["name"], event["data"])
            self.starters[ident, program] = envelope.run
        return self.starters[ident, program]

    def journal(self, pool: str, run: str) -> Sequence[JournalEntry]:
        """Return the spans of a run, with the values that they recorded."""
        node = self._nodes(pool).get(run)
        spans = self.api.trace(str(node["id"])) if node else ()
        return [
            JournalEntry(run=run, name=span["name"], kind=str(span["stepOp"]), detail=span)
            for span in spans
        ]


def _begins(start: Start) -> Mapping[str, Json]:
    envelope = start.envelope
    data: Json = {"envelope": envelope.to_json(), "arg": start.arg}
    return {"name": starts(envelope.pool, start.program), "id": envelope.run, "data": data}


def _registers(worker: Address, known: Address) -> bool:
    """Ask a worker to register; it names the address that it was asked under."""
    url, host = f"http://{worker}/api/inngest", {"Host": str(known)}
    try:
        return httpx.put(url, headers=host, timeout=ATTACH_S, trust_env=False).is_success
    except httpx.TransportError:
        return False
