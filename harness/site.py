"""What a sweep owns on this machine, so that the next one can sweep it up.

Each harness process has a site: a folder with a lock that dies with it.  Every child
carries the site's name in its environment, so that a later start finds what a killed
harness left, whatever moment it died at, and never touches what a living one owns.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import tempfile
import uuid

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from filelock import FileLock, Timeout

from harness.deadline import Deadline, wait_until
from harness.link import Mode
from harness.loop import Loop
from harness.meter import MeteredLink
from harness.process import Address, Runner


MARK = "BAKEOFF_SITE"


def sites_folder() -> Path:
    """Return where the sites of this user are."""
    return Path(tempfile.gettempdir()) / f"bakeoff-{os.getuid()}"


def _marked() -> Iterator[tuple[int, str]]:
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            environment = (folder / "environ").read_bytes()
        except OSError:
            continue  # it ended meanwhile, or is another user's
        for item in environment.split(b"\0"):
            if item.startswith(f"{MARK}=".encode()):
                yield int(folder.name), item.split(b"=", 1)[1].decode()


def sweep() -> list[str]:
    """Kill and remove what dead harnesses left; return a line for each thing."""
    swept = []
    for file in sorted(sites_folder().glob("site-*.lock")):
        folder, lock = file.with_suffix(""), FileLock(file)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            continue  # its harness lives
        try:
            for pid, site in list(_marked()):
                if site == folder.name and pid != os.getpid():
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                    swept.append(f"killed process {pid} of {site}")
            wait_until(
                lambda folder=folder: all(site != folder.name for _, site in _marked()),  # type: ignore[misc]
                Deadline.after(10.0),
                f"the processes of {folder.name} are gone",
            )
            shutil.rmtree(folder, ignore_errors=True)
            swept.append(f"removed {folder}")
            file.unlink(missing_ok=True)
        finally:
            lock.release()
    return swept


@dataclass(frozen=True, slots=True)
class Lot:
    """The part of a site that one runtime gets: its own runner and folders."""

    site: LocalSite
    name: str
    runner: Runner

    @property
    def environment(self) -> Mapping[str, str]:
        """Return what marks a child as this site's."""
        return self.site.environment

    def state_dir(self, name: str) -> Path:
        """Return a folder for the runtime's data."""
        return self.site.state_dir(f"{self.name}/{name}")

    def link(self, name: str) -> MeteredLink:
        """Return a link that lives as long as the site, which knows whose it is."""
        return self.site.link(name, of=self.name)

    def reserve(self) -> Address:
        """Return a free loopback port."""
        return self.site.reserve()


class LocalSite:
    """Folders, links and ports of one harness process; a context manager owns them."""

    def __init__(self, loop: Loop) -> None:
        """Prepare; nothing is on disk yet."""
        self.name = f"site-{uuid.uuid4().hex[:12]}"
        self.folder = sites_folder() / self.name
        self._loop = loop
        self._stack = ExitStack()
        self._lock = FileLock(self.folder.with_suffix(".lock"))
        self._links: dict[str, list[MeteredLink]] = {}
        self._refused: set[str] = set()

    @property
    def environment(self) -> Mapping[str, str]:
        """Return what marks a child as this site's."""
        return {MARK: self.name}

    def __enter__(self) -> Self:
        """Make the folder and take its lock."""
        # The lock comes first: what has a lock that nobody holds is swept.
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        self._stack.callback(Path(self._lock.lock_file).unlink, missing_ok=True)
        self._stack.enter_context(self._lock)
        self.folder.mkdir()
        self._stack.callback(shutil.rmtree, self.folder, ignore_errors=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the links and remove the folder."""
        self._stack.close()

    def state_dir(self, name: str) -> Path:
        """Return a folder for a runtime's data."""
        folder = self.folder / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def link(self, name: str, *, of: str = "") -> MeteredLink:
        """Return a link that lives as long as the site; ``of`` is the runtime that asked."""
        made = self._stack.enter_context(MeteredLink(self._loop, name))
        if any(name.endswith(f"-{pool}") for pool in self._refused):
            made.set_mode(Mode.CUT)
        self._links.setdefault(of, []).append(made)
        return made

    @contextlib.contextmanager
    def refusing(self, pool: str) -> Iterator[None]:
        """Make the links of a pool that come meanwhile refuse from their first moment."""
        self._refused.add(pool)
        try:
            yield
        finally:
            self._refused.discard(pool)

    def links(self, runtime: str, pool: str) -> list[MeteredLink]:
        """Return a runtime's links to the workers of a pool.

        Those of one pool end with its name; where there are none, all pools share them.
        """
        known = self._links.get(runtime, [])
        return [link for link in known if link.name.endswith(f"-{pool}")] or list(known)

    def reserve(self) -> Address:
        """Return a free loopback port; the kernel does not hand it out again at once."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return Address("127.0.0.1", probe.getsockname()[1])
