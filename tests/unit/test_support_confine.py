"""Servers in a network of their own: nobody reaches them, or is reached, but through a link."""

from __future__ import annotations

import socket
import sys
import tempfile

from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.deadline import Deadline, wait_until
from harness.loop import Loop
from harness.process import Address, WorkerSpec
from harness.site import LocalSite, Lot
from runners.local import LocalRunner
from runtimes.support.confine import Place, confined


PATIENCE_S = 20.0
ECHO = """
import socket, sys
with socket.create_server(("0.0.0.0", int(sys.argv[1]))) as server:
    while True:
        peer, _ = server.accept()
        with peer:
            peer.sendall(peer.recv(100))
"""
CALL = """
import socket, sys
for port in sys.argv[1:]:
    try:
        with socket.create_connection(("127.0.0.1", int(port)), 10) as peer:
            peer.sendall(b"from inside")
            print(peer.recv(100).decode(), flush=True)
    except ConnectionRefusedError:
        print("refused", flush=True)
"""


@pytest.fixture
def lot(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lot]:
    """Return a site's part, with a runner."""
    with tempfile.TemporaryDirectory(prefix="bo-", dir="/tmp") as home:
        monkeypatch.setattr(tempfile, "tempdir", home)
        with Loop() as loop, LocalSite(loop) as site:
            runner = LocalRunner(site.folder / "logs", site.environment)
            try:
                yield Lot(site, "test", runner)
            finally:
                runner.close()


def echo(lot: Lot, place: Place) -> tuple[Address, int]:
    """Start a server in the place that listens to the whole world; return where, and its pid."""
    address = place.reserve()
    argv = place.argv([sys.executable, "-c", ECHO, str(address.port)])
    process = lot.runner.start("echo", WorkerSpec(argv=argv, ready=False))
    return address, process.pid


def answer(address: Address) -> bytes:
    """Return what comes back, or nothing from who is not there (yet)."""
    with socket.create_connection((address.host, address.port), 5.0) as peer:
        try:
            peer.sendall(b"hello")
            return peer.recv(100)
        except OSError:
            return b""


def serves(address: Address) -> None:
    """Wait until the server answers."""
    wait_until(lambda: answer(address) == b"hello", Deadline.after(PATIENCE_S), "it answers")


def test_only_links_lead_in_and_out(lot: Lot) -> None:
    """A port inside is refused outside, one outside is refused inside; links lead to both."""
    with confined(lot, "place") as place, socket.create_server(("127.0.0.1", 0)) as outside:
        if not place.confined:
            pytest.skip(place.reason)
        address, pid = echo(lot, place)
        serves(place.expose("in", address).address)
        with pytest.raises(ConnectionRefusedError):
            answer(address)
        assert Path(f"/proc/{pid}/cmdline").read_bytes().startswith(sys.executable.encode())

        ours = Address(*outside.getsockname())
        way = place.admit("out", ours)
        with pytest.raises(ConnectionRefusedError):
            answer(way.address)
        argv = [sys.executable, "-c", CALL, str(way.address.port), str(ours.port)]
        caller = lot.runner.start("call", WorkerSpec(argv=place.argv(argv), ready=False))
        outside.settimeout(PATIENCE_S)
        peer, _ = outside.accept()
        with peer:
            assert b"from inside" == peer.recv(100)
            peer.sendall(b"an answer")
        assert caller.wait(PATIENCE_S)
        assert ["an answer", "refused"] == caller.log.read_text().split("\n")[:2]


def test_two_places_know_nothing_of_each_other(lot: Lot) -> None:
    """The same port can be taken in each."""
    with confined(lot, "one") as one, confined(lot, "two") as two:
        if not one.confined:
            pytest.skip(one.reason)
        address, _ = echo(lot, one)
        serves(one.expose("one", address).address)
        assert b"" == answer(two.expose("two", address).address)


def test_a_place_ends_with_its_context(lot: Lot) -> None:
    """Nothing holds the network afterwards, and a link into it leads nowhere."""
    with confined(lot, "place") as place:
        if place.inside is None:
            pytest.skip(place.reason)
        link = place.expose("in", Address("127.0.0.1", 1))
        pid = place.inside.pid
    assert not Path(f"/proc/{pid}").exists()
    assert b"" == answer(link.address)


@pytest.mark.parametrize("why", ["no tools", "not allowed"])
def test_unconfined_it_works_all_the_same(
    lot: Lot, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    """Where no network may be made, the place says why, and servers are on the machine's own."""
    tools = lot.state_dir("tools")
    if why == "not allowed":
        for name in ("unshare", "nsenter"):
            (tools / name).write_text("#!/bin/sh\necho unshare: not permitted >&2\nexit 1\n")
            (tools / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tools))

    with confined(lot, "place") as place:
        assert not place.confined
        expected = "util-linux" if why == "no tools" else "unshare: not permitted"
        assert expected in place.reason
        address, _ = echo(lot, place)
        serves(place.expose("in", address).address)
        serves(place.admit("out", address).address)
