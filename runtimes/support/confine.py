"""A network of its own for servers that listen to the whole world.

Some servers bind ports on all interfaces and have no setting against it, and nobody wants an
unprotected server of a test reachable from the office.  In a network namespace they may bind
what they like: there is only a loopback, and only links lead in and out.  Unix sockets are
files, and pass.
"""

from __future__ import annotations

import os
import shutil
import socket
import sys
import threading

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from harness.deadline import Deadline
from harness.link import TcpLink
from harness.process import Address, Process, ProcessError, Site, WorkerSpec


TOOLS = ("unshare", "nsenter")
READY_S, ANSWER_S, GRACE_S = 30.0, 10.0, 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Inside:
    """A network namespace: the process that holds it, and the way to ask it for sockets."""

    pid: int
    user: bool
    door: socket.socket
    lock: threading.Lock = field(default_factory=threading.Lock)

    def enter(self) -> list[str]:
        """Return the command that runs another one inside, without a process of its own."""
        user = [f"--user=/proc/{self.pid}/ns/user", "--preserve-credentials"] if self.user else []
        return ["nsenter", *user, f"--net=/proc/{self.pid}/ns/net", "--"]

    def socket(self) -> socket.socket:
        """Return a new TCP socket that belongs to this network.

        Raises:
            OSError: its holder is gone.

        """
        with self.lock:
            self.door.sendall(b".")
            _, made, _, _ = socket.recv_fds(self.door, 1, 1)
        if not made:
            msg = "the holder of the network has ended"
            raise ConnectionResetError(msg)
        return socket.socket(fileno=made[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where servers run: confined, or for the ``reason`` given on the machine's own network."""

    site: Site
    inside: Inside | None = None
    reason: str = ""

    @property
    def confined(self) -> bool:
        """Say whether only links lead in and out."""
        return self.inside is not None

    def argv(self, command: Sequence[str]) -> list[str]:
        """Return ``command`` as it runs in this place; the pid stays the command's own."""
        return [*(self.inside.enter() if self.inside else []), *command]

    def reserve(self) -> Address:
        """Return a loopback port that is free in this place."""
        if self.inside is None:
            return self.site.reserve()
        with self.inside.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return Address(*probe.getsockname())

    def expose(self, name: str, server: Address) -> TcpLink:
        """Return a link that leads from outside to a server in this place."""
        link = self._link(name)
        if self.inside:
            link.reach_by(self.inside.socket)
        link.point_at(server)
        return link

    def admit(self, name: str, upstream: Address | None = None) -> TcpLink:
        """Return a link that leads from this place to what is outside, now or once it is known."""
        link = self._link(name)
        if self.inside:
            link.listen_by(self.inside.socket)
        if upstream:
            link.point_at(upstream)
        return link

    def _link(self, name: str) -> TcpLink:
        link = self.site.link(name)
        assert isinstance(link, TcpLink)  # noqa: S101 - servers here mean links here
        return link


@contextmanager
def confined(site: Site, name: str) -> Iterator[Place]:
    """Make a place for servers; it is unconfined, and says why, where we may not do better.

    End the servers in it first: who is inside keeps the network alive.

    Raises:
        ProcessError: the place was not ready in time.

    """
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        reason = f"{' and '.join(missing)} of util-linux are not on this machine"
        yield Place(site=site, reason=reason)
        return
    user = os.getuid() != 0
    rights = ["--user", "--map-current-user", "--keep-caps"] if user else []
    path = site.state_dir(name) / "door"
    argv = ["unshare", "--net", *rights, "--", sys.executable, "-m", "runtimes.support.holder"]
    holder = site.runner.start(f"{name}-network", WorkerSpec(argv=[*argv, str(path)]))
    try:
        reason = _refusal(holder)
        if reason:
            yield Place(site=site, reason=reason)
            return
        with socket.socket(socket.AF_UNIX) as door:
            door.settimeout(ANSWER_S)
            door.connect(str(path))
            yield Place(site=site, inside=Inside(pid=holder.pid, user=user, door=door))
    finally:
        holder.terminate(GRACE_S)
        path.unlink(missing_ok=True)


def _refusal(holder: Process) -> str:
    """Wait for the holder; return why it could not have a network of its own, if so."""
    try:
        holder.announced(Deadline.after(READY_S))
    except ProcessError:
        if holder.alive():
            raise
        said = holder.log.read_text(errors="replace").strip() or "no reason was given"
        return f"no network namespace may be made here: {said.splitlines()[-1]}"
    return ""
