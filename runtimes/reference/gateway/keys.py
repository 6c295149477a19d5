"""The root keys: the newest signs, older ones only verify, and a retired one does neither.

One file has them all, so that a rotation is there as a whole or not at all.  The private half of
a key is gone as soon as there is a newer one: who steals the file can sign from now on, but
tokens of an earlier key cannot be made any more.
"""

from __future__ import annotations

import os

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import orjson

from biscuit_auth import Algorithm, KeyPair, PrivateKey, PublicKey

from runtimes.reference.gateway.errors import ForeignKeyError, KeysError


FILE = "keyring.json"
OTHERS = 0o077
"""The permissions that a file with a private key must not give."""


class PublicKeys(Protocol):
    """What it takes to tell a token from a forged one."""

    def public(self, key_id: int) -> PublicKey:
        """Return the root key with this id.

        Raises:
            ForeignKeyError: there is none.

        """
        ...


@dataclass(frozen=True, slots=True)
class SharedKeys:
    """The public halves by id, in hex, for who narrows tokens elsewhere."""

    keys: Mapping[int, str]

    def public(self, key_id: int) -> PublicKey:
        """Return the root key with this id; raises as ``PublicKeys`` says."""
        if key_id not in self.keys:
            msg = f"expected one of the root keys {sorted(self.keys)}, saw {key_id}"
            raise ForeignKeyError(msg)
        return _public(self.keys[key_id])


class Keyring:
    """The root keys of a gateway; ids begin at 1 and are never given twice.

    ``generation`` changes when a key is retired: what was verified before is not verified now.
    """

    def __init__(self, private: PrivateKey, public: Mapping[int, PublicKey]) -> None:
        """Sign with a private key, whose public half is the newest."""
        self._private, self._public = private, dict(sorted(public.items()))
        self.newest = max(public)
        self.generation = 0

    @classmethod
    def make(cls) -> Keyring:
        """Make the first key."""
        pair = KeyPair()
        return cls(pair.private_key, {1: pair.public_key})

    @property
    def ids(self) -> tuple[int, ...]:
        """The keys that verify, oldest first."""
        return tuple(self._public)

    def rotate(self, folder: Path | None = None) -> int:
        """Have new tokens signed by a new key, and return its id; in a folder it is saved first.

        Raises:
            OSError: it was not saved, and signs nothing.

        """
        pair, before = KeyPair(), (self._private, self.newest)
        self._private, self.newest = pair.private_key, self.newest + 1
        self._public[self.newest] = pair.public_key
        try:
            if folder:
                self.save(folder)
        except OSError:
            del self._public[self.newest]
            self._private, self.newest = before
            raise
        return self.newest

    def retire(self, key_id: int) -> None:
        """Refuse all tokens that a key has signed, from now on.

        Raises:
            ForeignKeyError: there is no such key.
            KeysError: it is the one that signs.

        """
        self.public(key_id)
        if key_id == self.newest:
            msg = f"expected an older root key, saw {key_id}, which signs; rotate first"
            raise KeysError(msg)
        del self._public[key_id]
        self.generation += 1

    def public(self, key_id: int) -> PublicKey:
        """Return the root key with this id; raises as ``PublicKeys`` says."""
        if key_id not in self._public:
            msg = f"expected one of the root keys {[*self._public]}, saw {key_id}"
            raise ForeignKeyError(msg)
        return self._public[key_id]

    def signing(self) -> tuple[int, PrivateKey]:
        """Return the key that signs, with its id."""
        return self.newest, self._private

    def shared(self) -> SharedKeys:
        """Return what may be given away."""
        return SharedKeys({number: key.to_bytes().hex() for number, key in self._public.items()})

    def save(self, folder: Path) -> None:
        """Write the keys to a folder, all or nothing, for this user only.

        Raises:
            OSError: they were not written; what was there is there.

        """
        said = {
            "private": self._private.to_bytes().hex(),
            "public": {str(number): text for number, text in self.shared().keys.items()},
        }
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = folder / f"{FILE}.new"
        fresh.unlink(missing_ok=True)  # a torn one would keep its permissions
        file = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(file, "wb") as stream:
            stream.write(orjson.dumps(said))
            stream.flush()
            os.fsync(stream.fileno())
        fresh.replace(folder / FILE)
        place = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(place)
        finally:
            os.close(place)

    @classmethod
    def load(cls, folder: Path) -> Keyring:
        """Read the keys of a folder.

        Raises:
            KeysError: there are none, others may read them, or they cannot be read.

        """
        path = folder / FILE
        try:
            mode = path.stat().st_mode & 0o777
            data = path.read_bytes()
        except OSError as error:
            msg = f"expected root keys in {path}, saw {error.strerror}; save a new Keyring there"
            raise KeysError(msg) from error
        if mode & OTHERS:
            msg = f"expected {path} with mode 600, saw {mode:o}; rotate the key, and chmod 600"
            raise KeysError(msg)
        try:
            said = orjson.loads(data)
            pair = KeyPair.from_private_key(_private(said["private"]))
            shared = SharedKeys({int(number): text for number, text in said["public"].items()})
            ring = cls(pair.private_key, {number: shared.public(number) for number in shared.keys})
            whole = ring.public(ring.newest).to_bytes() == pair.public_key.to_bytes()
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            # The cause may quote the file, which has the private key.
            msg = f"expected root keys in {path}, saw {type(error).__name__}; restore the file"
            raise KeysError(msg) from None
        if not whole:
            msg = f"expected the halves of root key {ring.newest} in {path} to fit, saw others"
            raise KeysError(msg)
        return ring


# The stubs of the library know neither the algorithms nor that one must be named.


def _private(text: str) -> PrivateKey:
    return PrivateKey.from_bytes(bytes.fromhex(text), Algorithm.Ed25519)  # type: ignore[call-arg, attr-defined]


def _public(text: str) -> PublicKey:
    return PublicKey.from_bytes(bytes.fromhex(text), Algorithm.Ed25519)  # type: ignore[call-arg, attr-defined]
