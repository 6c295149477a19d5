"""Six-field cron expressions: second, minute, hour, day of month, month, day of week (UTC)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime


RANGES = ((0, 59), (0, 59), (0, 23), (1, 31), (1, 12), (0, 6))
HORIZON_S = 366 * 24 * 3600


class CronError(ValueError):
    """An expression that says no moments."""


@dataclass(frozen=True, slots=True)
class Cron:
    """The moments that an expression names."""

    fields: tuple[frozenset[int], ...]

    @classmethod
    def of(cls, text: str) -> Cron:
        """Read ``* */5 0-6 1,15 * *``.

        Raises:
            CronError: it has not six fields, or one is malformed or names no value.

        """
        words = text.split()
        if len(words) != len(RANGES):
            msg = f"cron {text!r}: expected six fields, seconds first; seen {len(words)}"
            raise CronError(msg)
        return cls(tuple(_values(word, *span) for word, span in zip(words, RANGES, strict=True)))

    def after(self, moment_s: float) -> int:
        """Return the first moment after ``moment_s``, in whole seconds since the epoch."""
        second = int(moment_s) + 1
        end = second + HORIZON_S
        seconds, minutes, hours, days, months, weekdays = self.fields
        while second < end:
            at = datetime.fromtimestamp(second, UTC)
            today = at.day in days and at.month in months and at.isoweekday() % 7 in weekdays
            if not today:
                second += 86_400 - second % 86_400
            elif at.hour not in hours:
                second += 3_600 - second % 3_600
            elif at.minute not in minutes:
                second += 60 - second % 60
            elif at.second not in seconds:
                second += 1
            else:
                return second
        msg = f"no moment within {HORIZON_S // 86_400} days"
        raise CronError(msg)


def _values(word: str, low: int, high: int) -> frozenset[int]:
    found: set[int] = set()
    for part in word.split(","):
        span, _, pace = part.partition("/")
        first, _, last = span.partition("-")
        try:
            begin = low if first == "*" else int(first)
            end = int(last) if last else (high if first == "*" or pace else begin)
            found |= set(range(begin, end + 1, int(pace or 1)))
        except ValueError as error:
            msg = f"cron field {word!r}: expected *, n, n-m, */n or a list of these"
            raise CronError(msg) from error
    if not found or min(found) < low or max(found) > high:
        msg = f"cron field {word!r}: expected values from {low} to {high}"
        raise CronError(msg)
    return frozenset(found)
