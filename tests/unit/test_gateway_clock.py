"""Time: monotonic within a life, wall with an allowance after it, never backwards."""

from __future__ import annotations

import time

import pytest

from support.gateway import Gateway, HandClock

from runtimes.reference.gateway.clock import SKEW_MS, SystemClock, Watch, age_ms
from runtimes.reference.gateway.errors import Reason, RefusedError


HOUR_MS = 3_600_000


def refusal(gateway: Gateway, token: str) -> Reason:
    """Return why a token is refused."""
    with pytest.raises(RefusedError) as refused:
        gateway.check(token)
    return refused.value.reason


def test_a_token_is_good_until_its_time_is_over() -> None:
    """To the millisecond, within a life; the permit says how long is left."""
    gateway = Gateway()
    token = gateway.token(ttl_s=60)
    gateway.clock.pass_ms(59_999)
    assert 1 == gateway.check(token).left_ms
    gateway.clock.pass_ms(1)
    assert Reason.EXPIRED is refusal(gateway, token)


@pytest.mark.parametrize("step_ms", [-HOUR_MS, -SKEW_MS - 1, SKEW_MS + 1, HOUR_MS])
def test_a_step_of_the_wall_clock_changes_nothing_within_a_life(step_ms: int) -> None:
    """A live token stays good, and an expired one does not come back."""
    gateway = Gateway()
    token = gateway.token(ttl_s=60)
    gateway.check(token)
    gateway.clock.wall += step_ms
    gateway.clock.pass_ms(59_999)
    assert gateway.check(token)
    gateway.clock.pass_ms(1)
    assert Reason.EXPIRED is refusal(gateway, token)


def test_after_a_restart_the_wall_clock_tells_the_age() -> None:
    """With the allowance on top, and without that of the monotonic clock."""
    gateway = Gateway()
    token = gateway.token(ttl_s=60)
    gateway.restart()
    gateway.clock.mono = 0
    gateway.clock.wall += 60_000 + SKEW_MS - 1
    assert 1 == gateway.check(token).left_ms
    gateway.clock.wall += 1
    assert Reason.EXPIRED is refusal(gateway, token)


def test_a_token_from_the_future_is_refused() -> None:
    """Within the allowance clocks are apart, beyond it something is wrong."""
    ahead, gateway = Gateway(), Gateway()
    gateway.keyring = ahead.keyring
    gateway.restart()
    ahead.clock.wall += SKEW_MS
    assert 60_000 == gateway.check(ahead.token()).left_ms
    ahead.clock.wall += 1
    assert Reason.NOT_YET_VALID is refusal(gateway, ahead.token())


def test_a_wall_clock_that_steps_back_does_not_bring_tokens_back() -> None:
    """Not believed while it is behind by more than the allowance; believed when it has caught up."""
    gateway = Gateway()
    token = gateway.token(ttl_s=60)
    gateway.restart()
    gateway.watch.now()
    gateway.clock.wall -= SKEW_MS
    assert gateway.check(token)
    gateway.clock.wall -= 1
    assert Reason.CLOCK_STEPPED_BACK is refusal(gateway, token)
    gateway.clock.wall += 1
    assert gateway.check(token)


def test_a_step_back_while_the_process_was_down_is_seen() -> None:
    """By the latest time of the earlier life; without it an expired token would be young again."""
    gateway = Gateway()
    token = gateway.token(ttl_s=60)
    gateway.clock.pass_ms(HOUR_MS)
    assert Reason.EXPIRED is refusal(gateway, token)
    gateway.clock.wall -= HOUR_MS
    gateway.restart()
    assert Reason.CLOCK_STEPPED_BACK is refusal(gateway, token)
    fresh = gateway.token()
    assert gateway.check(fresh)


def test_each_life_is_another() -> None:
    """What ran before the machine was restarted counts for nothing; two processes share a life."""
    clock = HandClock()
    first, second = Watch(clock).now(), Watch(clock).now()
    clock.mono, clock.life = 0, "two"
    third = Watch(clock).now()
    assert first.life == second.life != third.life
    assert 0 == age_ms(first, third)


def test_a_monotonic_clock_that_is_ahead_of_itself_is_refused() -> None:
    """It cannot be; so nothing is allowed on its word."""
    clock = HandClock()
    watch = Watch(clock)
    issued = watch.now()
    assert 0 == age_ms(issued, watch.now())
    clock.mono -= 1
    with pytest.raises(RefusedError, match="not_yet_valid"):
        age_ms(issued, watch.now())


def test_the_clocks_of_the_machine_go_on() -> None:
    """The wall clock shows what the system shows, the other one does not go back."""
    clock = SystemClock()
    before_ms, one = time.time_ns() // 1_000_000, clock.mono_ns()
    assert before_ms <= clock.wall_ms() <= time.time_ns() // 1_000_000
    assert one <= clock.mono_ns()
