"""Mail behind the gateway: opaque, so what is lost is said to be, with evidence."""

from __future__ import annotations

import asyncio
import importlib.util

from collections.abc import Iterator
from typing import Any

import pytest

from support.upstreams import NOWHERE, deaf, holds, order, place

from harness.effects import Effect, Tier
from harness.process import Address
from runtimes.reference.effect_log.records import Outcome
from runtimes.reference.live.mail import Postbox, postbox
from runtimes.reference.upstreams.base import (
    LostError,
    Order,
    UnknownOperationError,
    UnreachableError,
)
from runtimes.reference.upstreams.credential import Credential
from runtimes.reference.upstreams.mail import Mail


pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(
        importlib.util.find_spec("aiosmtpd") is None, reason="no aiosmtpd: pip install aiosmtpd"
    ),
]
ANN = "ann@example.test"
REPLIES = {
    "busy@example.test": "450 come back later",
    "closing@example.test": "421 closing",
    "nobody@example.test": "550 no such user",
    "data:picky@example.test": "554 no such text",
    "data:full@example.test": "452 no space",
}


@pytest.fixture(scope="module")
def server() -> Iterator[Postbox]:
    """Lend a mail server that says no to some."""
    with place() as site, postbox(site, REPLIES) as made:
        yield made


@pytest.fixture
def box(server: Postbox) -> Iterator[Postbox]:
    """Lend it with no messages."""
    server.empty()
    return server


def upstream(box: Postbox, at: Address | None = None, **more: Any) -> Mail:
    """Return the connector, straight to the server or by way of a link."""
    credential = more.pop("credential", box.credential)
    return Mail(at or box.address, "agent@sender.test", credential, tls=False)


def mail(to: str = ANN, subject: str = "We have moved", **more: Any) -> Order:
    """Return the order of a message with a line that is a dot."""
    args: Any = {"subject": subject, "text": "Dear Ann,\n.\nwe have moved: Grüße\n"}
    return order("mail.send", to, args, **{"key": "k1", **more})


def test_what_is_promised(box: Postbox) -> None:
    """Nothing at all; and a target is one mailbox."""
    one = upstream(box)
    contract = one.contract("mail.send", ANN)
    assert (Effect.IRREVERSIBLE, Tier.O, False) == (
        contract.effect,
        contract.tier,
        contract.fenced,
    )
    for op, target in (
        ("mail.read", ANN),
        ("mail.send", "ann"),
        ("mail.send", f"{ANN}, eve@example.test"),
        ("mail.send", f"{ANN}\r\nRCPT TO:<eve@example.test>"),
        ("mail.send", f"{ANN}\n"),
    ):
        with pytest.raises(UnknownOperationError, match="on a mailbox"):
            one.contract(op, target)


def test_a_message_goes_once_with_the_name_of_its_key(box: Postbox) -> None:
    """Its Message-ID is the key's, and its text is whole."""
    one = upstream(box)
    answer = asyncio.run(one.call(mail()))
    assert (Outcome.OK, one.message_id("k1")) == (answer.outcome, answer.ref)
    assert answer.ref == answer.response["message_id"]
    (message,) = box.messages()
    assert (answer.ref, ANN, "agent@sender.test") == (
        message["Message-ID"],
        message["To"],
        message["From"],
    )
    text = message.get_payload(decode=True).decode()
    assert ["Dear Ann,", ".", "we have moved: Grüße"] == text.splitlines()


def test_a_repetition_is_another_message_under_the_same_name(box: Postbox) -> None:
    """Nobody honours a key here, so nothing may be repeated; the name shows that it was."""
    one = upstream(box)
    for _ in range(2):
        assert Outcome.OK is asyncio.run(one.call(mail())).outcome
    assert 2 == len(box.messages())
    assert 1 == len({message["Message-ID"] for message in box.messages()})
    assert one.message_id("k1") != one.message_id("k2")


def test_a_lost_answer_leaves_evidence_only(box: Postbox) -> None:
    """The 250 is lost: the message is there, nobody can be asked, and its name is told."""

    async def all_(at: Address) -> None:
        one = upstream(box, at)
        name = one.message_id("k1")
        with pytest.raises(LostError, match="it may have gone") as lost:
            await one.call(mail())
        assert name in str(lost.value)
        assert not holds(box.credential, lost.value)
        assert [name] == [message["Message-ID"] for message in box.messages()]
        for ask in (lambda: one.query(mail()), lambda: one.look(ANN)):
            with pytest.raises(UnknownOperationError):
                await ask()
        assert ("", False) == (one.desired(mail()), await one.fence("r1", 2))

    with deaf(box.address) as link:
        assert Outcome.OK is asyncio.run(upstream(box, link.address).call(mail())).outcome
        box.empty()
        link.losing(b"\r\n.\r\n")
        asyncio.run(all_(link.address))
        assert 1 == link.lost


def test_what_is_lost_before_the_message_did_not_go(box: Postbox) -> None:
    """The reply to DATA is lost: no message can be there, and the next try passes."""

    async def all_(at: Address) -> None:
        with pytest.raises(UnreachableError, match="nothing was done"):
            await upstream(box, at).call(mail())
        assert [] == box.messages()
        assert Outcome.OK is (await upstream(box).call(mail())).outcome

    with deaf(box.address) as link:
        link.losing(b"data\r\n")
        asyncio.run(all_(link.address))
        assert 1 == link.lost


@pytest.mark.parametrize(
    ("recipient", "why", "status"),
    [
        ("busy@example.test", "throttled", 450),
        ("closing@example.test", "throttled", 421),
        ("nobody@example.test", "refused", 550),
        ("picky@example.test", "refused", 554),
        ("full@example.test", "throttled", 452),
    ],
)
def test_a_no_is_certain(box: Postbox, recipient: str, why: str, status: int) -> None:
    """To the recipient and to the whole message: it did not go, and whether to come back is said."""
    answer = asyncio.run(upstream(box).call(mail(recipient)))
    assert (Outcome.FAILED_BEFORE, why, status) == (
        answer.outcome,
        answer.response["refused"],
        answer.response["status"],
    )
    assert [] == box.messages()


def test_nobody_answers(box: Postbox) -> None:
    """Nothing was done; nor is it for who has another password."""
    with pytest.raises(UnreachableError, match="nothing was done") as error:
        asyncio.run(upstream(box, NOWHERE).call(mail()))
    assert not holds(box.credential, error.value)
    wrong = Credential(name="gateway", secret="wrong" * 2)
    answer = asyncio.run(upstream(box, credential=wrong).call(mail()))
    assert (Outcome.FAILED_BEFORE, 535) == (answer.outcome, answer.response["status"])
    assert not holds(wrong, answer)
    assert [] == box.messages()


def test_what_is_no_message_is_refused(box: Postbox) -> None:
    """Before anybody is asked: a second header in the subject, other arguments, no key."""
    wrong = (
        mail(subject="Hello\r\nBcc: eve@example.test"),
        order("mail.send", ANN, {"subject": "Hello"}, key="k1"),
        mail(key=""),
        mail(expect="v1"),
        mail(premises={"a": "v1"}),
    )
    for each in wrong:
        answer = asyncio.run(upstream(box, NOWHERE).call(each))
        assert (Outcome.FAILED_BEFORE, "refused") == (answer.outcome, answer.response["refused"])
