"""The gateway's process: ``python -m runtimes.reference.gateway --folder DIR --world URL``.

It is given its credential by ``BAKEOFF_CREDENTIAL``, and nobody else is.
"""

from __future__ import annotations

import asyncio
import os
import secrets

from contextlib import AsyncExitStack, suppress
from pathlib import Path

import aiohttp
import click

from aiohttp import web

from harness.effects import Tier
from harness.worker import announce
from runtimes.reference.effect_log.folder import effect_log
from runtimes.reference.gateway.admissions import Admissions
from runtimes.reference.gateway.clock import SystemClock, Watch
from runtimes.reference.gateway.errors import KeysError
from runtimes.reference.gateway.face import OperatorFace, WorkerFace
from runtimes.reference.gateway.gateway import Gateway
from runtimes.reference.gateway.guard import OPERATORS, WORKERS
from runtimes.reference.gateway.keys import Keyring
from runtimes.reference.gateway.redact import Redactor
from runtimes.reference.resume.clock import WallClock
from runtimes.reference.upstreams.world import WorldUpstream


SECRET = "secret"  # noqa: S105 - a file name


def keyring(folder: Path) -> Keyring:
    """Return the root keys of a folder; the first time they are made."""
    if (folder / "keys").exists():
        return Keyring.load(folder / "keys")
    made = Keyring.make()
    made.save(folder / "keys")
    return made


def secret(folder: Path) -> bytes:
    """Return what idempotency keys are made from; the first time it is drawn."""
    path = folder / SECRET
    if not path.exists():
        fresh = path.with_suffix(".new")
        fresh.write_bytes(secrets.token_bytes(32))
        fresh.chmod(0o600)
        fresh.replace(path)
    return path.read_bytes()


async def serve(folder: Path, world: str, tier: Tier) -> None:
    """Serve until the process is ended."""
    incarnation = os.environ.setdefault("BAKEOFF_INCARNATION", f"gateway-{os.getpid()}")
    credential = os.environ.pop("BAKEOFF_CREDENTIAL", "")
    headers = {"Authorization": f"Bearer {credential}"} if credential else {}
    async with AsyncExitStack() as stack:
        log = stack.enter_context(effect_log(folder / "log", incarnation))
        http = await stack.enter_async_context(
            aiohttp.ClientSession(
                headers=headers,
                timeout=aiohttp.ClientTimeout(total=None),
                connector=aiohttp.TCPConnector(limit=0),
            )
        )
        admissions = Admissions(folder / "admissions.jsonl")
        stack.callback(admissions.close)
        redactor = Redactor({"credential": credential} if credential else {})

        def connect(run: str) -> WorldUpstream:
            return WorldUpstream(http, world, run.partition(".")[0], tier, incarnation)

        gateway = Gateway(
            log=log,
            admissions=admissions,
            keyring=keyring(folder),
            watch=Watch(SystemClock()),
            clock=WallClock(),
            connect=connect,
            redactor=redactor,
            secret=secret(folder),
        )
        for name, app in (
            (WORKERS, WorkerFace(gateway).app()),
            (OPERATORS, OperatorFace(gateway).app()),
        ):
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            (folder / name).unlink(missing_ok=True)
            await web.UnixSite(runner, str(folder / name), backlog=4096).start()
        announce()
        await asyncio.Event().wait()


@click.command()
@click.option("--folder", type=click.Path(path_type=Path, file_okay=False), required=True)
@click.option("--world", required=True, help="The world's URL.")
@click.option("--tier", type=click.Choice([*Tier]), required=True, help="What the world offers.")
def main(folder: Path, world: str, tier: str) -> None:
    """Stand between workers and a world: workers use FOLDER/workers.sock in its place.

    Exit code 1 where the root keys or the log cannot be had.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        with suppress(KeyboardInterrupt):
            asyncio.run(serve(folder, world, Tier(tier)))
    except KeysError as error:
        raise click.ClickException(str(error)) from error


if __name__ == "__main__":
    main()
