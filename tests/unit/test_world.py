"""The world's HTTP face over real sockets: holds, callers that go away, and bad requests."""

from __future__ import annotations

import asyncio
import http.client
import json
import shutil
import subprocess
import time

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from harness.deadline import Patience, wait_until
from harness.effects import Json, Tier
from harness.history import History
from harness.loop import Loop
from harness.world import Cell, World


PATIENCE_S = 10.0
MANY = 1_000


class Caller:
    """A worker's connection: what was sent may be answered later, or never."""

    def __init__(self, world: World, path: str, body: Any) -> None:
        """Send a request; ``body`` is JSON unless it is bytes already."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self._connection = http.client.HTTPConnection(
            world.address.host, world.address.port, timeout=PATIENCE_S
        )
        self._connection.request("POST", path, content)

    def answer(self) -> tuple[int, str]:
        """Return status and text, once they come."""
        response = self._connection.getresponse()
        text = response.read().decode()
        self.leave()
        return response.status, text

    def reply(self) -> Json:
        """Return the JSON of a good answer."""
        status, text = self.answer()
        assert 200 == status, text
        return json.loads(text)  # type: ignore[no-any-return]

    def leave(self) -> None:
        """Close the connection."""
        self._connection.close()


@dataclass
class Scene:
    """One open cell ``c`` of run ``r``, and who calls it."""

    world: World
    history: History = field(default_factory=History)
    seq: int = 0
    callers: list[Caller] = field(default_factory=list)

    def perform(self, step: str = "s", **more: Any) -> Caller:
        """Call the world for an append to ``log``."""
        self.seq += 1
        body = {
            "cell": "c",
            "run": "r",
            "step": step,
            "op": "append",
            "effect": "irreversible",
            "args": {"path": "log", "value": step},
            "incarnation": "w1",
            "seq": self.seq,
        }
        return self.post("/perform", {**body, **more})

    def at(self, phase: str, step: str = "") -> Caller:
        """Report a phase."""
        self.seq += 1
        ident = {"incarnation": "w1", "seq": self.seq}
        return self.post("/at", {"cell": "c", "run": "r", "phase": phase, "step": step, **ident})

    def post(self, path: str, body: Any) -> Caller:
        """Send any request."""
        self.callers.append(Caller(self.world, path, body))
        return self.callers[-1]

    def kinds(self) -> list[str]:
        """Return the kinds of events so far."""
        return [event.kind for event in self.history]

    def until(self, predicate: Callable[[], bool], reason: str) -> None:
        """Wait for something to stand in the history, as long as events come."""
        patience = Patience(PATIENCE_S, self.moved_s)
        wait_until(predicate, patience, reason, changed=self.history.changed)

    def moved_s(self) -> float:
        """Return when the last event came (seconds of the monotonic clock)."""
        return max((event.t_ns for event in self.history), default=0) / 1e9

    def held(self, count: int = 1) -> None:
        """Wait until so many requests are held."""
        self.until(lambda: self.kinds().count("held") == count, f"{count} requests are held")

    def log(self) -> Json:
        """Return what was applied."""
        return self.world.cell("c").values()["log"]


@pytest.fixture
def scene() -> Iterator[Scene]:
    """Serve a world with one open cell."""
    with Loop() as loop, World(loop) as world:
        found = Scene(world)
        world.open("c", Cell.of(Tier.O, {"log": []}), found.history)
        yield found
        for caller in found.callers:
            caller.leave()


# Calls ---------------------------------------------------------------------------------------


def test_perform(scene: Scene) -> None:
    """A call is written, applied, written, answered, and written: in this order."""
    assert {"status": "ok", "value": None, "etag": "v2"} == scene.perform().reply()
    scene.until(lambda: len(scene.history) == 3, "the reply is written")
    assert ["call", "apply", "reply"] == scene.kinds()
    call, apply, reply = scene.history
    assert (1, "w1", 1, "s") == tuple(call.data[n] for n in ("nth", "incarnation", "seq", "step"))
    assert [] == apply.data["premise_broken"]
    assert "ok" == reply.data["reply"]["status"]
    assert ["s"] == scene.log()


def test_calls_of_a_step_are_numbered(scene: Scene) -> None:
    """Each call of a step gets the next number, each step its own."""
    for step in ("a", "b", "a"):
        scene.perform(step).reply()
    calls = [(e.data["step"], e.data["nth"]) for e in scene.history if e.kind == "call"]
    assert [("a", 1), ("b", 1), ("a", 2)] == calls


def test_read_leaves_no_line_in_the_ledger(scene: Scene) -> None:
    """What changes nothing is not applied."""
    scene.perform(op="read", effect="read", args={"path": "log"}).reply()
    assert "apply" not in scene.kinds()


def test_at(scene: Scene) -> None:
    """A reported phase is numbered, written and answered with an empty object."""
    assert {} == scene.at("after_ack", "s").reply()
    assert {} == scene.at("after_ack", "s").reply()
    reports = [e for e in scene.history if e.kind == "at"]
    assert [("after_ack", "s", 1), ("after_ack", "s", 2)] == [
        (e.data["phase"], e.data["step"], e.data["nth"]) for e in reports
    ]


# Holds ---------------------------------------------------------------------------------------


def test_held_before_the_effect(scene: Scene) -> None:
    """Before the effect nothing is applied; released, it is, and the caller gets its answer."""
    scene.world.arm("c", "r", "s/before_effect#1")
    caller = scene.perform()
    scene.held()
    assert ["call", "held"] == scene.kinds()
    assert [] == scene.log()
    scene.world.release("c", "r", "s/before_effect#1")
    assert "ok" == caller.reply()["status"]  # type: ignore[index, call-overload]
    assert ["call", "held", "apply", "reply"] == scene.kinds()


def test_held_after_the_effect(scene: Scene) -> None:
    """After the effect it is applied and not answered, until it is released."""
    scene.world.arm("c", "r", "s/after_effect#1")
    caller = scene.perform()
    scene.held()
    assert ["call", "apply", "held"] == scene.kinds()
    assert "s/after_effect#1" == scene.history[2].data["point"]
    scene.world.release("c", "r", "s/after_effect#1")
    assert "ok" == caller.reply()["status"]  # type: ignore[index, call-overload]


@pytest.mark.parametrize(
    ("phase", "step", "point"),
    [("after_ack", "s", "s/after_ack#1"), ("finalize", "", "finalize#1")],
)
def test_held_at_a_phase(scene: Scene, phase: str, step: str, point: str) -> None:
    """A reported phase is held at its point and answered once released."""
    scene.world.arm("c", "r", point)
    caller = scene.at(phase, step)
    scene.held()
    assert ["at", "held"] == scene.kinds()
    scene.world.release("c", "r", point)
    assert {} == caller.reply()


def test_held_the_second_time(scene: Scene) -> None:
    """A point with a number holds that call and no other, of that run and no other."""
    scene.world.arm("c", "r", "s/before_effect#2")
    scene.perform().reply()
    scene.perform(run="r.child").reply()
    scene.perform(run="r.child").reply()
    scene.perform()
    scene.held()
    assert "r" == scene.history[-1].run


def test_dropped_reply(scene: Scene) -> None:
    """Dropped, the effect stays applied and the caller sees its connection break."""
    scene.world.arm("c", "r", "s/after_effect#1")
    caller = scene.perform()
    scene.held()
    scene.world.release("c", "r", "s/after_effect#1", "drop")
    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        caller.answer()
    last = scene.history[-1]
    assert ("discard", True, "reply lost") == (last.kind, last.data["applied"], last.data["why"])
    assert ["s"] == scene.log()


@pytest.mark.parametrize(
    ("point", "expected"), [("s/before_effect#1", []), ("s/after_effect#1", ["s"])]
)
def test_hang(scene: Scene, point: str, expected: Json) -> None:
    """A worker that is to hang is told so; before the effect, nothing is applied."""
    scene.world.arm("c", "r", point)
    caller = scene.perform()
    scene.held()
    scene.world.release("c", "r", point, "hang")
    assert {"status": "hang"} == caller.reply()
    assert expected == scene.log()


def test_release_of_nothing(scene: Scene) -> None:
    """Releasing what is not armed, or not open, is no error."""
    scene.world.release("c", "r", "s/before_effect#1")
    scene.world.release("elsewhere", "r", "s/before_effect#1")
    assert "ok" == scene.perform().reply()["status"]  # type: ignore[index, call-overload]


# Callers that go away ------------------------------------------------------------------------


def test_caller_gone_before_the_effect(scene: Scene) -> None:
    """A request whose caller died before it was applied is discarded."""
    scene.world.arm("c", "r", "s/before_effect#1")
    caller = scene.perform()
    scene.held()
    caller.leave()
    scene.until(lambda: "discard" in scene.kinds(), "the request is discarded")
    last = scene.history[-1]
    assert (False, "caller gone") == (last.data["applied"], last.data["why"])
    scene.world.release("c", "r", "s/before_effect#1")
    scene.perform("other").reply()
    assert ["other"] == scene.log()


def test_late_packet(scene: Scene) -> None:
    """A kept request outlives its caller and is applied once released."""
    scene.world.arm("c", "r", "s/before_effect#1", keep=True)
    caller = scene.perform()
    scene.held()
    caller.leave()
    scene.perform("successor").reply()
    assert ["successor"] == scene.log()
    assert "discard" not in scene.kinds()
    scene.world.release("c", "r", "s/before_effect#1")
    scene.until(lambda: scene.kinds().count("apply") == 2, "the late packet is applied")
    assert ["successor", "s"] == scene.log()


def test_caller_gone_after_the_effect(scene: Scene) -> None:
    """What was applied stays applied; that nobody took the answer is written."""
    scene.world.arm("c", "r", "s/after_effect#1")
    caller = scene.perform()
    scene.held()
    caller.leave()
    scene.until(lambda: "discard" in scene.kinds(), "the reply is discarded")
    assert scene.history[-1].data["applied"]
    assert ["s"] == scene.log()


def test_caller_of_a_report_gone(scene: Scene) -> None:
    """A held report whose caller died is discarded: nothing stays open."""
    scene.world.arm("c", "r", "s/after_ack#1")
    caller = scene.at("after_ack", "s")
    scene.held()
    caller.leave()
    scene.until(lambda: "discard" in scene.kinds(), "the report is discarded")
    assert ("w1", 1, "caller gone") == tuple(
        scene.history[-1].data[name] for name in ("incarnation", "seq", "why")
    )


# Bad requests --------------------------------------------------------------------------------


def test_unknown_cell(scene: Scene) -> None:
    """A call of an ended trial is refused as gone, and reaches nobody's history."""
    status, text = scene.perform(cell="ended").answer()
    assert (410, []) == (status, scene.kinds())
    assert "no open cell 'ended': this call is of an ended trial" == text


def test_closed_cell(scene: Scene) -> None:
    """A closed cell is returned with its end, and refuses further calls."""
    scene.perform().reply()
    closed = scene.world.close("c")
    assert closed is not None
    assert {"log": ["s"]} == closed.values()
    assert 410 == scene.perform().answer()[0]
    assert scene.world.close("c") is None


@pytest.mark.parametrize(
    "body", [b"", b"{", b'"text"', b"7", b'{"run": "r"}', b"\xff\xfe", b'{"cell": "c"}']
)
def test_malformed_body(scene: Scene, body: bytes) -> None:
    """What is no call is refused with what was expected."""
    status, text = scene.post("/perform", body).answer()
    assert 400 == status
    assert "expected a JSON object with a cell" in text or "a call needs run, step, op" in text


@pytest.mark.parametrize("damage", [{"effect": "magic"}, {"colour": "red"}])
def test_call_that_is_none(scene: Scene, damage: dict[str, Json]) -> None:
    """An unknown effect or field is refused, and nothing is written."""
    assert 400 == scene.perform(**damage).answer()[0]
    assert [] == scene.kinds()


def test_drift(scene: Scene) -> None:
    """A stranger's write is there at once."""
    scene.world.drift("c", "log", ["drifted"])
    assert ["drifted"] == scene.log()
    assert "stranger" == scene.world.cell("c").resources["log"].author


# Many at once --------------------------------------------------------------------------------


def test_a_thousand_held_at_once(scene: Scene) -> None:
    """A thousand held requests are all answered once they are released."""
    began_s = time.process_time()
    names = [f"s{n}" for n in range(MANY)]
    for name in names:
        scene.world.arm("c", "r", f"{name}/after_effect#1")

    async def post(name: str) -> str:
        body = json.dumps(
            {
                "cell": "c",
                "run": "r",
                "step": name,
                "op": "append",
                "effect": "irreversible",
                "args": {"path": "log", "value": name},
            }
        )
        reader, writer = await asyncio.open_connection(
            scene.world.address.host, scene.world.address.port
        )
        head = f"POST /perform HTTP/1.1\r\nHost: w\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write((head + body).encode())
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
        return answer.split(b"\r\n", 1)[0].decode()

    async def everyone() -> list[str]:
        calls = asyncio.gather(*(post(name) for name in names))
        await asyncio.to_thread(scene.held, MANY)
        assert not calls.done()
        for name in names:
            scene.world.release("c", "r", f"{name}/after_effect#1")
        return await calls

    assert ["HTTP/1.1 200 OK"] * MANY == asyncio.run(everyone())
    assert set(names) == set(scene.log())  # type: ignore[arg-type]
    assert time.process_time() - began_s < 15.0  # of this process: others may have the machine


# Another language ----------------------------------------------------------------------------


NODE = """
const [host, body, report] = process.argv.slice(1);
const post = (path, text) =>
  fetch(`http://${host}${path}`, {method: "POST", body: text}).then(answer => answer.json());
post("/perform", body)
  .then(reply => post("/at", report).then(empty => console.log(JSON.stringify([reply, empty]))));
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not on this machine")
def test_from_node(scene: Scene) -> None:
    """Two routes and JSON are all that a worker of another language needs."""
    ident = {"cell": "c", "run": "r", "step": "s", "incarnation": "n1", "seq": 1}
    call = {
        **ident,
        "op": "append",
        "effect": "irreversible",
        "args": {"path": "log", "value": "from node"},
    }
    done = subprocess.run(
        [
            "node",
            "-e",
            NODE,
            str(scene.world.address),
            json.dumps(call),
            json.dumps({**ident, "phase": "after_ack", "seq": 2}),
        ],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert [{"status": "ok", "value": None, "etag": "v2"}, {}] == json.loads(done.stdout)
    assert ["from node"] == scene.log()
    assert ["call", "apply", "reply", "at", "reply"] == scene.kinds()


@pytest.mark.parametrize("body", [b"[]", b"3", b"{", {"cell": "c"}])
@pytest.mark.parametrize("route", ["/perform", "/at"])
def test_malformed_bodies_are_refused(scene: Scene, route: str, body: Any) -> None:
    """What is no call is answered with 400, and leaves nothing open."""
    assert 400 == scene.post(route, body).answer()[0]


@pytest.mark.parametrize(
    "damage",
    [{"args": []}, {"slept_s": "soon"}, {"premises": [{"path": "log"}]}, {"op": "copy"}],
)
def test_wrong_types_are_refused(scene: Scene, damage: dict[str, Any]) -> None:
    """A field of the wrong type or a missing argument is answered with 400."""
    assert 400 == scene.perform(**damage).answer()[0]


def test_what_is_held_before_is_dropped_by_close(scene: Scene) -> None:
    """A request that was not applied when its cell was closed never is."""
    scene.world.arm("c", "r", "s/before_effect#1")
    scene.perform()
    scene.held()
    cell = scene.world.close("c")
    assert cell is not None
    assert [] == cell.values()["log"]
