"""A program's policy as what Hatchet calls it: options of its workflow and of its tasks."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from hatchet_sdk import (
    ConcurrencyExpression,
    ConcurrencyLimitStrategy,
    TTLBasedIdempotencyConfig,
)
from hatchet_sdk.rate_limit import RateLimit, RateLimitDuration

from harness.policy import Policy
from harness.runtime import Envelope
from harness.scenario import Program
from runtimes.hatchet.settings import TICK, Timers, named, rounded, start, whole_s


KEPT = timedelta(days=30)
"""How long the server remembers that a run of an id was started."""


def field(key: str) -> str:
    """Return the CEL expression of a field of the run's ``arg``, as a text."""
    return f'input.keys["{key}"]'


def identity(program: Program) -> str:
    """Return the CEL expression of a run's id: an event starts one run of each consumer."""
    run = "input.envelope.run"
    if program.policy.cron:
        return f'has(input.cron) ? {run} + "." + string(additional_metadata["{TICK}"]) : {run}'
    return f'has(input.event) ? {run} + ".{program.name}" : {run}'


def workflow_options(pool: str, program: Program, scale: float, since: str) -> dict[str, Any]:
    """Return the options of a program's workflow; ``scale`` is real seconds per second.

    What the clock starts has the pool for its cell.
    """
    policy, mine = program.policy, named(pool, program.name)
    idempotency = TTLBasedIdempotencyConfig(key_expression=identity(program), ttl=KEPT)
    if policy.dedupe:
        idempotency = TTLBasedIdempotencyConfig(
            key_expression=f'"{mine} " + {field(policy.dedupe.key)}',
            ttl=timedelta(seconds=policy.dedupe.period_s * scale),
        )
    options = {
        "on_events": list(program.on),
        "idempotency": idempotency,
        "concurrency": concurrency(policy),
    }
    if policy.cron:
        run = f"{pool}.{program.name}"
        envelope = Envelope(trial=pool, pool=pool, cell=pool, run=run, time_scale=scale)
        options["on_crons"] = [policy.cron]
        options["cron_input"] = start(envelope.to_json(), None, since) | {"cron": True}
    return options


def concurrency(policy: Policy) -> list[ConcurrencyExpression]:
    """Return the groups in which runs wait for, or cancel, each other."""
    found = []
    if policy.concurrency:
        found.append(
            ConcurrencyExpression(
                expression=field(policy.concurrency.key) if policy.concurrency.key else "'all'",
                max_runs=policy.concurrency.limit,
                limit_strategy=ConcurrencyLimitStrategy.GROUP_ROUND_ROBIN,
            )
        )
    if policy.singleton:
        skip = policy.singleton.mode == "skip"
        found.append(
            ConcurrencyExpression(
                expression=field(policy.singleton.key),
                max_runs=1,
                limit_strategy=ConcurrencyLimitStrategy.CANCEL_NEWEST
                if skip
                else ConcurrencyLimitStrategy.CANCEL_IN_PROGRESS,
            )
        )
    return found


def body_options(program: Program, timers: Timers, scale: float, pool: str) -> dict[str, Any]:
    """Return the options of the durable task that plays a program's body.

    A run with a time to finish in is not begun again when it is over.
    """
    policy = program.policy
    execution_s = timers.run_timeout_s
    if policy.finish_timeout_s:
        execution_s = whole_s(policy.finish_timeout_s * scale)
    schedule_s = timers.schedule_timeout_s
    if policy.start_timeout_s:
        schedule_s = whole_s(policy.start_timeout_s * scale)
    options: dict[str, Any] = {
        "execution_timeout": timedelta(seconds=execution_s),
        "schedule_timeout": timedelta(seconds=schedule_s),
        "retries": 0 if policy.finish_timeout_s else timers.retries,
    }
    if policy.throttle:
        window = rounded(policy.throttle.period_s * scale)
        key = f'"{named(pool, program.name)}"'
        if policy.throttle.key:
            key = f'"{named(pool, program.name)} " + {field(policy.throttle.key)}'
        limit = RateLimit(
            dynamic_key=key,
            units=1,
            limit=policy.throttle.limit,
            duration=RateLimitDuration(window),
        )
        options["rate_limits"] = [limit]
    return options


def step_options(policy: Policy | None, timers: Timers, scale: float) -> dict[str, Any]:
    """Return the options of a step's task.

    The server waits ``factor ** n`` seconds before the n-th repetition and knows no first wait:
    the factor is chosen so that no wait is shorter than asked for.
    """
    options: dict[str, Any] = {
        "execution_timeout": timedelta(seconds=timers.step_timeout_s),
        "schedule_timeout": timedelta(seconds=timers.schedule_timeout_s),
        "retries": timers.retries,
    }
    if timers.backoff_factor:
        options["backoff_factor"] = timers.backoff_factor
        options["backoff_max_seconds"] = timers.backoff_max_s
    if policy and policy.step_timeout_s:
        limit_s = whole_s(policy.step_timeout_s * scale)
        options["execution_timeout"] = timedelta(seconds=limit_s)
    if policy and policy.retry:
        retry = policy.retry
        options["retries"] = retry.attempts - 1
        first_s = retry.first_s * scale
        for name in ("backoff_factor", "backoff_max_seconds"):
            options.pop(name, None)
        if retry.max_s * scale >= 1:
            options["backoff_factor"] = max(retry.factor, first_s)
            options["backoff_max_seconds"] = whole_s(retry.max_s * scale)
    return options
