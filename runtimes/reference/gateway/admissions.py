"""Which peers may act for which runs, and what they may do: said by the operator, kept on disk.

The gateway holds the tokens that it makes of this.  A worker of an engine presents none: it is
known by its connection, and its run's token is found here.
"""

from __future__ import annotations

import dataclasses
import os

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from runtimes.reference.gateway.errors import GatewayError
from runtimes.reference.gateway.grant import Bound, Grant, OneOf, Within


class AdmissionError(GatewayError):
    """Nobody has admitted this run, or the file of admissions cannot be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """A run that may act: who acts for it, what it may do, and for how long its tokens are good.

    ``replans`` says that who acts for it begins anew when told that its plan does not hold.
    """

    run: str
    peer: str
    grants: tuple[Grant, ...]
    ttl_s: float
    replans: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, data: Any) -> Admission:  # noqa: ANN401 - JSON
        """Return what ``to_json`` gave.

        Raises:
            AdmissionError: it is something else.
            GrantError: what it grants cannot be said.

        """
        try:
            grants = tuple(
                Grant(one["op"], one["target"], tuple(_bound(b) for b in one["bounds"]))
                for one in data["grants"]
            )
            return cls(
                run=str(data["run"]),
                peer=str(data["peer"]),
                grants=grants,
                ttl_s=float(data["ttl_s"]),
                replans=bool(data["replans"]),
            )
        except (KeyError, TypeError) as error:
            msg = f"expected run, peer, grants, ttl_s and replans of an admission, saw {error!r}"
            raise AdmissionError(msg) from error


def _bound(data: Any) -> Bound:  # noqa: ANN401 - JSON
    if "values" in data:
        return OneOf(data["arg"], tuple(data["values"]))
    return Within(data["arg"], data["high"], data["low"])


class Admissions:
    """A file of admissions, which only grows; the latest of a run counts."""

    def __init__(self, path: Path) -> None:
        """Read it, or begin it; a torn last line was never acknowledged.

        Raises:
            AdmissionError: it cannot be read.

        """
        self._by_run: dict[str, Admission] = {}
        whole = path.read_bytes() if path.exists() else b""
        kept = whole[: whole.rfind(b"\n") + 1]
        for line in kept.splitlines():
            try:
                admission = Admission.from_json(orjson.loads(line))
            except orjson.JSONDecodeError as error:
                msg = f"expected admissions in {path}, saw {error}; restore the file"
                raise AdmissionError(msg) from error
            self._by_run[admission.run] = admission
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
        os.ftruncate(self._file, len(kept))
        os.lseek(self._file, 0, os.SEEK_END)

    def __iter__(self) -> Iterator[Admission]:
        """Yield the admissions."""
        return iter([*self._by_run.values()])

    def admit(self, admissions: Sequence[Admission]) -> None:
        """Take runs in, durably.

        Raises:
            OSError: they were not written.

        """
        text = b"".join(orjson.dumps(one.to_json()) + b"\n" for one in admissions)
        os.write(self._file, text)
        os.fdatasync(self._file)
        self._by_run |= {one.run: one for one in admissions}

    def of(self, run: str) -> Admission:
        """Return the admission of a run, or of the run that began it.

        Raises:
            AdmissionError: there is none.

        """
        parts = run.split(".")
        for end in range(len(parts), 0, -1):
            if found := self._by_run.get(".".join(parts[:end])):
                return found
        msg = f"expected a run that was admitted, saw {run[:80]!r}; admit it first"
        raise AdmissionError(msg)

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)
