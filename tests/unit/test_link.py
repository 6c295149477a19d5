"""A link over real sockets: what passes in each mode, and where it leads."""

from __future__ import annotations

import socket

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from harness.link import Mode, TcpLink
from harness.loop import Loop
from harness.process import Address


PATIENCE_S = 5.0


class Far:
    """The far end: a listening socket, and the connections that came."""

    def __init__(self, stack: ExitStack) -> None:
        """Listen on a free port."""
        self._stack = stack
        self._socket = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        self._socket.settimeout(PATIENCE_S)
        self.address = Address("127.0.0.1", self._socket.getsockname()[1])

    def accept(self) -> socket.socket:
        """Return the next connection."""
        peer = self._stack.enter_context(self._socket.accept()[0])
        peer.settimeout(PATIENCE_S)
        return peer


class Near:
    """The near end: connects to whatever address a link has."""

    def __init__(self, stack: ExitStack, link: TcpLink) -> None:
        """Connect later."""
        self._stack, self._link = stack, link

    def connect(self) -> socket.socket:
        """Return a new connection through the link."""
        place = (self._link.address.host, self._link.address.port)
        found = self._stack.enter_context(socket.create_connection(place, PATIENCE_S))
        found.settimeout(PATIENCE_S)
        return found


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """Close every socket at the end."""
    with ExitStack() as found:
        yield found


@pytest.fixture
def link(stack: ExitStack) -> TcpLink:
    """Return a link that leads nowhere yet."""
    return stack.enter_context(TcpLink(stack.enter_context(Loop()), "test"))


@pytest.fixture
def near(stack: ExitStack, link: TcpLink) -> Near:
    """Return the near end."""
    return Near(stack, link)


@pytest.fixture
def far(stack: ExitStack, link: TcpLink) -> Far:
    """Return the far end, to which the link leads."""
    found = Far(stack)
    link.point_at(found.address)
    return found


def pair(near: Near, far: Far) -> tuple[socket.socket, socket.socket]:
    """Return both ends of a connection over which a byte has passed each way."""
    client, server = near.connect(), far.accept()
    for sender, receiver in ((client, server), (server, client)):
        sender.sendall(b"!")
        assert b"!" == receiver.recv(1)
    return client, server


def ended(end: socket.socket) -> bool:
    """Say whether a connection was closed or reset by the other side."""
    try:
        return end.recv(1) == b""
    except ConnectionError:
        return True


def test_pass(near: Near, far: Far) -> None:
    """Bytes pass in both directions, unchanged and in order."""
    client, server = pair(near, far)
    client.sendall(b"request")
    assert b"request" == server.recv(100)
    server.sendall(b"reply")
    assert b"reply" == client.recv(100)


def test_large(near: Near, far: Far) -> None:
    """What is larger than a chunk arrives whole."""
    client, server = pair(near, far)
    sent = bytes(range(256)) * 2_000
    client.sendall(sent)
    client.shutdown(socket.SHUT_WR)
    got = bytearray()
    while part := server.recv(1 << 16):
        got += part
    assert sent == bytes(got)


def test_half_close(near: Near, far: Far) -> None:
    """Who has said all may still listen: an end of input passes like bytes."""
    client, server = pair(near, far)
    client.sendall(b"all")
    client.shutdown(socket.SHUT_WR)
    assert [b"all", b""] == [server.recv(100), server.recv(100)]
    server.sendall(b"answer")
    assert b"answer" == client.recv(100)


def test_leads_nowhere(near: Near) -> None:
    """A link that was not pointed anywhere refuses."""
    assert ended(near.connect())


def test_far_end_is_down(near: Near, link: TcpLink) -> None:
    """If nobody listens, the connection is reset."""
    link.point_at(Address("127.0.0.1", 1))
    assert ended(near.connect())


def test_cut(near: Near, far: Far, link: TcpLink) -> None:
    """Cut, both ends see the connection break, and new ones are refused."""
    client, server = pair(near, far)
    link.set_mode(Mode.CUT)
    assert ended(client)
    assert ended(server)
    assert ended(near.connect())


def test_heal(near: Near, far: Far, link: TcpLink) -> None:
    """Healed, new connections pass."""
    link.set_mode(Mode.CUT)
    link.heal()
    client, server = pair(near, far)
    client.sendall(b"again")
    assert b"again" == server.recv(100)


def test_black_hole(near: Near, far: Far, link: TcpLink) -> None:
    """In a black hole connections stay open and nothing passes, in either direction."""
    client, server = pair(near, far)
    client.sendall(b"before")
    assert b"before" == server.recv(100)
    link.set_mode(Mode.BLACK_HOLE)
    client.sendall(b"lost")
    server.sendall(b"lost")
    for end in (client, server):
        end.settimeout(0.05)
        with pytest.raises(TimeoutError):
            end.recv(1)


def test_a_healed_black_hole_resets(near: Near, far: Far, link: TcpLink) -> None:
    """A stream with a hole in it is never delivered: healed, it is reset."""
    client, server = pair(near, far)
    link.set_mode(Mode.BLACK_HOLE)
    link.heal()
    assert ended(client)
    assert ended(server)


def test_half_open(near: Near, far: Far, link: TcpLink) -> None:
    """Half open, requests arrive and replies do not."""
    client, server = pair(near, far)
    link.set_mode(Mode.HALF_OPEN)
    client.sendall(b"request")
    assert b"request" == server.recv(100)
    server.sendall(b"reply")
    client.settimeout(0.05)
    with pytest.raises(TimeoutError):
        client.recv(1)
    link.heal()
    client.settimeout(PATIENCE_S)
    assert ended(client)


def test_slow(near: Near, far: Far, link: TcpLink) -> None:
    """Slow, everything arrives, later and in order."""
    client, server = pair(near, far)
    link.set_mode(Mode.SLOW, 0.01)
    sent = [b"one;", b"two;", b"three;"]
    for part in sent:
        client.sendall(part)
    client.shutdown(socket.SHUT_WR)
    got = bytearray()
    while part := server.recv(100):
        got += part
    assert b"".join(sent) == bytes(got)
    server.sendall(b"reply")
    assert b"reply" == client.recv(100)


def test_point_at(near: Near, far: Far, link: TcpLink, stack: ExitStack) -> None:
    """Pointed elsewhere, old connections are reset and new ones lead there."""
    address = link.address
    client, server = pair(near, far)
    other = Far(stack)
    link.point_at(other.address)
    assert ended(client)
    assert ended(server)
    client, server = pair(near, other)
    client.sendall(b"hello")
    assert b"hello" == server.recv(100)
    assert address == link.address


def test_point_at_the_same(near: Near, far: Far, link: TcpLink) -> None:
    """Pointed where it leads already, nothing breaks."""
    client, server = pair(near, far)
    link.point_at(far.address)
    client.sendall(b"still")
    assert b"still" == server.recv(100)


def test_the_address_never_changes(near: Near, far: Far, link: TcpLink) -> None:
    """Whatever happens to a link, an engine may keep the address that it registered."""
    address = link.address
    for mode in Mode:
        link.set_mode(mode)
        assert address == link.address
    link.heal()
    near.connect()
    far.accept()
    assert address == link.address


def test_closed() -> None:
    """A link that was left listens no more, and what was open is reset."""
    with ExitStack() as stack:
        loop = stack.enter_context(Loop())
        far = Far(stack)
        with TcpLink(loop, "test") as link:
            link.point_at(far.address)
            client, server = pair(Near(stack, link), far)
        assert ended(client)
        assert ended(server)
        with pytest.raises(ConnectionRefusedError):
            Near(stack, link).connect()
