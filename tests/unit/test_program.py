"""Programs: every command through ``play``, and every rule that it holds bodies to."""

from __future__ import annotations

import asyncio

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from harness.effects import Effect, Json, Op
from harness.program import (
    Command,
    Emit,
    Gather,
    Invoke,
    Now,
    One,
    Premise,
    ProgramError,
    Result,
    Step,
    WaitFor,
    decide,
    draw,
    emit,
    gather,
    invoke,
    now,
    play,
    sleep,
    sleep_until,
    step,
    wait_for,
)


READ = Op("read", Effect.READ)
SET = Op("set", Effect.IDEMPOTENT)


@dataclass
class Memory:
    """Ops over a list: what was asked for, in order, and what is answered."""

    armed: frozenset[str] = frozenset()
    replies: dict[str, dict[str, Json]] = field(default_factory=dict)
    event: dict[str, Json] | None = None
    log: list[Any] = field(default_factory=list)

    async def step(self, command: Step) -> dict[str, Json]:
        """Answer what was prepared, or ok."""
        self.log.append(command)
        return self.replies.get(command.name, {"status": "ok", "value": command.name})

    async def sleep(self, name: str, duration_s: float) -> None:
        """Note the sleep."""
        self.log.append((name, duration_s))

    async def emit(self, command: Emit) -> None:
        """Note the event."""
        self.log.append(command)

    async def invoke(self, command: Invoke) -> Json:
        """Answer with the child's name and argument."""
        return [command.program, command.arg]

    async def wait_for(self, command: WaitFor) -> dict[str, Json] | None:
        """Answer the prepared event, or none."""
        self.log.append(command)
        return self.event

    async def gather(self, commands: Sequence[Command], one: One) -> list[Any]:
        """Carry the commands out one by one."""
        self.log.append("gather")
        return [await one(command) for command in commands]

    async def now(self, name: str) -> float:
        """Answer a fixed moment."""
        self.log.append(name)
        return 12.5

    async def draw(self, name: str) -> float:
        """Answer a fixed number."""
        self.log.append(name)
        return 0.25

    async def at(self, phase: str, name: str) -> None:
        """Note the phase."""
        self.log.append((phase, name))


def run(body: Callable[[Any], Any], ops: Memory | None = None, arg: Json = None) -> Json:
    """Play a body to its end."""
    return asyncio.run(play(body, arg, ops or Memory()))


def refusal(awaited: Callable[[], Awaitable[Any]]) -> str:
    """Return the error that awaiting this in a body gives."""

    async def body(_: Any) -> Any:
        await awaited()

    with pytest.raises(ProgramError) as caught:
        run(body)
    return str(caught.value)


def test_step() -> None:
    """A step reaches the ops with its name, operation, arguments and premises."""
    ops = Memory(replies={"one": {"status": "ok", "value": 1, "etag": "v3"}})

    async def body(arg: Any) -> Any:
        first = await step("one", READ, {"path": arg})
        await step("two", SET, {"path": "x", "value": first.value}, [first.premise])

    run(body, ops, "x")
    assert [
        Step(name="one", op=READ, args={"path": "x"}),
        Step(name="two", op=SET, args={"path": "x", "value": 1}, premises=(Premise("x", "v3"),)),
    ] == ops.log


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ({"status": "ok", "value": 1, "etag": "v1"}, Result("ok", 1, "p", "v1")),
        ({"status": "rejected", "value": "no"}, Result("rejected", "no", "p")),
        ({"status": "throttled", "after_s": 7200}, Result("throttled", None, "p", "", 7200.0)),
        ({"status": "failed"}, Result("failed", None, "p")),
    ],
)
def test_failures_are_data(reply: dict[str, Json], expected: Result) -> None:
    """However the world answers, the body gets a result and no exception."""
    seen: list[Result] = []

    async def body(_: Any) -> Any:
        seen.append(await step("s", READ, {"path": "p"}))

    run(body, Memory(replies={"s": reply}))
    assert [expected] == seen
    assert (expected.status == "ok") is seen[0].ok


def test_decide() -> None:
    """A decision is a step that asks, with the facts as its arguments."""
    ops = Memory(replies={"d": {"status": "ok", "value": ["b", "a"]}})

    async def body(_: Any) -> Any:
        return (await decide("d", {"options": ["a", "b"]})).value

    assert run(body, ops) == ["b", "a"]
    asked = Step(name="d", op=Op("ask", Effect.READ), args={"options": ["a", "b"]})
    assert [asked] == ops.log


def test_emit_invoke_now_draw() -> None:
    """Events, children, the clock and chance answer what the ops answer."""
    ops = Memory()

    async def body(_: Any) -> Any:
        sent = await emit("paid", "k", {"n": 1})
        return [sent, await invoke("c", "child", 3), await now(), await draw()]

    assert run(body, ops) == [None, ["child", 3], 12.5, 0.25]
    paid = Emit(name="emit paid k", event="paid", key="k", payload={"n": 1})
    assert [paid, "now", "draw"] == ops.log


def test_wait_for_an_event() -> None:
    """An event that came answers ok with its payload."""

    async def body(_: Any) -> Any:
        answer = await wait_for("reviewed", "boss", 60.0)
        return [answer.status, answer.value]

    assert run(body, Memory(event={"payload": "yes"})) == ["ok", "yes"]


def test_wait_for_a_timeout() -> None:
    """An event that did not come answers timeout, and its time counts as slept."""
    ops = Memory()

    async def body(_: Any) -> Any:
        answer = await wait_for("reviewed", "boss", 60.0)
        await step("later", READ, {})
        return answer.status

    assert run(body, ops) == "timeout"
    assert ops.log[-1].slept_s == 60.0


def test_gather() -> None:
    """Gathered commands go through the same rules and answer in their order."""
    ops = Memory()

    async def body(_: Any) -> Any:
        first, second = await gather(step("a", READ, {}), step("b", READ, {}))
        return [first.value, second.value]

    assert run(body, ops) == ["a", "b"]
    assert ops.log[0] == "gather"


def test_an_empty_gather() -> None:
    """Gathering nothing answers an empty list."""

    async def body(_: Any) -> Any:
        return await gather()

    assert run(body) == []


def test_slept_s_accumulates() -> None:
    """Each step is told how long its body has slept before it."""
    ops = Memory()

    async def body(_: Any) -> Any:
        await step("a", READ, {})
        await sleep("nap", 30.0)
        await step("b", READ, {})
        await sleep("longer", 60.0)
        await step("c", READ, {})

    run(body, ops)
    steps = [command for command in ops.log if isinstance(command, Step)]
    assert [("a", 0.0), ("b", 30.0), ("c", 90.0)] == [(s.name, s.slept_s) for s in steps]


def test_sleep_until() -> None:
    """Sleeping until a moment sleeps what is left, and nothing once it has passed."""
    ops = Memory()

    async def body(_: Any) -> Any:
        await sleep("nap", 40.0)
        await sleep_until("noon", 100.0)
        await sleep_until("morning", 50.0)
        await step("a", READ, {})

    run(body, ops)
    assert [("nap", 40.0), ("noon", 60.0)] == ops.log[:2]
    assert ops.log[2].slept_s == 100.0


def test_armed_after_ack() -> None:
    """A phase is reported for the armed step only, and after its answer."""
    ops = Memory(armed=frozenset({"b/after_ack"}))

    async def body(_: Any) -> Any:
        await step("a", READ, {})
        await step("b", READ, {})
        await step("c", READ, {})

    run(body, ops)
    said = [entry if isinstance(entry, tuple) else entry.name for entry in ops.log]
    assert ["a", "b", ("after_ack", "b"), "c"] == said


def test_armed_after_ack_within_a_gather() -> None:
    """A branch of a gather reports its phase too."""
    ops = Memory(armed=frozenset({"a/after_ack"}))

    async def body(_: Any) -> Any:
        await gather(step("a", READ, {}), step("b", READ, {}))

    run(body, ops)
    assert ("after_ack", "a") == ops.log[2]


@pytest.mark.parametrize(
    ("armed", "expected"),
    [(frozenset({"finalize"}), [("finalize", "")]), (frozenset(), [])],
)
def test_armed_finalize(armed: frozenset[str], expected: list[Any]) -> None:
    """The end of a run is reported once, where it is armed."""
    ops = Memory(armed=armed)

    async def body(_: Any) -> Any:
        return 1

    assert run(body, ops) == 1
    assert expected == ops.log


@pytest.mark.parametrize("foreign", [lambda: asyncio.sleep(0), lambda: asyncio.sleep(1)])
def test_foreign_await(foreign: Callable[[], Awaitable[Any]]) -> None:
    """What is no command is refused: what is expected, what was seen, how to mend it."""
    message = refusal(foreign)
    assert "may await only commands of harness.program" in message
    assert "but it awaited" in message
    assert "move IO into the world and call it with step()" in message


def test_repeated_name() -> None:
    """A name used twice is refused, with the name and the way out."""

    async def body(_: Any) -> Any:
        await step("same", READ, {})
        await step("same", READ, {})

    with pytest.raises(ProgramError) as caught:
        run(body)
    assert "'same' is used twice in one run" in str(caught.value)
    assert "for a retry: a new name" in str(caught.value)


def test_repeated_name_within_a_gather() -> None:
    """Branches of a gather share the names of the run."""

    async def body(_: Any) -> Any:
        await step("same", READ, {})
        await gather(step("other", READ, {}), step("same", READ, {}))

    with pytest.raises(ProgramError, match="'same' is used twice in one run"):
        run(body)


@pytest.mark.parametrize(
    ("command", "label"),
    [
        (lambda: step("x", SET, {"value": object()}), "args"),  # type: ignore[dict-item]
        (lambda: step("x", SET, {"value": float("nan")}), "args"),
        (lambda: invoke("x", "child", {1, 2}), "arg"),  # type: ignore[arg-type]
        (lambda: emit("x", "k", b"bytes"), "payload"),  # type: ignore[arg-type]
    ],
)
def test_argument_that_is_no_json(command: Callable[[], Command], label: str) -> None:
    """What JSON cannot carry is refused: which field, what was seen, what to do."""
    message = refusal(command)
    assert message.startswith(f"{label} of ")
    assert "must be JSON (null, bool, finite number, str, list, dict with str keys)" in message
    assert "but it" in message
    assert "convert it first" in message


@pytest.mark.parametrize("value", [object(), {1, 2}, float("inf"), b"x", ("a", "b")])
def test_return_that_is_no_json(value: Any) -> None:
    """A result that JSON cannot carry is refused, and shown."""

    async def body(_: Any) -> Any:
        return value

    with pytest.raises(ProgramError) as caught:
        run(body)
    assert "a program must return JSON" in str(caught.value)
    assert f"but it is {value!r}" in str(caught.value)


def test_nested_gather() -> None:
    """A gather in a gather is refused, with the way to write it."""
    inner = Gather(name="inner", commands=(step("b", READ, {}),))
    message = refusal(lambda: gather(step("a", READ, {}), inner))
    assert "'gather a' holds another gather" in message
    assert "list all of them in one gather()" in message


def test_unknown_command() -> None:
    """A command of somebody else's making is refused by name."""

    class Odd(Command):
        pass

    assert "is no command that play() knows" in refusal(lambda: Odd(name="odd"))


def test_a_body_that_raises() -> None:
    """An exception of the body itself is nobody's to hide."""

    async def body(_: Any) -> Any:
        await now()
        msg = "mine"
        raise KeyError(msg)

    with pytest.raises(KeyError, match="mine"):
        run(body)


def test_a_refused_body_is_closed() -> None:
    """A body that was refused gets to clean up."""
    closed: list[str] = []

    async def body(_: Any) -> Any:
        try:
            await asyncio.sleep(0)
        finally:
            closed.append("closed")

    with pytest.raises(ProgramError):
        run(body)
    assert ["closed"] == closed


def test_names_of_commands() -> None:
    """Commands without a name of their own derive it from what they do."""
    assert emit("paid", "k").name == "emit paid k"
    assert wait_for("reviewed", "boss", 1.0).name == "reviewed boss"
    assert gather(Now(name="n")).name == "gather n"
    assert gather().name == "gather"
