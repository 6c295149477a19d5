"""A private submission server: what it accepts is in a folder, one file for each message."""

from __future__ import annotations

import email
import importlib.util
import secrets

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from pathlib import Path

from harness.effects import Json
from harness.process import Address, Process, Site
from harness.runtime import RuntimeUnavailableError
from runtimes.reference.live.child import child
from runtimes.reference.upstreams.credential import Credential


USER = "gateway"


@dataclass(frozen=True, slots=True, kw_only=True)
class Postbox:
    """A mail server, its address, its user, and what it has accepted."""

    process: Process
    address: Address
    folder: Path
    credential: Credential

    def messages(self) -> list[Message]:
        """Return what was accepted, in order."""
        files = sorted(self.folder.glob("*.eml"))
        return [email.message_from_bytes(file.read_bytes()) for file in files]

    def empty(self) -> None:
        """Remove what was accepted."""
        for file in self.folder.glob("*.eml"):
            file.unlink()


@contextmanager
def postbox(
    site: Site, replies: Mapping[str, str] | None = None, name: str = "mail"
) -> Iterator[Postbox]:
    """Start a mail server; ``replies`` are its answers to some recipients, ``450 busy``.

    Those to ``data:`` and a recipient are given when it has the whole message.

    Raises:
        RuntimeUnavailableError: aiosmtpd is not installed.
        ProcessError: it was not ready in time.

    """
    if importlib.util.find_spec("aiosmtpd") is None:
        msg = "aiosmtpd is not installed; run: pip install aiosmtpd"
        raise RuntimeUnavailableError(msg)
    folder, address = site.state_dir(name), site.reserve()
    credential = Credential(name=USER, secret=secrets.token_hex(16))
    part: dict[str, Json] = {
        "host": address.host,
        "port": address.port,
        "folder": str(folder),
        "name": credential.name,
        "secret": credential.secret,
        "replies": dict(replies or {}),
    }
    with child(site, name, "runtimes.reference.live.mail_server", part) as process:
        yield Postbox(process=process, address=address, folder=folder, credential=credential)
