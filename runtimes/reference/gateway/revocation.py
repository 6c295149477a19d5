"""Which capabilities have ended.

A token has one capability id for each of its blocks, and the ids of what it was narrowed from: so
the end of a parent is that of its children, and not the other way round.  The ids are kept here
in memory; what makes them durable are the Revoke records of the effect log.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType


class Revocations:
    """The ids that are revoked, and those that were issued for each run."""

    def __init__(
        self, ids: Iterable[str] = (), issued: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        """Begin with what the log says: ids that are revoked, and runs by issued id."""
        self._revoked = set(ids)
        self._issued: dict[str, set[str]] = {}
        for capability, run in issued.items():
            self.issue(run, capability)

    def issue(self, run: str, capability: str) -> None:
        """Note that a run was given a capability."""
        self._issued.setdefault(run, set()).add(capability)

    def revoke(self, *capabilities: str) -> tuple[str, ...]:
        """End capabilities; return those that had not ended, for the record of it."""
        fresh = tuple(sorted(set(capabilities) - self._revoked))
        self._revoked.update(fresh)
        return fresh

    def revoke_run(self, run: str) -> tuple[str, ...]:
        """End all that a run was given; return what had not ended."""
        return self.revoke(*self._issued.get(run, ()))

    def revoke_token(self, ids: tuple[str, ...]) -> tuple[str, ...]:
        """End a token, by its ``capability_ids``, and what is narrowed from it; not its parent."""
        return self.revoke(ids[-1])

    def ended(self, ids: Iterable[str]) -> str:
        """Return the first id that is revoked; empty if none is."""
        return next((capability for capability in ids if capability in self._revoked), "")

    def forget(self, run: str) -> None:
        """Drop what was issued for a run that is over; what is revoked stays so."""
        self._issued.pop(run, None)
