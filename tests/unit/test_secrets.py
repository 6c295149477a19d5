"""The canary: found wherever it stands, in any of its forms."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.secrets import forms, scan


CANARY = "canary-0123456789"


def test_forms() -> None:
    """A secret may stand as it is, in base64, in hex, or backwards."""
    assert {
        "raw": b"abcd",
        "base64": b"YWJjZA",
        "hex": b"61626364",
        "reversed": b"dcba",
    } == forms("abcd")


@pytest.mark.parametrize("form", ["raw", "base64", "hex", "reversed"])
def test_in_a_log(tmp_path: Path, form: str) -> None:
    """Any form in a log is found, with the log's name."""
    (tmp_path / "worker.log").write_bytes(b"before " + forms(CANARY)[form] + b" after\n\xff")
    (tmp_path / "other.log").write_text("nothing")
    assert (2, [f"worker.log ({form})"]) == scan(CANARY, tmp_path, {})


def test_in_a_text(tmp_path: Path) -> None:
    """A secret deep in an output or a journal is found."""
    texts = {"outputs": {"r": {"token": [f"Bearer {CANARY}"]}}, "journals": []}
    assert (2, ["outputs (raw)"]) == scan(CANARY, tmp_path, texts)


def test_clean(tmp_path: Path) -> None:
    """Where it does not stand, nothing is found; folders are not searched."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "worker.log").write_text("canary-9876543210")
    assert (2, []) == scan(CANARY, tmp_path, {"outputs": None})


def test_nothing_to_search(tmp_path: Path) -> None:
    """That nothing was searched is said, and is no pass."""
    assert (0, []) == scan(CANARY, tmp_path / "missing", {})
