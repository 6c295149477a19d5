"""A gateway before real providers: those that a file of yours connects."""

from __future__ import annotations

import asyncio
import os
import traceback

from collections.abc import Callable
from pathlib import Path

import click

from harness.load import LoadError, load, resolve
from runtimes.reference.collector import seldom
from runtimes.reference.effect_log.folder import keep_elsewhere
from runtimes.reference.gateway.process import LOG, Behind, alone, run, told
from runtimes.reference.gateway.redact import Redactor
from runtimes.reference.gateway.request import PROVIDERS
from runtimes.reference.upstreams.base import Provider


CANARY = "canary"


def connected(reference: str) -> Provider:
    """Return the providers that a function of a file connects.

    Raises:
        LoadError: there is none, it fails, or it returns something else.

    """
    connect = load(resolve("providers", reference), "upstream")
    try:
        provider: Provider = connect()
        list(provider.credentials())
    except Exception as error:  # whatever a stranger's file does
        line = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{line.filename}, line {line.lineno}: {type(error).__name__}: {error}"
        msg = f"{reference}: expected a function that returns a connector, saw {where}"
        raise LoadError(msg) from error
    return provider


def redactor(provider: Provider, canary: str) -> Redactor:
    """Return what keeps a provider's credentials in, and knows a canary, if there is one.

    Raises:
        ClickException: one of them cannot be told from other text.

    """
    held = [(each.name or "credential", each.secret) for each in provider.credentials()]
    held += [(CANARY, canary)] * bool(canary)
    secrets = dict(held)
    if len(secrets) < len(held):
        msg = f"expected a name of its own for each credential, saw {[name for name, _ in held]}"
        raise click.ClickException(msg)
    try:
        return Redactor(secrets, {CANARY} if canary else ())
    except ValueError as error:
        msg = f"a credential of the providers cannot be kept in: {error}"
        raise click.ClickException(msg) from error


def serve(reference: str, folder: Path, address: str, ready: Callable[[], None]) -> None:
    """Serve before what ``upstream()`` of a file returns, until the process is told to end.

    With an ``address`` the log is in that PostgreSQL, which other gateways may share.

    Raises:
        LoadError: the file cannot be imported, or has no such function.
        ValueError: the log of the folder is elsewhere, or the address has a password.
        ClickException: its folder, its log or a credential cannot be used.

    """
    named = reference if ":" in reference else f"{reference}:upstream"
    provider, canary = connected(named), os.environ.pop("BAKEOFF_CANARY", "")
    behind = Behind(
        connect=lambda _: provider, codec=PROVIDERS, redactor=redactor(provider, canary)
    )
    with alone(folder), told(folder):
        if address:
            keep_elsewhere(folder / LOG, address)
        seldom()
        asyncio.run(run(folder, behind, f"gateway-{os.getpid()}", ready))
