"""``python -m runtimes.reference.live``: servers for whoever walks through a page."""

from __future__ import annotations

import importlib.util
import json
import signal
import socket
import stat
import subprocess
import sys

import pytest

from support.command import Home


MODULE = "runtimes.reference.live"
pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(
        importlib.util.find_spec("aiosmtpd") is None, reason="no aiosmtpd: pip install aiosmtpd"
    ),
]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_servers_are_there_until_it_is_ended(home: Home, number: signal.Signals) -> None:
    """Only the chosen one serves; who may read its secret is one user; then all of it is gone."""
    into = home.path / "servers.json"
    with subprocess.Popen(
        [sys.executable, "-m", MODULE, str(into), "--server", "mail"],
        env=home.environment(),
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout
        said = process.stdout.readline()
        process.stdout.readline()
        found = json.loads(into.read_text())
        assert ["mail"] == [*found]
        assert f"mail: {found['mail']['address']}\n" == said
        assert found["mail"]["secret"] not in said
        assert 0o600 == stat.S_IMODE(into.stat().st_mode)
        host, _, port = found["mail"]["address"].rpartition(":")
        socket.create_connection((host, int(port)), 5).close()
        process.send_signal(number)
        assert 0 == process.wait(30)
    assert not into.exists()


def test_what_a_killed_one_leaves_the_next_one_sweeps(home: Home) -> None:
    """Its servers end and its folder goes, before another one serves."""
    into, words = home.path / "servers.json", (sys.executable, "-m", MODULE)

    def served() -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [*words, str(into), "--server", "mail"],
            env=home.environment(),
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert process.stdout
        assert process.stdout.readline().startswith("mail: ")
        return process

    with served() as first:
        folder = json.loads(into.read_text())["mail"]["folder"]
        first.kill()
    left = home.left()
    with served() as second:
        assert folder != json.loads(into.read_text())["mail"]["folder"]
        assert not {*left} & {*home.left()}
        second.send_signal(signal.SIGINT)
        assert 0 == second.wait(30)


def test_an_unknown_server_is_refused(home: Home) -> None:
    """Exit code 2, and those that there are."""
    done = subprocess.run(
        [sys.executable, "-m", MODULE, "servers.json", "--server", "oracle"],
        cwd=home.path,
        env=home.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (2, True) == (done.returncode, "'postgres', 'knot', 'mail'" in done.stderr)
