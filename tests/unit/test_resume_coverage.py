"""Whether the enumeration reaches the recovery code: what it does not is listed, and tested apart."""

from __future__ import annotations

import json
import subprocess
import sys

from pathlib import Path

import pytest


SCRIPT = Path(__file__).parents[1] / "support" / "resume_coverage.py"
CAMPAIGNS = (
    "kill",
    "kill, drift",
    "kill, a day",
    "kill, other words",
    "kill, other program",
    "kill, a human",
    "asked twice at",
    "astray",
    "late",
    "trouble",
)


def test_what_the_enumeration_leaves_out() -> None:
    """Of settling, taking over and the table, every line and branch but for those named here."""
    pytest.importorskip("coverage")
    run = subprocess.run(
        [sys.executable, str(SCRIPT), *CAMPAIGNS],
        check=True,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    print(run.stdout)
    assert {} == json.loads(run.stdout)
