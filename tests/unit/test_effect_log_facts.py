"""Facts: what records say together, and what may not be written after them."""

from __future__ import annotations

import json

from dataclasses import replace

import pytest

from support.effects import LEASE, completion, intent, read, resolution, story

from harness.effects import Effect, Tier
from runtimes.reference.effect_log.canonical import canonical, digest
from runtimes.reference.effect_log.errors import ConflictError, ContradictionError
from runtimes.reference.effect_log.facts import TAKES, Facts, Standing
from runtimes.reference.effect_log.records import (
    KINDS,
    Cancel,
    Decision,
    Entry,
    Lease,
    Outcome,
    Plan,
    Premise,
    Record,
    Revoke,
    Summary,
    Terminal,
    Verdict,
)


NOTIFY = intent("notify")
AGAIN = replace(NOTIFY, attempt=2)
KEYED = intent("charge", tier=Tier.K, key="k1")
SAFE = intent("label", effect=Effect.IDEMPOTENT)
PLAN = Plan(plan_epoch=1, steps_hash="s")
DONE = Terminal(status="completed")
UNREAD = Premise(resource="dns/zone", version="v3", value_hash="x", read_seq=9)


def facts(*records: Record) -> Facts:
    """Return what records say, written one after another in their own epochs."""
    found = Facts()
    for seq, record in enumerate(records, 1):
        epoch = record.epoch if isinstance(record, Lease) else found.epoch
        found.add(
            Entry(run="r", seq=seq, epoch=epoch, actor="g", wall_ms=0, mono_ns=0, record=record)
        )
    return found


@pytest.mark.parametrize(
    ("after", "standing"),
    [
        ([], Standing.IN_DOUBT),
        ([completion(NOTIFY)], Standing.DONE),
        ([completion(NOTIFY, Outcome.FAILED_AFTER)], Standing.DONE),
        ([completion(NOTIFY, Outcome.FAILED_BEFORE)], Standing.NOT_DONE),
        ([completion(NOTIFY, Outcome.CONFLICT)], Standing.NOT_DONE),
        ([resolution(NOTIFY, Verdict.APPLIED)], Standing.DONE),
        ([resolution(NOTIFY, Verdict.ABSENT)], Standing.NOT_DONE),
        ([resolution(NOTIFY, Verdict.UNKNOWN)], Standing.UNKNOWN),
        (
            [resolution(NOTIFY, Verdict.UNKNOWN), resolution(NOTIFY, Verdict.APPLIED)],
            Standing.DONE,
        ),
        ([resolution(NOTIFY, Verdict.ABSENT), AGAIN], Standing.IN_DOUBT),
        ([resolution(NOTIFY, Verdict.ABSENT), AGAIN, completion(AGAIN)], Standing.DONE),
    ],
)
def test_where_an_effect_stands(after: list[Record], standing: Standing) -> None:
    """By the last attempt, its end, or what became known of it."""
    found = facts(LEASE, NOTIFY, *after)
    assert standing is found.effects["notify"].standing
    open_ = standing in {Standing.IN_DOUBT, Standing.UNKNOWN}
    assert (["notify"] if open_ else []) == found.unresolved


@pytest.mark.parametrize(
    "records",
    [
        pytest.param([KEYED, replace(KEYED, attempt=2)], id="in doubt, with the same key"),
        pytest.param([SAFE, replace(SAFE, attempt=2)], id="in doubt, and twice is once"),
        pytest.param([DONE, Lease(epoch=2, holder="g", claim="c")], id="a lease after the end"),
        pytest.param([DONE, Revoke(capabilities=("c",), by="o", why="")], id="revoked after it"),
        pytest.param([read("zone"), PLAN], id="a plan"),
        pytest.param([NOTIFY, Cancel(by="o", in_flight=("notify",))], id="cancelled in flight"),
    ],
)
def test_what_may_be_written(records: list[Record]) -> None:
    """Each of these is a history that a run may have."""
    facts(LEASE, *records)


@pytest.mark.parametrize(
    ("before", "record", "why"),
    [
        ([], NOTIFY, "nobody holds the run"),
        ([], Lease(epoch=2, holder="g", claim="c"), "epoch 2 after 0"),
        ([LEASE], LEASE, "epoch 1 after 1"),
        ([LEASE, DONE], PLAN, "the run is completed already"),
        ([LEASE, DONE], DONE, "the run is completed already"),
        ([LEASE, DONE], NOTIFY, "the run is completed already"),
        ([LEASE], Plan(plan_epoch=2, steps_hash="s"), "plan 2 after 0"),
        ([LEASE, PLAN], PLAN, "plan 1 after 1"),
        ([LEASE], replace(PLAN, premises=(UNREAD,)), "rests on no sealed read"),
        ([LEASE, read("zone")], read("zone", 2), "zone is sealed already"),
        (
            [LEASE, Decision(slot="d", asked_hash="a", output=1)],
            Decision(slot="d", asked_hash="a", output=2),
            "d is decided already",
        ),
        ([LEASE, Cancel(by="o")], NOTIFY, "the run is cancelled"),
        ([LEASE, Cancel(by="o")], Cancel(by="o"), "the run is cancelled already"),
        (
            [LEASE, Revoke(capabilities=("c1",), by="o", why="")],
            replace(NOTIFY, capability="c1"),
            "capability c1 is revoked",
        ),
        ([LEASE, PLAN], NOTIFY, "it is of plan 0, the run follows plan 1"),
        ([LEASE], AGAIN, "attempts have no gaps"),
        ([LEASE, NOTIFY], NOTIFY, "attempts have no gaps"),
        ([LEASE, NOTIFY], replace(AGAIN, effect_id="e2"), "notify has another effect id"),
        ([LEASE, KEYED], replace(KEYED, attempt=2, key="k2"), "charge has another key"),
        ([LEASE, NOTIFY], AGAIN, "notify is in doubt, no key helps"),
        ([LEASE, NOTIFY, completion(NOTIFY)], AGAIN, "notify is done"),
        ([LEASE, KEYED, completion(KEYED)], replace(KEYED, attempt=2), "charge is done"),
        ([LEASE, NOTIFY, resolution(NOTIFY, Verdict.UNKNOWN)], AGAIN, "notify is unknown"),
        ([LEASE], completion(NOTIFY), "notify has no intent"),
        ([LEASE, NOTIFY], completion(replace(NOTIFY, effect_id="e2")), "has no intent of effect"),
        ([LEASE, NOTIFY, completion(NOTIFY)], completion(NOTIFY), "notify is done already"),
        ([LEASE, NOTIFY], completion(AGAIN), "notify is at attempt 2"),
        (
            [LEASE, NOTIFY],
            completion(replace(NOTIFY, request_hash="other")),
            "it answers another request",
        ),
        ([LEASE], resolution(NOTIFY, Verdict.APPLIED), "notify has no intent"),
        (
            [LEASE, NOTIFY, completion(NOTIFY)],
            resolution(NOTIFY, Verdict.ABSENT),
            "notify is done already",
        ),
        (
            [LEASE, NOTIFY],
            resolution(NOTIFY, Verdict.ABSENT, authoritative=False),
            "absent needs evidence that is authoritative",
        ),
        ([LEASE, NOTIFY], DONE, "notify: nobody knows whether it is done"),
        (
            [LEASE, NOTIFY, resolution(NOTIFY, Verdict.UNKNOWN)],
            DONE,
            "notify: nobody knows whether it is done",
        ),
        ([LEASE], Summary(prev="", facts={}), "the summary is not of the records before it"),
    ],
)
def test_what_may_not(before: list[Record], record: Record, why: str) -> None:
    """It is refused, and the facts stay as they were."""
    found = facts(*before)
    was = found.to_json()
    epoch = record.epoch if isinstance(record, Lease) else found.epoch
    entry = Entry(run="r", seq=9, epoch=epoch, actor="g", wall_ms=0, mono_ns=0, record=record)
    with pytest.raises(ContradictionError, match=why):
        found.add(entry)
    assert was == found.to_json()


def test_another_request_in_a_slot_is_a_conflict() -> None:
    """What a model words anew after a restart is no new effect; both requests are named."""
    other = replace(NOTIFY, attempt=2, fingerprint=digest("other"), target="mail/everybody")
    for before in ([NOTIFY], [NOTIFY, completion(NOTIFY)]):
        with pytest.raises(ConflictError, match=r"on mail/customers .* on mail/everybody"):
            facts(LEASE, *before, other)


def test_an_old_epoch_writes_nothing() -> None:
    """Also where its record would fit."""
    found = facts(LEASE, Lease(epoch=2, holder="g2", claim="c2"))
    late = Entry(run="r", seq=3, epoch=1, actor="g", wall_ms=0, mono_ns=0, record=NOTIFY)
    with pytest.raises(ContradictionError, match="written in epoch 1, the run is in 2"):
        found.add(late)


def test_each_kind_has_its_rule() -> None:
    """Without one, a record of that kind would be taken without a question."""
    assert set(TAKES) == set(KINDS.values())


def test_facts_are_kept_by_their_summary() -> None:
    """By way of its text, at every length of a run that has all kinds."""
    records = story()
    for length in range(1, len(records) + 1):
        found = facts(*records[:length])
        assert found == Facts.from_json(json.loads(canonical(found.to_json())))


def test_a_copy_is_its_own() -> None:
    """What is added to one is not in the other."""
    found = facts(LEASE, read("zone"))
    copy = found.copy()
    assert copy == found
    for seq, record in enumerate(
        [read("more"), NOTIFY, Revoke(capabilities=("c",), by="", why="")]
    ):
        copy.add(Entry(run="r", seq=seq, epoch=1, actor="", wall_ms=0, mono_ns=0, record=record))
    assert facts(LEASE, read("zone")) == found
