"""``bakeoff load`` as a user has it: real load on a control; no figure is judged."""

from __future__ import annotations

import importlib.util
import json

from pathlib import Path

import pytest


SMALL = str(Path(__file__).parents[1] / "chaos" / "small.py")
QUICK = ("--scenario", SMALL, "--in-flight", "1,3", "--duration-s", "1", "--rounds", "1")

needs_locust = pytest.mark.skipif(
    not importlib.util.find_spec("locust"), reason="locust is not installed: bakeoff[load]"
)


@needs_locust
def test_load(home):
    """Two phases for each number in flight, all runs completed once, with a page."""
    done = home.run("load", "--runtime", "checkpoint", *QUICK, "--json")

    assert 0 == done.code, done.text
    found = done.json()
    assert [(1, "closed"), (1, "open"), (3, "closed"), (3, "open")] == [
        (phase["in_flight"], phase["mode"]) for phase in found["phases"]
    ]
    for phase in found["phases"]:
        assert phase["orders"] > 0
        assert phase["per_s"] > 0
        assert (0, 0) == (phase["incomplete"], phase["repeats"])
        assert {"worker", "locust"} <= set(phase["peak_mb"])
    folder = home.path / found["results"]
    assert json.loads((folder / "load.json").read_text())["phases"] == found["phases"]
    orders = [json.loads(line) for line in (folder / "orders.jsonl").read_text().splitlines()]
    assert sum(phase["orders"] for phase in found["phases"]) == len(orders)
    for order in orders:
        times = [order[f"{name}_ns"] for name in ("intended", "submitted", "first_effect", "done")]
        assert times == sorted(times)
        assert ("completed", 3) == (order["status"], order["calls"])
    assert (folder / "load.html").is_file()


@needs_locust
def test_what_cannot_be_measured_is_told(home):
    """A runtime that takes fewer runs than asked for is not measured; then nothing was."""
    (home.path / "small_one.py").write_text(
        "import dataclasses\n"
        "from runtimes.checkpoint.adapter import RUNTIME\n"
        "ONE = dataclasses.replace(RUNTIME, name='one', batch=1)\n"
    )
    done = home.run(
        *("load", "--runtime", "./small_one.py:ONE", "--scenario", SMALL, "--in-flight", "5")
    )

    assert 2 == done.code, done.text
    assert "one worker of it takes at most 1 runs at once" in done.out


@pytest.mark.parametrize(
    ("argv", "word"),
    [
        (("--in-flight", "1,0"), "1,10,50"),
        (("--in-flight", "many"), "1,10,50"),
        (("--duration-s", "0"), "--duration-s"),
        (("--runtime", "nonesuch"), "nonesuch"),
        (("--driver", "nonesuch"), "locust"),
        (("--scenario", "approval"), "signals"),
        (("--profile", "warp"), "warp"),
    ],
)
def test_bad_input(argv, word, home):
    """What does not exist is wrong usage, in one message."""
    done = home.run("load", *argv)

    assert 64 == done.code, done.text
    assert "Traceback" not in done.text
    assert word in done.err
