"""Tokens: what is not signed, narrowed, current and meant for this request is refused."""

from __future__ import annotations

import base64
import itertools

from collections.abc import Callable
from typing import Any

import pytest

from biscuit_auth import Biscuit, BlockBuilder, KeyPair
from support.gateway import GRANTS, Gateway, ask, datalog, wire

from runtimes.reference.gateway import warden
from runtimes.reference.gateway.errors import (
    GrantError,
    Reason,
    RefusedError,
    UnjudgedError,
)
from runtimes.reference.gateway.grant import Grant, OneOf, Within
from runtimes.reference.gateway.judges import Request, datalog_allows
from runtimes.reference.gateway.revocation import Revocations
from runtimes.reference.gateway.token import LONGEST, capability_ids, read
from runtimes.reference.gateway.warden import CACHED, Warden


NOT_OURS = {Reason.MALFORMED, Reason.UNSIGNED, Reason.FOREIGN_KEY}
ORDER = 2**252 + 27742317777372353535851937790883648493
"""Of the group of Ed25519: a signature and that plus this are the same to who is careless."""


@pytest.fixture
def gateway() -> Gateway:
    """Lend a gateway."""
    return Gateway()


def refused(gateway: Gateway, token: str, request: Request | None = None) -> Reason:
    """Return why a request is refused, by a message that does not have the token."""
    with pytest.raises(RefusedError) as error:
        gateway.check(token, request)
    assert len(token) < 20 or token[:20] not in str(error.value)
    return error.value.reason


def raw(text: str) -> bytes:
    """Return the bytes of a token."""
    return base64.urlsafe_b64decode(text)


def text(data: bytes) -> str:
    """Return the text of a token."""
    return base64.urlsafe_b64encode(data).decode()


def fields(data: bytes) -> list[tuple[int, bytes]]:
    """Return the fields of a message by number, each with its bytes."""
    found, at = [], 0
    while at < len(data):
        begin, at = at, at + 1
        size, shift = 0, 0
        while True:
            byte, at = data[at], at + 1
            size, shift = size | (byte & 127) << shift, shift + 7
            if byte < 128:
                break
        at += size if data[begin] & 7 == 2 else 0
        found.append((data[begin] >> 3, data[begin:at]))
    return found


def appended(gateway: Gateway, token: str, source: str) -> str:
    """Return a token with a block that its holder wrote by hand."""
    biscuit = Biscuit.from_base64(token, gateway.keyring.public(1))
    return biscuit.append(BlockBuilder(source)).to_base64()


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"run": "r2"}, Reason.WRONG_RUN),
        ({"run": ""}, Reason.WRONG_RUN),
        ({"run": "r1\ud800"}, Reason.WRONG_RUN),
        ({"peer": "uid:1001"}, Reason.WRONG_PEER),
        ({"peer": "uid:10000"}, Reason.WRONG_PEER),
        ({"peer": "uid:1000\n"}, Reason.WRONG_PEER),
        ({"fence": 4}, Reason.FENCED),
        ({"fence": 1 << 62}, Reason.FENCED),
        ({"op": "dns.delete"}, Reason.OUT_OF_SCOPE),
    ],
)
def test_what_is_not_meant_is_refused(
    gateway: Gateway, wrong: dict[str, Any], reason: Reason
) -> None:
    """One thing wrong, by both judges and for a child too; the same with it right is allowed."""
    token = gateway.token()
    for one in (token, gateway.child(token, ttl_s=50)):
        assert reason is refused(gateway, one, ask(**wrong))
        assert not datalog(read(one, gateway.keyring), ask(**wrong))
        assert gateway.check(one, ask())
        assert datalog(read(one, gateway.keyring), ask())


def test_the_datalog_has_the_time_too(gateway: Gateway) -> None:
    """Not only the words: also who has no more than the library sees the end of a token."""
    token = gateway.token(ttl_s=60)
    child = gateway.child(token, ttl_s=30)
    for one, last_ms in ((token, 59_999), (child, 29_999)):
        said = [datalog(read(one, gateway.keyring), ask(), age) for age in (0, last_ms)]
        late = [datalog(read(one, gateway.keyring), ask(), age) for age in (-1, last_ms + 1)]
        assert ([True, True], [False, False]) == (said, late)


def test_a_newer_epoch_than_the_fence_is_good(gateway: Gateway) -> None:
    """The successor's token comes before the fence is raised; the zombie's does not come after."""
    old, new = gateway.token(epoch=3), gateway.token(epoch=4)
    assert gateway.check(new, ask(fence=3)).epoch == 4
    assert gateway.check(new, ask(fence=4))
    assert Reason.FENCED is refused(gateway, old, ask(fence=4))


def test_a_permit_says_under_what(gateway: Gateway) -> None:
    """Run, peer, epoch, the ids of all blocks, and how long it holds."""
    child = gateway.child(gateway.token(), ttl_s=40)
    gateway.clock.pass_ms(10_000)
    permit = gateway.check(child)
    assert ("r1", "uid:1000", 3, 30_000) == (permit.run, permit.peer, permit.epoch, permit.left_ms)
    assert capability_ids(child) == permit.capabilities
    assert permit.capability == permit.capabilities[1]


@pytest.mark.parametrize("mask", [0x01, 0x80])
def test_no_byte_of_a_token_can_be_changed(gateway: Gateway, mask: int) -> None:
    """Each one in turn, in a token of two blocks; as it was it is good."""
    token = gateway.child(gateway.token(), grants=GRANTS, ttl_s=30)
    data = raw(token)
    for at, byte in enumerate(data):
        changed = text(data[:at] + bytes([byte ^ mask]) + data[at + 1 :])
        assert refused(gateway, changed) in NOT_OURS, at
    assert gateway.check(token)


def test_no_letter_of_a_token_can_be_changed(gateway: Gateway) -> None:
    """Nor are there two texts of one token, which a list of texts would not know."""
    token = gateway.token()
    other = {"A": "B"}
    for at, letter in enumerate(token):
        changed = f"{token[:at]}{other.get(letter, 'A')}{token[at + 1 :]}"
        assert refused(gateway, changed) in NOT_OURS, at
    assert gateway.check(token)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda _: "",
        lambda token: token[:-4],
        lambda token: token[4:],
        lambda token: f"{token}AAAA",
        lambda token: f"{token}=",
        lambda token: f"{token}\n",
        lambda token: f" {token}",
        lambda token: f"biscuit:{token}",
        lambda token: token + token,
        lambda _: "\ud800",
        lambda _: "é" * 40,
        lambda _: "A" * (LONGEST + 1),
        lambda token: text(raw(token) + b"\x28\x01"),
    ],
)
def test_what_is_no_token_is_malformed(gateway: Gateway, spoil: Callable[[str], str]) -> None:
    """Or has more than a token; none of it raises anything else."""
    token = gateway.token()
    assert refused(gateway, spoil(token)) in NOT_OURS
    assert gateway.check(token)


def test_blocks_cannot_be_dropped_doubled_or_moved(gateway: Gateway) -> None:
    """A child cannot become its parent, nor take over the proof of another token."""
    middle = gateway.child(gateway.token(), grants=GRANTS)
    child = gateway.child(middle, ttl_s=30)
    parts = fields(raw(child))
    assert [1, 2, 3, 3, 4] == [number for number, _ in parts]
    key, root, one, two, proof = (data for _, data in parts)
    foreign = [data for _, data in fields(raw(gateway.token()))]
    changed = [
        [key, root, proof],
        [key, root, one, proof],
        [key, root, two, proof],
        [key, root, two, one, proof],
        [key, root, one, one, two, proof],
        [key, root, one, two, two, proof],
        [key, root, one, two],
        [key, root, one, two, foreign[2]],
        [key, foreign[1], one, two, proof],
        [root, one, two, proof],
    ]
    for blocks in changed:
        assert refused(gateway, text(b"".join(blocks))) in NOT_OURS
    assert child == text(b"".join([key, root, one, two, proof]))
    assert gateway.check(child)


def test_a_signature_has_one_form(gateway: Gateway) -> None:
    """It is the id by which a token is revoked: with two forms a revoked one would come back."""
    token = gateway.token()
    signature = bytes.fromhex(capability_ids(token)[0])
    scalar = int.from_bytes(signature[32:], "little") + ORDER
    other = signature[:32] + scalar.to_bytes(32, "little")
    assert 1 == raw(token).count(signature)
    assert Reason.UNSIGNED is refused(gateway, text(raw(token).replace(signature, other)))
    assert gateway.check(token)


@pytest.mark.parametrize(
    "source",
    [
        'granted(0); granted(99); granted("x");',
        "granted(99) <- op($op);",
        'right("dns.delete", "zone:example.com/"); op("dns.update");',
        'op("dns.update"); target("zone:example.com/app"); fence(0); age(0); peer("uid:1000");',
        "check if true;",
        "check if true trusting previous;",
        'words("e30=");',
        'words("not base 64");\ncheck if true;',
        'check if op("dns.delete");',
    ],
)
def test_a_block_of_ones_own_gives_nothing(gateway: Gateway, source: str) -> None:
    """It is refused as it stands, and the datalog alone would not give a right for it either."""
    token = gateway.token()
    forged = appended(gateway, token, source)
    wrong = ask(op="dns.delete")
    assert Reason.MALFORMED is refused(gateway, forged, wrong)
    assert Reason.MALFORMED is refused(gateway, forged)
    good = read(token, gateway.keyring)
    biscuit = Biscuit.from_base64(forged, gateway.keyring.public(1))
    bare = type(good)(
        biscuit=biscuit, key_id=1, ids=good.ids, root=good.root, narrowings=good.narrowings
    )
    assert not datalog(bare, wrong)
    assert gateway.check(token)


def test_words_and_datalog_of_a_block_must_be_one(gateway: Gateway) -> None:
    """A block that says less than it means would be judged by what it says."""
    token = gateway.token()
    child = gateway.child(token, ttl_s=30)
    source = read(child, gateway.keyring).biscuit.block_source(1)
    assert gateway.check(appended(gateway, token, source))
    for other in (
        source.replace("30000", "40000"),
        f"{source}check if age($age);",
        source.splitlines()[0],
    ):
        forged = appended(gateway, token, other)
        assert Reason.MALFORMED is refused(gateway, forged)


def test_a_block_that_computes_is_not_computed(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A join of sixty facts takes the library 20 s at whatever limit: it is never begun."""
    token = gateway.token()
    facts = "".join(f"f({number});" for number in range(60))
    slow = appended(gateway, token, f"{facts} check if f($a), f($b), f($c), f($d), $a + $d < 0;")
    assert gateway.check(token)
    monkeypatch.setattr(warden, "datalog_allows", pytest.fail)
    assert Reason.MALFORMED is refused(gateway, slow)


def test_a_block_of_a_third_party_is_refused(gateway: Gateway) -> None:
    """It would not be harmful, but nobody here writes one."""
    token, key = gateway.token(), KeyPair()
    biscuit = Biscuit.from_base64(token, gateway.keyring.public(1))
    source = read(gateway.child(token, ttl_s=30), gateway.keyring).biscuit.block_source(1)
    block = biscuit.third_party_request().create_block(key.private_key, BlockBuilder(source))
    forged = biscuit.append_third_party(key.public_key, block).to_base64()
    assert Reason.MALFORMED is refused(gateway, forged)
    assert gateway.check(appended(gateway, token, source))


def test_a_child_has_what_both_say(gateway: Gateway) -> None:
    """The parent's other rights are gone, and what the parent has not is not gained."""
    token = gateway.token()
    child = gateway.child(
        token, grants=[Grant("dns.update", "zone:example.com/app"), Grant("dns.delete", "zone:x/")]
    )
    other = ask(target="zone:example.com/mail")
    assert gateway.check(child)
    assert gateway.check(token, other)
    assert Reason.OUT_OF_SCOPE is refused(gateway, child, other)
    assert Reason.OUT_OF_SCOPE is refused(gateway, child, ask(op="dns.delete", target="zone:x/y"))


def test_a_child_has_the_tighter_bounds(gateway: Gateway) -> None:
    """Those of both hold, whichever is the tighter one."""
    token = gateway.token()
    bounds = (Within("amount", 9_000, 1_000), OneOf("to", ("tax", "mallory")))
    child = gateway.child(token, grants=[Grant("wire.send", "account:42", bounds)])
    assert gateway.check(child, wire(amount=1_000, to="tax"))
    for args in ({"amount": 999}, {"amount": 5_001}, {"to": "landlord"}, {"to": "mallory"}):
        wanted = {"amount": 2_000, "to": "tax", **args}
        assert Reason.OUT_OF_BOUNDS is refused(gateway, child, wire(**wanted))


def test_a_child_does_not_outlive_its_parent(gateway: Gateway) -> None:
    """A shorter time holds, a longer one does not."""
    token = gateway.token(ttl_s=60)
    short, long = gateway.child(token, ttl_s=30), gateway.child(token, ttl_s=900)
    gateway.clock.pass_ms(30_000)
    assert Reason.EXPIRED is refused(gateway, short)
    assert gateway.check(long)
    gateway.clock.pass_ms(30_000)
    assert Reason.EXPIRED is refused(gateway, long)


def test_the_end_of_a_parent_is_that_of_its_children(gateway: Gateway) -> None:
    """At the next check, also of tokens that were judged before; other tokens stay."""
    token, other = gateway.token(), gateway.token()
    child = gateway.child(token, ttl_s=30)
    assert all(gateway.check(one) for one in (token, child, other))
    gateway.revocations.revoke_token(capability_ids(token))
    assert Reason.REVOKED is refused(gateway, token)
    assert Reason.REVOKED is refused(gateway, child)
    assert gateway.check(other)


def test_the_end_of_a_child_is_its_own(gateway: Gateway) -> None:
    """Its parent and its siblings stay, and its own children end."""
    token = gateway.token()
    child, sibling = gateway.child(token, ttl_s=30), gateway.child(token, ttl_s=30)
    grandchild = gateway.child(child, ttl_s=20)
    assert gateway.check(grandchild)
    gateway.revocations.revoke_token(capability_ids(child))
    assert Reason.REVOKED is refused(gateway, child)
    assert Reason.REVOKED is refused(gateway, grandchild)
    assert gateway.check(token)
    assert gateway.check(sibling)


def test_a_run_can_be_revoked_as_a_whole(gateway: Gateway) -> None:
    """With what was narrowed offline, of which nobody here knows; other runs go on."""
    mine, others = gateway.token(), gateway.token(run="r2")
    child = gateway.child(mine, ttl_s=30)
    for token, run in ((mine, "r1"), (others, "r2")):
        gateway.revocations.issue(run, capability_ids(token)[0])
    assert gateway.check(child)
    assert capability_ids(mine) == gateway.revocations.revoke_run("r1")
    assert Reason.REVOKED is refused(gateway, mine)
    assert Reason.REVOKED is refused(gateway, child)
    assert gateway.check(others, ask(run="r2"))


def test_what_the_log_says_is_revoked_from_the_start(gateway: Gateway) -> None:
    """After a restart, by the ids of its records; what it does not name is good."""
    token, other = gateway.token(), gateway.token()
    gateway.revocations = Revocations(capability_ids(token))
    gateway.restart()
    assert Reason.REVOKED is refused(gateway, token)
    assert gateway.check(other)


def test_revoking_says_what_is_new() -> None:
    """So that a record is written once; what is forgotten is not un-revoked."""
    revocations = Revocations(["a"], {"b": "r1", "a": "r1", "c": "r2"})
    assert ("b",) == revocations.revoke_run("r1")
    assert () == revocations.revoke_run("r1")
    assert () == revocations.revoke_run("r9")
    revocations.forget("r1")
    revocations.forget("r2")
    assert () == revocations.revoke_run("r2")
    assert ["b", ""] == [revocations.ended(ids) for ids in (["x", "b"], ["c"])]


@pytest.mark.parametrize("request_", [ask(), ask(op="dns.delete"), ask(fence=9)])
def test_a_limit_is_no_verdict(gateway: Gateway, request_: Request) -> None:
    """Datalog without time says neither yes nor no, whether the request is a good one or not."""
    token = read(gateway.token(), gateway.keyring)
    with pytest.raises(UnjudgedError, match="verdict within 0 ms, saw: Reached Datalog execution"):
        datalog_allows(token, request_, age=0, limit_ms=0)
    assert (request_ == ask()) is datalog(token, request_)


def test_a_limit_never_looks_like_a_refusal(gateway: Gateway) -> None:
    """A good request is not judged, a bad one is refused by its words: no test mixes them up."""
    token = gateway.token()
    busy = Warden(gateway.keyring, gateway.revocations, limit_ms=0)
    assert not issubclass(UnjudgedError, RefusedError)
    with pytest.raises(UnjudgedError):
        busy.check(token, ask(), gateway.watch.now())
    with pytest.raises(RefusedError, match="out_of_scope"):
        busy.check(token, ask(op="dns.delete"), gateway.watch.now())
    assert gateway.check(token)


@pytest.mark.parametrize(("busy", "judged"), [(0, True), (2, True), (3, False)])
def test_a_busy_machine_is_asked_again(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, busy: int, *, judged: bool
) -> None:
    """Three times in all, before it is said that there is no verdict."""
    calls = itertools.count(1)

    def later(*given: Any) -> bool:
        if next(calls) <= busy:
            msg = "busy"
            raise UnjudgedError(msg)
        return datalog_allows(*given)

    monkeypatch.setattr(warden, "datalog_allows", later)
    token = gateway.token()
    if judged:
        assert gateway.check(token)
    else:
        with pytest.raises(UnjudgedError, match="busy"):
            gateway.check(token)
    assert min(busy + 1, 3) == next(calls) - 1


def test_judges_that_disagree_allow_nothing(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It cannot be; so it is no refusal, but a defect that is told."""
    token = gateway.token()
    assert gateway.check(token)
    monkeypatch.setattr(warden, "datalog_allows", lambda *_: False)
    with pytest.raises(UnjudgedError, match="report this"):
        gateway.check(token)


def test_what_was_verified_is_not_verified_again(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Signatures once for a token, but for no more tokens than fit, the oldest going first."""
    reads: list[str] = []

    def counted(given: str, keys: Any) -> Any:
        reads.append(given)
        return read(given, keys)

    monkeypatch.setattr(warden, "read", counted)
    tokens = [gateway.token() for _ in range(CACHED + 1)]
    for token in (tokens[0], tokens[0], *tokens[1:-1], tokens[0]):
        gateway.check(token)
    assert tokens[:-1] == reads
    for token in (tokens[-1], tokens[0], tokens[1]):
        gateway.check(token)
    assert [*tokens, tokens[1]] == reads


@pytest.mark.parametrize(
    "wrong",
    [
        {"grants": []},
        {"grants": [GRANTS[0]] * 65},
        {"ttl_s": 0},
        {"ttl_s": -5},
        {"ttl_s": 1e30},
        {"run": ""},
        {"run": "\ud800"},
        {"peer": "x" * 600},
        {"epoch": -1},
        {"epoch": 1 << 63},
        {"epoch": True},
    ],
)
def test_what_cannot_be_meant_is_not_signed(gateway: Gateway, wrong: dict[str, Any]) -> None:
    """The message says what was expected."""
    with pytest.raises(GrantError, match="expected"):
        gateway.token(**wrong)
    assert gateway.token()


def test_a_token_has_an_end_of_its_length(gateway: Gateway) -> None:
    """What the gateway would not read is not made, neither at once nor by narrowing."""
    values = tuple(f"{number:0150}" for number in range(60))
    grants = [Grant("mail.send", "list:all", (OneOf("to", values),))] * 2
    with pytest.raises(GrantError, match="grant less"):
        gateway.token(grants=grants)
    token = gateway.token(grants=grants[:1])
    with pytest.raises(GrantError, match="grant less"):
        gateway.child(token, grants=grants)


def test_narrowing_says_something(gateway: Gateway) -> None:
    """A block that takes nothing away is a mistake, and what is no token cannot be narrowed."""
    token = gateway.token()
    for nothing in ({}, {"grants": []}, {"ttl_s": 0}):
        with pytest.raises(GrantError, match="expected"):
            gateway.child(token, **nothing)
    with pytest.raises(RefusedError, match=r"foreign_key|unsigned"):
        Gateway().child(token, ttl_s=30)
    with pytest.raises(RefusedError, match="malformed"):
        gateway.child("x", ttl_s=30)
    with pytest.raises(RefusedError, match="malformed"):
        capability_ids("x")
