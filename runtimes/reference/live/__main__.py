"""Private servers from a shell: ``python -m runtimes.reference.live SERVERS.JSON``.

They serve until this is ended, and are gone with it; whatever it leaves if it is killed, the next
one sweeps up.
"""

from __future__ import annotations

import json
import os
import signal

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import click

from harness.effects import Json
from harness.load import load, resolve
from harness.loop import Loop
from harness.process import Address, ProcessError, Site
from harness.runtime import RuntimeUnavailableError
from harness.site import LocalSite, Lot, sweep
from runtimes.reference.live.knot import nameserver
from runtimes.reference.live.mail import postbox
from runtimes.reference.live.sql import database
from runtimes.reference.upstreams.credential import Credential


ZONE = "example.test"


def _way(address: Address, credential: Credential) -> dict[str, Json]:
    return {"address": str(address), "user": credential.name, "secret": credential.secret}


def _postgres(stack: ExitStack, site: Site) -> dict[str, Json]:
    made = stack.enter_context(database(site))
    return {**_way(made.address, made.credential), "database": made.name}


def _knot(stack: ExitStack, site: Site) -> dict[str, Json]:
    made = stack.enter_context(nameserver(site, (ZONE,)))
    return {**_way(made.address, made.credential), "zones": [*made.zones]}


def _mail(stack: ExitStack, site: Site) -> dict[str, Json]:
    made = stack.enter_context(postbox(site))
    return {**_way(made.address, made.credential), "folder": str(made.folder)}


SERVERS: Mapping[str, Callable[[ExitStack, Site], dict[str, Json]]] = {
    "postgres": _postgres,
    "knot": _knot,
    "mail": _mail,
}


@contextmanager
def started(chosen: tuple[str, ...]) -> Iterator[dict[str, dict[str, Json]]]:
    """Start servers, and say where they are and what they ask for.

    Raises:
        RuntimeUnavailableError: one of them is not on this machine.
        ProcessError: one was not ready in time.

    """
    with Loop() as loop, LocalSite(loop) as site:
        runner = load(resolve("runners", "local"), "RUNNER")(site.folder / "logs", site.environment)
        with closing(runner), ExitStack() as stack:
            lot = Lot(site, "live", runner)
            yield {name: SERVERS[name](stack, lot) for name in chosen}


def written(path: Path, found: Mapping[str, Json]) -> None:
    """Write where the servers are, for this user alone: their secrets are in it."""
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(found, file, indent=1)
    fresh.replace(path)


@click.command()
@click.argument("into", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--server",
    "chosen",
    type=click.Choice([*SERVERS]),
    multiple=True,
    default=[*SERVERS],
    help="Only this one; may be repeated.",
)
def main(into: Path, chosen: tuple[str, ...]) -> None:
    """Start private servers, write where they are INTO a JSON file, and serve until Ctrl-C."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sweep()
    try:
        with started(chosen) as found:
            written(into, found)
            for name, at in found.items():
                click.echo(f"{name}: {at['address']}")
            click.echo(f"serving until Ctrl-C; {into} has the credentials")
            signal.pause()
    except KeyboardInterrupt:
        click.echo("ended")
    except (RuntimeUnavailableError, ProcessError) as error:
        raise click.ClickException(str(error)) from error
    finally:
        into.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
