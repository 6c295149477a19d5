"""Looking at a live deployment: what `bakeoff diagnose` asks of a runtime.

An observer only reads.  What it would do about a run is a `Remedy`: a sentence, whom it could
harm, and whether what is seen proves that nobody is at work on the run.  Only a proven one is
ever carried out, and only after a second look has shown the same.
"""

from __future__ import annotations

import os

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from typing import Protocol, runtime_checkable

import httpx

from harness.deadline import Deadline, DeadlineError, wait_until
from harness.effects import Json
from harness.engines import Engine, EngineError, search
from harness.process import Address
from harness.rpc import RpcError
from harness.runtime import RuntimeUnavailableError
from harness.signature import Diagnosis, Evidence, Signature, diagnosis


MEND_S, MEND_POLL_S = 15.0, 0.5
SAID = 300


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
        """Return what is visible of each run that is at least so old and has not ended.

        Also of those that the engine has given up of late, where it says that it did.

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
    """One run of a deployment: what is wrong, what could be done, what was done.

    ``mended``: it was done, and the same was not seen of the run any more.
    """

    run: str
    diagnosis: Diagnosis
    remedy: Remedy | None = None
    done: str = ""
    mended: bool = False

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
            "mended": self.mended,
        }


def named(engine: Engine) -> Address:
    """Return the address of the live deployment that the environment names.

    Raises:
        RuntimeUnavailableError: it names none, or none that can be.

    """
    if not os.environ.get(engine.env_address):
        msg = f"{engine.name}: no deployment is named; set {engine.env_address} to its host:port"
        raise RuntimeUnavailableError(msg)
    try:
        found = search(engine).found
    except EngineError as error:
        raise RuntimeUnavailableError(str(error)) from error
    if found is None or found.address is None:
        msg = f"{engine.name}: {engine.env_binary} names a server to be started; unset it"
        raise RuntimeUnavailableError(msg)
    return found.address


def needs(module: str, extra: str) -> None:
    """Return if the SDK is installed that a child needs; it is not imported here.

    Raises:
        RuntimeUnavailableError: it is not.

    """
    if find_spec(module) is None:
        msg = f"{extra}: its SDK is not installed; run: pip install 'bakeoff[{extra}]'"
        raise RuntimeUnavailableError(msg)


@contextmanager
def answering(name: str, place: object, variable: str) -> Iterator[None]:
    """Make one clear error of whatever a stranger at that place answers, or does not.

    Raises:
        RuntimeUnavailableError: no answer, or none that a deployment of ``name`` gives.

    """
    try:
        yield
    except (httpx.HTTPError, RpcError, OSError, KeyError, TypeError, ValueError) as error:
        # What a child died of is in its last words.
        said = f"{type(error).__name__}: {' '.join(str(error).split())[-SAID:]}"
        msg = f"{name} at {place} does not answer as one ({said}); correct {variable}"
        raise RuntimeUnavailableError(msg) from error


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

    A run may have moved since it was looked at, so it is looked at again right before; and
    what was done counts only where it is seen to have helped.
    """
    done = []
    for item in found:
        if item.remedy is None or not item.remedy.proven:
            done.append(item)
            continue
        other = _again(observer, settings, older_than_s).get(item.run)
        if not _same(item, other):
            said = "left alone: it has changed since it was looked at"
        elif other is None or other.remedy is None or not other.remedy.proven:
            said = "left alone: it is not proven dead any more"
        else:
            said = observer.carry_out(other.remedy)
        done.append(replace(item, done=said))
    acted = [item for item in done if item.done and not item.done.startswith("left alone")]
    left = _unmended(observer, settings, older_than_s, acted)
    return [replace(item, mended=item in acted and item.run not in left) for item in done]


def _again(
    observer: Observer, settings: Mapping[str, Json], older_than_s: float
) -> Mapping[str, Found]:
    return {item.run: item for item in examine(observer, settings, older_than_s)}


def _same(item: Found, other: Found | None) -> bool:
    return other is not None and other.diagnosis.signature is item.diagnosis.signature


def _unmended(
    observer: Observer, settings: Mapping[str, Json], older_than_s: float, acted: Sequence[Found]
) -> set[str]:
    """Return the runs of which the same is still seen after a while."""
    left = {item.run for item in acted}

    def gone() -> bool:
        seen = _again(observer, settings, older_than_s)
        left.intersection_update(item.run for item in acted if _same(item, seen.get(item.run)))
        return not left

    if acted:
        with suppress(DeadlineError):
            deadline = Deadline.after(MEND_S)
            wait_until(gone, deadline, "the runs are mended", poll_s=MEND_POLL_S)
    return left
