"""What a token may allow: an operation, a target or all below it, and bounds for its arguments.

A target has the one spelling that ``Target`` gives it; a request in another one is refused, not
repaired.  A subtree ends in ``/``: so no name that merely begins like a granted one lies within.
What means all below a place (``source/*``) lies within the subtree of that place.
"""

from __future__ import annotations

import re

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

from harness.effects import Json
from runtimes.reference.gateway.errors import GrantError
from runtimes.reference.gateway.target import Target
from runtimes.reference.gateway.visible import TargetError


LONGEST = 512
"""Characters of a target."""
MOST = 64
"""Grants of a token, bounds of a grant, and values of a bound."""
OPERATION = re.compile(r"[a-z0-9_]{1,64}(?:\.[a-z0-9_]{1,64}){0,7}")
ARGUMENT = re.compile(r"[A-Za-z0-9_.-]{1,64}")
INT64 = 1 << 63


@dataclass(frozen=True, slots=True)
class Within:
    """A whole number from ``low`` to ``high``: below zero only where that is said."""

    arg: str
    high: int
    low: int = 0

    def __post_init__(self) -> None:
        _argument(self.arg)
        if not all(type(end) is int for end in (self.low, self.high)) or not (
            -INT64 <= self.low <= self.high < INT64
        ):
            msg = f"{self.arg}: expected whole 64-bit numbers low <= high"
            raise GrantError(msg)

    def holds(self, args: Mapping[str, Json]) -> bool:
        """Say whether the argument is there and within."""
        value = args.get(self.arg)
        return type(value) is int and self.low <= value <= self.high


@dataclass(frozen=True, slots=True)
class OneOf:
    """A text that is one of these, letter by letter."""

    arg: str
    values: tuple[str, ...]

    def __post_init__(self) -> None:
        _argument(self.arg)
        if not (1 <= len(self.values) <= MOST and all(_plain(value) for value in self.values)):
            msg = (
                f"{self.arg}: expected 1 to {MOST} printable texts of at most {LONGEST} "
                "characters without quotes and backslashes"
            )
            raise GrantError(msg)

    def holds(self, args: Mapping[str, Json]) -> bool:
        """Say whether the argument is there and one of them."""
        value = args.get(self.arg)
        return type(value) is str and value in self.values


Bound: TypeAlias = Within | OneOf


@dataclass(frozen=True, slots=True)
class Grant:
    """One operation, on one target or (ending in ``/``) on all below it, if all bounds hold.

    An argument without a bound may be anything.
    """

    op: str
    target: str
    bounds: tuple[Bound, ...] = ()

    def __post_init__(self) -> None:
        if not is_operation(self.op):
            msg = f"expected an operation such as 'dns.update', saw {seen(self.op)}"
            raise GrantError(msg)
        if not _grantable(self.target):
            msg = (
                "expected a target such as 'zone:example.com/app', or 'zone:example.com/' for all "
                f"below it, saw {seen(self.target)}"
            )
            raise GrantError(msg)
        if len(self.bounds) > MOST:
            msg = f"expected at most {MOST} bounds, saw {len(self.bounds)}"
            raise GrantError(msg)

    @property
    def below(self) -> bool:
        """Say whether it is for all below the target."""
        return self.target.endswith("/")

    def names(self, op: str, target: str) -> bool:
        """Say whether it is for this operation on this target, whatever the arguments."""
        if op != self.op or not is_target(target):
            return False
        return target.startswith(self.target) if self.below else target == self.target

    def holds(self, args: Mapping[str, Json]) -> bool:
        """Say whether the arguments are within all bounds."""
        return all(bound.holds(args) for bound in self.bounds)


def is_target(text: str) -> bool:
    """Say whether a text is the one spelling of a target, and short enough for a token."""
    return len(text) <= LONGEST and _canonical(text)


def _grantable(text: str) -> bool:
    """Say whether a text is one target, or with a stroke at its end all below one."""
    if len(text) > LONGEST or text.endswith("//"):
        return False
    # The root of a URL ends in a stroke by itself.
    for root in (text.removesuffix("/"), text):
        if is_target(root):
            found = Target.parse(root)
            alone = found.query or found.scheme == "mailto"
            return not found.pattern and not (alone and text.endswith("/"))
    return False


@lru_cache(maxsize=4096)
def _canonical(text: str) -> bool:
    try:
        return str(Target.parse(text)) == text and _plain(text)
    except TargetError:
        return False


def is_operation(text: str) -> bool:
    """Say whether a text can be an operation."""
    return OPERATION.fullmatch(text) is not None


def seen(text: str) -> str:
    """Return a text as a message may quote it: one line, short, and ASCII."""
    return ascii(text if len(text) <= 80 else f"{text[:80]}...")  # noqa: PLR2004 - one line


def _argument(name: str) -> None:
    if not ARGUMENT.fullmatch(name):
        msg = f"expected the name of an argument, saw {seen(name)}"
        raise GrantError(msg)


def _plain(value: str) -> bool:
    # Datalog prints texts as they are: with quotes, two blocks could have one source.
    fits = type(value) is str and len(value) <= LONGEST and value.isprintable()
    return fits and not {'"', "\\"} & {*value}
