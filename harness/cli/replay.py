"""``bakeoff replay``: one schedule alone, with its verdicts."""

from __future__ import annotations

import json
import shlex
import sys
import threading

from pathlib import Path

import click

from harness.cli.bench import bench, git, host, runtimes
from harness.cli.run import column, describe
from harness.cli.screen import Screen
from harness.deadline import Deadline
from harness.effects import Guard
from harness.faults import fault
from harness.model import ideal
from harness.plan import arg_of
from harness.runtime import Kind, RuntimeUnavailableError
from harness.scenario import Case
from harness.schedule import WAITING, Schedule, ScheduleError, parse
from harness.store import Store
from harness.suite import case, default_case
from harness.sweep import Request, Target, slug
from harness.trial import READY_S


def check(schedule: Schedule, chosen: Case) -> None:
    """Refuse a schedule that names what the program never reaches.

    Raises:
        ScheduleError: a step or wait of it is not in the program's run.

    """
    end = ideal(chosen, "r", arg_of(chosen, "r"))
    for index, stage in enumerate(schedule.stages):
        known = end.waits if stage.point.phase == WAITING else end.steps
        if stage.point.step and stage.point.step not in known:
            msg = (
                f"{stage.point} is not reached by {chosen.id}: it has no such step; "
                f"it passes {', '.join(known) or 'none of that kind'}"
            )
            raise ScheduleError(msg)
        if index == 0 and stage.point.nth != 1:
            msg = f"{stage.point} is not reached by {chosen.id}: without an earlier fault it is #1"
            raise ScheduleError(msg)
        if stage.point.phase not in fault(stage.fault).phases:
            msg = f"{stage.fault} cannot come at {stage.point.phase}"
            raise ScheduleError(msg)


@click.command()
@click.argument("schedule")
@click.option(
    "--runtime", "name", required=True, help="A name, module:attribute or ./file.py:NAME."
)
@click.option(
    "--scenario",
    "scenario",
    default="",
    help="NAME, NAME[TIER,variant] or ./file.py; the standard suite's first, if not given.",
)
@click.option(
    "--guard",
    type=click.Choice([each.value for each in Guard]),
    default="none",
    show_default=True,
    help="What stands between the program and the world.",
)
@click.option("--profile", default="fast", show_default=True, help="Settings that govern recovery.")
@click.option(
    "--results",
    type=click.Path(path_type=Path),
    default=Path("results"),
    show_default=True,
    help="The trial goes to replays/ in it.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the row as JSON.")
def replay(
    schedule: str,
    name: str,
    scenario: str,
    guard: str,
    profile: str,
    results: Path,
    as_json: bool,
) -> None:
    """Run one SCHEDULE alone and print its verdicts.

    \b
    A schedule is STEP/PHASE#N:FAULT, joined by + for more than one fault, as the report
    prints it:  'truncate_source/after_effect#1:kill(worker)'
    """
    wanted, chosen = parse(schedule), case(scenario or default_case())
    check(wanted, chosen)
    ((reference, runtime),) = runtimes([name], controls=False).items()
    if profile not in runtime.profiles:
        msg = f"{runtime.name} has no profile {profile!r}; it has {', '.join(runtime.profiles)}"
        raise click.UsageError(msg)
    names = tuple(stage.fault for stage in wanted.stages) or ("none",)
    target = Target(case=chosen, guard=Guard(guard), faults=names[:1])
    request = Request(targets=(target,), profile=profile)
    store = Store.create(
        results / "replays",
        {
            "asked": {"replay": schedule},
            "argv": shlex.join(["bakeoff", *sys.argv[1:]]),
            "git": git(),
            "host": host(),
            "columns": [describe(reference, runtime, profile)],
        },
    )
    with store.owned(), bench() as bench_:
        one = column(
            bench_, reference, runtime, request, store, Screen(store, quiet=True), threading.Event()
        )
        try:
            one.stands.need(chosen)
            with runtime.start(one.lot, profile) as one.backend:
                for server in one.backend.servers:
                    server.ready(Deadline.after(READY_S))
                for fault_name in names[: len(wanted.stages)]:
                    reason = fault(fault_name).obstacle(
                        one.means(chosen, guarded=target.guard is Guard.GATEWAY)
                    )
                    if reason:
                        msg = f"{fault_name} is not possible on {runtime.name}: {reason}"
                        raise click.UsageError(msg)
                label = f"single-{slug(schedule)}"
                _, rows = one.trial(target, names[0], max(1, len(wanted.stages)), label, (wanted,))
        except RuntimeUnavailableError as error:
            msg = f"{runtime.name} is not measured: {error}"
            raise RuntimeUnavailableError(msg) from error
    row = rows[0]
    folder = store.trial(row["trial"]).path
    if as_json:
        click.echo(json.dumps({**row, "folder": str(folder)}, indent=1))
    else:
        kind = " (control)" if runtime.kind is Kind.CONTROL else ""
        click.echo(f"{runtime.name}{kind}  {chosen.id}  {schedule}")
        click.echo(f"  {row['outcome']}, the run ended {row['end']}")
        for found in row["verdicts"]:
            if found["outcome"] in {"violated", "unknown"}:
                as_ = " (as predicted)" if found["predicted"] else ""
                click.echo(f"  {found['outcome']} {found['oracle']}{as_}: {found['note']}")
        for oracle in row["absent"]:
            click.echo(f"  predicted, but it did not occur: {oracle}")
        click.echo(f"  evidence: {folder}")
    sys.exit(2 if row["outcome"] == "unknown" else 1 if row["surprising"] else 0)
