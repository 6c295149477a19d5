"""JSON lines to a client child: answers, errors as data, deaths and silence."""

from __future__ import annotations

import os
import sys

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from harness.rpc import Rpc, RpcError


CHILD = """
import asyncio, os, sys
from harness.rpc import serve

gate = asyncio.Event()

async def add(a, b):
    return a + b

async def fail(words):
    raise ValueError(words)

async def odd():
    return object()

async def hang():
    await asyncio.Event().wait()

async def wait():
    await gate.wait()
    return "opened"

async def open_gate():
    gate.set()

async def noise():
    print("an SDK says hello")
    print('{"id": 99, "result": "nobody asked"}')
    print("[]", flush=True)

async def die():
    print("last words", file=sys.stderr, flush=True)
    os._exit(3)

asyncio.run(serve({
    "add": add, "fail": fail, "odd": odd, "hang": hang, "wait": wait, "open": open_gate,
    "noise": noise, "die": die,
}))
"""


@pytest.fixture
def child(tmp_path: Path) -> Callable[[str], Rpc]:
    """Return how to make a client of a child with that program."""

    def make(program: str) -> Rpc:
        return Rpc([sys.executable, "-c", program], tmp_path / "logs" / "c.log", dict(os.environ))

    return make


def test_call(child: Callable[[str], Rpc]) -> None:
    """A call answers what the handler returns; what else the child prints is passed over."""
    with child(CHILD) as rpc:
        assert 3 == rpc.call("add", a=1, b=2)
        assert rpc.call("noise") is None
        assert "ab" == rpc.call("add", a="a", b="b")


def test_side_by_side(child: Callable[[str], Rpc]) -> None:
    """A call that waits holds up no other, and answers find their callers."""
    with child(CHILD) as rpc, ThreadPoolExecutor() as pool:
        waiting = pool.submit(rpc.call, "wait")
        assert [1, 5, 9] == [rpc.call("add", a=n, b=n + 1) for n in (0, 2, 4)]
        rpc.call("open")
        assert waiting.result(10) == "opened"


@pytest.mark.parametrize(
    ("method", "params", "words"),
    [
        ("fail", {"words": "it broke"}, "ValueError: it broke"),
        ("nonsense", {}, "KeyError: 'nonsense'"),
        ("add", {"a": 1}, "TypeError: add() missing 1 required positional argument: 'b'"),
        ("add", {"a": 1, "b": "x"}, "TypeError: unsupported operand"),
    ],
)
def test_error_as_data(
    child: Callable[[str], Rpc], method: str, params: dict[str, str], words: str
) -> None:
    """An error of a handler comes back in its own words, and the child goes on."""
    with child(CHILD) as rpc:
        with pytest.raises(RpcError) as caught:
            rpc.call(method, **params)
        assert str(caught.value).startswith(words)
        assert 3 == rpc.call("add", a=1, b=2)


def test_timeout(child: Callable[[str], Rpc]) -> None:
    """Silence ends with the method and the time that it was given."""
    with child(CHILD) as rpc:
        assert 3 == rpc.call("add", a=1, b=2)
        with pytest.raises(RpcError) as caught:
            rpc.call("hang", timeout_s=0.05)
        assert "hang was not answered within 0.05 s" == str(caught.value)
        assert 3 == rpc.call("add", a=1, b=2)


def test_death_under_a_call(child: Callable[[str], Rpc], tmp_path: Path) -> None:
    """Who waits for a child that dies is told, with the log's place."""
    with child(CHILD) as rpc:
        with pytest.raises(RpcError) as caught:
            rpc.call("die")
        log = tmp_path / "logs" / "c.log"
        assert f"the client child died; {log} ends:\nlast words" == str(caught.value)
        assert "last words\n" == log.read_text()


def test_call_of_the_dead(child: Callable[[str], Rpc]) -> None:
    """Who calls a dead child is told at once, with the end of its log."""
    with child("import sys; sys.exit('no such server')") as rpc:
        rpc._child.wait()
        rpc._reader.join()
        with pytest.raises(RpcError, match=r"the client child died; .* ends:\nno such server"):
            rpc.call("add", a=1, b=2)


def test_left(child: Callable[[str], Rpc]) -> None:
    """A client that was left has no child any more."""
    with child(CHILD) as rpc:
        assert 3 == rpc.call("add", a=1, b=2)
        pid = rpc._child.pid
        assert pid == os.getpgid(pid)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
