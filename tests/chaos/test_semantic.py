"""What an agent can do wrong to the world: a slice of the semantic suite, on real workers."""

from __future__ import annotations

import pytest

from support.campaign import runtime
from support.sweeps import opened

from harness.effects import Guard
from harness.suite import targets


SLICE = {
    ("memo[O,injected]", ""),
    ("health[O,echo]", "read_health/after_ack#1:kill(worker)"),
    ("order[K]", "charge/after_effect#1:age(25h)"),
    ("order[O]", "charge/before_effect#1:double(worker)"),
    ("order[O]", "charge/before_effect#1:namesake(worker)"),
    ("order[O]", "charge/before_effect#1:revoke(token)"),
    ("transfer[K]", "send_money/after_effect#1:kill(worker)"),
}
TWICE = {"duplicate_effect", "parity"}
ASKED = {"order[O]", "order[K]", "transfer[K]"}


def _slice(guard):
    """Return the rows of the suite that are tried here, behind a guard."""
    return [
        row
        for row in targets("semantic", [], [], guard)
        if (row.case.id, "".join(f"{p}:{f}" for p in row.points for f in row.faults)) in SLICE
    ]


@pytest.mark.parametrize("name", ["naive", "checkpoint", "reference"])
def test_nobody_guards_the_world(name, tmp_path):
    """The controls fail where the model says; who has intents tells a human instead."""
    with opened(runtime(name), tmp_path, *_slice("none"), confirm=False) as (one, screen):
        one.run()
        rows = one.store.rows()

    assert [] == [row for row in rows if row["surprising"] or row["outcome"] == "unknown"]
    found = {(r["case"], r["fault"]): {*r["violated"]} for r in rows if r["violated"]}
    keeps = name != "naive"
    assert {"overreach", "parity"} == found.pop(("memo[O,injected]", "none"))
    leaks = {(case, fault) for (case, fault), names in found.items() if "credential_leak" in names}
    assert (
        {("health[O,echo]", "none"), ("health[O,echo]", "kill(worker)")} if keeps else set()
    ) == leaks
    doubled = {case for (case, _), names in found.items() if names >= TWICE}
    assert (set() if name == "reference" else ASKED) == doubled
    ends = {row["case"]: row["end"] for row in rows if row["depth"] and row["case"] in ASKED}
    assert {"escalated" if name == "reference" else "completed"} == set(ends.values())
    (skip,) = screen.skips
    assert "nobody can revoke: no gateway stands before the world" in skip


@pytest.mark.parametrize("name", ["naive", "checkpoint", "reference"])
def test_a_gateway_before_the_world(name, tmp_path):
    """The same runtimes violate nothing; whose token was revoked is in a human's hands."""
    with opened(runtime(name), tmp_path, *_slice("gateway"), confirm=False) as (one, screen):
        one.run()
        rows = one.store.rows()

    assert [] == [row for row in rows if row["surprising"] or row["outcome"] != "ok"]
    assert {str(Guard.GATEWAY)} == {row["guard"] for row in rows}
    assert ["revoke(token)"] == [row["fault"] for row in rows if row["end"] == "escalated"]
    (double,) = [row for row in rows if row["fault"] == "double(worker)"]
    assert ["both asked for it"] == double["told"]
    (namesake,) = [row for row in rows if row["fault"] == "namesake(worker)"]
    assert namesake["told"][0].endswith("woke while its successor was at work")
    assert [] == screen.skips


def test_who_knows_what_time_it_is(tmp_path):
    """A key that its provider has forgotten is not used again: a human is asked."""
    aged = [row for row in targets("semantic", [], [], "keys") if row.case.id == "order[K]"]
    with opened(runtime("reference"), tmp_path, *aged, confirm=False) as (one, _):
        one.run()
        rows = one.store.rows()

    assert [] == [row for row in rows if row["surprising"] or row["outcome"] != "ok"]
    assert {"none": "completed", "age(23h)": "completed", "age(25h)": "escalated"} == {
        row["fault"]: row["end"] for row in rows
    }
