"""The instrument gives the same answer to the same question, again and again."""

from __future__ import annotations

import os
import subprocess
import sys

from contextlib import ExitStack, contextmanager

import pytest

from support.campaign import every_runtime, only_in_campaign, runtime
from support.sweeps import sweep, target


TIMES, BUSY = 20, 5


@contextmanager
def busy_cores():
    """Keep every core at work while this lasts."""
    with ExitStack() as stack:
        for _ in range(os.cpu_count() or 1):
            child = subprocess.Popen([sys.executable, "-c", "while True: pass"])
            stack.callback(child.wait)
            stack.callback(child.kill)
        yield


def _verdicts(found):
    return {
        row["schedule"]: (row["outcome"], row["end"], tuple(row["violated"]))
        for row in found.broken
    }


@only_in_campaign
@pytest.mark.parametrize("name", every_runtime())
def test_twenty_sweeps_are_one(name, tmp_path):
    """Twenty sweeps give identical verdicts; only with all cores busy may some be unknown."""
    row = target("migration[O]", "kill(worker)")
    first = None
    for turn in range(TIMES):
        with ExitStack() as stack:
            if turn >= TIMES - BUSY:
                stack.enter_context(busy_cores())
            found = sweep(runtime(name), tmp_path / str(turn), row, confirm=False)
        if found.skips and first is None:
            pytest.skip(found.skips[0])
        verdicts = _verdicts(found)
        first = first or verdicts
        if turn >= TIMES - BUSY:
            verdicts |= {key: first[key] for key in verdicts if verdicts[key][0] == "unknown"}
        assert first == verdicts, f"sweep {turn}"
