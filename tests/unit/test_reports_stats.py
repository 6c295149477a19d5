"""Intervals and spreads claim no more than the sample holds."""

from __future__ import annotations

import pytest

from harness.stats import clopper_pearson, spread, wilson


def test_clopper_pearson_of_none_in_a_hundred_still_allows_some():
    """Zero of 100 has a lower end of zero and an upper end of about 3.6 %."""
    found = clopper_pearson(0, 100)
    assert 0.0 == found.low
    assert 0.0362 == pytest.approx(found.high, abs=1e-4)


def test_clopper_pearson_is_symmetric():
    """All of n mirrors none of n."""
    assert 1 - clopper_pearson(0, 20).high == pytest.approx(clopper_pearson(20, 20).low)
    assert 1.0 == clopper_pearson(20, 20).high


def test_clopper_pearson_holds_wilson_at_small_counts():
    """The exact interval is the wider one."""
    exact, score = clopper_pearson(3, 40), wilson(3, 40)
    assert exact.low < score.low < 3 / 40 < score.high < exact.high


def test_wilson_of_none_in_twenty():
    """Zero of 20 still allows 16.1 %."""
    assert (0.0, 0.161) == (wilson(0, 20).low, pytest.approx(wilson(0, 20).high, abs=1e-3))


@pytest.mark.parametrize(("hits", "n"), [(1, 0), (-1, 4), (5, 4)])
def test_impossible_counts_are_refused(hits, n):
    """An interval of nothing is an error that says what was seen."""
    with pytest.raises(ValueError, match=f"hits={hits}, n={n}"):
        wilson(hits, n)
    with pytest.raises(ValueError, match=f"hits={hits}, n={n}"):
        clopper_pearson(hits, n)


def test_spread_of_nothing_is_nothing():
    """No values, no spread."""
    assert spread([]) is None


def test_spread_has_no_tail_below_its_sample():
    """A p90 takes 20 values, a p99 takes 400."""
    few, some, many = spread([3, 1, 2]), spread(range(399)), spread(range(400))
    assert few
    assert some
    assert many
    assert (3, 1, 2, 3, None, None) == (few.n, few.low, few.median, few.high, few.p90, few.p99)
    assert (359, None) == (some.p90, some.p99)
    assert 396 == many.p99
