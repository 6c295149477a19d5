"""The canary: found wherever it stands, in any of its forms."""

from __future__ import annotations

import base64
import os
import subprocess
import sys

from pathlib import Path

import pytest

from harness.secrets import environment, forms, scan


CANARY = "canary-0123456789"


def test_forms() -> None:
    """A secret may stand as it is, backwards, in hex, or in base64 at three offsets."""
    assert {
        "raw": b"abcdef",
        "reversed": b"fedcba",
        "hex": b"616263646566",
        "upper-case hex": b"616263646566",
        "base64 at 0": b"YWJjZGVm",
        "base64 at 1": b"Y2Rl",
        "base64 at 2": b"YmNk",
    } == forms("abcdef")


@pytest.mark.parametrize("prefix", ["", "B", "Be"])
def test_inside_base64(tmp_path: Path, prefix: str) -> None:
    """A secret within something larger that was encoded is found, wherever it begins."""
    (tmp_path / "worker.log").write_bytes(base64.b64encode(f"{prefix}{CANARY}!".encode()))
    assert scan(CANARY, tmp_path, {})[1]


def test_in_two_pieces(tmp_path: Path) -> None:
    """A secret that was broken in two is found; a lone piece of it is not one."""
    (tmp_path / "worker.log").write_text(f"{CANARY[:9]}\n{CANARY[9:]}")
    (tmp_path / "other.log").write_text(CANARY[:9])
    assert (2, ["worker.log (split)"]) == scan(CANARY, tmp_path, {})


@pytest.mark.parametrize("form", ["raw", "reversed", "hex", "base64 at 0"])
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


def test_the_environment_of_a_process() -> None:
    """What a process was given by environment and arguments is read; of none, nothing is."""
    code = "import sys; sys.stdout.write('up'); sys.stdout.flush(); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code, "an-argument"],
        env={**os.environ, "TOKEN": CANARY},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout
        assert b"up" == process.stdout.read(2)
        text = environment(process.pid)
        process.communicate()
    assert f"TOKEN={CANARY}" in text
    assert "an-argument" in text
    assert "" == environment(process.pid)
