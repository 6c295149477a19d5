"""Looking at a live deployment: what `bakeoff diagnose` asks of a runtime.

An observer only reads.  What it would do about a run is a `Remedy`: a sentence, whom it could
harm, and whether what is seen proves that nobody is at work on the run.  Only a proven one is
ever carried out, and only after a second look has shown the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from harness.effects import Json
from harness.signature import Diagnosis, Evidence, Signature, diagnosis


@dataclass(frozen=True, slots=True, kw_only=True)
class Remedy:
    """What would be done about one run.

    ``verb`` and ``args`` are the observer's own words for it.  ``proven``: nobody can be at
    work on the run, so that nothing alive is hit.
    """

    run: str
    does: str
    harms: str
    proven: bool
    verb: str
    args: Mapping[str, Json] = field(default_factory=dict)


class Observer(Protocol):
    """A live deployment, seen read-only until `carry_out` is called."""

    def look(self, older_than_s: float) -> Sequence[Evidence]:
        """Return what is visible of each run that has not ended and is at least so old.

        Raises:
            RuntimeUnavailableError: the deployment does not answer.

        """
        ...

    def remedy(self, seen: Evidence, signature: Signature) -> Remedy | None:
        """Return what could be done about a run, or None where there is nothing."""
        ...

    def carry_out(self, remedy: Remedy) -> str:
        """Do it; return what the deployment answered."""
        ...


@runtime_checkable
class Observable(Protocol):
    """A runtime whose live deployments can be looked at."""

    def observe(self) -> AbstractContextManager[Observer]:
        """Return an observer of the deployment that the environment names.

        Raises:
            RuntimeUnavailableError: no deployment is named, or it does not answer.

        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One run of a deployment: what is wrong, what could be done, what was done."""

    run: str
    diagnosis: Diagnosis
    remedy: Remedy | None = None
    done: str = ""

    def to_json(self) -> dict[str, Json]:
        """Return it as a JSON object."""
        remedy = self.remedy
        return {
            "run": self.run,
            **self.diagnosis.to_json(),
            "would": remedy.does if remedy else "",
            "could_harm": remedy.harms if remedy else "",
            "proven": bool(remedy and remedy.proven),
            "done": self.done,
        }


def examine(
    observer: Observer, settings: Mapping[str, Json], older_than_s: float
) -> Sequence[Found]:
    """Return what is wrong with the runs of a deployment; those that are well are left out."""
    found = []
    for seen in observer.look(older_than_s):
        told = diagnosis(seen, settings)
        if told.signature is not Signature.CLEAN:
            remedy = observer.remedy(seen, told.signature)
            found.append(Found(run=seen.run, diagnosis=told, remedy=remedy))
    return found


def fix(
    observer: Observer, settings: Mapping[str, Json], older_than_s: float, found: Sequence[Found]
) -> Sequence[Found]:
    """Carry out what is proven, and nothing else; return what was found with what was done.

    A run may have moved since it was looked at, so it is looked at again right before.
    """
    done = []
    for item in found:
        if item.remedy is None or not item.remedy.proven:
            done.append(item)
            continue
        again = {other.run: other for other in examine(observer, settings, older_than_s)}
        other = again.get(item.run)
        if other is None or other.diagnosis.signature is not item.diagnosis.signature:
            said = "left alone: it has changed since it was looked at"
        elif other.remedy is None or not other.remedy.proven:
            said = "left alone: it is not proven dead any more"
        else:
            said = observer.carry_out(other.remedy)
        done.append(Found(run=item.run, diagnosis=item.diagnosis, remedy=item.remedy, done=said))
    return done
