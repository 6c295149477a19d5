"""The gateway's core: once, with a token, while it is allowed, and written down."""

from __future__ import annotations

import asyncio
import json
import sqlite3

from collections.abc import Callable, Coroutine
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from opentelemetry import trace
from support.desk import (
    CANARY,
    COPY,
    GRANTS,
    ME,
    NOTE,
    PAY,
    READ,
    SECRET,
    Desk,
    Rig,
    admission,
    pay,
    rig,
)

from harness.effects import Tier
from runtimes.reference.effect_log.errors import (
    ConflictError,
    DoubtError,
    EffectLogError,
    NotWrittenError,
)
from runtimes.reference.effect_log.records import Approval, Revoke
from runtimes.reference.effect_log.store import Store
from runtimes.reference.gateway.admissions import AdmissionError
from runtimes.reference.gateway.approval_state import ApprovalError, State
from runtimes.reference.gateway.errors import (
    AwaitingError,
    Known,
    Reason,
    RefusedError,
    TroubleError,
    UnjudgedError,
)
from runtimes.reference.gateway.gate import BarredError
from runtimes.reference.gateway.gateway import EndedError
from runtimes.reference.gateway.grant import Grant, Within
from runtimes.reference.gateway.keys import Keyring
from runtimes.reference.gateway.review import Review
from runtimes.reference.gateway.said import ERRORS, reason
from runtimes.reference.gateway.token import attenuate
from runtimes.reference.resume.errors import EscalatedError
from runtimes.reference.resume.session import Wanted
from runtimes.reference.upstreams.base import UnknownOperationError


Story = Callable[[Rig], Coroutine[Any, Any, None]]


def told(folder: Path, story: Story, **more: Any) -> None:
    """Have a story take place at a gateway."""

    async def whole() -> None:
        with rig(folder, **more) as place:
            await story(place)
            await place.gateway.close()

    asyncio.run(whole())


async def refusal(place: Rig, wanted: Wanted | None = None, **more: Any) -> str:
    """Return why a request is not answered."""
    with pytest.raises(ERRORS) as error:
        await place.ask(wanted, **more)
    return reason(error.value)


# Once ---------------------------------------------------------------------------------------------


def test_a_slot_is_carried_out_once(tmp_path: Path) -> None:
    """Whoever asks again, at the same time or later, is given the first answer."""

    async def story(place: Rig) -> None:
        answers = await asyncio.gather(*(place.ask() for _ in range(5)))
        answers.append(await place.ask())
        assert 1 == len({json.dumps(each.response) for each in answers})
        assert ["pay"] == place.desk.ledger

    told(tmp_path, story)


def test_another_request_in_a_slot_is_a_conflict(tmp_path: Path) -> None:
    """It is not the one that the slot stands for; nothing is done."""

    async def story(place: Rig) -> None:
        await place.ask()
        with pytest.raises(ConflictError):
            await place.ask(pay(args={"value": 501}))
        assert ["pay"] == place.desk.ledger

    told(tmp_path, story)


def test_nobody_offers_that(tmp_path: Path) -> None:
    """An operation that is granted and not offered is said to be unknown."""

    async def story(place: Rig) -> None:
        with pytest.raises(UnknownOperationError):
            await place.ask(pay(op="wire.irreversible"))
        assert [] == place.desk.ledger

    grants = (*GRANTS, Grant("wire.irreversible", "charges/"))
    told(tmp_path, story, admissions=(admission(grants=grants),))


# Who may --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("why", "more", "good"),
    [
        ("wrong_peer", {"peer": "uid:1001:1000"}, {}),
        ("not_admitted", {"run": "s"}, {"run": "r.child"}),
        ("out_of_scope", {"wanted": pay(target="charges")}, {"wanted": pay()}),
        ("out_of_scope", {"wanted": pay(target="charges/../notes/x")}, {}),
        ("out_of_scope", {"wanted": pay(op=READ)}, {"wanted": pay(op=READ, target="notes/x")}),
        (
            "out_of_scope",
            {
                "wanted": pay(op=COPY, target="notes/x"),
                "targets": ("notes/x", "charges/anna"),
            },
            {"wanted": pay(op=COPY, target="notes/x"), "targets": ("notes/x", "notes/y")},
        ),
        ("out_of_bounds", {"wanted": pay(op=NOTE, target="notes/x", args={"value": 11})}, {}),
        ("leak", {"wanted": pay(args={"value": f"for {SECRET}"})}, {}),
        ("malformed", {"token": "abc"}, {}),
    ],
)
def test_what_is_not_allowed_is_not_done(
    why: str, more: dict[str, Any], good: dict[str, Any], tmp_path: Path
) -> None:
    """It is refused with its reason, and what is allowed just beside it is done."""

    async def story(place: Rig) -> None:
        assert why == await refusal(place, **more)
        assert [] == place.desk.ledger
        assert await place.ask(**good)

    grants = (*GRANTS[:1], Grant(NOTE, "notes/", (Within("value", 10),)), *GRANTS[2:])
    told(tmp_path, story, admissions=(admission(grants=grants),))


def test_a_token_that_is_presented_counts(tmp_path: Path) -> None:
    """A narrower one refuses what the run's own allows; for a child of the run too."""

    async def story(place: Rig) -> None:
        whole = await place.gateway.token(ME, "r")
        narrow = attenuate(
            whole, place.gateway.keyring.shared(), grants=[Grant(PAY, "charges/anna")]
        )
        other = pay("other", target="charges/bert")
        assert "out_of_scope" == await refusal(place, other, token=narrow)
        assert await place.ask(other, token=whole)
        assert await place.ask(pay(), token=narrow)
        assert await place.ask(pay(), run="r.child", token=narrow)
        assert "wrong_peer" == await refusal(place, pay("p"), token=narrow, peer="uid:0:0")

    told(tmp_path, story)


def test_a_token_of_another_run_or_gateway_is_refused(tmp_path: Path) -> None:
    """It is of another run, or nobody here has signed it; the run's own is good."""

    async def story(place: Rig) -> None:
        assert "wrong_run" == await refusal(place, token=await place.gateway.token(ME, "s"))
        with rig(tmp_path / "other") as stranger:
            foreign = await stranger.gateway.token(ME, "r")
        assert "unsigned" == await refusal(place, token=foreign)
        own = await place.gateway.token(ME, "r")
        assert "malformed" == await refusal(place, token=own + "A")
        assert await place.ask(token=own)

    (tmp_path / "other").mkdir()
    told(tmp_path, story, admissions=(admission(), admission("s")))


def test_a_token_is_given_to_its_peer_only(tmp_path: Path) -> None:
    """Whoever else asks for it is refused, and it is written down."""

    async def story(place: Rig) -> None:
        with pytest.raises(RefusedError, match="wrong_peer"):
            await place.gateway.token("uid:7:7", "r")
        with pytest.raises(AdmissionError):
            await place.gateway.token(ME, "nobody")
        assert await place.gateway.token(ME, "r.child") == await place.gateway.token(ME, "r")
        said = [json.loads(line) for line in place.lines()[1:]]
        assert ["refusal", "refusal", "permit", "permit"] == [one["decision"] for one in said]

    told(tmp_path, story)


def test_a_token_ends_with_its_time(tmp_path: Path) -> None:
    """The monotonic clock says so; a run that is admitted anew gets another."""

    async def story(place: Rig) -> None:
        await place.ask()
        place.clock.pass_ms(60_000)
        assert "expired" == await refusal(place, pay("two"))
        place.gateway.rule.admit([admission(ttl_s=120.0)], "operator")
        assert await place.ask(pay("two"))

    told(tmp_path, story)


def test_a_token_of_an_earlier_life_is_fenced(tmp_path: Path) -> None:
    """Whoever takes the run over begins an epoch; for its children too."""
    kept: list[str] = []
    keyring = Keyring.make()

    async def first(place: Rig) -> None:
        kept.append(await place.gateway.token(ME, "r"))

    async def second(place: Rig) -> None:
        assert "fenced" == await refusal(place, pay("two"), token=kept[0])
        assert "fenced" == await refusal(place, pay("two"), run="r.child", token=kept[0])
        assert await place.ask(pay("two"))

    told(tmp_path, first, keyring=keyring)
    told(tmp_path, second, keyring=keyring, admissions=())


def test_root_keys_are_rotated_and_retired(tmp_path: Path) -> None:
    """After a rotation old tokens are good, after a retirement they are not; the run goes on."""

    async def story(place: Rig) -> None:
        old = await place.gateway.token(ME, "r")
        place.gateway.rule.rotate(tmp_path / "keys", "anna")
        assert await place.ask(pay("one"), token=old)
        assert old != await place.gateway.token(ME, "r")
        place.gateway.rule.retire(1, tmp_path / "keys", "anna")
        assert "foreign_key" == await refusal(place, pay("two"), token=old)
        assert await place.ask(pay("two"))

    told(tmp_path, story)


# Revocation ---------------------------------------------------------------------------------------


def test_a_run_that_is_revoked_does_nothing_more(tmp_path: Path) -> None:
    """Nor its children, nor after a restart; only when it is admitted again."""

    async def first(place: Rig) -> None:
        await place.ask(pay("one"))
        ended = await place.gateway.rule.revoke("r", "anna", "it went wild")
        assert 1 == len(ended.capabilities)
        assert {} == ended.in_flight
        for run in ("r", "r.child", "r.one.two"):
            assert "not_admitted" == await refusal(place, pay("two"), run=run)
        assert ("escalated", "it went wild") == place.gateway.runs.status("r")
        facts = place.gateway.runs.held["r"].session.facts
        assert {*ended.capabilities} <= facts.revoked

    async def second(place: Rig) -> None:
        assert "not_admitted" == await refusal(place, pay("two"))
        assert ["one"] == desk.ledger
        place.gateway.rule.admit([admission()], "operator")
        assert await place.ask(pay("two"))
        assert ["one", "two"] == desk.ledger

    desk = Desk()
    told(tmp_path, first, desk=desk)
    told(tmp_path, second, desk=desk, admissions=())


def test_what_was_given_out_before_stays_revoked(tmp_path: Path) -> None:
    """A run that is admitted again has another token: the old one is no good."""

    async def story(place: Rig) -> None:
        old = await place.gateway.token(ME, "r")
        await place.gateway.rule.revoke("r", "anna", "why not")
        place.gateway.rule.admit([admission()], "operator")
        assert "revoked" == await refusal(place, token=old)
        assert await place.ask()

    told(tmp_path, story)


def test_a_revocation_needs_nobody_at_the_provider(tmp_path: Path) -> None:
    """A run that is not held, whose provider may be gone, is ended all the same."""

    async def story(place: Rig) -> None:
        assert () == (await place.gateway.rule.revoke("r", "anna", "never")).capabilities
        assert {} == place.gateway.runs.held
        assert "not_admitted" == await refusal(place)

    told(tmp_path, story)


def test_calls_that_are_out_are_named_and_no_other_begins(tmp_path: Path) -> None:
    """Of 30 callers those whose call is out are in the acknowledgement; nobody else gets there."""

    async def story(place: Rig) -> None:
        desk, gateway = place.desk, place.gateway
        await place.ask(pay("first"))
        desk.hold = asyncio.Event()
        out = [asyncio.ensure_future(place.ask(pay(f"out-{n}"))) for n in range(3)]
        child = asyncio.ensure_future(place.ask(pay("kid"), run="r.child"))
        for _ in range(5):
            await desk.came.acquire()
        same = [asyncio.ensure_future(place.ask(pay("out-0"))) for _ in range(3)]
        later = [asyncio.ensure_future(place.ask(pay(f"late-{n}"))) for n in range(24)]
        await asyncio.sleep(0)
        ended = await gateway.rule.revoke("r", "anna", "stop")
        begun = {"out-0", "out-1", "out-2"}
        assert ["kid"] == ended.in_flight["r.child"]
        assert begun <= {*ended.in_flight["r"]}
        said = {*ended.in_flight["r"], "kid"}
        desk.hold.set()
        done = await asyncio.gather(*out, child, *same, *later, return_exceptions=True)
        assert {*desk.ledger} <= {"first"} | said
        failed = [each for each in done if isinstance(each, Exception)]
        assert all(isinstance(each, ERRORS) for each in failed)
        assert len(said) == len(desk.ledger) - 1
        assert 24 - (len(said) - 4) == len([each for each in failed if "late" in str(each)])

    told(tmp_path, story)


def test_a_child_is_revoked_while_its_call_waits(tmp_path: Path) -> None:
    """Its parent's token is good, and the parent goes on; the child's call does not leave."""

    async def story(place: Rig) -> None:
        gateway = place.gateway
        await place.ask(pay("one"), run="r.child")
        busy = gateway.runs.held["r.child"].session.busy
        busy["two"] = first = asyncio.Event()
        waiting = asyncio.ensure_future(place.ask(pay("two"), run="r.child"))
        await asyncio.sleep(0)
        assert {} == (await gateway.rule.revoke("r.child", "anna", "enough")).in_flight
        del busy["two"]
        first.set()
        with pytest.raises(BarredError) as error:
            await waiting
        assert Reason.WITHDRAWN is error.value.reason
        assert Known.NOT_DONE is gateway.runs.known("r.child", "two")
        assert await place.ask(pay("two"))
        assert ["one", "two"] == place.desk.ledger

    told(tmp_path, story)


@pytest.mark.parametrize("tier", [Tier.K, Tier.O])
def test_no_attempt_after_a_revocation(tier: Tier, tmp_path: Path) -> None:
    """A lost call would be repeated under its key; not when the run was revoked meanwhile."""

    async def story(place: Rig) -> None:
        desk = place.desk
        desk.hold, desk.trouble = asyncio.Event(), ["lost before"]
        asked = asyncio.ensure_future(place.ask(pay()))
        await desk.came.acquire()
        ended = await place.gateway.rule.revoke("r", "anna", "stop")
        assert {"r": ["pay"]} == ended.in_flight
        desk.hold.set()
        with pytest.raises((BarredError, EscalatedError)):
            await asked
        assert [] == desk.ledger
        assert Known.IN_DOUBT is place.gateway.runs.known("r", "pay")

    told(tmp_path, story, desk=Desk(tier))


def test_a_token_that_is_revoked_ends_its_children_and_no_parent(tmp_path: Path) -> None:
    """The run goes on with its own; what was narrowed further from the revoked one is dead."""

    async def story(place: Rig) -> None:
        gateway, keys = place.gateway, place.gateway.keyring.shared()
        own = await gateway.token(ME, "r")
        child = attenuate(own, keys, ttl_s=30)
        grandchild = attenuate(child, keys, ttl_s=20)
        place.desk.hold = asyncio.Event()
        out = asyncio.ensure_future(place.ask(pay("out"), token=grandchild))
        await place.desk.came.acquire()
        run, ended = await gateway.rule.revoke_token(child, "anna", "lost")
        assert ("r", {"r": ["out"]}) == (run, ended.in_flight)
        place.desk.hold.set()
        assert await out
        for token in (child, grandchild):
            assert "revoked" == await refusal(place, pay("two"), token=token)
        assert await place.ask(pay("two"), token=own)
        assert await place.ask(pay("three"))
        assert {*ended.capabilities} <= gateway.runs.held["r"].session.facts.revoked

    told(tmp_path, story)


def test_the_runs_own_token_is_revoked_until_the_next_epoch(tmp_path: Path) -> None:
    """The capability ended, not the run: whoever takes it over gives it another."""

    async def first(place: Rig) -> None:
        own = await place.gateway.token(ME, "r")
        await place.gateway.rule.revoke_token(own, "anna", "lost")
        assert "revoked" == await refusal(place)

    async def second(place: Rig) -> None:
        assert await place.ask()

    told(tmp_path, first)
    told(tmp_path, second, admissions=())


def test_a_permit_ends_while_its_request_waits(tmp_path: Path) -> None:
    """Time and keys count until the call leaves."""

    async def story(place: Rig) -> None:
        desk, gateway = place.desk, place.gateway
        for number, end in enumerate(("time", "key")):
            token = await gateway.token(ME, "r")
            desk.hold = asyncio.Event()
            first = asyncio.ensure_future(place.ask(pay(f"s{number}"), token=token))
            await desk.came.acquire()
            desk.trouble = []
            second = asyncio.ensure_future(place.ask(pay(f"t{number}"), token=token))
            gateway.runs.held["r"].session.busy[f"t{number}"] = busy = asyncio.Event()
            await asyncio.sleep(0)
            if end == "time":
                place.clock.pass_ms(60_000)
            else:
                gateway.keyring.rotate()
                gateway.keyring.retire(gateway.keyring.ids[0])
            del gateway.runs.held["r"].session.busy[f"t{number}"]
            busy.set()
            desk.hold.set()
            assert await first
            with pytest.raises(BarredError) as error:
                await second
            assert {"time": Reason.EXPIRED, "key": Reason.RETIRED}[end] is error.value.reason
            gateway.rule.admit([admission(ttl_s=90.0 + number)], "operator")
            assert await place.ask(pay(f"t{number}"))
        assert ["s0", "t0", "s1", "t1"] == desk.ledger

    told(tmp_path, story)


# Humans -------------------------------------------------------------------------------------------


ASKING = (admission(approvals=(PAY,)),)


def decide(place: Rig, ident: str, *, yes: bool = True) -> State:
    """Say a human's word on what is listed."""
    shown = next(one for one in place.gateway.review.waiting() if one["id"] == ident)
    done = place.gateway.review.decide(ident, shown["request_hash"], "anna", 60, yes=yes)
    return done.state


async def awaited(place: Rig, wanted: Wanted | None = None) -> str:
    """Ask for what a human must allow, and return the id of the approval."""
    with pytest.raises(AwaitingError) as error:
        await place.ask(wanted)
    return error.value.approval


def test_what_a_human_allows_is_done_once(tmp_path: Path) -> None:
    """Not before; and the log says who allowed which request."""

    async def story(place: Rig) -> None:
        ident = await awaited(place)
        assert ident == await awaited(place)
        assert [] == place.desk.ledger
        assert {"value": 500} == place.gateway.review.waiting()[0]["asks"]["args"]
        assert State.APPROVED is decide(place, ident)
        first = await place.ask()
        assert first == await place.ask()
        assert ["pay"] == place.desk.ledger
        intent = place.gateway.runs.held["r"].session.facts.effects["pay"].intent
        assert (Approval.HUMAN, "anna") == (intent.approval, intent.approved_by)
        assert intent.approved_hash == intent.request_hash == pay().request_hash
        assert intent.effect_id == place.gateway.approvals.all()[0].claim

    told(tmp_path, story, admissions=ASKING)


def test_what_needs_no_human_is_not_asked(tmp_path: Path) -> None:
    """Only the operations that the admission names wait."""

    async def story(place: Rig) -> None:
        assert await place.ask(pay(op=NOTE, target="notes/x"))
        assert [] == place.gateway.review.waiting()

    told(tmp_path, story, admissions=ASKING)


def test_a_no_is_for_good(tmp_path: Path) -> None:
    """The same request is refused from then on; another one may be asked."""

    async def story(place: Rig) -> None:
        assert State.DENIED is decide(place, await awaited(place), yes=False)
        assert "unapproved" == await refusal(place)
        assert await awaited(place, pay("other"))
        assert [] == place.desk.ledger

    told(tmp_path, story, admissions=ASKING)


@pytest.mark.parametrize(
    "other",
    [
        pay(args={"value": 5_000}),
        pay(target="charges/bert"),
        pay(premises={"notes/x": "v0"}),
        pay("other"),
    ],
)
def test_an_approval_is_for_its_request_only(other: Wanted, tmp_path: Path) -> None:
    """Other arguments, another target, other premises or another step need a word of their own."""

    async def story(place: Rig) -> None:
        ident = await awaited(place)
        decide(place, ident)
        assert ident != await awaited(place, other)
        assert [] == place.desk.ledger

    told(tmp_path, story, admissions=ASKING)


def test_an_approval_has_its_time(tmp_path: Path) -> None:
    """A word that came and was not used in time has to be given anew."""

    async def story(place: Rig) -> None:
        ident = await awaited(place)
        decide(place, ident)
        place.clock.pass_ms(60_000)
        place.gateway.rule.admit([admission(approvals=(PAY,), ttl_s=600.0)], "operator")
        assert ident != await awaited(place)

    told(tmp_path, story, admissions=ASKING)


def test_a_log_that_was_put_back_brings_no_approval_back(tmp_path: Path) -> None:
    """The word was used by one effect; the same request of a forgetful log is another one."""

    async def first(place: Rig) -> None:
        decide(place, await awaited(place))
        await place.ask()

    async def second(place: Rig) -> None:
        assert "reused" == await refusal(place)
        assert ["pay"] == desk.ledger
        status, why = place.gateway.runs.status("r")
        assert "escalated" == status
        assert "it was for one effect only" in why
        assert "not_now" == await refusal(place, pay("other", op=NOTE, target="notes/x"))

    desk = Desk(Tier.O)
    told(tmp_path, first, desk=desk, admissions=ASKING)
    for name in ("effects.sqlite", "effects.sqlite-wal", "effects.sqlite-shm", "heads"):
        (tmp_path / name).unlink(missing_ok=True)
    told(tmp_path, second, desk=desk, admissions=())


def test_who_used_an_approval_may_repeat_its_call(tmp_path: Path) -> None:
    """A lost call under a key is repeated, by recovery too, with the word that it had."""

    async def first(place: Rig) -> None:
        place.desk.trouble = ["lost"] * 9
        decide(place, await awaited(place))
        with pytest.raises(TroubleError):
            await place.ask()

    async def second(place: Rig) -> None:
        assert await place.ask()
        assert ["pay"] == desk.ledger

    desk = Desk(Tier.K)
    told(tmp_path, first, desk=desk, admissions=ASKING)
    desk.trouble = []
    told(tmp_path, second, desk=desk, admissions=())


async def pending(place: Rig) -> str:
    """Return the id of the one approval that is asked for, once it is."""
    for _ in range(1_000):
        if place.gateway.review.waiting():
            break
        await asyncio.sleep(0)
    (shown,) = place.gateway.review.waiting()
    return str(shown["id"])


def test_a_request_is_held_while_a_human_thinks(tmp_path: Path) -> None:
    """Whoever asks for it waits; all are given the one answer once he has said yes."""

    async def story(place: Rig) -> None:
        asking = [asyncio.create_task(place.ask()) for _ in range(3)]
        shown = await pending(place)
        assert [] == place.desk.ledger
        decide(place, shown)
        first, *others = await asyncio.gather(*asking)
        assert [first.response] * 2 == [each.response for each in others]
        assert ["pay"] == place.desk.ledger

    told(tmp_path, story, admissions=(admission(approvals=(PAY,), patience_s=60),))


def test_what_was_held_rests_on_what_the_human_saw(tmp_path: Path) -> None:
    """His no ends the wait, and so does the end of the patience."""

    async def story(place: Rig) -> None:
        asking = asyncio.create_task(place.ask())
        decide(place, await pending(place), yes=False)
        with pytest.raises(RefusedError, match="anna said no"):
            await asking
        with pytest.raises(AwaitingError):
            await place.ask(pay("other"))
        assert [] == place.desk.ledger

    told(tmp_path, story, admissions=(admission(approvals=(PAY,), patience_s=1),))


# Another program, another log -----------------------------------------------------------------


KNOWN = admission(slots=("pay", "tell"))


def test_a_step_that_the_program_does_not_have_stops_the_run(tmp_path: Path) -> None:
    """Under a new name all would be done again; until the run is admitted with it, nothing is."""

    async def story(place: Rig) -> None:
        first = await place.ask()
        assert "other_program" == await refusal(place, pay("pay_anew"))
        assert ["pay"] == place.desk.ledger
        assert "escalated" == place.gateway.runs.status("r")[0]
        assert first.response == (await place.ask()).response
        assert "not_now" == await refusal(place, pay("tell"))
        place.gateway.rule.admit([admission(slots=("pay", "tell", "pay_anew"))], "operator")
        assert await place.ask(pay("tell"))
        assert ("", "") == place.gateway.runs.status("r")

    told(tmp_path, story, admissions=(KNOWN,))


def test_children_and_what_is_out_of_scope_stop_nothing(tmp_path: Path) -> None:
    """A child has the slots of its parent; what no token allows is refused, and no more."""

    async def story(place: Rig) -> None:
        assert await place.ask(run="r.child")
        assert "out_of_scope" == await refusal(place, pay("steal", target="bank"))
        assert await place.ask(pay("tell"))
        assert "other_program" == await refusal(place, pay("pay_anew"), run="r.child")
        assert ["escalated"] * 2 == [place.gateway.runs.status(run)[0] for run in ("r", "r.child")]

    told(tmp_path, story, admissions=(KNOWN,))


def test_a_damaged_log_stops_the_run_and_no_other(tmp_path: Path) -> None:
    """What it had acknowledged is missing: nobody knows what was done, so nothing more is."""

    async def first(place: Rig) -> None:
        await place.ask()
        await place.ask(run="s")

    async def second(place: Rig) -> None:
        assert ("", "") == place.gateway.runs.status("r")
        assert ["log_damaged"] * 2 == [await refusal(place) for _ in range(2)]
        status, why = place.gateway.runs.status("r")
        assert "escalated" == status
        assert "LOG_DAMAGED" in why
        assert await place.ask(pay("tell"), run="s")
        assert ["pay", "pay", "tell"] == desk.ledger
        assert 1 == place.gateway.metrics.escalations._value.get()

    desk, both = Desk(Tier.O), (admission(), admission("s"))
    told(tmp_path, first, desk=desk, admissions=both)
    with closing(sqlite3.connect(tmp_path / "effects.sqlite")) as sql, sql:
        sql.execute("update log set crc = crc + 1 where run = 'r'")
    told(tmp_path, second, desk=desk, admissions=both)


def test_only_what_was_shown_is_decided(tmp_path: Path) -> None:
    """An id with another request, or that nobody asks for, is refused."""

    async def story(place: Rig) -> None:
        ident = await awaited(place)
        for said in ((ident, "0" * 64), ("nobody", pay().request_hash)):
            with pytest.raises(ApprovalError):
                place.gateway.review.decide(*said, "anna", 60, yes=True)
        assert await awaited(place)

    told(tmp_path, story, admissions=ASKING)


# Secrets ------------------------------------------------------------------------------------------


def test_a_credential_in_an_answer_does_not_get_out(tmp_path: Path) -> None:
    """Not to the agent, not to the log; and the run goes on, since its provider needs it."""

    async def story(place: Rig) -> None:
        place.desk.echo = {"debug": f"Authorization: Bearer {SECRET}"}
        given = await place.ask()
        assert "[redacted credential]" in json.dumps(given.response)
        assert await place.ask(pay("two"))

    told(tmp_path, story)
    assert SECRET.encode() not in b"".join(
        path.read_bytes() for path in tmp_path.iterdir() if path.is_file()
    )


def test_a_canary_in_an_answer_ends_the_run(tmp_path: Path) -> None:
    """The answer is cleared, all tokens end, a human must look; after a restart too."""

    async def first(place: Rig) -> None:
        token = await place.gateway.token(ME, "r")
        place.desk.echo = CANARY[::-1]
        given = await place.ask(token=token)
        assert CANARY[::-1] not in json.dumps(given.response)
        assert "not_admitted" == await refusal(place, pay("two"), token=token)
        assert "not_admitted" == await refusal(place, pay("two"), run="r.child")
        status, why = place.gateway.runs.status("r")
        assert "escalated" == status
        assert "canary canary was on its way out" == why

    async def second(place: Rig) -> None:
        assert "not_admitted" == await refusal(place, pay("two"))
        log = place.gateway.log.open("r")
        assert 1 == len(log.facts.revoked)

    told(tmp_path, first)
    told(tmp_path, second, admissions=())


def test_a_canary_in_a_request_ends_the_run_too(tmp_path: Path) -> None:
    """Nothing is sent: who has it may not have it."""

    async def story(place: Rig) -> None:
        assert await place.ask(pay("one"))
        assert "leak" == await refusal(place, pay(args={"value": CANARY.encode().hex()}))
        assert "not_admitted" == await refusal(place, pay("two"))
        assert ["one"] == place.desk.ledger

    told(tmp_path, story)


# What is written down -------------------------------------------------------------------------


def test_every_decision_is_in_the_audit(tmp_path: Path) -> None:
    """Who, what, under which capability and why; no value of an argument, and no credential."""

    async def story(place: Rig) -> None:
        with pytest.raises(AwaitingError):
            await place.ask(pay(args={"value": "hunter2"}))
        ident = place.gateway.review.waiting()[0]["id"]
        decide(place, ident)
        await place.ask(pay(args={"value": "hunter2"}))
        assert "leak" == await refusal(place, pay(target=f"charges/{SECRET}/.."))
        await place.gateway.rule.revoke("r", "bert", "enough")
        assert "not_admitted" == await refusal(place, pay("two"))

    told(tmp_path, story, admissions=ASKING)
    text = (tmp_path / "audit.jsonl").read_text()
    assert "hunter2" not in text
    assert SECRET not in text
    said = [json.loads(line) for line in text.splitlines()]
    assert [
        ("admission", ""),
        ("refusal", "awaiting_approval"),
        ("approval", "approved"),
        ("permit", ""),
        ("refusal", "leak"),
        ("revocation", "enough"),
        ("refusal", "not_admitted"),
    ] == [(one["decision"], one["reason"]) for one in said]
    permit = next(one for one in said if one["decision"] == "permit")
    assert ("r", "pay", PAY, "charges/anna", ME) == tuple(
        permit[name] for name in ("run", "slot", "op", "target", "peer")
    )
    assert 128 == len(permit["capability"])
    assert permit["wall_ms"] > 0
    assert permit["request_hash"] == pay(args={"value": "hunter2"}).request_hash


def test_what_cannot_be_written_down_is_not_done(tmp_path: Path, monkeypatch: Any) -> None:
    """A full disk refuses the permit; when there is room again, it is given on a whole line."""

    async def story(place: Rig) -> None:
        await place.ask(pay("one"))
        with monkeypatch.context() as patch:
            patch.setattr("runtimes.reference.gateway.audit.os.write", full)
            with pytest.raises(UnjudgedError, match="make room"):
                await place.ask(pay("two"))
        assert ["one"] == place.desk.ledger
        assert await place.ask(pay("two"))

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    told(tmp_path, story)
    assert all(json.loads(line) for line in (tmp_path / "audit.jsonl").read_text().splitlines())


def test_a_torn_line_of_the_audit_takes_no_other_along(tmp_path: Path) -> None:
    """What comes after it begins on a line of its own."""

    async def story(place: Rig) -> None:
        await place.ask()

    (tmp_path / "audit.jsonl").write_text('{"half')
    told(tmp_path, story)
    lines = (tmp_path / "audit.jsonl").read_text().splitlines()
    assert '{"half' == lines[0]
    assert ["admission", "permit"] == [json.loads(line)["decision"] for line in lines[1:]]


def test_the_figures(tmp_path: Path) -> None:
    """Decisions by reason, times of check, append and call, what is out, how many runs."""

    async def story(place: Rig) -> None:
        await place.ask()
        await refusal(place, pay(target="elsewhere"))
        text = place.gateway.metrics.text().decode()
        for line in (
            'bakeoff_gateway_decisions_total{decision="permit",reason=""} 1.0',
            'bakeoff_gateway_decisions_total{decision="refusal",reason="out_of_scope"} 1.0',
            "bakeoff_gateway_check_seconds_count 2.0",
            "bakeoff_gateway_upstream_seconds_count 1.0",
            "bakeoff_gateway_in_flight 0.0",
            "bakeoff_gateway_sessions 1.0",
            "bakeoff_gateway_escalations_total 0.0",
        ):
            assert line in text.splitlines()
        assert "bakeoff_gateway_append_seconds_count" in text
        assert "charges" not in text

    told(tmp_path, story)


@dataclass
class Spans(trace.NoOpTracer):
    """A tracer that remembers names, parents and attributes."""

    seen: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def start_span(self, name: str, *_: Any, **more: Any) -> trace.Span:
        self.seen.append((name, dict(more.get("attributes") or {})))
        return trace.INVALID_SPAN

    def start_as_current_span(self, name: str, *_: Any, **more: Any) -> Any:
        return trace.use_span(self.start_span(name, **more))


def test_a_span_for_each_run_and_each_effect(tmp_path: Path) -> None:
    """With names of slots and operations, and no arguments."""
    spans = Spans()

    async def story(place: Rig) -> None:
        await place.ask()
        await place.ask(pay("two"))

    told(tmp_path, story, tracer=spans)
    assert [
        ("bakeoff.run", {"bakeoff.run": "r"}),
        ("bakeoff.effect", {"bakeoff.slot": "pay", "bakeoff.op": PAY}),
        ("bakeoff.effect", {"bakeoff.slot": "two", "bakeoff.op": PAY}),
    ] == spans.seen


# What fails ---------------------------------------------------------------------------------------


@dataclass
class Failing:
    """A store whose n-th append fails, before or after it was written."""

    store: Store
    at: int
    error: type[EffectLogError]
    written: bool
    count: int = 0

    def append(self, rows: Any) -> None:
        self.count += 1
        if self.count == self.at:
            if self.written:
                self.store.append(rows)
            raise self.error(self.error.__name__)
        self.store.append(rows)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)


@pytest.mark.parametrize("tier", [Tier.K, Tier.O])
@pytest.mark.parametrize(
    ("error", "written"), [(NotWrittenError, False), (DoubtError, False), (DoubtError, True)]
)
def test_the_log_fails_at_each_append(
    error: type[EffectLogError], written: bool, tier: Tier, tmp_path: Path
) -> None:
    """What is said of the effect is true, and whoever asks again is answered right, once."""
    at, failed = 0, True
    while failed:
        at += 1
        folder = tmp_path / str(at)
        folder.mkdir()
        failed = _one_failure(folder, at, error, written, tier)
    assert at > 4


def _one_failure(
    folder: Path, at: int, error: type[EffectLogError], written: bool, tier: Tier
) -> bool:
    desk, failures = Desk(tier), []

    async def story(place: Rig) -> None:
        try:
            await place.ask()
        except TroubleError as trouble:
            failures.append(trouble.known)
        assert Known.DONE not in failures
        assert Known.NOT_DONE not in failures or [] == desk.ledger
        known = place.gateway.runs.known("r", "pay")
        try:
            assert await place.ask()
            assert ["pay"] == desk.ledger
        except (EscalatedError, EndedError):
            # Only what nobody can ask its provider for, and may have been done, goes to a human.
            assert tier is Tier.O
            assert Known.IN_DOUBT is known
            assert len(desk.ledger) <= 1

    told(folder, story, desk=desk, store=lambda store: Failing(store, at, error, written))
    return bool(failures)


def test_calls_of_a_run_that_was_let_go_of_are_named(tmp_path: Path) -> None:
    """Its log failed while one was out: whoever ends the run is told of it all the same."""
    stores: list[Failing] = []

    def store(kept: Store) -> Any:
        stores.append(Failing(kept, 0, DoubtError, written=True))
        return stores[0]

    async def story(place: Rig) -> None:
        place.desk.hold = asyncio.Event()
        out = asyncio.ensure_future(place.ask(pay("out")))
        await place.desk.came.acquire()
        stores[0].at = stores[0].count + 1
        with pytest.raises(TroubleError):
            await place.ask(pay("fails"))
        ended = await place.gateway.rule.revoke("r", "anna", "stop")
        assert {"r": ["out"]} == ended.in_flight
        place.desk.hold.set()
        with pytest.raises(TroubleError):
            await out
        assert {} == (await place.gateway.rule.revoke("r", "anna", "stop")).in_flight

    told(tmp_path, story, store=store)


def test_a_provider_that_is_gone_leaves_what_is_in_doubt_in_doubt(tmp_path: Path) -> None:
    """A repetition that was not sent says nothing of the attempt before it."""

    async def story(place: Rig) -> None:
        place.desk.trouble = ["lost", "unreachable"]
        with pytest.raises(TroubleError) as error:
            await place.ask()
        assert Known.IN_DOUBT is error.value.known
        assert await place.ask()
        assert ["pay"] == place.desk.ledger

    told(tmp_path, story, desk=Desk(Tier.K))


def test_a_provider_that_is_gone_from_the_start(tmp_path: Path) -> None:
    """Nothing was done, that is certain; the next request is carried out."""

    async def story(place: Rig) -> None:
        place.desk.trouble = ["unreachable"]
        with pytest.raises(TroubleError) as error:
            await place.ask()
        assert Known.NOT_DONE is error.value.known
        assert await place.ask()
        assert ["pay"] == place.desk.ledger

    told(tmp_path, story, desk=Desk(Tier.O))


def test_what_is_known_of_a_run_that_cannot_be_taken_over(tmp_path: Path) -> None:
    """Its log says it: in doubt before the restart is in doubt after it."""

    async def first(place: Rig) -> None:
        place.desk.trouble = ["lost"] * 9
        with pytest.raises(TroubleError):
            await place.ask()

    async def second(place: Rig) -> None:
        async def gone(*_: object) -> bool:
            raise place_error

        from runtimes.reference.upstreams.base import UnreachableError  # noqa: PLC0415

        place_error = UnreachableError("gone")
        place.desk.fence = gone  # type: ignore[method-assign]
        with pytest.raises(TroubleError) as error:
            await place.ask()
        assert Known.IN_DOUBT is error.value.known
        with pytest.raises(TroubleError) as error:
            await place.ask(pay("another"))
        assert Known.NOT_DONE is error.value.known

    desk = Desk(Tier.K)
    told(tmp_path, first, desk=desk)
    told(tmp_path, second, desk=desk, admissions=())


def test_a_revocation_that_is_not_durable_is_in_force(tmp_path: Path, monkeypatch: Any) -> None:
    """The operator is told by an error; nothing is done meanwhile; saying it again makes it so."""

    async def story(place: Rig) -> None:
        await place.ask(pay("one"))
        with monkeypatch.context() as patch:
            patch.setattr("runtimes.reference.gateway.admissions.os.pwrite", full)
            with pytest.raises(OSError, match="No space"):
                await place.gateway.rule.revoke("r", "anna", "stop")
        assert "not_admitted" == await refusal(place, pay("two"))
        await place.gateway.rule.revoke("r", "anna", "stop")

    async def second(place: Rig) -> None:
        assert "not_admitted" == await refusal(place, pay("two"))

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    told(tmp_path, story)
    told(tmp_path, second, admissions=())


def test_the_revoke_record_names_who_and_why(tmp_path: Path) -> None:
    """For whoever reads the log later."""
    from runtimes.reference.effect_log.reading import entries  # noqa: PLC0415

    async def story(place: Rig) -> None:
        await place.ask()
        await place.gateway.rule.revoke("r", "anna", "stop")
        records = [entry.record for entry, _ in entries(place.gateway.log.store, "r")]
        last = records[-1]
        assert isinstance(last, Revoke)
        assert ("anna", "stop") == (last.by, last.why)

    told(tmp_path, story)


# A word, a premise and an answer are for one request -----------------------------------------------


def test_a_used_slot_is_no_way_around_a_human(tmp_path: Path) -> None:
    """Who has read there, or done something else there, waits for the word all the same."""

    async def story(place: Rig) -> None:
        await place.ask(pay("s", op=READ, target="notes/x", args={}))
        await place.ask(pay("t", op=NOTE, target="notes/x"))
        for slot in ("s", "t"):
            ident = await awaited(place, pay(slot))
            decide(place, ident)
            with pytest.raises(ConflictError):
                await place.ask(pay(slot))
        assert ["t"] == place.desk.ledger

    told(tmp_path, story, admissions=ASKING)


def test_a_call_without_its_word_does_not_leave(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever let it come so far: the gate looks at the log's own record of the word."""

    async def story(place: Rig) -> None:
        monkeypatch.setattr(Review, "word", unasked)
        assert "unapproved" == await refusal(place)
        assert [] == place.desk.ledger

    async def unasked(_: Any, __: Any, ___: Any, wanted: Wanted) -> tuple[Wanted, None]:
        return wanted, None

    told(tmp_path, story, admissions=ASKING)


def test_a_stopped_run_has_answers_to_its_own_requests_only(tmp_path: Path) -> None:
    """Another request in a used slot was not done, and is not said to be."""

    async def story(place: Rig) -> None:
        first = await place.ask()
        place.gateway.runs.held["r"].stopped = "somebody must look"
        assert first == await place.ask()
        assert "not_now" == await refusal(place, pay(target="charges/bert"))
        assert ["pay"] == place.desk.ledger

    told(tmp_path, story)


def test_a_premise_tells_nothing_of_what_is_not_granted(tmp_path: Path) -> None:
    """Nobody looks there: whether the version is right would be an answer."""

    async def story(place: Rig) -> None:
        for version in ("v0", "v7"):
            wanted = pay(premises={"salaries/ann": version})
            assert "out_of_scope" == await refusal(place, wanted)
        assert [] == place.desk.ledger

    told(tmp_path, story)


def test_a_premise_that_nobody_read_stops_no_run_for_good(tmp_path: Path) -> None:
    """It was as the request says when it came; by the next gateway it is not, so it is drift."""
    desk = Desk(trouble=["refused"])

    async def first(place: Rig) -> None:
        now = (await place.desk.look("notes/x")).version
        answer = await place.ask(pay(premises={"notes/x": now}))
        assert not answer.done

    async def second(place: Rig) -> None:
        await place.ask(pay("other", op=NOTE, target="notes/x"))
        assert (await place.ask(pay("again"))).done

    told(tmp_path, first, desk=desk)
    desk.ledger.append("a stranger's")
    told(tmp_path, second, desk=desk)
