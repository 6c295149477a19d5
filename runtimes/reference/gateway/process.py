"""A gateway's process: one folder, two sockets, and what stands behind it.

In the folder are the log, the admissions, the approvals, the audit, the root keys and the secret of
the idempotency keys: whoever has it is the gateway, so one process has it at a time.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import signal

from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import click

from filelock import FileLock, Timeout

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
from runtimes.reference.gateway.request import Codec
from runtimes.reference.gateway.server import serve
from runtimes.reference.resume.clock import WallClock
from runtimes.reference.upstreams.base import Upstream


LOG = "log"
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Behind:
    """What a gateway stands before: how a run's provider is had, and how workers speak of it."""

    connect: Callable[[str], Upstream]
    codec: Codec
    redactor: Redactor


@contextmanager
def told(folder: Path) -> Iterator[None]:
    """Say in one line why a gateway cannot serve, or go on.

    Raises:
        ClickException: why.

    """
    try:
        yield
    except (GatewayError, EffectLogError) as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        msg = f"{folder} cannot be used: {error}; make room, or choose another folder"
        raise click.ClickException(msg) from error


async def run(folder: Path, behind: Behind, name: str, ready: Callable[[], None]) -> None:
    """Serve until the process is told to end; what is out by then is finished."""
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    async with AsyncExitStack() as stack:
        log = stack.enter_context(effect_log(folder / LOG, name))
        admissions = Admissions(folder / "admissions.jsonl")
        stack.callback(admissions.close)
        audit = Audit(folder / "audit.jsonl", lambda text: str(behind.redactor.redact(text).value))
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
            connect=behind.connect,
            redactor=behind.redactor,
            secret=secret(folder),
        )
        stack.push_async_callback(gateway.close)
        for socket, app in (
            (WORKERS, WorkerFace(gateway, behind.codec).app()),
            (OPERATORS, OperatorFace(gateway, folder / "keys").app()),
        ):
            (folder / socket).unlink(missing_ok=True)  # of one that was killed
            stack.callback((folder / socket).unlink, missing_ok=True)
            runner = await serve(app, folder / socket, DRAIN_S)
            stack.push_async_callback(runner.cleanup)
        ready()
        await ended.wait()
