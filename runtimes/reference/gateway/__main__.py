"""The gateway's process: ``python -m runtimes.reference.gateway --folder DIR --world URL``.

It is given its credential by ``BAKEOFF_CREDENTIAL``, and nobody else is; a canary, which nothing
needs, by ``BAKEOFF_CANARY``.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import signal

from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import click

from filelock import FileLock, Timeout

from harness.effects import Tier
from harness.scenario import Provider
from harness.worker import announce
from runtimes.reference.effect_log.errors import EffectLogError
from runtimes.reference.effect_log.folder import effect_log
from runtimes.reference.gateway.admissions import Admissions
from runtimes.reference.gateway.approval import Approvals
from runtimes.reference.gateway.approval_file import FileStore
from runtimes.reference.gateway.audit import Audit
from runtimes.reference.gateway.client import OPERATORS, WORKERS
from runtimes.reference.gateway.clock import SystemClock, Watch
from runtimes.reference.gateway.errors import GatewayError
from runtimes.reference.gateway.face import WorkerFace
from runtimes.reference.gateway.gateway import Gateway
from runtimes.reference.gateway.keys import Keyring
from runtimes.reference.gateway.operators import OperatorFace
from runtimes.reference.gateway.redact import Redactor
from runtimes.reference.gateway.server import serve
from runtimes.reference.resume.clock import WallClock
from runtimes.reference.upstreams.base import Upstream
from runtimes.reference.upstreams.world import FENCES, UNFENCED, WorldUpstream
from runtimes.reference.upstreams.world_http import http_post


SECRET = "secret"  # noqa: S105 - a file name
OWNER = 0o700
DRAIN_S = 10.0
"""How long calls that are out may take to end, when the process is told to."""


def keyring(folder: Path) -> Keyring:
    """Return the root keys of a folder; the first time they are made."""
    if folder.exists():
        return Keyring.load(folder)
    made = Keyring.make()
    made.save(folder)
    return made


def secret(folder: Path) -> bytes:
    """Return what idempotency keys are made from; the first time it is drawn."""
    path = folder / SECRET
    if not path.exists():
        fresh = path.with_suffix(".new")
        fresh.unlink(missing_ok=True)
        file = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(file, "wb") as stream:
            stream.write(secrets.token_bytes(32))
            stream.flush()
            os.fsync(file)
        fresh.replace(path)
    return path.read_bytes()


def alone(folder: Path) -> FileLock:
    """Make a folder its owner's, and keep every other gateway out of it.

    Raises:
        ClickException: another one is there, or the folder is somebody else's.

    """
    folder.mkdir(parents=True, exist_ok=True, mode=OWNER)
    try:
        folder.chmod(OWNER)
        lock = FileLock(folder / "gateway.lock", mode=0o600)
        lock.acquire(blocking=False)
    except Timeout as error:
        msg = f"another gateway serves {folder}; end it first"
        raise click.ClickException(msg) from error
    except PermissionError as error:
        msg = f"{folder} is somebody else's: {error.strerror}; choose another folder"
        raise click.ClickException(msg) from error
    return lock


async def run(
    folder: Path, connect: Callable[[str], Upstream], redactor: Redactor, name: str
) -> None:
    """Serve until the process is told to end; what is out by then is finished."""
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    async with AsyncExitStack() as stack:
        log = stack.enter_context(effect_log(folder / "log", name))
        admissions = Admissions(folder / "admissions.jsonl")
        stack.callback(admissions.close)
        audit = Audit(folder / "audit.jsonl", lambda text: str(redactor.redact(text).value))
        stack.callback(audit.close)
        watch = Watch(SystemClock())
        gateway = Gateway(
            log=log,
            admissions=admissions,
            approvals=Approvals(FileStore(folder / "approvals.json"), watch),
            audit=audit,
            keyring=keyring(folder / "keys"),
            watch=watch,
            clock=WallClock(),
            connect=connect,
            redactor=redactor,
            secret=secret(folder),
        )
        stack.push_async_callback(gateway.close)
        for socket, app in (
            (WORKERS, WorkerFace(gateway).app()),
            (OPERATORS, OperatorFace(gateway, folder / "keys").app()),
        ):
            (folder / socket).unlink(missing_ok=True)  # of one that was killed
            stack.callback((folder / socket).unlink, missing_ok=True)
            runner = await serve(app, folder / socket, DRAIN_S)
            stack.push_async_callback(runner.cleanup)
        announce()
        await ended.wait()


async def before_world(
    folder: Path, world: str, tier: Tier, providers: Mapping[str, Provider]
) -> None:
    """Serve before a world, with its credential."""
    name = os.environ.setdefault("BAKEOFF_INCARNATION", f"gateway-{os.getpid()}")
    known = {
        what: text
        for what in ("credential", "canary")
        if (text := os.environ.pop(f"BAKEOFF_{what.upper()}", ""))
    }
    headers = {"Authorization": f"Bearer {known['credential']}"} if "credential" in known else {}
    async with aiohttp.ClientSession(
        headers=headers,
        timeout=aiohttp.ClientTimeout(total=None),
        # A connection that was kept may be closed at the other end by now: a call on it
        # would be in doubt for nothing.
        connector=aiohttp.TCPConnector(limit=0, force_close=True),
    ) as http:

        def connect(run: str) -> WorldUpstream:
            cell, post = run.partition(".")[0], http_post(http, world)
            return WorldUpstream(post, cell, tier, name, providers)

        await run(folder, connect, Redactor(known, {"canary"} & {*known}), name)


@click.command()
@click.option("--folder", type=click.Path(path_type=Path, file_okay=False), required=True)
@click.option("--world", required=True, help="The world's URL.")
@click.option("--tier", type=click.Choice([*Tier]), required=True, help="What the world offers.")
@click.option(
    "--provider",
    "offers",
    type=(str, click.Choice([*Tier]), click.Choice([FENCES, UNFENCED])),
    multiple=True,
    help="What is behind a first word of paths, where that is not the world's own.",
)
def main(folder: Path, world: str, tier: str, offers: tuple[tuple[str, str, str], ...]) -> None:
    """Stand between workers and a world: workers use FOLDER/workers.sock in its place.

    Exit code 1 where its folder, the keys or the log cannot be had, or another gateway is there.
    """
    providers = {
        name: Provider(tier=Tier(own), fenced=fences == FENCES) for name, own, fences in offers
    }
    with alone(folder):
        try:
            asyncio.run(before_world(folder, world, Tier(tier), providers))
        except (GatewayError, EffectLogError) as error:
            raise click.ClickException(str(error)) from error
        except OSError as error:
            msg = f"{folder} cannot be used: {error}; make room, or choose another folder"
            raise click.ClickException(msg) from error


if __name__ == "__main__":
    main()
