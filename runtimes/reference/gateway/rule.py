"""What operators say of runs and keys; what takes something away is in force before it is written.

A canary on its way out is the same as an operator who says that the run must end.
"""

from __future__ import annotations

import asyncio

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from runtimes.reference.effect_log.errors import DoubtError, FencedError
from runtimes.reference.effect_log.records import Revoke
from runtimes.reference.gateway.admissions import Admission, AdmissionError, Admissions
from runtimes.reference.gateway.audit import Decision, Line
from runtimes.reference.gateway.errors import UnjudgedError
from runtimes.reference.gateway.grant import INT64
from runtimes.reference.gateway.journal import Journal
from runtimes.reference.gateway.keys import Keyring
from runtimes.reference.gateway.revocation import Revocations
from runtimes.reference.gateway.runs import Runs
from runtimes.reference.gateway.token import read


@dataclass(frozen=True, slots=True)
class Ended:
    """What was revoked, and the slots by run whose calls were out by then and may be done yet."""

    capabilities: tuple[str, ...]
    in_flight: Mapping[str, Sequence[str]]


@dataclass(slots=True)
class Rule:
    """Who may act, and until when."""

    admissions: Admissions
    runs: Runs
    journal: Journal
    keyring: Keyring
    revocations: Revocations
    _writing: set[asyncio.Task[None]] = field(default_factory=set)

    def admit(self, admissions: Sequence[Admission], peer: str) -> None:
        """Let runs act, from their next call on.

        Raises:
            GrantError: no token can say what one of them allows; none of them counts.
            OSError: it was not written, and does not count.
            UnjudgedError: the decision could not be written down, and does not count.

        """
        for one in admissions:
            self.runs.made(one, INT64 - 1)
        for one in admissions:
            self.journal.note(Line(decision=Decision.ADMISSION, run=one.run, peer=peer))
        self.admissions.admit(admissions)

    async def revoke(self, run: str, by: str, why: str) -> Ended:
        """End what a run and its children may do, until it is admitted again.

        Once this returns, no call of theirs begins but those that are said to be out.

        Raises:
            OSError, EffectLogError: it is in force in this process, and not durable.
            UnjudgedError: the same; the decision could not be written down.

        """
        ended = self._end(run, by, why)
        await self._record(run, ended, by, why)
        return ended

    async def revoke_token(self, text: str, by: str, why: str) -> tuple[str, Ended]:
        """End a token and what is narrowed from it; return its run too.

        Raises:
            RefusedError: it is no token of this gateway.
            EffectLogError: it is in force in this process, and not durable.
            UnjudgedError: the same; the decision could not be written down.

        """
        token = read(text, self.keyring)
        run, last = token.root.run, token.ids[-1]
        self.revocations.revoke_token(token.ids)
        ended = Ended((last,), self.runs.flying(run, last))
        self.journal.note(
            Line(decision=Decision.REVOCATION, reason=why, run=run, capability=last, peer=by)
        )
        await self._record(run, ended, by, why)
        return run, ended

    def _end(self, run: str, by: str, why: str) -> Ended:
        """End what a run may do; all that can fail comes after it is in force."""
        issued = [self.revocations.revoke_run(each) for each in self.runs.family(run)]
        for held in (
            self.runs.held[each] for each in self.runs.family(run) if each in self.runs.held
        ):
            held.admission = None  # admitted again, even to the same, it has another token
        ended = Ended(tuple(one for each in issued for one in each), self.runs.flying(run))
        self.admissions.withdraw(run, by, why)
        self.journal.note(Line(decision=Decision.REVOCATION, reason=why, run=run, peer=by))
        return ended

    async def _record(self, run: str, ended: Ended, by: str, why: str) -> None:
        held = self.runs.held.get(run)
        if held and ended.capabilities:
            record = Revoke(capabilities=ended.capabilities, by=by, why=why)
            try:
                await held.session.carrier.log.append(record)
            except (FencedError, DoubtError):
                self.runs.drop(run)
                raise

    def leaked(self, run: str, canaries: frozenset[str]) -> None:
        """End what a run may do, because a canary was on its way out."""
        by, why = "the gateway", f"canary {', '.join(sorted(canaries))} was on its way out"
        with suppress(AdmissionError):  # somebody was faster
            root = self.admissions.of(run).run
            with suppress(OSError, UnjudgedError):  # it is in force, here at least
                ended = self._end(root, by, why)
                task = asyncio.ensure_future(self._record(root, ended, by, why))
                self._writing.add(task)
                task.add_done_callback(self._written)

    def _written(self, task: asyncio.Task[None]) -> None:
        self._writing.discard(task)
        if not task.cancelled():
            task.exception()  # the withdrawal is durable by itself

    def rotate(self, folder: Path, by: str) -> int:
        """Sign with a new root key from now on, and return its id; the older ones stay good.

        Raises:
            OSError: it was not saved, and does not count.
            UnjudgedError: the decision could not be written down, and does not count.

        """
        self.journal.note(
            Line(decision=Decision.ROTATION, reason=f"key {self.keyring.newest + 1}", peer=by)
        )
        newest = self.keyring.rotate(folder)
        self.runs.mint_all()
        return newest

    def retire(self, key: int, folder: Path, by: str) -> None:
        """Refuse what an older root key has signed.

        Raises:
            KeysError: there is no such key, or it signs.
            OSError, UnjudgedError: it is in force in this process, and not durable.

        """
        self.keyring.retire(key)
        self.runs.mint_all()
        self.journal.note(Line(decision=Decision.ROTATION, reason=f"without key {key}", peer=by))
        self.keyring.save(folder)

    async def close(self) -> None:
        """Wait for what is being written."""
        await asyncio.gather(*self._writing, return_exceptions=True)
