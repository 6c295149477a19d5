"""What an effect is, so that repeating it can be judged.

Whether a repeated call harms depends on two things only: the class of the effect and
what its provider offers against repetition.  Everything that predicts or judges starts
from these two enumerations.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias


Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"


class Effect(StrEnum):
    """How an effect stands repetition."""

    READ = "read"
    """Changes nothing."""
    IDEMPOTENT = "idempotent"
    """Twice is once."""
    IRREVERSIBLE = "irreversible"
    """Twice is harm, and it cannot be undone."""
    HYBRID = "hybrid"
    """A write whose rightness rests on a value that was read before."""

    @property
    def writes(self) -> bool:
        """Say whether the world may change."""
        return self is not Effect.READ

    @property
    def once(self) -> bool:
        """Say whether a second application is a violation."""
        return self in {Effect.IRREVERSIBLE, Effect.HYBRID}


class Tier(StrEnum):
    """What a provider offers against repetition."""

    K = "K"
    """Honours an idempotency key, within a retention."""
    Q = "Q"
    """Can be asked whether an effect was applied, with a lag."""
    V = "V"
    """Compare-and-swap on a version."""
    O = "O"  # noqa: E741 - the field's name for an opaque provider
    """Opaque: none of these."""


class Guard(StrEnum):
    """What stands between the program and the world."""

    NONE = "none"
    KEYS = "keys"
    """A stable idempotency key of run and step goes with each write."""
    GATEWAY = "gateway"
    """All calls go through a capability gateway, which has the keys, the log and the credential."""


@dataclass(frozen=True, slots=True)
class Op:
    """An operation of the world: its verb and the class of its effect."""

    verb: str
    effect: Effect


def idempotency_key(run: str, step: str) -> str:
    """Return the key of one logical effect: the same for every attempt of it."""
    return f"{run}/{step}"
