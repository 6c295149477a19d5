"""The programs of the checks: a scenario for each primitive, under its name in capitals.

A worker loads this file by its path.  One second of these scenarios is a tenth of a real one;
what must not pass while a check looks on is set to ``LONG_S``.
"""

from __future__ import annotations

from typing import Any

from harness.effects import Effect, Op
from harness.policy import (
    Batch,
    CancelOn,
    Concurrency,
    Debounce,
    Dedupe,
    Policy,
    RateLimit,
    Retry,
    Singleton,
    Throttle,
    Where,
)
from harness.program import (
    FailedError,
    draw,
    emit,
    gather,
    invoke,
    now,
    sleep,
    sleep_until,
    step,
    wait_for,
)
from harness.scenario import Program, Scenario


SCALE = 0.1
LONG_S = 3000.0
READ = Op("read", Effect.READ)
SET = Op("set", Effect.IDEMPOTENT)
PRICE = 12


async def one(arg: Any) -> Any:
    """Do one thing."""
    done = await step("work", SET, {"path": "done", "value": arg})
    return done.status


async def two(arg: Any) -> Any:
    """Do one thing, then another."""
    await step("first", SET, {"path": "first", "value": arg})
    done = await step("second", SET, {"path": "second", "value": arg})
    return done.status


async def note(arg: Any) -> Any:
    """Say what one was told."""
    await step("note", SET, {"path": "noted", "value": arg})
    return arg


def _scenario(*programs: Program) -> Scenario:
    told = any(program.on or program.policy.cancel_on for program in programs)
    sentinel = Program(name="sentinel", body=one, on=("sentinel",) if told else ())
    world = {"price": PRICE}
    return Scenario(name="check", programs=(*programs, sentinel), world=world, time_scale=SCALE)


def _limited(policy: Policy, body: Any = one, *on: str) -> Scenario:
    return _scenario(Program(name="limited", body=body, policy=policy, on=on))


# Values ------------------------------------------------------------------------------------


async def _buy(arg: Any) -> Any:
    del arg
    price = await step("first", READ, {"path": "price"})
    await step("second", SET, {"path": "paid", "value": price.value})
    return price.value


async def _sides(arg: Any) -> Any:
    sides = ("left", "middle", "right")
    done = await gather(
        *(step(side, READ, {"path": "price", "side": side}) for side in sides),
        now("moment"),
    )
    await step("after", SET, {"path": "done", "value": arg})
    return [*(found.value for found in done[:-1]), type(done[-1]).__name__]


async def _moment(arg: Any) -> Any:
    earlier = await now("earlier")
    await step("note", SET, {"path": "noted", "value": earlier})
    await step("second", SET, {"path": "second", "value": arg})
    return [earlier, await now("later")]


async def _luck(arg: Any) -> Any:
    luck = await draw("luck")
    await step("note", SET, {"path": "noted", "value": luck})
    await step("second", SET, {"path": "second", "value": arg})
    return [luck, await draw("more luck")]


RETRY_FIRST_S, RETRY_FACTOR = 2.0, 2.0
STEP_TIMEOUT_S = 5.0

STEP = _scenario(Program(name="buy", body=_buy))
GATHER = _scenario(Program(name="sides", body=_sides))
NOW = _scenario(Program(name="moment", body=_moment))
DRAW = _scenario(Program(name="luck", body=_luck))
RETRY = _limited(Policy(retry=Retry(attempts=3, first_s=RETRY_FIRST_S, factor=RETRY_FACTOR)))
STEP_TIMEOUT = _limited(Policy(step_timeout_s=STEP_TIMEOUT_S))


# Waits -------------------------------------------------------------------------------------


NAP_S = 15.0


async def _nap(arg: Any) -> Any:
    await step("first", SET, {"path": "first", "value": arg})
    await sleep("nap", NAP_S)
    await step("second", SET, {"path": "second", "value": arg})


async def _until(arg: Any) -> Any:
    await step("first", SET, {"path": "first", "value": arg})
    await sleep("nap", NAP_S / 2)
    await sleep_until("past", NAP_S / 4)
    await sleep_until("noon", NAP_S)
    await step("second", SET, {"path": "second", "value": arg})


async def _ask(arg: Any) -> Any:
    await step("first", SET, {"path": "first", "value": arg})
    answer = await wait_for("answer", "mine", arg["patience_s"])
    await step("second", SET, {"path": "second", "value": answer.value})
    return [answer.status, answer.value]


SLEEP = _scenario(Program(name="nap", body=_nap))
SLEEP_UNTIL = _scenario(Program(name="until", body=_until))
WAIT_FOR = SIGNAL = _scenario(Program(name="ask", body=_ask))


# Events and other programs -----------------------------------------------------------------


async def _tell(arg: Any) -> Any:
    await emit("told", "once", {"n": 7})
    await step("after", SET, {"path": "done", "value": arg})


async def _parent(arg: Any) -> Any:
    answer = await invoke("ask", "child", {"n": arg["n"]})
    await step("after", SET, {"path": "answer", "value": answer})
    return answer


async def _child(arg: Any) -> Any:
    await step("first", SET, {"path": "first", "value": arg})
    await step("second", SET, {"path": "second", "value": arg})
    return {"twice": arg["n"] * 2}


async def _fail(arg: Any) -> Any:
    await step("first", SET, {"path": "first", "value": arg})
    why = "no luck"
    raise FailedError(why)


EMIT = _scenario(
    Program(name="tell", body=_tell),
    Program(name="listener", body=note, on=("told",)),
    Program(name="other", body=note, on=("told",)),
)
TRIGGERS = _scenario(
    Program(name="either", body=note, on=("opened", "reopened")),
    Program(name="deaf", body=one, on=("closed",)),
)
INVOKE = _scenario(Program(name="parent", body=_parent), Program(name="child", body=_child))
ON_FAILURE = _scenario(
    Program(name="fail", body=_fail, policy=Policy(on_failure="handler")),
    Program(name="handler", body=note),
)
CRON = _limited(Policy(cron="* * * * * *"), note)


# Starts ------------------------------------------------------------------------------------


PACE_S, PACE_COARSE_S, RATE_S = 10.0, 20.0, 60.0
DEBOUNCE_S, DEBOUNCE_MAX_S = 10.0, 20.0
BATCH_S = 8.0

CONCURRENCY = _limited(Policy(concurrency=Concurrency(limit=2)))
CONCURRENCY_KEY = _limited(Policy(concurrency=Concurrency(limit=1, key="tenant")))
PRIORITY = _limited(Policy(concurrency=Concurrency(limit=1), priority="rank"))
THROTTLE = _limited(Policy(throttle=Throttle(limit=2, period_s=PACE_S)))
# For who counts in whole seconds: a second of it is one step of that clock, and shows nothing.
THROTTLE_COARSE = _limited(Policy(throttle=Throttle(limit=2, period_s=PACE_COARSE_S)))
RATE_LIMIT = _limited(Policy(rate_limit=RateLimit(limit=2, period_s=RATE_S)))
DEBOUNCE = _limited(Policy(debounce=Debounce(period_s=DEBOUNCE_S, key="doc")), note)
DEBOUNCE_MAX = _limited(
    Policy(debounce=Debounce(period_s=DEBOUNCE_S, max_s=DEBOUNCE_MAX_S, key="doc")), note
)
BATCH = _limited(Policy(batch=Batch(size=3, wait_s=BATCH_S)), note)
SINGLETON_SKIP = _limited(Policy(singleton=Singleton(key="user", mode="skip")), two)
SINGLETON_CANCEL = _limited(Policy(singleton=Singleton(key="user", mode="cancel")), two)
DEDUPE = _limited(Policy(dedupe=Dedupe(key="order", period_s=LONG_S)))
IDEMPOTENT_START = _scenario(Program(name="note", body=note))


# Ends --------------------------------------------------------------------------------------


LIMIT_S = 20.0

CANCEL = _scenario(Program(name="two", body=two))
CANCEL_ON = _limited(
    Policy(
        cancel_on=(
            CancelOn(event="stop", match="order", where=Where(field="cost", op=">", value=10)),
        )
    ),
    two,
)
CANCEL_PREVIOUS = _limited(
    Policy(cancel_on=(CancelOn(event="ordered", match="order"),)), two, "ordered"
)
START_TIMEOUT = _limited(Policy(concurrency=Concurrency(limit=1), start_timeout_s=LIMIT_S), two)
FINISH_TIMEOUT = _limited(Policy(finish_timeout_s=LIMIT_S), two)
