"""The private servers of the connectors: gone with their harness, whatever moment it dies at."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile

from pathlib import Path

import pytest

from support.upstreams import place

from harness.deadline import Deadline, wait_until
from harness.process import Address
from harness.site import sweep
from runtimes.reference.live.api import api
from runtimes.reference.live.git import forge
from runtimes.reference.live.knot import nameserver
from runtimes.reference.live.mail import postbox


PATIENCE_S = 10.0
pytestmark = pytest.mark.engine
SERVERS = [
    pytest.param(api, id="api"),
    pytest.param(
        forge,
        id="git",
        marks=pytest.mark.skipif(not shutil.which("git"), reason="no git: apt-get install git"),
    ),
    pytest.param(
        nameserver,
        id="knot",
        marks=pytest.mark.skipif(
            not shutil.which("knotd") and not Path("/usr/sbin/knotd").is_file(),
            reason="no Knot on this machine: apt-get install knot",
        ),
    ),
    pytest.param(
        postbox,
        id="mail",
        marks=pytest.mark.skipif(
            importlib.util.find_spec("aiosmtpd") is None, reason="no aiosmtpd: pip install aiosmtpd"
        ),
    ),
]
HARNESS = """
import signal, sys
from harness.loop import Loop
from harness.site import LocalSite, Lot
from runners.local import LocalRunner
from {module} import {name}
with Loop() as loop, LocalSite(loop) as site:
    runner = LocalRunner(site.folder / "logs", site.environment)
    with {name}(Lot(site, "test", runner)) as server:
        print(server.address.port, flush=True)
        signal.pause()
"""


def listens(address: Address) -> bool:
    """Say whether somebody listens there."""
    try:
        with socket.create_connection((address.host, address.port), 1):
            return True
    except OSError:
        return False


@pytest.mark.parametrize("server", SERVERS)
def test_it_ends_with_its_context(server: object) -> None:
    """It listens inside, on a port of its own, and nothing of it is left outside."""
    with place() as site:
        with server(site) as one, server(site, name="second") as two:  # type: ignore[operator]
            assert listens(one.address)
            assert listens(two.address)
            assert one.address != two.address
        assert not listens(one.address)
        assert not listens(two.address)


@pytest.mark.parametrize("server", SERVERS)
def test_it_is_swept_when_its_harness_was_killed(
    server: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next harness ends it and removes its folder."""
    with tempfile.TemporaryDirectory(prefix="bo-", dir="/tmp") as folder:
        Path(folder).chmod(0o711)
        text = HARNESS.format(module=server.__module__, name=server.__name__)
        environment = {**os.environ, "TMPDIR": folder}
        with subprocess.Popen(
            [sys.executable, "-c", text], env=environment, stdout=subprocess.PIPE, text=True
        ) as harness:
            assert harness.stdout
            where = Address("127.0.0.1", int(harness.stdout.readline()))
            assert listens(where)
            harness.send_signal(signal.SIGKILL)
        monkeypatch.setattr(tempfile, "tempdir", folder)
        swept = sweep()
        assert any(line.startswith("killed process") for line in swept)
        # A killed process is told by its environment, which goes before its sockets do.
        wait_until(lambda: not listens(where), Deadline.after(PATIENCE_S), "nobody listens")
