"""A private git server: one bare repository over HTTP, for who has the password."""

from __future__ import annotations

import secrets
import shutil

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.effects import Json
from harness.process import Address, Process, Site
from harness.runtime import RuntimeUnavailableError
from runtimes.reference.live.child import child
from runtimes.reference.upstreams.credential import Credential
from runtimes.support.command import run


USER, NAME = "gateway", "shop.git"


@dataclass(frozen=True, slots=True, kw_only=True)
class Forge:
    """A git server, its address, its user, and the repository in its folder."""

    process: Process
    address: Address
    repository: Path
    credential: Credential

    def url(self, at: Address | None = None) -> str:
        """Return the URL of the repository, by way of another address if one is given."""
        return f"http://{at or self.address}/{NAME}"


@contextmanager
def forge(site: Site, name: str = "git") -> Iterator[Forge]:
    """Start a git server with an empty repository.

    Raises:
        RuntimeUnavailableError: there is no git on this machine.
        ProcessError: it was not ready in time.

    """
    if shutil.which("git") is None:
        msg = "git is not on this machine; run: apt-get install git"
        raise RuntimeUnavailableError(msg)
    folder, address = site.state_dir(name), site.reserve()
    repository = folder / NAME
    run(site, f"{name}-init", ["git", "init", "--quiet", "--bare", str(repository)])
    credential = Credential(name=USER, secret=secrets.token_hex(16))
    part: dict[str, Json] = {
        "host": address.host,
        "port": address.port,
        "folder": str(folder),
        "name": credential.name,
        "secret": credential.secret,
    }
    with child(site, name, "runtimes.reference.live.git_server", part) as process:
        yield Forge(process=process, address=address, repository=repository, credential=credential)
