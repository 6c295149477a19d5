"""A started runtime: how it is opened, how patient one is with it, how it can fall short."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.cli.bench import Bench, bench
from harness.deadline import Deadline, DeadlineError
from harness.process import ProcessError
from harness.rpc import RpcError
from harness.runtime import Backend, Runtime, RuntimeUnavailableError
from harness.site import Lot
from harness.trial import READY_S


IDLE_SHARE = 0.5
"""Which part of ``settle_s`` a runtime may be silent for while nobody has died."""


class RefusedError(Exception):
    """The runtime takes no such scenario, or has no such door."""


FAILURES = (
    AssertionError,
    DeadlineError,
    ProcessError,
    RefusedError,
    RpcError,
    RuntimeUnavailableError,
)
"""How a runtime can fall short of a primitive."""


@dataclass(frozen=True, slots=True)
class Stand:
    """A started runtime; checks come and go."""

    runtime: Runtime
    backend: Backend
    bench: Bench
    folder: Path
    profile: str


@contextmanager
def opened(runtime: Runtime, folder: Path) -> Iterator[Stand]:
    """Lend a runtime whose servers serve.

    Raises:
        RuntimeUnavailableError: it cannot run here.

    """
    profile = "fast" if "fast" in runtime.profiles else runtime.profiles[0]
    with (
        bench() as lent,
        closing(lent.runner(folder / "servers")) as runner,  # type: ignore[type-var]
        runtime.start(Lot(lent.site, runtime.name, runner), profile) as backend,
    ):
        for server in backend.servers:
            server.ready(Deadline.after(READY_S))
        yield Stand(runtime, backend, lent, folder, profile)


def patience(runtime: Runtime, profile: str) -> tuple[float, float]:
    """Return for how many seconds nothing may move: while nobody has died, and afterwards.

    The first is the setting ``idle_s``, where a runtime gives it: engines that poll slowly do.
    """
    settings = runtime.settings(profile)
    settle_s = float(str(settings["settle_s"]))
    return float(str(settings.get("idle_s", settle_s * IDLE_SHARE))), settle_s
