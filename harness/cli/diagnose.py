"""``bakeoff diagnose``: what is wrong with the runs of a live deployment."""

from __future__ import annotations

import json

import click

from rich.console import Console
from rich.table import Table

from harness.load import load, resolve
from harness.observer import Found, Observable, examine, fix
from harness.runtime import Runtime
from harness.signature import Signature


WELL, ILL, CANNOT_TELL = 0, 1, 2


@click.command()
@click.option("--runtime", required=True, help="The engine, by name or by path.")
@click.option("--profile", default="default", show_default=True, help="Whose timers apply.")
@click.option(
    "--older-than-s",
    type=click.FloatRange(min=0.0),
    default=60.0,
    show_default=True,
    help="Leave younger runs alone, seconds.",
)
@click.option("--fix", "mend", is_flag=True, help="Do what is proven to hit nothing alive.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def diagnose(runtime: str, profile: str, older_than_s: float, *, mend: bool, as_json: bool) -> None:
    """Name what is wrong with the runs of a live deployment, and what governs it.

    Read-only unless --fix is given.  For each run: its signature, what shows it, the setting
    that decides it, what could be done, and whom that could harm.  --fix acts only on what
    is proven dead, after a second look.

    \b
      BAKEOFF_RESTATE_ADDRESS=127.0.0.1:9070 bakeoff diagnose --runtime restate
      BAKEOFF_TEMPORAL_ADDRESS=127.0.0.1:7233 bakeoff diagnose --runtime temporal --json

    Exit codes: 0 nothing is wrong, or all of it was mended; 1 something is; 2 something is
    there that the evidence does not tell; 64 usage; 70 the deployment does not answer.
    """
    engine: Runtime = load(resolve("runtimes", runtime), "RUNTIME")
    if profile not in engine.profiles:
        msg = f"{runtime} has no profile {profile!r}; it has {', '.join(engine.profiles)}"
        raise click.UsageError(msg)
    settings = engine.settings(profile)
    if not isinstance(engine, Observable):
        msg = f"{runtime} has no deployments to look at: it runs inside its workers"
        raise click.UsageError(msg)
    with engine.observe() as observer:
        found = examine(observer, settings, older_than_s)
        if mend:
            found = fix(observer, settings, older_than_s, found)
    if as_json:
        click.echo(json.dumps({"runtime": runtime, "runs": [item.to_json() for item in found]}))
    else:
        for item in found:
            _show(item)
        click.echo(f"{len(found)} runs of {runtime} need a look" if found else "nothing is wrong")
    left = [item for item in found if not item.mended]
    if any(item.diagnosis.signature is not Signature.UNKNOWN for item in left):
        raise click.exceptions.Exit(ILL)
    if left:
        raise click.exceptions.Exit(CANNOT_TELL)


def _show(item: Found) -> None:
    table = Table(show_header=False, box=None, pad_edge=False)
    told, remedy = item.diagnosis, item.remedy
    lines = [("because", "; ".join(told.evidence))]
    if told.setting:
        lines.append(("governed by", f"{told.setting} = {told.value!r}"))
    if remedy:
        lines.append(("would", remedy.does))
        lines.append(("could harm", remedy.harms))
        if not remedy.proven:
            lines.append(("--fix", "leaves it alone: nothing proves that nobody is at work on it"))
    if item.done:
        helped = "" if item.mended or item.done.startswith("left alone") else "; it did not help"
        lines.append(("done", f"{item.done}{helped}"))
    for name, text in lines:
        table.add_row(f"  {name}", text)
    console = Console(highlight=False)
    console.print(f"{told.signature}  {item.run}", markup=False)
    console.print(table)
