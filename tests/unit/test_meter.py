"""A link counts what its mode kept from passing, and nothing else."""

from __future__ import annotations

import socket
import threading

from collections.abc import Iterator

import pytest

from harness.deadline import Deadline, wait_until
from harness.link import Mode
from harness.loop import Loop
from harness.meter import MeteredLink
from harness.process import Address


PATIENCE_S = 10.0


@pytest.fixture
def link() -> Iterator[MeteredLink]:
    """Return a link to a server that sends back what it gets."""
    with socket.create_server(("127.0.0.1", 0)) as server, Loop() as loop:

        def serve() -> None:
            while True:
                try:
                    end, _ = server.accept()
                except OSError:
                    return
                threading.Thread(target=echo, args=(end,), daemon=True).start()

        def echo(end: socket.socket) -> None:
            with end:
                while data := end.recv(100):
                    end.sendall(data)

        threading.Thread(target=serve, daemon=True).start()
        with MeteredLink(loop, "path") as made:
            made.point_at(Address("127.0.0.1", server.getsockname()[1]))
            yield made
        server.shutdown(socket.SHUT_RDWR)


def connect(link: MeteredLink) -> socket.socket:
    """Return a connection over the link, over which something has passed."""
    end = socket.create_connection((link.address.host, link.address.port), PATIENCE_S)
    end.sendall(b"a")
    assert b"a" == end.recv(1)
    return end


def counted(link: MeteredLink, wanted: int) -> None:
    """Return once so much was touched."""
    wait_until(lambda: link.touched >= wanted, Deadline.after(PATIENCE_S), f"{wanted} are counted")


def test_nothing_is_touched_in_passing(link: MeteredLink) -> None:
    """What passes is not counted."""
    with connect(link):
        assert 0 == link.touched


@pytest.mark.parametrize("mode", [Mode.BLACK_HOLE, Mode.HALF_OPEN, Mode.SLOW])
def test_data(link: MeteredLink, mode: Mode) -> None:
    """Data that are lost or late are counted; in a half-open link, only the reply is."""
    with connect(link) as end:
        link.set_mode(mode)
        end.sendall(b"b")
        counted(link, 1)
        assert link.touches(reply=True)
        assert link.touches(reply=False) is (mode is not Mode.HALF_OPEN)


def test_cut(link: MeteredLink) -> None:
    """Connections that are reset are counted, and each that is refused."""
    with connect(link):
        link.set_mode(Mode.CUT)
        before = link.touched
        assert before >= 1
        with socket.create_connection((link.address.host, link.address.port), PATIENCE_S):
            counted(link, before + 1)
