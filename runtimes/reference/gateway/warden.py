"""Who decides at the gateway whether a peer may do something now, with its token.

Both judges must agree: a request that one of them does not allow is not carried out.
"""

from __future__ import annotations

from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass

from runtimes.reference.gateway.clock import SKEW_MS, Moment, age_ms
from runtimes.reference.gateway.errors import Reason, RefusedError, UnjudgedError
from runtimes.reference.gateway.judges import LIMIT_MS, Request, datalog_allows, explain
from runtimes.reference.gateway.keys import Keyring
from runtimes.reference.gateway.revocation import Revocations
from runtimes.reference.gateway.token import Token, read


TRIES = 3
CACHED = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Permit:
    """It may happen: under which capability, and for how long this stays true."""

    run: str
    peer: str
    epoch: int
    key_id: int
    capabilities: tuple[str, ...]
    left_ms: int

    @property
    def capability(self) -> str:
        """The id that ends just this token, as an intent names it."""
        return self.capabilities[-1]


class Warden:
    """Judges requests; what is revoked or retired counts from the next one on."""

    def __init__(
        self,
        keyring: Keyring,
        revocations: Revocations,
        *,
        skew_ms: int = SKEW_MS,
        limit_ms: int = LIMIT_MS,
    ) -> None:
        """Judge by these keys and revocations."""
        self._keyring, self._revocations = keyring, revocations
        self._skew_ms, self._limit_ms = skew_ms, limit_ms
        self._tokens: OrderedDict[str, Token] = OrderedDict()
        self._generation = keyring.generation

    def check(self, text: str, request: Request, now: Moment) -> Permit:
        """Return the permit for a request.

        Raises:
            RefusedError: the token does not allow it.
            UnjudgedError: there is no verdict; nothing is known to be wrong.

        """
        token = self._token(text)
        if ended := self._revocations.ended(token.ids):
            why = f"capability {ended[:16]}... has ended; have a token issued anew"
            raise RefusedError(Reason.REVOKED, why)
        age = explain(token, request, now, self._skew_ms)
        if not self._allowed(token, request, age):
            msg = "the words of the token allow it and its datalog does not; report this"
            raise UnjudgedError(msg)
        return Permit(
            run=token.root.run,
            peer=token.root.peer,
            epoch=token.root.epoch,
            key_id=token.key_id,
            capabilities=token.ids,
            left_ms=token.ttl_ms - age,
        )

    def confirm(self, permit: Permit, given: Moment, now: Moment) -> None:
        """Hold a permit that was given before to what is true now.

        Raises:
            RefusedError: it would not be given any more.

        """
        if ended := self._revocations.ended(permit.capabilities):
            why = f"capability {ended[:16]}... has ended; have a token issued anew"
            raise RefusedError(Reason.REVOKED, why)
        if permit.key_id not in self._keyring.ids:
            why = f"root key {permit.key_id} was retired; have a token issued anew"
            raise RefusedError(Reason.RETIRED, why)
        if (passed := age_ms(given, now, self._skew_ms)) >= permit.left_ms:
            why = f"expected less than {permit.left_ms} ms of waiting, saw {passed}; ask again"
            raise RefusedError(Reason.EXPIRED, why)

    def _token(self, text: str) -> Token:
        if self._generation != self._keyring.generation:
            self._tokens.clear()
            self._generation = self._keyring.generation
        token = self._tokens.get(text)
        if token is None:
            token = self._tokens[text] = read(text, self._keyring)
            if len(self._tokens) > CACHED:
                self._tokens.popitem(last=False)
        else:
            self._tokens.move_to_end(text)
        return token

    def _allowed(self, token: Token, request: Request, age: int) -> bool:
        for _ in range(TRIES - 1):
            with suppress(UnjudgedError):
                return datalog_allows(token, request, age, self._limit_ms)
        return datalog_allows(token, request, age, self._limit_ms)
