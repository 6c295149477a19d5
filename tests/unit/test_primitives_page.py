"""The page of primitives: every square with its evidence, escaped, and honest without a file."""

from __future__ import annotations

import json
import re

from pathlib import Path

import pytest

from click.testing import CliRunner

from harness.cli.judge import report
from harness.policy import PRIMITIVES
from harness.store import Store
from reports import primitives
from reports.palette import DARK, LIGHT, PAIRS, contrast
from reports.sheet import read


TEST = "tests/conformance/test_primitives.py::test_primitive"
FOUND = {
    "runtimes": {
        "acme": {
            "version": "1.0",
            "profile": "fast",
            "primitives": {
                "step": {"support": "native", "evidence": f"{TEST}[acme-step]", "lines": 0},
                "retry": {
                    "support": "native",
                    "evidence": f"{TEST}[acme-retry]",
                    "lines": 0,
                    "note": "<b>deaths</b> count as attempts",
                    "checked": "Errors are counted.",
                },
                "emit": {"support": "emulated", "evidence": f"{TEST}[acme-emit]", "lines": 123},
                "batch": {"support": "missing", "evidence": f"{TEST}[acme-batch]", "note": "no"},
            },
            "unmeasured": {"cron": "unknown: the machine was slow"},
        },
        "only-there": {"version": "7", "profile": "fast", "primitives": {}},
    },
    "when": "2026-11-21T09:00:00+00:00",
    "host": {"system": "Linux", "python": "3.11", "cores": 2, "load": [1.0]},
}


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Return a results folder of a sweep with two runtimes."""
    folder = tmp_path / "sweep"
    folder.mkdir()
    columns = [
        {"runtime": "acme", "version": "1.1", "capabilities": {"cron": "native"}},
        {"runtime": "<i>new", "version": "2", "capabilities": {"step": "native"}},
    ]
    (folder / "sweep.json").write_text(json.dumps({"schema": 1, "columns": columns}))
    (folder / "index.jsonl").write_text("")
    return folder


def page(results: Path) -> str:
    """Write the page, and return it."""
    return primitives.write(read(results)).read_text(encoding="utf-8")


def squares(text: str, primitive: str) -> list[str]:
    """Return what stands in the line of a primitive, a text for each runtime."""
    line = re.search(rf"<code>{primitive}</code></th>(.*?)</tr>", text, re.DOTALL)
    assert line
    return [re.sub(r"<[^>]+>", "", cell).strip() for cell in re.findall("<td>(.*?)</td>", line[1])]


def test_squares(results: Path) -> None:
    """Each square says how its primitive stands; what no check has shown is not measured."""
    (results.parent / "conformance.json").write_text(json.dumps(FOUND))
    text = page(results)
    nothing = ["∅ not measured *"] * 2
    assert ["✓ native", *nothing] == squares(text, "step")
    assert ["✓ native *", *nothing] == squares(text, "retry")
    assert ["≈ emulated 123", *nothing] == squares(text, "emit")
    assert ["− missing *", *nothing] == squares(text, "batch")  # noqa: RUF001 - a sign
    assert ["∅ not measured *", *nothing] == squares(text, "cron")
    assert [] == [name for name in PRIMITIVES if 3 != len(squares(text, name))]


def test_notes_and_evidence(results: Path) -> None:
    """Notes stand beside the test that showed them, reasons beside what is declared; escaped."""
    (results.parent / "conformance.json").write_text(json.dumps(FOUND))
    text = page(results)
    for words in (
        'title="&lt;b&gt;deaths&lt;/b&gt; count as attempts"',
        '<td class="text">&lt;b&gt;deaths&lt;/b&gt; count as attempts</td>',
        f"<code>{TEST}[acme-retry]</code>",
        "unknown: the machine was slow; declared native",
        "it is not in conformance.json; run: nox -s conformance; declared native",
        "this sweep ran 1.1",
        "2026-11-21T09:00:00+00:00",
        "Errors are counted.",
    ):
        assert words in text, words
    assert "<i>new" not in text
    assert "<script" not in text
    links = re.findall(r'href="#([^"]+)"', text)
    assert 3 * len(PRIMITIVES) == len(links)
    assert set(links) == set(re.findall(r'<tr id="([^"]+)"', text))


@pytest.mark.parametrize(
    ("content", "why"),
    [(None, "run: nox -s conformance"), ("[", "conformance.json"), ("[]", "expected an object")],
)
def test_without_evidence(results: Path, content: str | None, why: str) -> None:
    """Without a file that can be read the page says so, names no folder, and shows no table."""
    if content is not None:
        (results.parent / "conformance.json").write_text(content)
    text = page(results)
    assert why in text
    assert "Not measured" in text
    assert "<table" not in text
    assert str(results.parent) not in text


def test_file_is_kept_with_the_results(results: Path, tmp_path: Path) -> None:
    """``report --conformance`` keeps the file, which then counts before the one beside."""
    other, bad = tmp_path / "other.json", tmp_path / "bad.json"
    other.write_text(json.dumps({**FOUND, "when": "another day"}))
    bad.write_text("{}")
    (tmp_path / "conformance.json").write_text(json.dumps(FOUND))
    done = CliRunner().invoke(report, [str(results), "--conformance", str(bad)])
    assert 2 == done.exit_code
    assert "nox -s conformance" in done.output
    assert not (results / "conformance.json").exists()
    done = CliRunner().invoke(report, [str(results), "--conformance", str(other)])
    assert 0 == done.exit_code, done.output
    assert "another day" in page(Store.open(results).path)


def test_colours_can_be_read() -> None:
    """What the page adds to the palette's pairs is among them, in light and dark."""
    pairs = {(one, paper) for one, paper, _ in PAIRS}
    assert {("ink", "panel"), ("gap-edge", "panel"), ("gap-edge", "bg")} <= pairs
    for palette in (LIGHT, DARK):
        assert contrast(palette["ink"], palette["panel"]) > 4.5


def test_every_primitive_is_explained() -> None:
    """The page of the documentation has a line for each primitive, in the order of the table."""
    text = Path(__file__).parents[2].joinpath("docs", "primitives.md").read_text(encoding="utf-8")
    assert list(PRIMITIVES) == re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)
