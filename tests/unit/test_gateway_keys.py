"""Root keys: the newest signs, older ones verify until they are retired, nobody else reads them."""

from __future__ import annotations

import json
import os

from pathlib import Path

import pytest

from biscuit_auth import BiscuitBuilder, KeyPair, UnverifiedBiscuit
from support.gateway import Gateway

from runtimes.reference.gateway.errors import ForeignKeyError, KeysError, Reason, RefusedError
from runtimes.reference.gateway.keys import FILE, Keyring


def refusal(gateway: Gateway, token: str) -> Reason:
    """Return why a token is refused."""
    with pytest.raises(RefusedError) as refused:
        gateway.check(token)
    return refused.value.reason


def private(folder: Path) -> str:
    """Return the private key that a folder has."""
    text: str = json.loads((folder / FILE).read_bytes())["private"]
    return text


def test_an_older_key_verifies_after_a_rotation() -> None:
    """Tokens of both are good; new ones name the new key."""
    gateway = Gateway()
    old = gateway.token()
    assert 2 == gateway.keyring.rotate()
    new = gateway.token()
    assert [1, 2] == [UnverifiedBiscuit.from_base64(token).root_key_id() for token in (old, new)]
    assert gateway.check(old).run == gateway.check(new).run == "r1"


def test_a_retired_key_refuses_at_once() -> None:
    """Also tokens that were verified before; those of the newer key stay good."""
    gateway = Gateway()
    old = gateway.token()
    gateway.keyring.rotate()
    new = gateway.token()
    gateway.check(old)
    gateway.check(new)
    gateway.keyring.retire(1)
    assert Reason.FOREIGN_KEY is refusal(gateway, old)
    assert gateway.check(new)
    assert (2,) == gateway.keyring.ids


def test_the_key_that_signs_cannot_be_retired() -> None:
    """There would be none left; the message says to rotate first."""
    ring = Keyring.make()
    with pytest.raises(KeysError, match="rotate first"):
        ring.retire(1)
    assert 2 == ring.rotate()
    ring.retire(1)
    assert (2,) == ring.ids


def test_only_a_key_that_is_there_can_be_retired() -> None:
    """Who retires the wrong one is told."""
    with pytest.raises(ForeignKeyError, match=r"\[1\], saw 7"):
        Keyring.make().retire(7)


def test_an_id_is_never_given_twice(tmp_path: Path) -> None:
    """A token of a retired key must not meet another key under its id, also after a load."""
    ring = Keyring.make()
    ring.rotate()
    ring.retire(1)
    ring.save(tmp_path)
    assert 3 == Keyring.load(tmp_path).rotate()


def test_a_foreign_key_is_refused_by_id_and_by_signature() -> None:
    """Another gateway's token: with our id it does not fit, with another it is not known."""
    gateway, other = Gateway(), Gateway()
    assert Reason.UNSIGNED is refusal(gateway, other.token())
    other.keyring.rotate()
    foreign = other.token()
    assert Reason.FOREIGN_KEY is refusal(gateway, foreign)
    assert other.check(foreign)
    assert gateway.check(gateway.token())


def test_a_token_without_a_key_id_is_refused() -> None:
    """It is for nobody to guess which key was meant."""
    gateway = Gateway()
    _, key = gateway.keyring.signing()
    assert Reason.FOREIGN_KEY is refusal(gateway, BiscuitBuilder("a(1)").build(key).to_base64())
    assert gateway.check(gateway.token())


def test_saved_keys_are_those_that_are_loaded(tmp_path: Path) -> None:
    """Tokens of both keys are good after a restart, and new ones are signed by the newest."""
    gateway = Gateway()
    tokens = [gateway.token()]
    gateway.keyring.rotate()
    tokens.append(gateway.token())
    gateway.keyring.save(tmp_path / "keys")
    later = Gateway(keyring=Keyring.load(tmp_path / "keys"))
    assert [2, 2, 2] == [len(later.keyring.ids), later.keyring.newest, later.keyring.signing()[0]]
    assert all(later.check(token) for token in [*tokens, later.token()])


def test_a_file_of_keys_is_for_its_user_only(tmp_path: Path) -> None:
    """Mode 600 in a folder of 700, also where a torn file lay open before."""
    folder = tmp_path / "keys"
    Keyring.make().save(folder)
    torn = folder / f"{FILE}.new"
    torn.write_text("torn")
    torn.chmod(0o644)
    Keyring.make().save(folder)
    assert [0o700, 0o600] == [path.stat().st_mode & 0o777 for path in (folder, folder / FILE)]
    assert [folder / FILE] == [*folder.iterdir()]


def test_keys_that_others_can_read_are_not_used(tmp_path: Path) -> None:
    """They may be known; the message says what to do, and with the right mode they load."""
    Keyring.make().save(tmp_path)
    (tmp_path / FILE).chmod(0o640)
    with pytest.raises(KeysError, match="saw 640; rotate"):
        Keyring.load(tmp_path)
    (tmp_path / FILE).chmod(0o600)
    assert (1,) == Keyring.load(tmp_path).ids


def test_a_failed_save_leaves_the_old_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All or nothing: what cannot be put in place is not half there."""
    ring = Keyring.make()
    ring.save(tmp_path)
    before = (tmp_path / FILE).read_bytes()
    ring.rotate()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space"):
            ring.save(tmp_path)
    assert before == (tmp_path / FILE).read_bytes()
    ring.save(tmp_path)
    assert (1, 2) == Keyring.load(tmp_path).ids


def test_the_private_half_of_an_older_key_is_gone(tmp_path: Path) -> None:
    """Who steals the file later cannot sign with it."""
    ring = Keyring.make()
    ring.save(tmp_path)
    old = private(tmp_path)
    ring.rotate()
    ring.save(tmp_path)
    assert old not in (tmp_path / FILE).read_text()
    assert ring.signing()[1].to_bytes().hex() == private(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text[:-9], "JSONDecodeError; restore"),
        (lambda _: "{}", "KeyError; restore"),
        (lambda _: "[1]", "TypeError; restore"),
        (lambda text: text.replace('"private":"', '"private":"00'), "ValueError; restore"),
        (lambda text: text.replace('"private":"', '"private":"zz'), "ValueError; restore"),
        (lambda text: text.replace('"1":', '"one":'), "ValueError; restore"),
    ],
    ids=["cut", "empty", "list", "long", "no hex", "no id"],
)
def test_a_damaged_file_is_told_without_its_secret(
    tmp_path: Path, change: object, message: str
) -> None:
    """Which file, what is wrong, what to do; the private key is in no message."""
    Keyring.make().save(tmp_path)
    assert Keyring.load(tmp_path)
    path, secret = tmp_path / FILE, private(tmp_path)
    path.write_text(change(path.read_text()))  # type: ignore[operator]
    with pytest.raises(KeysError, match=message) as failed:
        Keyring.load(tmp_path)
    assert failed.value.__cause__ is None
    assert secret not in f"{failed.value!r}{failed.value}"


def test_halves_that_do_not_fit_are_told(tmp_path: Path) -> None:
    """Else every token that is signed from now on would be refused."""
    Keyring.make().save(tmp_path)
    secret = KeyPair().private_key.to_bytes().hex()
    path = tmp_path / FILE
    path.write_text(path.read_text().replace(private(tmp_path), secret))
    with pytest.raises(KeysError, match="to fit"):
        Keyring.load(tmp_path)


def test_a_folder_without_keys_is_told(tmp_path: Path) -> None:
    """Nothing is made in passing: a new key would refuse all tokens."""
    with pytest.raises(KeysError, match="No such file or directory; save a new Keyring"):
        Keyring.load(tmp_path / "keys")
    assert not (tmp_path / "keys").exists()


def test_what_is_shared_cannot_sign() -> None:
    """It has public halves only, and nothing that is shown has a private one."""
    ring = Keyring.make()
    shared, secret = ring.shared(), ring.signing()[1].to_bytes().hex()
    assert ring.public(1).to_bytes() == shared.public(1).to_bytes()
    assert secret not in f"{shared}{ring!r}"
    with pytest.raises(ForeignKeyError, match=r"\[1\], saw 2"):
        shared.public(2)
