"""The one clock by which tokens and approvals are judged: that of the gateway.

Until the machine is restarted, an age is a difference of the clock that runs since its start,
which nobody can set.  After that only the wall clock is left.  It is believed with an
allowance of ``SKEW_MS``: a token may then live that much longer, and none is refused for a clock
that is off by less.  A wall clock that falls behind what it has shown by more is not believed at
all, since it would bring expired tokens back; restart with the right time, or wait.  An approval
does not outlive the machine's restart at all.
"""

from __future__ import annotations

import secrets
import time

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from runtimes.reference.effect_log.log import wall_ms
from runtimes.reference.gateway.errors import Reason, RefusedError


SKEW_MS = 2_000
"""How far wall clocks may be apart."""
# The one that goes on while the machine is suspended, where there is such a one.
STEADY = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
BOOT = Path("/proc/sys/kernel/random/boot_id")


class Clock(Protocol):
    """What time it is, and how much has passed; ``life`` is what the latter counts within."""

    @property
    def life(self) -> str: ...
    def wall_ms(self) -> int: ...
    def mono_ns(self) -> int: ...


class SystemClock:
    """The clocks of the machine; a life lasts from one start of it to the next."""

    def __init__(self) -> None:
        """Find out which life this is; where nobody knows, it is that of the process."""
        self.life = BOOT.read_text().strip() if BOOT.exists() else secrets.token_hex(8)

    def wall_ms(self) -> int:
        """Return the milliseconds since 1970."""
        return wall_ms()

    def mono_ns(self) -> int:
        """Return the nanoseconds since some moment, suspended or not."""
        return time.clock_gettime_ns(STEADY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A reading of both clocks in one life of the machine.

    ``behind_ms`` is how far the wall clock is behind the latest that it has shown.
    """

    wall_ms: int
    mono_ns: int
    life: str
    behind_ms: int = 0


class Watch:
    """Reads the clocks, and remembers the latest time that the wall clock has shown."""

    def __init__(self, clock: Clock, seen_ms: int = 0) -> None:
        """Begin a life; ``seen_ms`` is the latest time that an earlier one has seen."""
        self._clock = clock
        self.seen_ms = seen_ms

    def now(self) -> Moment:
        """Read both clocks."""
        wall_ms = self._clock.wall_ms()
        self.seen_ms = max(self.seen_ms, wall_ms)
        return Moment(
            wall_ms=wall_ms,
            mono_ns=self._clock.mono_ns(),
            life=self._clock.life,
            behind_ms=self.seen_ms - wall_ms,
        )


def age_ms(issued: Moment, now: Moment, skew_ms: int = SKEW_MS) -> int:
    """Return the milliseconds since a token was issued, at least.

    Raises:
        RefusedError: it is from the future, or the wall clock, which alone could tell, is not
            believed.

    """
    if issued.life == now.life:
        age = (now.mono_ns - issued.mono_ns) // 1_000_000
        allowed = 0
    else:
        if now.behind_ms > skew_ms:
            why = (
                f"the wall clock is {now.behind_ms} ms behind what it has shown, {skew_ms} are "
                "allowed; set it right, or have a token issued now"
            )
            raise RefusedError(Reason.CLOCK_STEPPED_BACK, why)
        age = now.wall_ms - issued.wall_ms
        allowed = skew_ms
    if age < -allowed:
        why = (
            f"expected a token issued at most {allowed} ms ahead of this clock, saw {-age} ms; "
            "set the clocks right, or have one issued here"
        )
        raise RefusedError(Reason.NOT_YET_VALID, why)
    return max(0, age - allowed)
