"""Why a run does not go on as asked; each says what is known of the effect."""

from __future__ import annotations

from collections.abc import Sequence


class ResumeError(Exception):
    """The effect was not carried out by this request."""


class EscalatedError(ResumeError):
    """Only a human can say whether an effect was carried out; what rests on it must wait.

    Attributes:
        slot: the plan's name of the effect.

    """

    def __init__(self, slot: str, why: str) -> None:
        """Say which effect, and why nobody else can tell."""
        super().__init__(f"{slot}: {why}; a human must say, with `bakeoff effects resolve`")
        self.slot = slot


class DriftError(ResumeError):
    """A premise is false: nothing was done, and the plan has to be made anew.

    Attributes:
        resources: those that are otherwise than they were read.

    """

    def __init__(self, slot: str, resources: Sequence[str]) -> None:
        """Say which effect was refused, and what has changed."""
        super().__init__(f"{slot} rests on {', '.join(resources)}, which has changed: re-plan")
        self.resources = tuple(resources)


class UnreadError(ResumeError):
    """A premise names a version that this run never read."""


class PlanError(ResumeError):
    """The program is not the one that began the run: its slots may mean something else."""
