"""Tokens: made for a run, narrowed for a child, and read back as what they say.

A token is a Biscuit: signed blocks, of which anyone may add one and nobody can take one away.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from biscuit_auth import Biscuit, BiscuitValidationError, UnverifiedBiscuit

from runtimes.reference.gateway.blocks import narrowing_block, read_narrowing, root_block
from runtimes.reference.gateway.clock import Moment
from runtimes.reference.gateway.errors import ForeignKeyError, GrantError, Reason, RefusedError
from runtimes.reference.gateway.grant import Grant
from runtimes.reference.gateway.keys import Keyring, PublicKeys
from runtimes.reference.gateway.words import Narrowing, Root, read_root


LONGEST = 32_768
"""Characters of a token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A token whose signatures hold, and what its blocks say; ``ids`` has one id for each."""

    biscuit: Biscuit
    key_id: int
    ids: tuple[str, ...]
    root: Root
    narrowings: tuple[Narrowing, ...]

    @property
    def ttl_ms(self) -> int:
        """The shortest time that a block allows, from the issue of the first."""
        later = [block.ttl_ms for block in self.narrowings if block.ttl_ms is not None]
        return min([self.root.ttl_ms, *later])

    @property
    def allowed(self) -> tuple[tuple[Grant, ...], ...]:
        """The grants of each block that has some: one of each must apply."""
        later = (block.grants for block in self.narrowings if block.grants is not None)
        return (self.root.grants, *later)


def mint(
    keyring: Keyring,
    *,
    run: str,
    epoch: int,
    peer: str,
    grants: Sequence[Grant],
    issued_at: Moment,
    ttl_s: float,
) -> str:
    """Return a token that allows a peer what the grants say, for a run in an epoch.

    Raises:
        GrantError: that cannot be said.

    """
    root = Root(
        run=run,
        peer=peer,
        epoch=epoch,
        issued=issued_at,
        ttl_ms=round(ttl_s * 1000),
        grants=tuple(grants),
    )
    block = root_block(root)
    key_id, private = keyring.signing()
    block.set_root_key_id(key_id)
    return _short(block.build(private).to_base64())


def attenuate(
    text: str,
    keys: PublicKeys,
    *,
    grants: Sequence[Grant] | None = None,
    ttl_s: float | None = None,
) -> str:
    """Return a token for a child: what ``text`` allows, but no more than is said here.

    It takes no private key and no clock: ``ttl_s`` counts from the issue of the first token.

    Raises:
        GrantError: it says nothing, or that cannot be said.
        RefusedError: ``text`` is no token of these keys.

    """
    narrowing = Narrowing(
        grants=None if grants is None else tuple(grants),
        ttl_ms=None if ttl_s is None else round(ttl_s * 1000),
    )
    return _short(read(text, keys).biscuit.append(narrowing_block(narrowing)).to_base64())


def capability_ids(text: str) -> tuple[str, ...]:
    """Return the id of each block, the first one's first; it takes no key.

    Raises:
        RefusedError: it is no token.

    """
    return tuple(_unverified(text).revocation_ids)


def read(text: str, keys: PublicKeys) -> Token:
    """Return what a token says, if its signatures hold.

    Raises:
        RefusedError: it is no token, none of these keys, or has a block that nobody here wrote.

    """
    key_id = _unverified(text).root_key_id()
    try:
        public = keys.public(0 if key_id is None else key_id)
    except ForeignKeyError as error:
        raise RefusedError(Reason.FOREIGN_KEY, f"{error}; have a token issued here") from None
    try:
        biscuit = Biscuit.from_base64(text, public)
    except BiscuitValidationError:
        why = f"expected signatures that root key {key_id} begins, saw others; use it as it was"
        raise RefusedError(Reason.UNSIGNED, why) from None
    if biscuit.to_base64() != text:
        why = "expected the one text of the token, saw another; use it as it was"
        raise RefusedError(Reason.MALFORMED, why)
    return Token(
        biscuit=biscuit,
        key_id=key_id or 0,
        ids=tuple(biscuit.revocation_ids),
        root=_root(biscuit),
        narrowings=tuple(_narrowing(biscuit, at) for at in range(1, biscuit.block_count())),
    )


def _unverified(text: str) -> UnverifiedBiscuit:
    if len(text) > LONGEST:
        why = f"expected a token of at most {LONGEST} characters, saw {len(text)}; use it as it was"
        raise RefusedError(Reason.MALFORMED, why)
    try:
        return UnverifiedBiscuit.from_base64(text)
    except (BiscuitValidationError, UnicodeEncodeError):
        why = "expected a token, saw something else; use it as it was"
        raise RefusedError(Reason.MALFORMED, why) from None


def _root(biscuit: Biscuit) -> Root:
    try:
        return read_root(biscuit.block_source(0))
    except (ValueError, KeyError, TypeError) as error:
        why = f"expected a first block as `mint` writes it, saw: {error}; have one issued anew"
        raise RefusedError(Reason.MALFORMED, why) from None


def _narrowing(biscuit: Biscuit, at: int) -> Narrowing:
    why = f"expected blocks as `attenuate` writes them, saw another at {at}; narrow with that"
    if biscuit.block_external_key(at) is not None:
        raise RefusedError(Reason.MALFORMED, why)
    try:
        return read_narrowing(biscuit.block_source(at))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise RefusedError(Reason.MALFORMED, why) from None


def _short(text: str) -> str:
    if len(text) > LONGEST:
        msg = f"expected a token of at most {LONGEST} characters, saw {len(text)}; grant less"
        raise GrantError(msg)
    return text
