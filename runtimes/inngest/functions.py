"""A program and its policy as a function of the Inngest SDK: almost all of it is declared.

Keys and conditions are expressions over the event that starts a run (``event``) and over the
one that comes later (``async``); what a program is started with is ``data.arg`` in both.
"""

from __future__ import annotations

import json

from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from typing import Any

import inngest

from inngest._internal.server_lib import Cancel  # the SDK takes it, and does not export it

from harness.effects import Json
from harness.policy import UNBOUND_S, CancelOn, Policy
from harness.program import FailedError, ProgramError, play
from harness.scenario import Program
from runtimes.inngest.names import FAILED, app, happens, started, starts
from runtimes.inngest.ops import InngestOps, Pool, whole
from runtimes.inngest.settings import RETRIES


def functions(pool: Pool) -> list[inngest.Function[Any]]:
    """Return the programs of the pool's scenario as functions."""
    for program in pool.scenario.programs:
        declare = pool.client.create_function(
            fn_id=program.name,
            trigger=list(_triggers(pool, program)),
            **declared(pool, program.policy),
        )
        pool.functions[program.name] = declare(_body(pool, program))
    return list(pool.functions.values())


def _triggers(pool: Pool, program: Program) -> Iterator[inngest.TriggerEvent]:
    yield inngest.TriggerEvent(event=starts(pool.name, program.name))
    for event in program.on:
        yield inngest.TriggerEvent(event=happens(pool.name, event))
    for other in pool.scenario.programs:
        if other.policy.on_failure == program.name:
            ident = json.dumps(f"{app(pool.name)}-{other.name}")
            yield inngest.TriggerEvent(
                event=FAILED, expression=f"event.data.function_id == {ident}"
            )


def declared(pool: Pool, policy: Policy) -> dict[str, Any]:
    """Return what the server is to do around a body."""

    def span(duration_s: float) -> timedelta:
        return whole(duration_s * pool.scenario.time_scale)

    at_most: dict[str, Any] = {
        "retries": pool.budget,
        "priority": _priority(policy.priority),
        "cancel": [_cancel(pool.name, on) for on in policy.cancel_on] or None,
    }
    at_most["timeouts"] = inngest.Timeouts(
        start=span(policy.start_timeout_s) if policy.start_timeout_s else None,
        finish=span(policy.finish_timeout_s) if policy.finish_timeout_s else None,
    )
    if retry := policy.retry:
        at_most["retries"] = max(
            RETRIES if pool.budget is None else pool.budget, retry.attempts - 1
        )
    if one := policy.concurrency:
        at_most["concurrency"] = [inngest.Concurrency(limit=one.limit, key=_field(one.key))]
    if pace := policy.throttle:
        at_most["throttle"] = inngest.Throttle(
            limit=pace.limit, period=span(pace.period_s), key=_field(pace.key), burst=0
        )
    if rate := policy.rate_limit:
        at_most["rate_limit"] = inngest.RateLimit(
            limit=rate.limit, period=span(rate.period_s), key=_field(rate.key)
        )
    if same := policy.dedupe:
        # What the server calls idempotency is a rate limit of one in 24 hours.
        at_most["rate_limit"] = inngest.RateLimit(
            limit=1, period=span(same.period_s), key=_field(same.key)
        )
    if calm := policy.debounce:
        at_most["debounce"] = inngest.Debounce(
            period=span(calm.period_s),
            timeout=span(calm.max_s) if calm.max_s < UNBOUND_S else None,
            key=_field(calm.key),
        )
    if batch := policy.batch:
        at_most["batch_events"] = inngest.Batch(max_size=batch.size, timeout=span(batch.wait_s))
    if single := policy.singleton:
        at_most["singleton"] = inngest.Singleton(mode=single.mode, key=_field(single.key))
    return at_most


def _priority(key: str) -> inngest.Priority | None:
    """Return the seconds by which a run goes before those that were asked for with it.

    The server ignores a value that is no integer, and numbers of events are none.
    """
    return inngest.Priority(run=f"int({_field(key)})") if key else None


def _field(key: str) -> str | None:
    return f"event.data.arg.{key}" if key else None


def _cancel(pool: str, on: CancelOn) -> Cancel:
    condition = f"event.data.arg.{on.match} == async.data.arg.{on.match}"
    if on.where:
        value = json.dumps(on.where.value)
        condition += f" && async.data.arg.{on.where.field} {on.where.op} {value}"
    return Cancel(event=happens(pool, on.event), if_exp=condition)


def _body(pool: Pool, program: Program) -> Callable[[inngest.Context], Awaitable[Json]]:
    async def body(context: inngest.Context) -> Json:
        given = [started(program.name, event.name, event.data) for event in context.events]
        envelope, arg = given[0]
        if program.policy.batch:
            arg = {"batch": [arg for _, arg in given]}
        ops = InngestOps(context, envelope, program.policy, pool)
        try:
            return await play(program.body, arg, ops)
        except (FailedError, ProgramError) as error:  # a retry would not mend it
            raise inngest.NonRetriableError(str(error)) from error

    return body
