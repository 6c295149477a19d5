"""What a phase under load says: throughput, latency from the intended start, who fell behind."""

from __future__ import annotations

import pytest

from harness.traffic.demand import Demand, Mode, Order, Phase


S = 1_000_000_000


def order(intended_s: float, done_s: float = 0.0, first_s: float = 0.0, **more: object) -> Order:
    """Return an order with times in seconds from the phase's beginning, which is at 100 s."""
    at = [int((100 + moment) * S) if moment else 0 for moment in (first_s, done_s)]
    return Order(
        run="r",
        intended_ns=int((100 + intended_s) * S),
        accepted_ns=int((100 + intended_s) * S) + 1,
        first_effect_ns=at[0],
        done_ns=at[1],
        status="completed",
        **more,
    )


def phase(mode: Mode, *orders: Order, in_flight: int = 2, rate: float = 0.0) -> Phase:
    """Return a phase of ten seconds, of programs with three steps."""
    return Phase(
        runtime="engine",
        round=0,
        demand=Demand(mode=mode, in_flight=in_flight, duration_s=10.0, rate=rate),
        began_ns=100 * S,
        ended_ns=120 * S,
        orders=orders,
        steps=3,
        cpu_s={},
        peak_bytes={},
        harness_cpu_s=0.0,
        load=(),
    )


def test_throughput_of_places_that_move_in_step():
    """Fifty places whose runs all take 20 s do 2.5 runs a second, though none ends in time."""
    found = phase(Mode.CLOSED, *[order(0.0, 20.0)] * 50, in_flight=50)
    assert 2.5 == found.per_s
    assert 50.0 == found.mean_in_flight


def test_throughput_of_a_timetable_is_what_was_done_in_time():
    """What is done after the timetable's end does not count."""
    assert 0.2 == phase(Mode.OPEN, order(0, 5), order(5, 9.9), order(9, 10.5)).per_s


def test_latency_counts_from_the_intended_start():
    """A stall of six seconds is charged to each run that should have begun in it."""
    stalled = [order(second, 9.5, 9.0) for second in (3, 4, 5, 6)]
    assert [6.0, 5.0, 4.0, 3.0] == phase(Mode.OPEN, *stalled).first_effect_s


def test_latency_of_the_start_does_not_count():
    """A phase begins with nothing in flight: its first fifth shows no latency under load."""
    assert [0.5] == phase(Mode.OPEN, order(1.9, 3, 2), order(2.0, 3, 2.5)).first_effect_s


def test_what_never_came_is_counted():
    """Runs without an end are incomplete, calls above one a step are repeats."""
    lost = order(1, calls=2)
    lost.status = "running"
    found = phase(Mode.CLOSED, lost, order(1, 2, 2, calls=5))
    assert (1, 2) == (found.incomplete, found.repeats)


@pytest.mark.parametrize("mode", Mode)
def test_nothing_done_is_no_throughput(mode):
    """A runtime that does nothing has a throughput of 0, and no latency."""
    found = phase(mode, order(5)).to_json()
    assert (0.0, []) == (found["per_s"], found["first_effect_s"])
