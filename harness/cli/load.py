"""``bakeoff load``: throughput and latency under load, one runtime at a time, in rounds."""

from __future__ import annotations

import json
import shlex
import sys

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from harness.cli.bench import git, host, lent, runtimes, write_reports
from harness.cli.run import describe
from harness.cli.sitting import Sitting
from harness.load import LoadError as NotFoundError
from harness.load import load, names
from harness.loop import Loop
from harness.scenario import Case
from harness.site import LocalSite, sweep
from harness.store import Store
from harness.suite import case, default_case
from harness.traffic.demand import WARM, Driver
from harness.traffic.loading import SHARE
from harness.world import World


class Levels(click.ParamType[tuple[int, ...]]):
    """Numbers of runs in flight: ``1,10,50``."""

    name = "N,N"

    def convert(
        self,
        value: Any,  # noqa: ANN401 - click's
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> tuple[int, ...]:
        """Read a list of numbers above 0."""
        if isinstance(value, tuple):
            return value
        words = str(value).split(",")
        if not all(word.isdecimal() and int(word) for word in words):
            self.fail(f"expected numbers above 0 such as 1,10,50, seen {value!r}", param, ctx)
        return tuple(int(word) for word in words)


def _case(scenario: str) -> Case:
    found = case(scenario or default_case())
    if found.scenario.signals:
        msg = f"{found.id} waits for signals; load needs a scenario that goes on by itself"
        raise click.UsageError(msg)
    return found


def _driver(name: str) -> Driver:
    known = names("drivers")
    if name not in known:
        msg = f"unknown driver {name!r}; known: {', '.join(known) or 'none'}"
        raise click.UsageError(msg)
    found: Driver = load(known[name], "DRIVER")
    return found


@click.command("load")
@click.option(
    "--runtime",
    "chosen",
    multiple=True,
    help="A name, module:attribute, or ./file.py:NAME; all, if not given.",
)
@click.option("--scenario", default="", help="NAME, NAME[TIER] or ./file.py; without signals.")
@click.option(
    "--in-flight",
    "levels",
    type=Levels(),
    default=(1, 10, 50),
    show_default="1,10,50",
    help="How many runs at once.",
)
@click.option(
    "--duration-s",
    type=click.FloatRange(min=1.0),
    default=10.0,
    show_default=True,
    help="Seconds of each phase; there are two for each number of runs in flight.",
)
@click.option(
    "--rounds",
    type=click.IntRange(min=1),
    default=3,
    show_default=True,
    help="How often; runtimes take turns, every second round in reverse order.",
)
@click.option("--profile", default="fast", show_default=True, help="Settings of the runtimes.")
@click.option("--driver", default="locust", show_default=True, help="The load generator.")
@click.option(
    "--results",
    type=click.Path(path_type=Path),
    default=Path("results"),
    show_default=True,
    help="Where results go: into its folder load/.",
)
@click.option(
    "--into",
    type=click.Path(path_type=Path),
    help="A results folder of a sweep, whose report is to show the load too.",
)
@click.option("--json", "as_json", is_flag=True, help="Print what was measured as JSON.")
def load_command(
    chosen: tuple[str, ...],
    scenario: str,
    levels: tuple[int, ...],
    duration_s: float,
    rounds: int,
    profile: str,
    driver: str,
    results: Path,
    into: Path | None,
    as_json: bool,
) -> None:
    """Measure throughput, and latency to the first effect, with so many runs in flight.

    \b
    closed  so many runs are in flight all the time: the steady throughput, in runs per second
    open    runs are asked for by a timetable, at 70 % of that throughput: the latency from
            the intended start to the first effect in the world

    One worker, one machine, which also runs the world and the load generator.  Nothing here is
    a verdict.  Exit codes: 0 all was measured; 2 something that is here was not, or a run did
    not complete; 64 usage.
    """
    of = _case(scenario)
    generator = _driver(driver)
    found = runtimes(chosen, controls=False)
    for runtime in found.values():
        if profile not in runtime.profiles:
            msg = f"{runtime.name} has no profile {profile!r}; it has {', '.join(runtime.profiles)}"
            raise click.UsageError(msg)
    facts = {
        "argv": shlex.join(["bakeoff", *sys.argv[1:]]),
        "git": git(),
        "host": host(),
        "started_at": datetime.now(UTC).isoformat(),
        "driver": f"{generator.name} {generator.version()}",
        "case": of.id,
        "profile": profile,
        "in_flight": list(levels),
        "duration_s": duration_s,
        "warm": WARM,
        "share": SHARE,
        "rounds": rounds,
        "columns": [describe(*item, profile) for item in found.items()],
    }
    store = Store.open(into) if into else Store.create(results / "load", {"load": True, **facts})
    for line in sweep():
        click.echo(f"swept: {line}", err=True)
    with (
        store.owned(),
        Loop() as loop,
        World(loop) as world,
        LocalSite(loop) as site,
        lent(loop, world, site) as bench_,
    ):
        sitting = Sitting(
            path=store.path,
            loop=loop,
            bench=bench_,
            driver=generator,
            case=of,
            profile=profile,
            levels=levels,
            duration_s=duration_s,
            facts=facts,
            quiet=as_json,
        )
        (store.path / "orders.jsonl").unlink(missing_ok=True)
        sitting.all(list(found.values()), rounds)
    page = report(store.path)
    if into:
        write_reports(store)  # its own page then has a link to this one
    if as_json:
        click.echo(json.dumps({"results": str(store.path), **sitting.document()}, indent=1))
    elif page:
        click.echo(f"report: {page}")
    sys.exit(2 if sitting.failed or not sitting.phases else 0)


def report(path: Path) -> str:
    """Write the page, if the reports are installed, and return where it is."""
    try:
        written = load(names("reports")["load"], "write")(path)
    except (ImportError, NotFoundError, KeyError) as error:
        click.echo(f"no load report: {error}; pip install 'bakeoff[report]'", err=True)
        return ""
    return str(written[0])
