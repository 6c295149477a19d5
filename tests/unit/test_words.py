"""A human's word: what a run can show him, and whether he has said it."""

from __future__ import annotations

from typing import Any

from harness.history import Event
from harness.words import shown, worded


def events(*lines: tuple[str, dict[str, Any]]) -> list[Event]:
    """Return a history of one run."""
    return [Event(i, i, kind, "r", data) for i, (kind, data) in enumerate(lines)]


def read(path: str, etag: str, status: str = "ok") -> list[tuple[str, dict[str, Any]]]:
    """Return a read and its answer."""
    step = f"read_{path}"
    return [
        ("call", {"step": step, "effect": "read", "args": {"path": path}}),
        ("reply", {"step": step, "reply": {"status": status, "etag": etag}}),
    ]


def test_what_was_read_when_he_was_asked_is_shown() -> None:
    """Only what was answered; not a write, not what another run has read, nor what came later."""
    write = ("call", {"step": "pay", "effect": "irreversible", "args": {"path": "bank"}})
    paid = ("reply", {"step": "pay", "reply": {"status": "ok", "etag": "v9"}})
    acked = ("reply", {"step": "read_price", "reply": {}, "phase": "after_ack"})
    said = events(*read("price", "v1"), acked, write, paid, *read("price", "v2"))
    assert {"price": "v1"} == shown(said, "r", ["read_price", "pay"])
    assert {"price": "v2"} == shown(said, "r", ["read_price", "pay", "ask"])
    assert {} == shown(events(*read("price", "v1", "failed")), "r", ["read_price"])
    assert {} == shown(said, "s", ["read_price"])


def test_a_word_is_on_a_step() -> None:
    """Of that run."""
    said = events(("word", {"step": "pay", "premises": {}}))
    assert worded(said, "r", "pay")
    assert not worded(said, "r", "ship")
    assert not worded(said, "s", "pay")
