"""Which peers may act for which runs, and what they may do: said by the operator, kept on disk.

The gateway holds the tokens that it makes of this.  A worker of an engine presents none: it is
known by its connection, and its run's token is found here.  What is withdrawn stays so, over any
restart, until the run is admitted again.
"""

from __future__ import annotations

import dataclasses
import os

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import orjson

from runtimes.reference.gateway.client import DAY_S
from runtimes.reference.gateway.errors import GatewayError
from runtimes.reference.gateway.grant import Bound, Grant, OneOf, Within, is_operation


KINDS: Mapping[str, type | tuple[type, ...]] = {
    **dict.fromkeys(("run", "peer"), str),
    "ttl_s": (int, float),
    "replans": bool,
    **dict.fromkeys(("approval_s", "patience_s"), int),
}


class AdmissionError(GatewayError):
    """The run may not act: nobody has admitted it, or somebody has taken that back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """A run that may act: who acts for it, what it may do, and for how long its tokens are good.

    ``replans`` says that who acts for it begins anew when told that its plan does not hold.
    ``approvals`` are operations of which a human must allow each; who is asked has ``approval_s``
    to answer, and his word is good for as long.  A request that waits for him is held for
    ``patience_s``, and then refused.  ``slots`` are the names of all that the program may do, in
    the run and its children; without any it may use whatever names it likes.
    """

    run: str
    peer: str
    grants: tuple[Grant, ...]
    ttl_s: float
    replans: bool = False
    approvals: tuple[str, ...] = ()
    approval_s: int = DAY_S
    patience_s: int = 0
    slots: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, data: Any) -> Admission:  # noqa: ANN401 - JSON
        """Return what ``to_json`` gave; what it has by default may be left out.

        Raises:
            AdmissionError: it is something else.
            GrantError: what it grants cannot be said.

        """
        try:
            grants = tuple(
                Grant(one["op"], one["target"], tuple(_bound(b) for b in one.get("bounds", ())))
                for one in data["grants"]
            )
            lists = {name: tuple(data.get(name, ())) for name in ("approvals", "slots")}
            made = cls(**{**data, **lists, "grants": grants})
        except (KeyError, TypeError, AttributeError) as error:
            msg = f"expected run, peer, grants and ttl_s of an admission, saw {error!r}"
            raise AdmissionError(msg) from error
        wrong = [name for name, kind in KINDS.items() if not isinstance(getattr(made, name), kind)]
        wrong += [op for op in made.approvals if not isinstance(op, str) or not is_operation(op)]
        wrong += [str(slot) for slot in made.slots if not isinstance(slot, str) or not slot]
        times = not wrong and made.ttl_s > 0 < made.approval_s and made.patience_s >= 0
        if not made.run or not times:
            msg = f"expected names, times above zero and operations in an admission, saw {wrong}"
            raise AdmissionError(msg)
        return made


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawal:
    """The end of what an admission allowed."""

    run: str
    by: str
    why: str


def _bound(data: Any) -> Bound:  # noqa: ANN401 - JSON
    if "values" in data:
        return OneOf(data["arg"], tuple(data["values"]))
    return Within(data["arg"], data["high"], data.get("low", 0))


Said: TypeAlias = Admission | Withdrawal


class Admissions:
    """A file of what was said of runs, which only grows; the latest of a run counts."""

    def __init__(self, path: Path) -> None:
        """Read it, or begin it; a torn last line was never acknowledged.

        Raises:
            AdmissionError: it cannot be read.

        """
        self._by_run: dict[str, Said] = {}
        whole = path.read_bytes() if path.exists() else b""
        kept = whole[: whole.rfind(b"\n") + 1]
        for number, line in enumerate(kept.splitlines(), 1):
            try:
                said = _said(orjson.loads(line))
            except (ValueError, TypeError, GatewayError) as error:
                msg = f"expected admissions in {path}, saw {error} in line {number}; restore it"
                raise AdmissionError(msg) from error
            self._by_run[said.run] = said
        flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        self._file, self._end = os.open(path, flags, 0o600), len(kept)
        os.ftruncate(self._file, self._end)

    def __iter__(self) -> Iterator[Admission]:
        """Yield the admissions."""
        return iter([one for one in self._by_run.values() if isinstance(one, Admission)])

    def admit(self, admissions: Sequence[Admission]) -> None:
        """Take runs in, durably.

        Raises:
            OSError: they were not written.

        """
        try:
            self._write(admissions, [one.to_json() for one in admissions])
        except OSError:
            # Lines that are whole by now would count after a restart, though nobody was told so.
            with suppress(OSError):
                os.ftruncate(self._file, self._end)
            raise

    def withdraw(self, run: str, by: str, why: str) -> None:
        """Take back what a run and its children were allowed, durably; it counts even if not.

        Raises:
            OSError: it was not written.

        """
        runs = [run, *(other for other in self._by_run if other.startswith(f"{run}."))]
        ends = [Withdrawal(run=each, by=by, why=why) for each in runs]
        self._by_run |= {end.run: end for end in ends}
        self._write(ends, [{"withdrawn": dataclasses.asdict(end)} for end in ends])

    def of(self, run: str) -> Admission:
        """Return the admission of a run, or of the run that began it.

        Raises:
            AdmissionError: there is none, or it was withdrawn.

        """
        parts = run.split(".")
        for end in range(len(parts), 0, -1):
            found = self._by_run.get(".".join(parts[:end]))
            if isinstance(found, Withdrawal):
                msg = f"{found.by} ended what {found.run} may do: {found.why}; admit it again"
                raise AdmissionError(msg)
            if found:
                return found
        msg = f"expected a run that was admitted, saw {run[:80]!a}; admit it first"
        raise AdmissionError(msg)

    def withdrawn(self, run: str) -> str:
        """Return why a run may not act any more; empty where it may, or never might."""
        found = self._by_run.get(run)
        return found.why if isinstance(found, Withdrawal) else ""

    def knows(self, run: str) -> bool:
        """Say whether anything was ever said of a run, or of one that began it."""
        parts = run.split(".")
        return any(".".join(parts[:end]) in self._by_run for end in range(len(parts), 0, -1))

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def _write(self, said: Sequence[Said], lines: Sequence[Mapping[str, Any]]) -> None:
        text = b"".join(orjson.dumps(line) + b"\n" for line in lines)
        # Always from the end of the last whole line: what was written in part is written over.
        if os.pwrite(self._file, text, self._end) < len(text):
            msg = "the file of admissions takes no more"
            raise OSError(msg)
        os.fdatasync(self._file)
        self._end += len(text)
        self._by_run |= {one.run: one for one in said}


def _said(data: Any) -> Said:  # noqa: ANN401 - JSON
    if isinstance(data, dict) and "withdrawn" in data:
        return Withdrawal(**data["withdrawn"])
    return Admission.from_json(data)
