"""The gateway as a guard of the harness: started for a trial, told its runs, asked how they are."""

from __future__ import annotations

import os
import sys

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.deadline import Deadline
from harness.effects import Json, Op, Tier
from harness.guardian import Question, Scope, Standing
from harness.process import Address, Exit, Process, Runner, WorkerSpec
from harness.scenario import Provider
from runtimes.reference.gateway.admissions import Admission
from runtimes.reference.gateway.approval_state import State
from runtimes.reference.gateway.client import WORKERS, OperatorError, ask
from runtimes.reference.gateway.grant import Grant
from runtimes.reference.gateway.peer import peer
from runtimes.reference.gateway.spoil import LogFolder
from runtimes.reference.upstreams.world import FENCES, UNFENCED, operation


ARGV = (sys.executable, "-m", "runtimes.reference.gateway")
READY_S = 30.0
TTL_S = 3600.0
NONE: Mapping[str, Provider] = {}
PATIENCE_S = 60
"""How long a request is held that waits for the trial's human."""


@dataclass(slots=True)
class GatewayService:
    """The gateway's process; it comes back on the same sockets and the same log."""

    runner: Runner
    spec: WorkerSpec
    process: Process
    name: str = "gateway"

    def alive(self) -> bool:
        """Say whether it lives."""
        return self.process.alive()

    def kill(self) -> Exit:
        """Kill it."""
        return self.process.kill()

    def restart(self) -> None:
        """Start it again."""
        self.process = self.runner.start(self.name, self.spec)

    def ready(self, deadline: Deadline) -> None:
        """Return once it serves.

        Raises:
            ProcessError: it died, or was not ready in time; with its log's tail.

        """
        self.process.announced(deadline)


@dataclass(frozen=True, slots=True)
class GatewayGuardian:
    """A gateway that serves a trial."""

    service: GatewayService
    folder: Path

    @property
    def address(self) -> str:
        """Return the workers' socket as a URL."""
        return f"unix://{self.folder / WORKERS}"

    @property
    def kept(self) -> LogFolder:
        """Return the folder of its log."""
        return LogFolder(self.folder, lambda: self.service.process.pid)

    def admit(
        self,
        scopes: Mapping[str, Collection[Scope]],
        *,
        replans: bool,
        slots: Collection[str] = (),
        asks: Collection[Op] = (),
    ) -> None:
        """Admit runs, whose worker is a process of this user."""
        mine = peer(os.getuid(), os.getgid())
        said = [
            Admission(
                run=run,
                peer=mine,
                grants=_grants(scope),
                ttl_s=TTL_S,
                replans=replans,
                approvals=tuple(operation(op.verb, op.effect) for op in asks),
                patience_s=PATIENCE_S,
                slots=tuple(sorted(slots)),
            ).to_json()
            for run, scope in scopes.items()
        ]
        ask(self.folder, "/admit", said)

    def questions(self, runs: Collection[str]) -> Sequence[Question]:
        """Ask for the pending approvals; while the gateway is dead, it asks nothing."""
        if not self.service.alive():
            return []
        return [
            Question(
                one["id"], one["run"], one["slot"], one["asks"]["premises"], one["request_hash"]
            )
            for one in ask(self.folder, "/approvals")
            if one["state"] == State.PENDING and one["run"] in runs and one["asks"]
        ]

    def approve(self, question: Question) -> None:
        """Say yes to what was shown."""
        said = {"id": question.ident, "request_hash": question.shown, "by": "the reviewer"}
        ask(self.folder, "/decide", {**said, "yes": True})

    def revoke(self, runs: Collection[str]) -> None:
        """End what runs may do, as an operator."""
        for run in runs:
            ask(
                self.folder,
                "/revoke",
                {"what": run, "by": "operator", "why": "the operator ended it"},
            )

    def standings(self, runs: Collection[str]) -> Mapping[str, Standing]:
        """Ask how runs stand; while it is dead, it says nothing."""
        if not self.service.alive():
            return {}
        found = ask(self.folder, "/status", [*runs])
        return {run: Standing(one["status"], one["why"]) for run, one in found.items()}

    def explain(self, runs: Collection[str]) -> Mapping[str, Mapping[str, Json]]:
        """Ask what is true of runs; while it is dead, or its log is damaged, it says nothing."""
        try:
            return ask(self.folder, "/explain", [*runs]) if self.service.alive() else {}
        except OperatorError:
            return {}


def _grants(scope: Collection[Scope]) -> tuple[Grant, ...]:
    return tuple(
        Grant(operation(verb, effect), path.removesuffix("*")) for verb, effect, path in scope
    )


def _offer(provider: Provider, tier: Tier) -> tuple[str, str]:
    return str(provider.tier or tier), FENCES if provider.fenced else UNFENCED


@contextmanager
def start(
    runner: Runner,
    folder: Path,
    world: Address,
    tier: Tier,
    providers: Mapping[str, Provider] = NONE,
) -> Iterator[GatewayGuardian]:
    """Start a gateway before a world; ``providers`` are those with a tier of their own.

    Raises:
        ProcessError: it did not start; with its log's tail.

    """
    argv = [*ARGV, "--folder", str(folder)]
    argv += ["--world", f"http://{world}", "--tier", str(tier)]
    argv += [
        word
        for name, each in providers.items()
        for word in ("--provider", name, *_offer(each, tier))
    ]
    spec = WorkerSpec(argv=argv)
    service = GatewayService(runner, spec, runner.start("gateway", spec))
    try:
        service.ready(Deadline.after(READY_S))
        yield GatewayGuardian(service, folder)
    finally:
        service.kill()


START = start
