"""What an operator is told of a run that died: each kind of line, from literal facts."""

from __future__ import annotations

from typing import Any

import pytest

from support.effects import LEASE, completion, intent, read, resolution

from harness.effects import Effect, Tier
from runtimes.reference.effect_log.facts import Facts
from runtimes.reference.effect_log.records import (
    Cancel,
    Entry,
    Intent,
    Outcome,
    Record,
    Revoke,
    Terminal,
    Verdict,
    Via,
)
from runtimes.reference.explain import authority, document, explain, next_branch, true


NOW_MS = 1_800_000_000_000
WIDTH, HEIGHT = 80, 40


def facts(*records: Record) -> Facts:
    """Return what records say together; the first one is the lease."""
    found = Facts()
    for seq, record in enumerate((LEASE, *records), start=1):
        found.add(
            Entry(run="r1", seq=seq, epoch=1, actor="a", wall_ms=NOW_MS, mono_ns=seq, record=record)
        )
    return found


def said(lines: Any) -> list[tuple[str, str, str]]:
    """Return lines as tuples."""
    return [(line.kind, line.slot, line.text) for line in lines]


CUT = intent(
    "cut_over",
    op="dns.set",
    effect=Effect.HYBRID,
    tier=Tier.V,
    target="dns/app",
    premises=(2,),
    expect="v3",
)
PAY = intent("pay", op="pay", tier=Tier.K, key="k", key_since_ms=NOW_MS, retention_s=86_400)
MAIL = intent("notify")


@pytest.mark.parametrize(
    ("records", "line"),
    [
        ((MAIL, completion(MAIL)), ("done", "mail.send on mail/customers; CANNOT BE UNDONE")),
        (
            (CUT, completion(CUT, irreversible=False, version_after="abcdefghijklmnop")),
            ("done", "dns.set on dns/app, now at abcdefghijkl"),
        ),
        (
            (PAY, completion(PAY, via=Via.REPLAY)),
            ("done", "pay on mail/customers, told twice; CANNOT BE UNDONE"),
        ),
        (
            (CUT, completion(CUT, irreversible=False, via=Via.RECONCILE)),
            ("done", "dns.set on dns/app, found there"),
        ),
        (
            (CUT, completion(CUT, Outcome.CONFLICT, irreversible=False)),
            ("not done", "dns.set on dns/app, which was not as expected"),
        ),
        (
            (CUT, completion(CUT, Outcome.CONFLICT, irreversible=False, via=Via.RECONCILE)),
            ("not done", "dns.set on dns/app, which is otherwise: it may have been done before"),
        ),
        (
            (
                MAIL,
                completion(
                    MAIL,
                    Outcome.FAILED_BEFORE,
                    irreversible=False,
                    response={"refused": "throttled", "detail": "450 busy"},
                ),
            ),
            ("not done", "mail.send on mail/customers, refused (throttled: 450 busy)"),
        ),
        ((MAIL,), ("in doubt", "mail.send on mail/customers; CANNOT BE UNDONE")),
        (
            (MAIL, resolution(MAIL, Verdict.UNKNOWN, method="nobody can tell")),
            (
                "unknown",
                "mail.send on mail/customers (nobody can tell, says gateway-1); CANNOT BE UNDONE",
            ),
        ),
        (
            (MAIL, resolution(MAIL, Verdict.ABSENT)),
            ("not done", "mail.send on mail/customers (key_query, says gateway-1)"),
        ),
    ],
)
def test_what_is_true(records: tuple[Record, ...], line: tuple[str, str]) -> None:
    """How each effect stands, by what that is known, and whether it can be undone."""
    records = (read("zone"), *records)
    assert [line] == [(kind, text) for kind, _, text in said(true(facts(*records)))]


def test_who_may_act() -> None:
    """The holder, what is on its way, and that an agent without a gateway has the credentials."""
    on_its_way = intent("notify", deadline_ms=NOW_MS + 40_000)
    assert [
        (
            "lease",
            "",
            (
                "epoch 1 is held by gateway-1; older ones can write no more, "
                "and a resume shuts this one out"
            ),
        ),
        ("capability", "", "none was used: who acts for it has its credentials"),
        ("on its way", "notify", "its call may arrive for another 40 s"),
        ("cancelled", "", "by ann: no new effect is begun"),
    ] == said(authority(facts(on_its_way, Cancel(by="ann")), NOW_MS))
    assert 3 == len(said(authority(facts(on_its_way, Cancel(by="ann")), NOW_MS + 40_000)))


def test_capabilities_are_told_apart() -> None:
    """A capability is valid until it is revoked, and is named by its beginning."""
    used = intent("notify", capability="0123456789abcdef")
    ended = Revoke(capabilities=("0123456789abcdef",), by="ann", why="it leaked")
    for more, line in (
        ((), ("capability", "", "0123456789ab IS VALID until it is revoked")),
        ((ended,), ("revoked", "", "capability 0123456789ab")),
    ):
        assert line in said(authority(facts(used, *more), NOW_MS))


@pytest.mark.parametrize(
    ("of", "kind", "text"),
    [
        (
            PAY,
            "repeat",
            "it is called again, because its provider knows the key, and answers as it did",
        ),
        (
            CUT,
            "compare",
            (
                "its target is looked at. As it was: it is called. As it should be: it is done. "
                "Otherwise: a new plan."
            ),
        ),
        (
            intent("grow", tier=Tier.V, expect="v3"),
            "compare",
            (
                "its target is looked at. As it was: it is called. As it should be: it is done. "
                "Otherwise: a human must say."
            ),
        ),
        (
            intent("order", tier=Tier.Q),
            "query",
            "its provider is asked whether it was done, because its provider can be asked",
        ),
        (
            MAIL,
            "escalate",
            (
                "a human must say whether it was done, and nothing calls it again, because its "
                "provider cannot say whether it was carried out"
            ),
        ),
        (
            intent("order", tier=Tier.Q, deadline_ms=NOW_MS + 40_000),
            "wait",
            (
                "in 40 s, when no call can arrive any more, its provider is asked whether it was done, "
                "because its provider can be asked"
            ),
        ),
    ],
)
def test_what_is_next_for_a_doubt(of: Intent, kind: str, text: str) -> None:
    """A doubt is settled as its provider's contract allows, and later if a call is on its way."""
    assert (kind, of.slot, text) == said(next_branch(facts(read("zone"), of), NOW_MS))[0]


def test_nothing_follows_before_a_human_has_said() -> None:
    """What only a human knows stops the run: `human` now, or `escalate` first, and no `then`."""
    unknown = facts(MAIL, resolution(MAIL, Verdict.UNKNOWN))
    text = "say whether it was done: `bakeoff effects resolve`"
    assert [("human", "notify", text)] == said(next_branch(unknown, NOW_MS))
    assert ["escalate"] == [line.kind for line in next_branch(facts(MAIL), NOW_MS)]


def test_what_is_next_for_a_run_that_can_go_on() -> None:
    """What was absent is done, what is unfinished has its premises held to the world, then on."""
    seen, sealed = read("zone"), read("unused")
    assert [
        ("do", "notify", "it was not done; it is tried again, under the same key"),
        (
            "go on",
            "",
            "the program is played again; 0 effects and 1 read are answered from the log",
        ),
    ] == said(next_branch(facts(seen, MAIL, resolution(MAIL, Verdict.ABSENT)), NOW_MS))
    assert [
        ("compare", "cut_over"),
        ("premise", "zone"),
        ("then", ""),
    ] == [line[:2] for line in said(next_branch(facts(seen, sealed, CUT), NOW_MS))]
    done = facts(seen, CUT, completion(CUT, irreversible=False))
    assert ["go on"] == [line.kind for line in next_branch(done, NOW_MS)]


def test_nothing_follows_the_end() -> None:
    """A run that has ended has no authority to use and nothing to do, whatever it rested on."""
    conflict = completion(CUT, Outcome.CONFLICT, irreversible=False)
    ended = facts(read("zone"), CUT, conflict, Terminal(status="completed"))
    assert [("end", "", "nothing: the run is completed")] == said(next_branch(ended, NOW_MS))
    assert ("ended", "", "none: the run is completed") == said(authority(ended, NOW_MS))[0]


def test_it_is_one_screen_whatever_the_run_has_done() -> None:
    """80 columns and 40 rows: what is done is left out first, and counted; JSON has all of it."""
    records: list[Record] = []
    for number in range(200):
        tried = intent(
            f"step_{number}", target="db/" + "x" * 70, capability=f"{number:016}", op="copy"
        )
        records += [tried, completion(tried)]
    records.append(intent("last", target="mail/ann"))
    found = facts(*records)
    rows = list(explain("r1", found, NOW_MS))
    assert len(rows) <= HEIGHT
    assert max(map(len, rows)) <= WIDTH
    assert "run r1, plan 0: 200 done, 1 in doubt" == rows[0]
    assert "  in doubt    last: mail.send on mail/ann; CANNOT BE UNDONE" in rows
    assert any(row.startswith("  lease       epoch 1 is held by gateway-1;") for row in rows)
    assert [
        "  ...         196 more, 196 of which cannot be undone: --json has them",
        "  ...         195 more: --json has them",
    ] == [row for row in rows if row.startswith("  ...")]
    assert 201 == len(document("r1", found, NOW_MS)["true"])  # type: ignore[arg-type]


def test_a_run_that_did_nothing_is_told() -> None:
    """Empty facts are no error."""
    assert "run r1, plan 0: nothing was tried" == next(explain("r1", Facts(), NOW_MS))
