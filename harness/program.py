"""A program is a sans-IO coroutine, so that one text runs on every runtime.

``async def body(arg)`` awaits only the commands of this module.  ``play`` drives it; each
worker implements ``Ops`` in its SDK's own terms.  What a body must never do (await
something of its own, use a name twice, pass what JSON cannot carry) is refused here, once,
with an error that says how to mend it.

A step's final failure is data (``Result.status``), never an exception: bodies branch on it.
"""

from __future__ import annotations

import math

from collections.abc import (
    Awaitable,
    Callable,
    Coroutine,
    Generator,
    Iterable,
    Mapping,
    Sequence,
)
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from harness.effects import Effect, Json, Op


AFTER_ACK = "after_ack"
FINALIZE = "finalize"


class FailedError(Exception):
    """Raised by a body to end its run as failed, for good: no engine is to try it again."""


class ProgramError(Exception):
    """The body broke a rule of portable programs; the message says how to mend it."""


@dataclass(frozen=True, slots=True)
class Premise:
    """A value that a write rests on: the resource and the version that was read."""

    path: str
    etag: str


@dataclass(frozen=True, slots=True)
class Result:
    """How a command ended.

    ``status`` is ``ok``, ``rejected``, ``throttled`` (``after_s`` says for how long, in
    virtual seconds), ``failed`` or, for ``wait_for``, ``timeout``.
    """

    status: str
    value: Json = None
    path: str = ""
    etag: str = ""
    after_s: float = 0.0

    @property
    def ok(self) -> bool:
        """Say whether the command did what it was asked."""
        return self.status == "ok"

    @property
    def premise(self) -> Premise:
        """Return this read as the premise of a later write."""
        return Premise(self.path, self.etag)


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What a body may await; ``name`` is unique within a run and stable across attempts."""

    name: str

    def __await__(self) -> Generator[Command, Any, Any]:
        """Hand the command to ``play`` and return what it answers."""
        return (yield self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step(Command):
    """One call of the world through ``perform``; ``slept_s`` is filled in by ``play``."""

    op: Op
    args: dict[str, Json]
    premises: tuple[Premise, ...] = ()
    slept_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sleep(Command):
    """A durable sleep in the scenario's time (virtual seconds)."""

    duration_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SleepUntil(Command):
    """A durable sleep until a moment of the scenario's time (virtual seconds)."""

    at_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Emit(Command):
    """Start every program of the scenario that declares this event in ``on``."""

    event: str
    key: str
    payload: Json = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Invoke(Command):
    """Run another program of the scenario as a child and wait for its result."""

    program: str
    arg: Json = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitFor(Command):
    """Wait for an event with this key, ``timeout_s`` virtual seconds at most."""

    event: str
    key: str
    timeout_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Now(Command):
    """The moment, recorded once (seconds of the runtime's clock)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw(Command):
    """A random number in [0, 1), recorded once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gather(Command):
    """Flat commands side by side; the answer is the list of theirs, in order."""

    commands: tuple[Command, ...]


def step(name: str, op: Op, args: Mapping[str, Json], premises: Sequence[Premise] = ()) -> Step:
    """Call the world once, as one durable step; answers a ``Result``."""
    return Step(name=name, op=op, args=dict(args), premises=tuple(premises))


def decide(name: str, facts: Mapping[str, Json]) -> Step:
    """Ask the model: a step whose answer is sealed once given; answers a ``Result``."""
    return Step(name=name, op=Op("ask", Effect.READ), args=dict(facts))


def sleep(name: str, duration_s: float) -> Sleep:
    """Sleep durably; answers ``None``."""
    return Sleep(name=name, duration_s=duration_s)


def sleep_until(name: str, at_s: float) -> SleepUntil:
    """Sleep until a moment of the scenario's time, which begins at 0; answers ``None``."""
    return SleepUntil(name=name, at_s=at_s)


def emit(event: str, key: str, payload: Json = None) -> Emit:
    """Send an event; answers ``None`` once the runtime holds it."""
    return Emit(name=f"emit {event} {key}", event=event, key=key, payload=payload)


def invoke(name: str, program: str, arg: Json = None) -> Invoke:
    """Run a child program; answers its return value."""
    return Invoke(name=name, program=program, arg=arg)


def wait_for(event: str, key: str, timeout_s: float) -> WaitFor:
    """Wait for an event; answers a ``Result``: ``ok`` with the payload, or ``timeout``."""
    return WaitFor(name=f"{event} {key}", event=event, key=key, timeout_s=timeout_s)


def gather(*commands: Command) -> Gather:
    """Run flat commands side by side; answers the list of their answers."""
    return Gather(name=f"gather {commands[0].name}" if commands else "gather", commands=commands)


def now(name: str = "now") -> Now:
    """Read the clock durably; answers seconds."""
    return Now(name=name)


def draw(name: str = "draw") -> Draw:
    """Draw a random number durably; answers a float in [0, 1)."""
    return Draw(name=name)


PLAIN = frozenset({str, int, bool, type(None)})


def not_json(value: object, place: str = "it") -> str:
    """Return what keeps a value from surviving JSON unchanged, or an empty string.

    Stricter than ``json.dumps``: a tuple would come back as a list, a key 1 as "1".
    """
    if type(value) in PLAIN or isinstance(value, int | str):
        return ""
    if isinstance(value, float):
        return "" if math.isfinite(value) else f"{place} is {value!r}"
    if isinstance(value, list):
        items: Iterable[tuple[object, object]] = enumerate(value)
    elif isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):
                return f"{place} has the key {key!r}"
        items = value.items()
    else:
        return f"{place} is {value!r}, a {type(value).__name__}"
    for key, item in items:
        if type(item) not in PLAIN and (flaw := not_json(item, f"{place}[{key!r}]")):
            return flaw
    return ""


Body = Callable[[Any], Coroutine[Any, Any, Json]]
One = Callable[[Command], Awaitable[Any]]


class Ops(Protocol):
    """What a worker must offer, in its SDK's own terms.

    ``step`` answers the reply object of ``POST /perform``.  ``gather`` calls ``one`` for
    each command and keeps their order.  ``armed`` names the points (``NAME/after_ack`` and
    ``finalize``) at which ``at`` is called: it comes with the envelope, so that the extra
    call is deterministic.
    """

    armed: frozenset[str]

    async def step(self, command: Step) -> dict[str, Json]: ...
    async def sleep(self, name: str, duration_s: float) -> None: ...
    async def emit(self, command: Emit) -> None: ...
    async def invoke(self, command: Invoke) -> Json: ...
    async def wait_for(self, command: WaitFor) -> dict[str, Json] | None: ...
    async def gather(self, commands: Sequence[Command], one: One) -> list[Any]: ...
    async def now(self, name: str) -> float: ...
    async def draw(self, name: str) -> float: ...
    async def at(self, phase: str, name: str) -> None: ...


@dataclass(slots=True)
class _Player:
    ops: Ops
    names: set[str] = field(default_factory=set)
    slept_s: float = 0.0

    def admit(self, command: object) -> Command:
        if not isinstance(command, Command):
            msg = (
                f"a program may await only commands of harness.program (step, sleep, ...), "
                f"but it awaited {command!r}; move IO into the world and call it with step()"
            )
            raise ProgramError(msg)
        if command.name in self.names:
            msg = (
                f"the name {command.name!r} is used twice in one run; names identify effects "
                f"across restarts, so give each command its own (for a retry: a new name)"
            )
            raise ProgramError(msg)
        self.names.add(command.name)
        for label in ("args", "arg", "payload"):
            value = getattr(command, label, None)
            if value is not None and (flaw := not_json(value)):
                msg = (
                    f"{label} of {command.name!r} must be JSON (null, bool, finite number, str, "
                    f"list, dict with str keys), but {flaw}; convert it first"
                )
                raise ProgramError(msg)
        if isinstance(command, Gather):
            for inner in command.commands:
                if isinstance(inner, Gather):
                    msg = (
                        f"{command.name!r} holds another gather; gather takes flat commands: "
                        f"list all of them in one gather()"
                    )
                    raise ProgramError(msg)
                self.admit(inner)
        return command

    async def one(self, command: Command) -> Any:  # noqa: ANN401 - as varied as the commands
        match command:
            case Step():
                slept = replace(command, slept_s=self.slept_s) if self.slept_s else command
                reply = await self.ops.step(slept)
                if f"{command.name}/{AFTER_ACK}" in self.ops.armed:
                    await self.ops.at(AFTER_ACK, command.name)
                return Result(
                    status=str(reply["status"]),
                    value=reply.get("value"),
                    path=str(command.args.get("path", "")),
                    etag=str(reply.get("etag", "")),
                    after_s=float(reply.get("after_s", 0.0)),  # type: ignore[arg-type]
                )
            case Sleep():
                await self.ops.sleep(command.name, command.duration_s)
                self.slept_s += command.duration_s
                return None
            case SleepUntil():
                left_s = command.at_s - self.slept_s
                if left_s > 0:
                    await self.ops.sleep(command.name, left_s)
                    self.slept_s = command.at_s
                return None
            case WaitFor():
                event = await self.ops.wait_for(command)
                if event is None:
                    self.slept_s += command.timeout_s
                    return Result("timeout")
                return Result("ok", event.get("payload"))
            case Emit():
                return await self.ops.emit(command)
            case Invoke():
                return await self.ops.invoke(command)
            case Now():
                return await self.ops.now(command.name)
            case Draw():
                return await self.ops.draw(command.name)
            case Gather():
                return await self.ops.gather(command.commands, self.one)
        msg = f"{command!r} is no command that play() knows"
        raise ProgramError(msg)


async def play(body: Body, arg: Json, ops: Ops) -> Json:
    """Drive ``body(arg)`` to its end over ``ops`` and return its JSON result.

    Raises:
        ProgramError: the body awaited something foreign, used a name twice, or passed or
            returned what JSON cannot carry.

    """
    player = _Player(ops)
    coroutine = body(arg)
    answer: Any = None
    try:
        while True:
            try:
                awaited = coroutine.send(answer)
            except StopIteration as stop:
                output: Json = stop.value
                break
            answer = await player.one(player.admit(awaited))
    finally:
        coroutine.close()
    if flaw := not_json(output):
        msg = (
            f"a program must return JSON (null, bool, finite number, str, list, dict with str "
            f"keys), but {flaw}; convert it first"
        )
        raise ProgramError(msg)
    if FINALIZE in ops.armed:
        await ops.at(FINALIZE, "")
    return output
