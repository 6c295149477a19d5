"""What a site's processes use: found by their marks, told apart by their names."""

from __future__ import annotations

import os
import subprocess
import sys

from harness.deadline import Deadline, wait_until
from harness.site import MARK
from harness.traffic.usage import Usage, between, memory, usage


SPIN = "import sys; print(1, flush=True)\nwhile True: pass"


def test_only_marked_processes_are_found():
    """A process counts where it carries the site's mark, under its incarnation's name."""
    environment = {**os.environ, MARK: "site-of-this-test", "BAKEOFF_INCARNATION": "worker-12"}
    with subprocess.Popen(
        [sys.executable, "-c", SPIN], env=environment, stdout=subprocess.PIPE
    ) as process:
        try:
            assert process.stdout
            process.stdout.readline()
            before = usage("site-of-this-test")
            assert [process.pid] == list(before)
            assert "worker" == before[process.pid].name
            assert before[process.pid].rss_bytes > 1_000_000
            wait_until(
                lambda: between(before, usage("site-of-this-test")).get("worker", 0.0) > 0.0,
                Deadline.after(60.0),
                "the process has used CPU",
            )
            assert {} == usage("another-site")
        finally:
            process.kill()


def test_processes_of_one_name_are_added():
    """CPU is the difference, whole for one that is new; memory is the sum."""

    def one(name: str, cpu_s: float) -> Usage:
        return Usage(name=name, cpu_s=cpu_s, rss_bytes=10)

    before = {1: one("server", 5.0)}
    after = {1: one("server", 7.0), 2: one("server", 1.0), 3: one("worker", 0.5)}
    assert {"server": 3.0, "worker": 0.5} == between(before, after)
    assert {"server": 20, "worker": 10} == memory(after)
