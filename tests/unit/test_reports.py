"""Reports of small stores written by hand."""

from __future__ import annotations

import csv
import json
import re
import xml.etree.ElementTree as ET

from pathlib import Path

import pytest

import reports

from harness.history import Event
from reports import headline, html, markdown, matrix, sheet
from reports.palette import DARK, LIGHT, PAIRS, contrast
from reports.spans import calls, windows
from reports.timeline import timeline


pytest.importorskip("pandas")

HOSTILE = "<script>alert('x')</script> & \"quoted\" | `tick`\x00"
FACTS = {
    "schema": 1,
    "asked": {"suite": "standard", "depth": 1, "profile": "fast", "seed": 7, "budget": 0},
    "argv": "bakeoff run",
    "git": {"head": "abc", "dirty": True},
    "host": {"system": "Linux", "python": "3.11", "cores": 2, "load": [1.0, 2.0, 3.0]},
    "jobs": 2,
    "started_at": "2026-11-21T00:00:00",
    "planned": 4,
    "judged": 4,
    "unknown": 0,
    "exit_code": 0,
    "budget": "",
    "took_s": 1.0,
    "skips": [],
    "columns": [
        {
            "runtime": name,
            "kind": kind,
            "guarantee": "memo",
            "version": "1",
            "profile": "fast",
            "settings": {"settle_s": 1.0},
            "witness": {},
            "capabilities": {},
        }
        for name, kind in (("naive", "control"), ("acme", "real server"))
    ],
}


def row(runtime="acme", schedule="pay/before_effect#1:kill(worker)", **more):
    """Return a judged row; clean unless told otherwise."""
    kind = "control" if runtime == "naive" else "real server"
    label = re.sub(r"\W+", "_", schedule)
    made = {
        "runtime": runtime,
        "kind": kind,
        "guarantee": "memo",
        "profile": "fast",
        "case": "shop[O]",
        "guard": "none",
        "fault": "kill(worker)",
        "depth": 1,
        "mode": "batch",
        "schedule": schedule,
        "outcome": "ok",
        "end": "completed",
        "violated": [],
        "unpredicted": [],
        "absent": [],
        "verdicts": [],
        "surprising": False,
        "exact": True,
        "why": "",
        "again": "--runtime acme --scenario pay[O] --guard none --profile fast",
        "run": "t-r0000",
        "metrics": {
            "cold_start": None,
            "recovery": {"progress_s": 0.4, "terminal_s": 0.9},
            "repeats": 1,
            "stale_window_s": 0.4,
            "usage": {"cpu_s": 0.5, "peak_mb": 80.0},
        },
        **more,
    }
    made["trial"] = f"{runtime}/{made['mode']}-{label}"
    return made


def violated(runtime="acme", *, surprising=False, note="pay was applied twice", **more):
    """Return a row in which an effect was repeated."""
    verdict = {
        "oracle": "duplicate_effect",
        "outcome": "violated",
        "predicted": not surprising,
        "witness": [3, 8],
        "note": note,
    }
    return row(
        runtime,
        "pay/after_effect#1:kill(worker)",
        outcome="violated",
        violated=["duplicate_effect"],
        surprising=surprising,
        verdicts=[verdict],
        unpredicted=["duplicate_effect"] if surprising else [],
        **more,
    )


def history(note=""):
    """Return a short history: a call held and killed, and its repetition."""
    call = {"step": "pay", "op": "add", "effect": "irreversible", "args": {"note": note}, "nth": 1}
    one, two = ({"incarnation": f"worker-{n}", "seq": 1} for n in (1, 2))
    told = [
        ("trial", "", {}),
        ("spawn", "", {"incarnation": "worker-1", "pid": 41, "pool": "t"}),
        ("call", "r", {**call, **one}),
        ("apply", "r", {**call, **one, "premise_broken": []}),
        ("held", "r", {"point": "pay/after_effect#1", "step": "pay", **one}),
        ("discard", "r", {"applied": True, "why": "caller gone", "step": "pay", **one}),
        (
            "fault",
            "",
            {
                "fault": "kill(worker)",
                "stage": 0,
                "victim": "worker-1",
                "pid": 41,
                "signal": 9,
                "status": 9,
            },
        ),
        ("exit", "", {"incarnation": "worker-1", "pid": 41}),
        ("spawn", "", {"incarnation": "worker-2", "pid": 42, "pool": "t"}),
        ("undo", "", {"fault": "kill(worker)", "when": "heal"}),
        ("call", "r", {**call, **two, "nth": 2}),
        ("apply", "r", {**call, **two, "premise_broken": []}),
        ("reply", "r", {"reply": {"status": "ok"}, "step": "pay", **two}),
        ("view", "r", {"status": "completed", "moves": "no", "detail": {}}),
    ]
    return [Event(i, i * 10**7, kind, run, data) for i, (kind, run, data) in enumerate(told)]


def store(path: Path, rows, note="", **facts) -> Path:
    """Write a results folder with a trial for each key."""
    (path / "trials").mkdir(parents=True)
    (path / "sweep.json").write_text(json.dumps({**FACTS, **facts}))
    (path / "index.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    for key in {r["trial"] for r in rows}:
        own = [r for r in rows if r["trial"] == key]
        folder = path / "trials" / key
        (folder / "logs").mkdir(parents=True)
        (folder / "logs" / "worker-1 #<1>.log").write_text("log")
        names = (
            "runtime",
            "kind",
            "guarantee",
            "profile",
            "case",
            "guard",
            "fault",
            "depth",
            "mode",
        )
        (folder / "trial.json").write_text(
            json.dumps({"key": key, **{n: own[0][n] for n in names}})
        )
        (folder / "verdicts.json").write_text(json.dumps(own))
        (folder / "metrics.json").write_text(json.dumps({"cpu_s": 0.5, "peak_mb": 80.0}))
        lines = "".join(event.to_line() + "\n" for event in history(note))
        (folder / "history.jsonl").write_text(lines)
    return path


def test_all_files_are_written(tmp_path):
    """The page comes first, then the tables, then a page for each trial."""
    written = reports.write(store(tmp_path, [row(), violated(mode="single")]))
    names = [str(path.relative_to(tmp_path)) for path in written]
    assert ["report.html", "matrix.json", "matrix.csv", "junit.xml", "summary.md"] == names[:5]
    assert 2 == len([name for name in names[5:] if name.endswith("/trial.html")])


def test_a_report_of_nothing_says_so(tmp_path):
    """An empty store has a report, and it claims nothing."""
    reports.write(store(tmp_path, [], exit_code=2, planned=0, judged=0))
    text = (tmp_path / "report.html").read_text()
    assert "Nothing was measured" in text
    assert "No controls: these results prove little" in text


@pytest.mark.parametrize(
    ("rows", "state", "text"),
    [
        ([row()], "clean", "✓ clean"),
        ([row(end="escalated")], "escalated", "⚑ escalated"),
        ([violated()], "predicted", "✗ violated as predicted"),
        ([violated(surprising=True)], "surprising", "‼ CONTRADICTS"),
        ([row(absent=["duplicate_effect"], surprising=True)], "surprising", "‼ CONTRADICTS"),
        ([row(outcome="unknown", why="not held")], "unknown", "? unknown"),
    ],
)
def test_each_state_has_its_sign_and_word(tmp_path, rows, state, text):
    """The tile shows class, sign and word: never colour alone."""
    reports.write(store(tmp_path, rows))
    page = (tmp_path / "report.html").read_text()
    assert f'<a class="tile k-{state}"' in page
    assert f'<b class="word">{text}</b>' in page


TWICE = "pay/after_effect#1:kill(worker)"
COMPARED = [
    {"name": "5 mail twice", "case": "shop[O]", "guard": guard, "schedule": TWICE}
    for guard in ("none", "gateway")
]


def test_situations_behind_guards_are_one_table(tmp_path):
    """A row for each situation, a column for each runtime behind each guard, and the reasons."""
    rows = [violated(mode="alone"), row(schedule=TWICE, guard="gateway", mode="alone")]
    torn = "pay/after_effect#1:tear(log)"
    gap = {"name": "18 torn | tail", "case": "shop[O]", "guard": "none", "schedule": torn}
    reports.write(store(tmp_path, rows, situations=[*COMPARED, gap]))
    summary = (tmp_path / "summary.md").read_text()
    assert "| situation | acme none | acme gateway |" in summary
    assert "| 5 mail twice | ✗ duplicate\\_effect | ✓ clean |" in summary
    assert "- 18 torn \\| tail: not measured: the sweep did not come so far" in summary
    page = (tmp_path / "report.html").read_text()
    assert '<h2 id="situations">Situations</h2>' in page
    assert "<th>acme, none</th><th>acme, gateway</th>" in page
    signs = page[page.index('<table class="signs">') : page.index('<h2 id="matrix">')]
    assert 'class="sq k-predicted" href="trials/' in signs
    assert "5 mail twice, acme, guard gateway: clean" in signs
    assert "18 torn | tail, acme, guard none: the sweep did not come so far" in signs
    assert ">duplicate_effect</a>" in page
    assert "the sweep did not come so far" in page


def test_what_is_not_measured_is_no_number(tmp_path):
    """A gap has words, a reason and a command, and no digit on its face or in the table."""
    skip = {
        "runtime": "naive",
        "case": "shop[O]",
        "guard": "none",
        "fault": "kill(worker)",
        "reason": "no server here; run: bakeoff engines install acme",
    }
    reports.write(store(tmp_path, [row()], skips=[skip]))
    page = (tmp_path / "report.html").read_text()
    tile = re.search(r'<div class="tile k-gap">(.*?)</div>', page, re.DOTALL)
    assert tile is not None
    assert "∅ not measured" in tile[1]
    assert not re.search(r"\d", re.sub("<[^>]*>", "", tile[1]))
    assert "<code>bakeoff engines install acme</code>" in page
    line = next(
        r
        for r in csv.DictReader((tmp_path / "matrix.csv").read_text().splitlines())
        if r["runtime"] == "naive"
    )
    assert "not measured" == line["state"]
    assert {""} == {line[name] for name in matrix.COUNTS}


def test_a_missing_cell_names_the_command_that_runs_it(tmp_path):
    """A cell nobody ran is not measured, even without a recorded skip."""
    gap = sheet.read(store(tmp_path, [row()])).gaps()[0]
    assert ("naive", "not part of this sweep") == (gap.runtime, gap.reason)
    assert gap.command.startswith("bakeoff run --runtime naive --scenario 'shop[O]' --guard none")


def test_an_unfinished_sweep_is_resumed(tmp_path):
    """Without an exit code what is missing may still come, and the report says unfinished."""
    facts = {**FACTS, "exit_code": None}
    read = sheet.read(store(tmp_path, [row()], **facts))
    assert f"bakeoff run --resume {tmp_path}" == read.gaps()[0].command
    assert "unfinished" in headline.headline(read).text


def test_hostile_text_stays_text(tmp_path):
    """Notes, names and reasons are escaped on every page and in every format."""
    rows = [violated(note=HOSTILE, mode="single"), row("naive", why=HOSTILE, outcome="unknown")]
    skip = {
        "runtime": HOSTILE,
        "case": HOSTILE,
        "guard": "none",
        "fault": HOSTILE,
        "reason": HOSTILE,
    }
    written = reports.write(store(tmp_path, rows, note=HOSTILE, skips=[skip], argv=HOSTILE))
    for path in written:
        if path.suffix in {".html", ".md", ".xml"}:
            text = path.read_text()
            if path.suffix == ".md":
                text = re.sub("`[^`\n]*`", "", text)  # code stays as it is, and cannot be left
            assert "<script>alert" not in text, path
    ET.parse(tmp_path / "junit.xml")  # noqa: S314 - ours
    assert "&lt;script&gt;" in next((tmp_path / "trials").rglob("trial.html")).read_text()


def test_junit_counts_cells(tmp_path):
    """A surprise fails, unknown is an error, a gap is skipped, a predicted violation passes."""
    rows = [
        violated(),
        violated(surprising=True, case="b"),
        row(outcome="unknown", case="c"),
        row(case="d"),
        row("naive", case="d"),
    ]
    reports.write(store(tmp_path, rows))
    root = ET.parse(tmp_path / "junit.xml").getroot()  # noqa: S314 - ours
    assert {"tests": "8", "failures": "1", "errors": "1", "skipped": "3"} == {
        name: root.get(name) for name in ("tests", "failures", "errors", "skipped")
    }
    passed = next(c for c in root.iter("testcase") if c.get("classname") == "acme.shop[O]")
    assert passed.find("failure") is None
    assert "VIOLATED AS PREDICTED: 1 of 1" in (passed.findtext("system-out") or "")
    counts = {p.get("name"): p.get("value") for p in passed.iter("property")}
    assert ("1", "enumerated") == (counts["violated_as_predicted"], counts["basis"])


def test_csv_has_its_columns_and_whole_numbers(tmp_path):
    """Counts are integers, also where other cells have none."""
    reports.write(store(tmp_path, [row(), violated()]))
    lines = list(csv.DictReader((tmp_path / "matrix.csv").read_text().splitlines()))
    assert list(matrix.COLUMNS) == list(lines[0])
    assert ("2", "1", "duplicate_effect:1") == (
        lines[0]["schedules"],
        lines[0]["predicted"],
        lines[0]["oracles"],
    )


def test_matrix_json_is_complete(tmp_path):
    """Cells and gaps are there, with null where nothing was measured."""
    reports.write(store(tmp_path, [row()]))
    document = json.loads((tmp_path / "matrix.json").read_text())
    states = {cell["runtime"]: (cell["state"], cell["schedules"]) for cell in document["cells"]}
    assert {"acme": ("clean", 1), "naive": ("not measured", None)} == states


def test_enumerated_cells_have_no_interval_and_sampled_ones_do(tmp_path):
    """Only what the budget cut is an estimate."""
    facts = {"budget": "1 a cell, seed 7", "asked": {**FACTS["asked"], "budget": 1}}
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    whole, cut = (
        sheet.read(store(tmp_path / "a", [row()])),
        sheet.read(store(tmp_path / "b", [row()], **facts)),
    )
    assert whole.interval(whole.cells[0]) is None
    interval = cut.interval(cut.cells[0])
    assert interval is not None
    assert "Clopper-Pearson" == interval.method
    html.write(cut, {})
    assert "sampled, 0.0 to 97.5 % violated" in (tmp_path / "b" / "report.html").read_text()


def test_summary_stays_under_its_limit(tmp_path):
    """What does not fit is counted, not dropped in silence."""
    rows = [
        row(schedule=f"pay/before_effect#{n}:kill(worker)", outcome="unknown", why="x" * 300)
        for n in range(1, 1_001)
    ]
    read = sheet.read(store(tmp_path, rows))
    text = markdown.text(read)
    assert len(text.encode()) <= markdown.LIMIT
    assert "more lines are left out here" in text
    assert len(markdown.text(read, 5_000).encode()) <= 5_000


def test_the_headline_has_the_numbers(tmp_path):
    """It says who repeats what, and whether that was predicted."""
    rows = [violated(), row(), violated("naive"), row("naive")]
    read = sheet.read(store(tmp_path, rows))
    found = headline.headline(read)
    assert "predicted" == found.key
    assert found.text.startswith(
        "Every verdict is as predicted: 1 of 1 runtime repeats irreversible effects when a worker dies"
    )
    assert ["clean"] == [control.key for control in headline.controls(read)]


def test_the_headline_tells_guards_apart(tmp_path):
    """Keys that a provider forgets say nothing of the gateway."""
    rows = [violated(), violated(guard="keys"), row(guard="gateway")]
    read = sheet.read(store(tmp_path, rows))
    assert headline.headline(read).text.endswith(
        "1 of 1 runtime repeats irreversible effects when a worker dies (acme); "
        "with idempotency keys acme does; behind the gateway nothing is violated."
    )


def test_the_headline_says_nothing_of_what_is_unknown(tmp_path):
    """Behind a gateway of which no trial showed anything, nothing is known to hold."""
    rows = [violated(), row(guard="gateway", outcome="unknown")]
    read = sheet.read(store(tmp_path, rows))
    assert "nothing is violated" not in headline.headline(read).text


def test_the_headline_names_known_failures(tmp_path):
    """They are no verdict as predicted, though they fail no sweep."""
    place = {name: row()[name] for name in ("runtime", "case", "guard", "fault")}
    entry = {**place, "schedule": "*", "oracles": ["duplicate_effect"], "why": "it is told of"}
    rows = [violated(surprising=True), row()]
    read = sheet.read(store(tmp_path, rows, known=[entry]))
    assert headline.headline(read).text.startswith(
        "Every verdict but 1 known failure (acme) is as predicted: "
    )


def test_a_control_that_survives_makes_the_suite_invalid(tmp_path):
    """A predicted violation that did not occur is as wrong as an unpredicted one."""
    read = sheet.read(
        store(tmp_path, [row(), row("naive", absent=["duplicate_effect"], surprising=True)])
    )
    assert "contradicts the model" in headline.headline(read).text
    assert ["surprising"] == [control.key for control in headline.controls(read)]


def test_the_trial_page_shows_the_evidence(tmp_path):
    """Command, witnesses linked to their rows, the kill, and the raw files are on it."""
    reports.write(store(tmp_path, [violated(mode="single")]))
    page = next((tmp_path / "trials").rglob("trial.html")).read_text()
    assert "bakeoff replay &#39;pay/after_effect#1:kill(worker)&#39; --runtime acme" in page
    assert 'href="#e3">event 3</a>' in page
    assert '<tr id="e3" class="witness">' in page
    assert "kill(worker): SIGKILL to pid 41 (worker-1)" in page
    assert 'href="logs/worker-1%20%23%3C1%3E.log"' in page
    assert 'href="../../../report.html"' in page


def test_runtime_page_shows_windows_settings_and_signatures(tmp_path):
    """A runtime's page: profiles side by side, where it breaks, what operators would see."""
    told = {
        "signature": "ATTEMPTS_BURNT",
        "evidence": ["the engine says failed"],
        "setting": "retries",
        "value": 4,
        "meanwhile": {
            "signature": "SDK_UNREACHABLE",
            "evidence": [],
            "setting": "retry_s",
            "value": 1,
        },
    }
    made = store(tmp_path, [row(), violated(mode="single", diagnosis=told)])
    file = made / "sweep.json"
    facts = json.loads(file.read_text())
    facts["columns"][1]["profiles"] = {"default": {"retry_s": 15}, "fast": {"retry_s": 1}}
    file.write_text(json.dumps(facts))
    reports.write(made)
    text = (made / "runtime-acme.html").read_text()

    assert "after effect: 1 point" in text
    assert "<b><code>15</code></b>" in text
    assert "<b><code>1</code></b>" in text
    assert "ATTEMPTS_BURNT" in text
    assert "SDK_UNREACHABLE" in text
    assert "retries = 4" in text


def test_recovery_of_two_profiles_stands_side_by_side(tmp_path):
    """With a second sweep beside it, each profile has a strip of its own."""
    one = store(tmp_path / "one", [row(mode="single")])
    other = store(tmp_path / "two", [row(mode="single", profile="default")])
    file = other / "sweep.json"
    facts = json.loads(file.read_text())
    facts["columns"][1]["profile"] = "default"
    file.write_text(json.dumps(facts))
    reports.write(one, [other])
    text = (one / "runtime-acme.html").read_text()

    assert "profile fast" in text
    assert "profile default" in text


def test_links_of_the_page_lead_to_files(tmp_path):
    """Every relative link of every page exists, and none leaves the folder."""
    from urllib.parse import unquote  # noqa: PLC0415 - only here

    rows = [row(), violated(), violated(mode="single")]
    for path in reports.write(store(tmp_path, rows)):
        if path.suffix != ".html":
            continue
        text = path.read_text()
        assert not re.search(r'(?:src|href)="(?:https?:)?//', text)
        ids = set(re.findall(r'\bid="([^"]+)"', text))
        for link in re.findall(r'href="([^"]+)"', text):
            if link.startswith("#"):
                assert link[1:] in ids
            elif not link.startswith("data:"):
                file, _, part = link.partition("#")
                other = path.parent / unquote(file)
                assert other.resolve().is_relative_to(tmp_path.resolve())
                assert other.is_file(), link
                assert not part or f'id="{part}"' in other.read_text(), link


def test_the_timeline_pairs_calls_and_faults():
    """A killed call ends where it was discarded; the window ends at the heal."""
    events = history()
    first, second = calls(events)
    assert (2, 4, 5) == (
        first.begin.index,
        first.held and first.held.index,
        first.end and first.end.index,
    )
    assert 12 == (second.end and second.end.index)
    assert [(6, 9)] == [(w.begin.index, w.end and w.end.index) for w in windows(events)]
    drawn, shown, total = timeline(events, [3])
    assert (14, 14) == (shown, total)
    assert 'href="#e3"' in drawn


def test_a_long_timeline_is_cut_and_says_so():
    """It shows its first events, and how many there are."""
    events = [Event(i, i, "gate", "r", {"stage": 0, "ok": True, "why": ""}) for i in range(5_010)]
    _, shown, total = timeline(events)
    assert (5_000, 5_010) == (shown, total)


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
def test_every_pair_of_colours_has_contrast(palette):
    """Text has 4.5 to 1, shapes have 3 to 1, in both schemes."""
    low = {
        (ink, paper): round(contrast(palette[ink], palette[paper]), 2)
        for ink, paper, least in PAIRS
        if contrast(palette[ink], palette[paper]) < least
    }
    assert {} == low
    assert LIGHT.keys() == DARK.keys()


def test_partial_evidence_has_a_report_too(tmp_path):
    """A sweep.json with nothing but its schema is enough: what is not known is a question mark."""
    path = store(tmp_path, [row()])
    (path / "sweep.json").write_text('{"schema": 1}')
    page = reports.write(path)[0].read_text()
    assert "planned ?" in page
    assert "no git checkout" in page
