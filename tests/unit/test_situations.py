"""Situations: one line for each runtime, from the trial that proved it."""

from __future__ import annotations

from typing import Any

from harness.situations import entries, guards, lines, told


NAMED = [{"name": "away", "case": "shop[O]", "schedule": "finalize#1:gone(worker)"}]


def row(**more: Any) -> dict[str, Any]:
    """Return a judged run with what was to be seen of it."""
    return {
        "runtime": "acme",
        "case": "shop[O]",
        "schedule": "finalize#1:gone(worker)",
        "mode": "alone",
        "outcome": "ok",
        "end": "completed",
        "violated": [],
        "absent": [],
        "surprising": False,
        "why": "",
        "told": ["nobody was there for 5.0 s (no budget limits it)"],
        "diagnosis": {
            "signature": "clean",
            "evidence": ["the engine says completed"],
            "setting": "",
            "value": None,
            "meanwhile": {
                "signature": "SDK_UNREACHABLE",
                "evidence": ["a worker for it: gone"],
                "setting": "retries",
                "value": 70,
            },
        },
        **more,
    }


def said(*rows: dict[str, Any], skips: tuple[dict[str, str], ...] = ()) -> str:
    """Return what the table says of the one runtime."""
    (_, head, line) = lines(entries(NAMED, ["acme"], rows, skips))
    assert "away" == head
    return line.strip()


def test_end_meanwhile_and_setting() -> None:
    """The signature at the end, the one while it was broken, the setting, what else was told."""
    (_, (entry,)) = entries(NAMED, ["acme"], [row()], [])[0]
    assert ("clean", "SDK_UNREACHABLE") == (entry.signature, entry.meanwhile)
    assert "acme                clean (SDK_UNREACHABLE); retries = 70; nobody was there" in said(
        row()
    )
    assert "meanwhile, a worker for it: gone" == entry.evidence[-1]


def test_a_violation_is_never_hidden() -> None:
    """A clean signature does not hide what an oracle found, predicted or not."""
    assert "violated as predicted: parity" in said(row(outcome="violated", violated=["parity"]))
    wrong = row(outcome="violated", violated=["parity"], surprising=True)
    assert "violated CONTRADICTS THE MODEL: parity" in said(wrong)
    assert "CONTRADICTS THE MODEL: no lost_run" in said(row(surprising=True, absent=["lost_run"]))


def test_what_shows_nothing_says_why() -> None:
    """Unknown, not measured and not reached are told apart."""
    assert "acme                unknown: not seen dead" == said(
        row(outcome="unknown", why="not seen dead")
    )
    skip = {"runtime": "acme", "case": "shop[O]", "fault": "gone(worker)", "reason": "no worker"}
    assert "not measured: no worker" in said(skips=(skip,))
    assert "the sweep did not come so far" in said()


def test_a_batch_proves_nothing() -> None:
    """Only a trial of one run tells what is to be seen."""
    assert "the sweep did not come so far" in said(row(mode="batch"))


SCHEDULE = "pay/after_effect#1:tear(log)"
TORN = {"name": "torn", "case": "shop[O]", "guard": "none", "schedule": SCHEDULE}
COMPARED = [
    {**NAMED[0], "guard": "none"},
    {**NAMED[0], "guard": "gateway"},
    TORN,
]


def compared(*rows: dict[str, Any], skips: tuple[dict[str, str], ...] = ()) -> list[str]:
    """Return the table of two situations on one runtime, with two guards."""
    return told(entries(COMPARED, ["acme"], rows, skips))


def test_guards_stand_side_by_side() -> None:
    """A row is a situation, a column a runtime behind a guard, the weakest first."""
    twice = row(guard="none", outcome="violated", violated=["duplicate_effect"])
    gap = {**TORN, "runtime": "acme", "fault": "tear(log)", "reason": "nobody has a log"}
    table = entries(COMPARED, ["acme"], [row(guard="gateway"), twice], [gap])
    assert ["none", "gateway"] == guards(table)
    said_ = told(table)
    assert ["      acme", "      n g", "away  ✗ ✓", "torn  ∅"] == [
        text.rstrip() for text in said_[1:5]
    ]
    assert "  duplicate_effect: acme/n" in said_
    assert "torn: not measured: nobody has a log" in said_


def test_each_state_has_its_word() -> None:
    """A cell says clean, escalated, the oracles, that the model is contradicted, or unknown."""
    words = {}
    for more in (
        {},
        {"end": "escalated"},
        {"outcome": "violated", "violated": ["parity"]},
        {"outcome": "violated", "violated": ["parity"], "known": True},
        {"outcome": "violated", "violated": ["parity"], "surprising": True},
        {"surprising": True, "absent": ["overreach"]},
        {"outcome": "unknown"},
    ):
        (entry,) = entries(NAMED, ["acme"], [row(**more)], [])[0][1]
        words.setdefault(entry.state, []).append(entry.word)
    assert {
        "clean": ["clean"],
        "escalated": ["escalated"],
        "predicted": ["parity"],
        "known": ["parity"],
        "surprising": ["CONTRADICTS: parity", "CONTRADICTS: no overreach"],
        "unknown": ["unknown"],
    } == words


def test_what_is_unknown_behind_a_guard_says_why() -> None:
    """A sign alone is no reason: it stands below the grid, once for all whom it fits."""
    skips = ({**NAMED[0], "runtime": "acme", "fault": "gone(worker)", "guard": "none"},)
    found = compared(
        row(guard="gateway", outcome="unknown", why="not seen dead"),
        skips=({**skips[0], "reason": "no gateway"},),
    )
    assert "  unknown: not seen dead: acme/g" in found
    assert "  not measured: no gateway: acme/n" in found


def test_the_run_without_faults_is_a_situation() -> None:
    """Some situations need no fault: what counts is the golden run."""
    named = [{"name": "asked", "case": "shop[O]", "guard": "none", "schedule": "golden"}]
    (entry,) = entries(named, ["acme"], [row(schedule="golden", mode="golden")], [])[0][1]
    assert "clean" == entry.word
    skip = {"runtime": "acme", "case": "shop[O]", "guard": "none", "fault": "none", "reason": "x"}
    assert "x" == entries(named, ["acme"], [], [skip])[0][1][0].reason


def test_a_situation_as_json() -> None:
    """Each cell of the table is an object, also where nothing was measured."""
    table = entries(COMPARED, ["acme"], [row(guard="gateway", trial="t")], [])
    found = [entry.to_json() for _, line in table for entry in line]
    assert ["not measured", "clean", "not measured"] == [one["state"] for one in found]
    assert {
        "situation": "away",
        "runtime": "acme",
        "guard": "gateway",
        "case": "shop[O]",
        "schedule": "finalize#1:gone(worker)",
        "state": "clean",
        "violated": [],
        "end": "completed",
        "trial": "t",
        "why": "",
    } == found[1]
    assert "the sweep did not come so far" == found[2]["why"]
