"""One deployment of Trigger.dev, over its REST API; nobody has run this against one."""

from __future__ import annotations

import os

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from harness.effects import Json
from harness.process import Process, Service, WorkerSpec
from harness.runtime import Envelope, JournalEntry, RunView, Start
from runtimes.trigger_dev.view import journal, view


TASK = "bakeoff-run"


@dataclass(slots=True)
class TriggerBackend:
    """Runs of one task, found by the ids that triggering answers.

    The platform is remote, so there is no server to kill.  A worker is ``trigger.dev dev`` in
    the user's task project: the only way to run tasks in local processes.
    """

    http: httpx.Client
    project: Path
    servers: Sequence[Service] = ()
    ids: dict[str, str] = field(default_factory=dict)

    def worker(self, pool: str, scenario: str) -> WorkerSpec:
        """Return how to start a worker; it prints no line of ours when it is ready."""
        url = str(self.http.base_url).rstrip("/")
        return WorkerSpec(
            argv=["npx", "--no-install", "trigger.dev", "dev", "--api-url", url],
            env={**os.environ, "BAKEOFF_SCENARIO": scenario, "BAKEOFF_POOL": pool},
            cwd=self.project,
            ready=False,
        )

    def attach(self, pool: str, worker: Process, announced: Mapping[str, Json]) -> None:
        """Nothing to register: the worker dials the platform."""

    def submit(self, starts: Sequence[Start]) -> None:
        """Trigger runs; the idempotency key makes a second trigger answer the first run."""
        for start in starts:
            run = start.envelope.run
            body: dict[str, Any] = {
                "payload": {
                    "envelope": start.envelope.to_json(),
                    "program": start.program,
                    "arg": start.arg,
                },
                "options": {"idempotencyKey": run, "tags": [start.envelope.pool, run]},
            }
            self.ids[run] = self._post(f"/api/v1/tasks/{TASK}/trigger", body)["id"]

    def send_event(self, envelope: Envelope, event: str, key: str, payload: Json) -> None:
        """Complete the token of run, event and key; asking for it again answers the same one."""
        name = f"{envelope.run} {event} {key}"
        token = self._post("/api/v1/waitpoints/tokens", {"idempotencyKey": name})["id"]
        self._post(f"/api/v1/waitpoints/tokens/{quote(token)}/complete", {"data": payload})

    def cancel(self, pool: str, runs: Sequence[str]) -> None:
        """Cancel runs; one that has ended is left alone."""
        del pool
        for run in runs:
            if found := self._id(run):
                self._post(f"/api/v2/runs/{quote(found)}/cancel", {})

    def inspect(self, pool: str, runs: Sequence[str]) -> Sequence[RunView]:
        """Retrieve each run; ``absent`` where the platform does not know it."""
        del pool
        found = {run: self._id(run) for run in runs}
        return [
            view(run, self._get(f"/api/v3/runs/{quote(ident)}"))
            if ident
            else RunView(run=run, status="absent")
            for run, ident in found.items()
        ]

    def journal(self, pool: str, run: str) -> Sequence[JournalEntry]:
        """Read the spans of a run."""
        del pool
        ident = self._id(run)
        return journal(run, self._get(f"/api/v1/runs/{quote(ident)}/events")) if ident else []

    def _id(self, run: str) -> str:
        """Return the platform's id of a run: remembered, or a child's, found by its tag."""
        if run not in self.ids:
            rows = self._get("/api/v1/runs", {"filter[tag]": run}).get("data", [])
            if not rows:
                return ""
            self.ids[run] = str(rows[0]["id"])
        return self.ids[run]

    def _post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        answer = self.http.post(path, json=body).raise_for_status().json()
        return dict(answer)

    def _get(self, path: str, params: Mapping[str, str] | None = None) -> dict[str, Any]:
        return dict(self.http.get(path, params=params).raise_for_status().json())
