"""Which moments a six-field cron expression names."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from runtimes.support.cron import Cron, CronError


def _after(text: str, moment: str) -> str:
    at_s = Cron.of(text).after(datetime.fromisoformat(moment).replace(tzinfo=UTC).timestamp())
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%d %H:%M:%S")


@pytest.mark.parametrize(
    ("text", "moment", "then"),
    [
        ("* * * * * *", "2026-03-01 10:00:00.5", "2026-03-01 10:00:01"),
        ("* * * * * *", "2026-03-01 10:00:00", "2026-03-01 10:00:01"),
        ("*/20 * * * * *", "2026-03-01 10:00:40", "2026-03-01 10:01:00"),
        ("0 5,35 9-17 * * *", "2026-03-01 17:35:00", "2026-03-02 09:05:00"),
        ("30 0 0 1 1 *", "2026-03-01 10:00:00", "2027-01-01 00:00:30"),
        ("0 0 12 * * 0", "2026-03-02 10:00:00", "2026-03-08 12:00:00"),
    ],
)
def test_next_moment(text: str, moment: str, then: str) -> None:
    """The next moment is strictly later, to the second."""
    assert then == _after(text, moment)


@pytest.mark.parametrize(
    "text", ["* * * * *", "60 * * * * *", "x * * * * *", "5-1 * * * * *", "*/0 * * * * *"]
)
def test_malformed(text: str) -> None:
    """What names no moments is refused, with what was expected."""
    with pytest.raises(CronError, match="expected"):
        Cron.of(text)


def test_no_such_day() -> None:
    """A day that never comes is an error, not a search without end."""
    with pytest.raises(CronError, match="366 days"):
        _after("0 0 0 31 2 *", "2026-03-01 10:00:00")
