"""What the judging commands share: a started world, a swept site, loaded runtimes."""

from __future__ import annotations

import platform
import subprocess
import sys

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import Any

import click

from harness.load import LoadError, load, names, resolve
from harness.loop import Loop
from harness.process import Runner
from harness.runtime import Kind, Runtime
from harness.site import LocalSite, Lot, sweep
from harness.store import Store, TrialFolder
from harness.world import World
from harness.world.live import Stands


@dataclass(frozen=True, slots=True)
class Bench:
    """Everything that a column needs from outside."""

    world: World
    site: LocalSite
    secret: str
    stands: Stands

    def runner(self, logs: Path) -> Runner:
        """Return a runner whose children know the world and carry the site's mark."""
        make = load(resolve("runners", "local"), "RUNNER")
        environment = {
            **self.site.environment,
            "BAKEOFF_WORLD": f"http://{self.world.address}",
            "BAKEOFF_CREDENTIAL": self.secret,
        }
        return make(logs, environment)  # type: ignore[no-any-return]

    def for_trials(self) -> Callable[[TrialFolder], Runner]:
        """Return what makes a trial's runner."""
        return lambda folder: self.runner(folder.logs)


@contextmanager
def bench() -> Iterator[Bench]:
    """Sweep what dead harnesses left, then open a world and a site."""
    for line in sweep():
        click.echo(f"swept: {line}", err=True)
    with (
        Loop() as loop,
        World(loop) as world,
        LocalSite(loop) as site,
        lent(loop, world, site) as made,
    ):
        yield made


@contextmanager
def lent(loop: Loop, world: World, site: LocalSite) -> Iterator[Bench]:
    """Lend what a column needs; the real providers that its cases ask for end with it."""

    @contextmanager
    def lot() -> Iterator[Lot]:
        make = load(resolve("runners", "local"), "RUNNER")
        with closing(make(site.folder / "live-logs", site.environment)) as runner:
            yield Lot(site, "live", runner)

    with Stands(loop, lot) as stands:
        yield Bench(world, site, token_hex(24), stands)


def runtimes(chosen: Sequence[str], *, controls: bool) -> dict[str, Runtime]:
    """Return the runtimes that are named (all, without names), the controls among them.

    The keys are the references by which they can be named again.
    """
    known = names("runtimes")
    found: dict[str, Runtime] = {}
    for reference in list(chosen) or list(known):
        full = resolve("runtimes", reference)
        given = load(full, "RUNTIME")
        if not callable(getattr(given, "start", None)):
            msg = f"{reference}: expected a harness.runtime.Runtime, seen {type(given).__name__}"
            raise LoadError(msg)
        found[reference if reference in known else full] = given
    if controls:
        for name, value in known.items():
            if name not in found:
                runtime: Runtime = load(value, "RUNTIME")
                if runtime.kind is Kind.CONTROL:
                    found[name] = runtime
    seen: dict[str, str] = {}
    for reference, runtime in found.items():
        if runtime.name in seen:
            msg = (
                f"{reference} and {seen[runtime.name]} are both called {runtime.name!r}; "
                f"give yours another name"
            )
            raise LoadError(msg)
        seen[runtime.name] = reference
    # The slowest first, so that columns side by side end together.
    order = [Kind.SERVER, Kind.LIBRARY, Kind.CONTROL]
    return dict(sorted(found.items(), key=lambda item: order.index(item[1].kind)))


def host() -> dict[str, Any]:
    """Return what the machine is."""
    import os  # noqa: PLC0415 - only here

    return {
        "system": platform.platform(),
        "python": sys.version.split()[0],
        "cores": os.cpu_count(),
        "load": list(os.getloadavg()),
    }


def git() -> dict[str, Any]:
    """Return the commit of the checkout that this code is in, and whether it is dirty."""
    here = Path(__file__).parent

    def ask(*argv: str) -> str:
        done = subprocess.run(["git", *argv], cwd=here, capture_output=True, text=True, check=False)
        return done.stdout.strip() if done.returncode == 0 else ""

    head = ask("rev-parse", "HEAD")
    return {"head": head or None, "dirty": bool(ask("status", "--porcelain")) if head else None}


def write_reports(store: Store, beside: Sequence[Path] = ()) -> list[Path]:
    """Write all reports that are installed; return their paths."""
    written: list[Path] = []
    for name, value in names("reports").items():
        try:
            written += load(value, "write")(store.path, beside)
        except (ImportError, LoadError) as error:
            click.echo(f"no {name} report: {error}; pip install 'bakeoff[report]'", err=True)
    return written
