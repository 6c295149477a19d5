"""Commands on stored results: judge them again, report them, pack one for a vendor."""

from __future__ import annotations

import json
import shlex
import sys
import tarfile

from pathlib import Path

import click

from harness import judging, metrics
from harness.cli.bench import write_reports
from harness.cli.run import document, verdict
from harness.cli.screen import line
from harness.compat import read_conformance
from harness.compat_profile import CompatError
from harness.history import read
from harness.known import listed
from harness.store import Store, StoreError
from harness.summary import cells, exit_code


RESULTS = click.argument("results", type=click.Path(path_type=Path), default=Path("results/latest"))


@click.command()
@RESULTS
@click.option("--json", "as_json", is_flag=True, help="Print the cells as one JSON document.")
def analyze(results: Path, as_json: bool) -> None:
    """Judge stored histories again, with the oracles of today.

    Raw files are read, never changed; verdicts and the report are written anew.  The exit
    code is that of the judged sweep.
    """
    store = Store.open(results)
    changed = 0
    with store.owned():
        for folder in store.trials():
            events = read(folder.history)
            rows = judging.rows(folder.facts(), events)
            changed += sum(
                old["violated"] != new["violated"] or old["outcome"] != new["outcome"]
                for old, new in zip(folder.rows(), rows, strict=True)
            )
            folder.finish(rows, metrics.usage(events))
        known = listed()
        store.update(known=[entry.to_json() for entry in known])
        found = cells(store.reindex(), known)
        facts = store.facts()
        code = exit_code(
            found, facts.get("planned", 0), facts.get("judged", 0), facts.get("budget", "")
        )
        write_reports(store)
    measured = [cell for cell in found if cell.fault != "none"]
    if as_json:
        click.echo(json.dumps({**document(store, found), "changed": changed}, indent=1))
    else:
        for cell in measured:
            click.echo(line(cell))
        click.echo(f"{changed} verdicts differ from those that were stored")
        click.echo(verdict(code, measured))
    sys.exit(code)


@click.command()
@RESULTS
@click.option(
    "--beside",
    type=click.Path(path_type=Path),
    multiple=True,
    help="Results with another profile: the runtimes' pages show both recoveries.",
)
@click.option(
    "--conformance",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="What `nox -s conformance` wrote; it is kept with the results. "
    "Default: conformance.json beside the results folder.",
)
def report(results: Path, beside: tuple[Path, ...], conformance: Path | None) -> None:
    """Write the report of a results folder anew."""
    store = Store.open(results)
    if conformance:
        try:
            read_conformance(conformance)
        except CompatError as error:
            raise click.UsageError(str(error)) from error
        (store.path / "conformance.json").write_bytes(conformance.read_bytes())
    written = write_reports(store, [Store.open(other).path for other in beside])
    if not written:
        msg = "no report is installed; install it with: pip install 'bakeoff[report]'"
        raise click.ClickException(msg)
    for path in written:
        click.echo(str(path))


@click.command()
@click.argument("schedule")
@click.option("--runtime", required=True, help="The column it is in.")
@click.option(
    "--results",
    type=click.Path(path_type=Path),
    default=Path("results/latest"),
    show_default=True,
    help="The results folder that has it.",
)
@click.option("--case", "case_id", default="", help="The case, where several have it.")
@click.option("--output", type=click.Path(path_type=Path), help="Default: ./repro-RUNTIME.tar.gz")
def repro(schedule: str, runtime: str, results: Path, case_id: str, output: Path | None) -> None:
    """Pack the evidence of one SCHEDULE, with how to run it, for a vendor."""
    store = Store.open(results)
    rows = [
        row
        for row in store.rows()
        if row["schedule"] == schedule
        and row["runtime"] == runtime
        and case_id in {"", row["case"]}
    ]
    rows.sort(key=lambda row: row["mode"] != "single")
    if not rows:
        msg = f"{results} has no {schedule!r} of {runtime}; see: bakeoff list --results {results}"
        raise StoreError(msg)
    row = rows[0]
    folder = store.trial(row["trial"])
    facts = folder.facts()
    target = output or Path(f"repro-{runtime}.tar.gz")
    columns = [c for c in store.facts()["columns"] if c["runtime"] == runtime]
    again = f"bakeoff replay {shlex.quote(schedule)} {facts['again']}"
    text = "\n".join(
        [
            f"# {runtime}: {', '.join(row['violated']) or row['outcome']}",
            "",
            f"Schedule `{schedule}` of `{row['case']}`, guard `{row['guard']}`.",
            f"Runtime: {columns[0]['version'] if columns else 'unknown'}.",
            f"Settings (profile `{row['profile']}`): `{json.dumps(facts['settings'])}`.",
            "",
            *[
                f"- {v['oracle']}: {v['note']}"
                for v in row["verdicts"]
                if v["outcome"] == "violated"
            ],
            "",
            "Run it again:",
            "",
            f"    {again}",
            "",
            f"`history.jsonl` is what happened, in order; run `{row['run']}` is the one.",
            "",
        ]
    )
    with tarfile.open(target, "w:gz") as archive:
        readme = folder.path / "README.md"
        readme.write_text(text, encoding="utf-8")
        try:
            archive.add(folder.path, arcname=f"repro-{runtime}")
        finally:
            readme.unlink()
    click.echo(str(target))
