"""Situations: one line for each runtime, from the trial that proved it."""

from __future__ import annotations

from typing import Any

from harness.situations import entries, lines


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
