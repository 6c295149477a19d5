"""The agent of the enumeration: a small migration, played over a session."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import orjson

from harness.effects import Effect, Json, Op
from harness.program import (
    Command,
    Emit,
    Invoke,
    One,
    Premise,
    Step,
    WaitFor,
    decide,
    gather,
    play,
    step,
)
from runtimes.reference.effect_log.errors import ContradictionError
from runtimes.reference.resume.errors import DriftError, EscalatedError
from runtimes.reference.resume.session import Session, Wanted
from runtimes.reference.upstreams.base import UnreachableError


READ, CREATE = Op("read", Effect.READ), Op("create", Effect.IDEMPOTENT)
COPY, CLEAR = Op("copy", Effect.IDEMPOTENT), Op("clear", Effect.IRREVERSIBLE)
SET, APPEND = Op("set", Effect.HYBRID), Op("append", Effect.IRREVERSIBLE)
DNS, INBOX = "dns", "mail"
TABLES: dict[str, Json] = {"users": ["ada"], "orders": [1815, 1906], "grants": ["app: all"]}
THINGS: dict[str, Json] = {**TABLES, DNS: "source", INBOX: []}
DRIFT = (DNS, "elsewhere")
OWED = (
    "create",
    *(f"copy_{table}" for table in TABLES),
    *(f"clear_{table}" for table in TABLES),
    "cut_over",
    "notify",
)


Given = tuple[str, int, bytes]
"""What an agent was given: the slot, the plan under which it asked, the text of the answer."""


async def migrate(arg: Any) -> Any:  # noqa: ANN401 - JSON
    """Copy tables, empty them, switch the name on what it was seen to be, tell people."""
    found = {table: await step(f"read_{table}", READ, {"path": table}) for table in TABLES}
    name = await step("read_dns", READ, {"path": DNS})
    options: list[Json] = [*TABLES]
    order = await decide("decide", {"path": "", "options": options, "now": name.value})
    await step("create", CREATE, {"path": "target", "value": "created"})
    for table in order.value:
        await step(f"copy_{table}", COPY, {"path": table, "to": f"target/{table}"})
    for table in sorted(order.value):
        copied = await step(f"verify_{table}", READ, {"path": f"target/{table}"})
        if copied.value != found[table].value:
            return {"failed": table}
    await gather(*(step(f"clear_{table}", CLEAR, {"path": table}) for table in TABLES))
    await step("cut_over", SET, {"path": DNS, "value": "target"}, [name.premise])
    told = await step("notify", APPEND, {"path": INBOX, "value": arg["text"]})
    return {"moved": sorted(order.value), "told": told.status}


@lru_cache(maxsize=4096)
def _wanted(slot: str, op: str, args: bytes, premises: tuple[Premise, ...], epoch: int) -> Wanted:
    """Return what a step asks for; what asks for the same, however often, has the same hashes."""
    found = orjson.loads(args)
    return Wanted(
        slot=slot,
        op=op,
        target=str(found["path"]),
        args=found,
        premises={premise.path: premise.etag for premise in premises},
        capability=f"capability {epoch}",
    )


@dataclass(slots=True)
class SessionOps:
    """The commands of a program as a session carries them out; ``given`` is what it was given."""

    session: Session
    given: list[Given]
    suffix: str = ""
    """What this version of the program appends to the names of its slots."""
    asked: Wanted | None = None
    """The last one."""
    armed: frozenset[str] = field(default_factory=frozenset)

    async def step(self, command: Step) -> dict[str, Json]:
        """Ask the session."""
        self.asked = wanted = _wanted(
            command.name + self.suffix,
            command.op.verb,
            orjson.dumps(command.args),
            command.premises,
            self.session.facts.epoch,
        )
        return await self.ask(wanted)

    async def ask(self, wanted: Wanted) -> dict[str, Json]:
        """Ask the session, and note what it gave."""
        given = await self.session.perform(wanted)
        response: dict[str, Json] = {"status": "ok"}
        if isinstance(given.response, dict):
            response |= given.response
        if not given.settled:
            text = orjson.dumps(response, option=orjson.OPT_SORT_KEYS)
            self.given.append((wanted.slot, self.session.facts.plan_epoch, text))
        return response

    async def gather(self, commands: Sequence[Command], one: One) -> list[Any]:
        """Do what stands side by side, one after another; who is escalated stops nobody else."""
        answers: list[Any] = []
        failed: EscalatedError | None = None
        for command in commands:
            try:
                answers.append(await one(command))
            except EscalatedError as error:
                failed = failed or error
        if failed:
            raise failed
        return answers

    async def sleep(self, name: str, duration_s: float) -> None: ...
    async def emit(self, command: Emit) -> None: ...
    async def invoke(self, command: Invoke) -> Json: ...
    async def wait_for(self, command: WaitFor) -> dict[str, Json] | None: ...
    async def now(self, name: str) -> float:
        """Have no clock."""
        raise NotImplementedError

    async def draw(self, name: str) -> float:
        """Have no dice."""
        raise NotImplementedError

    async def at(self, phase: str, name: str) -> None: ...


async def give_up(session: Session) -> None:
    """End the run as it is; as long as something is in doubt, the log refuses."""
    with suppress(ContradictionError):
        await session.end("failed", why="its owner gave it up")


async def work(ops: SessionOps, arg: Json) -> None:
    """Play the program to its end, with a new plan whenever a premise is false."""
    session = ops.session
    while session.facts.terminal is None:
        try:
            output = await play(migrate, arg, ops)
        except DriftError as drift:
            await session.replan(drift)
        except UnreachableError:
            continue  # nothing was done
        except EscalatedError:
            return
        else:
            await session.end("completed", output)
