"""``bakeoff gateway``: a gateway before your providers, and what an operator says to one."""

from __future__ import annotations

import getpass
import json
import sys

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TextIO

import click

from harness.load import LoadError
from runtimes.reference.gateway.client import DAY_S, OPERATORS, WORKERS, OperatorError, ask


REFUSED = 1
ParamsT = ParamSpec("ParamsT")
FOLDER = click.option(
    "--gateway",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    required=True,
    help="The folder of the gateway: its sockets are there.",
)
BY = click.option("--by", default=getpass.getuser, help="Who says it [the user].")


def _told(command: Callable[ParamsT, None]) -> Callable[ParamsT, None]:
    """Return a command that says in one message why the gateway did not do it."""

    @wraps(command)
    def wrapped(*args: ParamsT.args, **kwargs: ParamsT.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except OperatorError as error:
            click.echo(f"bakeoff: {error}", err=True)
            sys.exit(REFUSED)

    return wrapped


@click.group()
def gateway() -> None:
    """Stand between workers and providers; say what runs may do, and end it.

    Exit code 1 where the gateway refuses, or nobody answers. What its sockets take and answer:
    `bakeoff gateway schema workers`, `bakeoff gateway schema operators`.
    """


@gateway.command()
@click.argument("reference", metavar="PROVIDERS.py[:NAME]")
@FOLDER
@click.option(
    "--store",
    metavar="URL",
    default="",
    help="Keep the log in this PostgreSQL (postgresql://user@host/name), which gateways may share.",
)
def serve(reference: str, folder: Path, store: str) -> None:
    """Serve before the providers of a file: what its `upstream()` returns.

    The file names the connectors (PostgreSQL, DNS, mail, git, HTTP) and reads their credentials,
    from wherever you keep them; nobody else needs them from then on.  Workers use
    FOLDER/workers.sock, you FOLDER/operators.sock.  A credential that nothing needs may stand in
    BAKEOFF_CANARY: seen on its way out, it ends what the run may do.

    It serves until Ctrl-C or SIGTERM, and finishes what is out by then.
    """
    # What the gateway itself needs is heavy, and no other command needs it.
    try:
        from runtimes.reference.gateway.providers import serve as served  # noqa: PLC0415
    except ModuleNotFoundError as error:
        msg = f"{error.name} is not installed; run: pip install 'bakeoff[gateway]'"
        raise click.ClickException(msg) from error

    def ready() -> None:
        for socket in (WORKERS, OPERATORS):
            click.echo(folder / socket)
        click.echo("serving until Ctrl-C")

    try:
        served(reference, folder, store, ready)
    except (LoadError, ValueError) as error:
        raise click.UsageError(str(error)) from error


@gateway.command()
@click.argument("file", type=click.File())
@FOLDER
@_told
def admit(file: TextIO, folder: Path) -> None:
    """Let runs act, from their next call on: a FILE of JSON, or - for what is piped.

    It is a list; each says which run, which peer acts for it (uid:USER:GROUP), for how many
    seconds, and its grants.  `bakeoff gateway schema operators` has all fields.
    """
    try:
        said = json.load(file)
    except ValueError as error:
        msg = f"expected {file.name} to be JSON: {error}"
        raise click.UsageError(msg) from error
    done = ask(folder, "/admit", said)
    click.echo(f"{done['admitted']} admitted")


@gateway.command()
@click.argument("what", metavar="RUN|TOKEN")
@FOLDER
@BY
@click.option("--why", default="", help="Why; it stands in the log.")
@_told
def revoke(what: str, folder: Path, by: str, why: str) -> None:
    """End what RUN and its children may do, or TOKEN and what is narrowed from it.

    It counts from the next call on.  A run may act again once it is admitted again; a token
    never.  Calls that were out by then are named: they may still be done.
    """
    done = ask(folder, "/revoke", {"what": what, "by": by, "why": why})
    click.echo(f"{done['run']}: {len(done['revoked'])} capabilities ended")
    for run, slots in done["in_flight"].items():
        click.echo(f"out, and may still be done: {run}: {', '.join(slots)}")


@gateway.group()
def approvals() -> None:
    """What waits for a human's word."""


@approvals.command("list")
@FOLDER
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@_told
def list_(folder: Path, as_json: bool) -> None:
    """List all that was asked of a human, with what was asked."""
    found = ask(folder, "/approvals")
    if as_json:
        click.echo(json.dumps(found, indent=1))
        return
    for one in found:
        click.echo(f"{one['id']}  {one['state']:<8} {one['run']} {one['slot']} {one['by']}")
        if one["asks"]:
            click.echo(f"  {json.dumps(one['asks'], sort_keys=True)}")


@approvals.command()
@click.argument("ident", metavar="ID")
@FOLDER
@BY
@click.option("--lasts", type=click.IntRange(1), default=DAY_S, help="Seconds that it is good.")
@_told
def approve(ident: str, folder: Path, by: str, lasts: int) -> None:
    """Let happen, once, what approval ID asks."""
    _decide(folder, ident, {"by": by, "lasts_s": lasts, "yes": True})


@approvals.command()
@click.argument("ident", metavar="ID")
@FOLDER
@BY
@_told
def deny(ident: str, folder: Path, by: str) -> None:
    """Say no to approval ID, or take a word back that is not used yet."""
    _decide(folder, ident, {"by": by, "yes": False})


def _decide(folder: Path, ident: str, said: dict[str, Any]) -> None:
    shown = next((one for one in ask(folder, "/approvals") if one["id"] == ident), None)
    if shown is None:
        msg = f"nobody asks for approval {ident!r}; run: bakeoff gateway approvals list"
        raise OperatorError(msg)
    done = ask(folder, "/decide", {"id": ident, "request_hash": shown["request_hash"], **said})
    click.echo(f"{done['id']}: {done['state']}")


@gateway.command()
@FOLDER
@BY
@_told
def rotate(folder: Path, by: str) -> None:
    """Sign from now on with a new root key; tokens of the older ones stay good."""
    done = ask(folder, "/rotate", {"by": by})
    click.echo(f"key {done['newest']} signs; {', '.join(map(str, done['keys']))} verify")


@gateway.command()
@click.argument("key", type=int)
@FOLDER
@BY
@_told
def retire(key: int, folder: Path, by: str) -> None:
    """Refuse from now on all tokens that root key KEY has signed."""
    done = ask(folder, "/retire", {"key": key, "by": by})
    click.echo(f"{', '.join(map(str, done['keys']))} verify")


@gateway.command()
@FOLDER
@_told
def metrics(folder: Path) -> None:
    """Print the figures as Prometheus reads them."""
    click.echo(ask(folder, "/metrics"), nl=False)


@gateway.command()
@click.argument("face", type=click.Choice(["workers", "operators"]))
@click.option("--world", is_flag=True, help="Of a gateway before the harness's world.")
def schema(face: str, *, world: bool) -> None:
    """Print what may be asked on FACE.sock, and what is answered, as OpenAPI 3.1.

    It is made of the table that the gateway serves by; no gateway has to run.
    """
    from runtimes.reference.gateway.openapi import openapi  # noqa: PLC0415 - as above
    from runtimes.reference.gateway.request import PROVIDERS, WORLD  # noqa: PLC0415

    click.echo(json.dumps(openapi(face, WORLD if world else PROVIDERS), indent=1))
