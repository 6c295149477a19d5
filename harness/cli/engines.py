"""`bakeoff engines`: install, list, find and remove the servers of real engines."""

from __future__ import annotations

import dataclasses
import json
import signal
import sys
import threading

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

import click

from rich.console import Console
from rich.table import Table

from harness.engines import Engine, EngineError, Search, install, remove, search
from harness.engines import engines as declared
from harness.engines.progress import progress


USAGE = 64
INTERRUPTED = 130


class Group(click.Group):
    """A group whose exit codes tell a usage error (64), a failure (1) and Ctrl-C (130) apart."""

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:  # noqa: ANN401 (click's)
        """Parse the group's own arguments."""
        with _exit_codes():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 (click's)
        """Run the command."""
        with _exit_codes():
            return super().invoke(ctx)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What `list` says of one engine; ``notes`` is why something was not used or cannot be had."""

    name: str
    version: str
    source: str | None
    version_seen: str | None
    path: str | None
    address: str | None
    owned: bool | None
    install: str
    notes: tuple[str, ...]


@click.group(cls=Group)
def engines() -> None:
    """Install and find the servers of real engines."""


@engines.command("install")
@click.argument("names", nargs=-1, metavar="[NAME]...")
def install_command(names: Sequence[str]) -> None:
    """Install the servers of the engines NAME..., by default of all, into the cache."""
    failed = False
    for engine in _chosen(names):
        try:
            with _stopped_by_signals(), progress(engine.name) as say:
                found = install(engine, say)
        except EngineError as error:
            failed = True
            click.echo(f"{engine.name}: {error}", err=True)
        else:
            click.echo(f"{engine.name} {found.version} is installed: {found.path}")
    if failed:
        raise click.exceptions.Exit(1)


@engines.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
def list_command(*, as_json: bool) -> None:
    """Show every engine, and which server would be used."""
    rows = [_row(engine) for engine in declared().values()]
    if as_json:
        click.echo(json.dumps([dataclasses.asdict(row) for row in rows], indent=2))
        return
    table = Table("engine", "pinned", "found in", "version", box=None)
    table.add_column("where, or what installs it", overflow="fold")
    for row in rows:
        where = row.path or row.address or row.install
        table.add_row(row.name, row.version, row.source or "-", row.version_seen or "-", where)
    # A pipe has no width: there the lines stay whole.
    width = None if sys.stdout.isatty() else 1000
    console = Console(markup=False, highlight=False, emoji=False, width=width)
    console.print(table)
    for row in rows:
        for note in row.notes:
            click.echo(f"{row.name}: {note}")


@engines.command("path")
@click.argument("name")
def path_command(name: str) -> None:
    """Print the path of the server binary of the engine NAME, and nothing else."""
    (engine,) = _chosen([name])
    outcome = search(engine)
    for note in outcome.passed_over:
        click.echo(f"{name}: {note}", err=True)
    if outcome.found is None:
        msg = f"{name} is not here; run `{_install(engine)}`"
        raise click.ClickException(msg)
    if outcome.found.path is None:
        msg = (
            f"{name} is a deployment at {outcome.found.address} (from {engine.env_address}): "
            f"it has no binary here"
        )
        raise click.ClickException(msg)
    click.echo(outcome.found.path)


@engines.command("remove")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
def remove_command(names: Sequence[str]) -> None:
    """Delete the servers of the engines NAME..., in every version, from the cache."""
    for engine in _chosen(names):
        gone = remove(engine)
        for folder in gone:
            click.echo(f"{engine.name}: removed {folder}")
        if not gone:
            click.echo(f"{engine.name}: nothing in the cache")


def _chosen(names: Sequence[str]) -> list[Engine]:
    """Return the engines of these names, or all where none is named."""
    known = declared()
    unknown = [name for name in names if name not in known]
    if unknown:
        there = ", ".join(known) or "none: install the distribution, `pip install -e .`"
        msg = f"no engine is called {', '.join(unknown)}; there are: {there}"
        raise click.UsageError(msg)
    return [known[name] for name in dict.fromkeys(names)] or list(known.values())


def _row(engine: Engine) -> Row:
    try:
        outcome = search(engine)
    except EngineError as error:
        outcome = Search(found=None, passed_over=(str(error),))
    notes = list(outcome.passed_over)
    found = outcome.found
    if found is None and (obstacle := engine.recipe.obstacle()):
        notes.append(f"cannot be installed: {obstacle}")
    if found and found.version and found.version != engine.version:
        notes.append(f"version {found.version} is used where {engine.version} is the tested one")
    return Row(
        name=engine.name,
        version=engine.version,
        source=found.source if found else None,
        version_seen=found.version if found else None,
        path=str(found.path) if found and found.path else None,
        address=str(found.address) if found and found.address else None,
        owned=found.owned if found else None,
        install=_install(engine),
        notes=tuple(notes),
    )


def _install(engine: Engine) -> str:
    return f"bakeoff engines install {engine.name}"


@contextmanager
def _exit_codes() -> Iterator[None]:
    """Turn what a command raises into a message and the exit code of the house."""
    try:
        yield
    except click.UsageError as error:
        error.show()
        raise click.exceptions.Exit(USAGE) from error
    except EngineError as error:
        raise click.ClickException(str(error)) from error
    except KeyboardInterrupt as error:
        click.echo("interrupted: nothing runs on, the same command goes on from here", err=True)
        raise click.exceptions.Exit(INTERRUPTED) from error


@contextmanager
def _stopped_by_signals() -> Iterator[None]:
    """Leave in good order on SIGTERM and SIGHUP too: installers run in groups of their own."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def leave(number: int, _: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, leave) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
