"""The page of a load measurement: every figure with its spread, escaped, complete."""

from __future__ import annotations

import json

from pathlib import Path
from typing import Any

from reports.load import DOTS, thinned, write


def phase(mode: str, per_s: float, values: list[float], **more: Any) -> dict[str, Any]:
    """Return a phase of a runtime whose name would break a page."""
    return {
        "runtime": "<b>engine",
        "round": 0,
        "mode": mode,
        "in_flight": 10,
        "offered_per_s": 10.0,
        "took_s": 10.0,
        "orders": 100,
        "per_s": per_s,
        "incomplete": 0,
        "repeats": 0,
        "mean_in_flight": 7.0,
        "first_effect_s": values,
        "submit_median_s": 0.01,
        "cpu_s": {"worker": 2.0, "engine-server": 3.0, "gen": 9.0, "client": 9.0},
        "peak_mb": {"worker": 50.0, "engine-server": 200.0, "gen": 900.0, "client": 900.0},
        "harness_cpu_s": 1.0,
        "load": [1.0],
        **more,
    }


def page(folder: Path, *phases: dict[str, Any], **more: Any) -> str:
    """Write and read the page."""
    document = {
        "schema": "bakeoff.load/v1",
        "argv": "bakeoff load",
        "host": {},
        "started_at": "now",
        "driver": "gen 1.0",
        "case": "case[O]",
        "profile": "fast",
        "in_flight": [10],
        "duration_s": 10.0,
        "warm": 0.2,
        "share": 0.7,
        "rounds": 2,
        "columns": [{"runtime": "<b>engine"}],
        "skips": {},
        "phases": list(phases),
        **more,
    }
    (folder / "load.json").write_text(json.dumps(document))
    (written,) = write(folder)
    return written.read_text(encoding="utf-8")


def test_figures(tmp_path):
    """Median and range of the rounds, cost by 1,000 runs, no p99 of a small sample."""
    text = page(
        tmp_path,
        phase("closed", 10.0, []),
        phase("closed", 30.0, []),
        phase("open", 7.0, [0.1, 0.2, 0.4]),
    )
    for words in ("<b>20/s</b>", "10/s", "30/s", "200 ms", "400 ms", "not estimable", "70 %"):
        assert words in text, words
    assert '<td class="n">20.0</td><td class="n">30.0</td>' in text  # CPU s per 1,000 runs
    assert '<td class="n">50.0</td><td class="n">200.0</td>' in text  # MB
    assert "&lt;b&gt;engine" in text
    assert "<b>engine" not in text
    assert "http://" not in text.replace("http://www.w3.org", "")


def test_what_limits_is_told(tmp_path):
    """A harness that used nearly all of its core is named as what may be the limit."""
    assert "may be the limit" not in page(tmp_path, phase("closed", 1.0, []))
    assert "may be the limit" in page(tmp_path, phase("closed", 1.0, [], harness_cpu_s=9.0))


def test_nothing_is_said_to_be_nothing(tmp_path):
    """Without phases the page says so, with the reason."""
    text = page(tmp_path, skips={"<b>engine": "no fuel"})
    assert "Nothing was measured" in text
    assert "no fuel" in text


def test_no_load_no_page(tmp_path):
    """A folder without a load.json has no such page."""
    assert [] == write(tmp_path)


def test_many_dots_are_thinned():
    """A strip keeps the extremes, and says how many it shows by their number."""
    shown = thinned([float(value) for value in range(10_000)])
    assert (DOTS, 0.0, 9_999.0) == (len(shown), shown[0], shown[-1])
