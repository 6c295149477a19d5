"""Commands that only look: what there is, and whether this machine can run it."""

from __future__ import annotations

import json
import shutil
import sys

from pathlib import Path
from typing import Any

import click

from harness.engines import EngineError, engines, locate
from harness.faults import FAULTS
from harness.load import LoadError, load, load_scenario, names
from harness.runtime import Runtime, RuntimeUnavailableError
from harness.store import Store
from harness.suite import suites
from harness.summary import cells


@click.command("list")
@click.option("--results", type=click.Path(path_type=Path), help="List what a results folder has.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def list_(results: Path | None, as_json: bool) -> None:
    """List runtimes, scenarios, faults and suites; or the verdicts of a results folder."""
    if results:
        rows = Store.open(results).rows()
        if as_json:
            click.echo(json.dumps(rows, indent=1))
            return
        for cell in cells(rows):
            for row in cell.rows:
                marks = ", ".join(row["violated"]) or row["end"]
                click.echo(
                    f"{row['runtime']}  {row['case']}  {row['schedule']}  {row['outcome']}  {marks}"
                )
        return
    found: dict[str, Any] = {"runtimes": {}, "scenarios": {}, "faults": {}, "suites": {}}
    for name, value in names("runtimes").items():
        runtime: Runtime = load(value, "RUNTIME")
        found["runtimes"][name] = f"{runtime.kind}, promises {runtime.guarantee}"
    for name, value in names("scenarios").items():
        scenario = load_scenario(value)
        tiers = ", ".join(scenario.tiers)
        variants = f"; variants {', '.join(scenario.variants)}" if scenario.variants else ""
        found["scenarios"][name] = f"tiers {tiers}{variants}"
    for name, fault in FAULTS.items():
        found["faults"][name] = fault.about
    for name, suite in suites().items():
        found["suites"][name] = suite["about"]
    if as_json:
        click.echo(json.dumps(found, indent=1))
        return
    for kind, things in found.items():
        click.echo(kind)
        for name, about in things.items():
            click.echo(f"  {name:<20}{about}")


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def doctor(as_json: bool) -> None:
    """Say what can run on this machine, and what would change it.

    Exits 0 if the controls can run, whatever else is missing.
    """
    checks: list[dict[str, Any]] = []

    def note(what: str, *, ok: bool, detail: str) -> None:
        checks.append({"what": what, "ok": ok, "detail": detail})

    note("python", ok=sys.version_info >= (3, 11), detail=sys.version.split()[0])
    free = shutil.disk_usage(Path.cwd()).free / 1e9
    note("disk", ok=free > 1, detail=f"{free:.0f} GB free here")
    for name, value in names("runtimes").items():
        try:
            runtime: Runtime = load(value, "RUNTIME")
            note(f"runtime {name}", ok=True, detail=runtime.version())
        except (LoadError, RuntimeUnavailableError) as error:
            note(f"runtime {name}", ok=False, detail=str(error))
    for name, engine in engines().items():
        try:
            found = locate(engine)
        except EngineError as error:
            note(f"engine {name}", ok=False, detail=str(error))
            continue
        where = str(found.path or found.address) if found else ""
        missing = f"not here; get it with: bakeoff engines install {name}"
        note(f"engine {name}", ok=bool(found), detail=where or missing)
    note("report", ok=bool(names("reports")), detail=", ".join(names("reports")) or "not installed")
    if as_json:
        click.echo(json.dumps(checks, indent=1))
    else:
        for check in checks:
            click.echo(f"{'ok  ' if check['ok'] else 'MISS'}  {check['what']:<22}{check['detail']}")
    sys.exit(0 if checks[0]["ok"] else 1)
