"""The story of one death: which is told, what is said of it, and where there is none."""

from __future__ import annotations

import json

import pytest

from harness.history import Event
from reports import deaths, sheet, steps, story


pytest.importorskip("pandas")

DEATH = "pay/after_effect#1:kill(worker)"
LATER = "close/after_effect#1:kill(worker)"
TOLD = {
    "run": "r",
    "true": [
        {"kind": "done", "slot": "pay", "text": "add on till; CANNOT BE UNDONE"},
        {"kind": "in doubt", "slot": "<b>mail", "text": "append on box"},
    ],
    "authority": [{"kind": "capability", "slot": "", "text": "c0ffee IS VALID"}],
    "next": [{"kind": "wait", "slot": "<b>mail", "text": "it is waited out"}],
    "unresolved": ["<b>mail"],
}
CALLS = {"look": ("read", "look"), "pay": ("irreversible", "add"), "close": ("idempotent", "set")}


def call(step, worker, seq, *kinds, run="r"):
    """Return the events of one call, each kind in turn."""
    effect, verb = CALLS[step]
    who = {"step": step, "incarnation": f"worker-{worker}", "seq": seq}
    more = {
        "call": {"op": verb, "effect": effect, "args": {}, "nth": worker},
        "apply": {"op": verb, "effect": effect, "args": {}, "premise_broken": []},
        "held": {"point": f"{step}/after_effect#1"},
        "reply": {"reply": {"status": "ok"}},
        "discard": {"applied": True, "why": "caller gone"},
        "probe": {"ask": "asked"},
    }
    return [(kind, run, {**who, **more[kind]}) for kind in kinds]


def born(worker):
    """Return the birth of a worker."""
    return ("spawn", "", {"incarnation": f"worker-{worker}", "pid": 40 + worker, "pool": "t"})


BEGUN = [
    ("trial", "", {}),
    born(1),
    *call("look", 1, 1, "call", "reply"),
    *call("pay", 1, 2, "call", "apply", "held"),
    ("fault", "", {"fault": "kill(worker)", "stage": 0, "victim": "worker-1", "signal": 9}),
]
HEALED = [born(2), ("undo", "", {"fault": "kill(worker)", "when": "heal"})]
ENDED = [
    *call("close", 2, 9, "call", "apply", "reply"),
    ("view", "r", {"status": "completed", "moves": "no", "detail": {}}),
]
BARE = [
    *BEGUN,
    *call("pay", 1, 2, "discard"),
    ("view", "r", {"status": "running", "moves": "retry", "detail": {}}),
    *HEALED,
    *call("pay", 2, 8, "call", "apply", "reply"),
    *ENDED,
]
GUARDED = [
    *BEGUN,
    *call("pay", 1, 2, "reply"),
    ("explained", "r", TOLD),
    *HEALED,
    *call("pay", 2, 8, "probe"),
    *ENDED,
    ("explained", "r", {**TOLD, "authority": []}),
]


def history(told):
    """Return events with indices and times, 10 ms apart."""
    return [Event(i, i * 10**7, kind, run, data) for i, (kind, run, data) in enumerate(told)]


def row(guard="none", schedule=DEATH, mode="single", **more):
    """Return a judged row; clean unless told otherwise."""
    return {
        "trial": f"acme/{guard}/{mode}-{schedule.partition('/')[0]}",
        "run": "r",
        "runtime": "acme",
        "kind": "library",
        "case": "shop[O]",
        "guard": guard,
        "fault": "kill(worker)",
        "depth": 1,
        "mode": mode,
        "schedule": schedule,
        "outcome": "ok",
        "end": "completed",
        "violated": [],
        "unpredicted": [],
        "absent": [],
        "verdicts": [],
        "surprising": False,
        "why": "",
        "metrics": {"recovery": {"progress_s": 0.4}},
        **more,
    }


def page(folder, *rows):
    """Write a results folder and its story; return the page, or nothing."""
    (folder / "trials").mkdir()
    (folder / "sweep.json").write_text(json.dumps({"schema": 1, "exit_code": 0}))
    (folder / "index.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    for one in rows:
        trial = folder / "trials" / one["trial"]
        trial.mkdir(parents=True)
        events = history(GUARDED if one["guard"] == "gateway" else BARE)
        (trial / "history.jsonl").write_text("".join(e.to_line() + "\n" for e in events))
    written = story.write(sheet.read(folder), {r["trial"]: f"{r['trial']}.html" for r in rows})
    return written[0].read_text() if written else ""


def test_before_and_after_stand_side_by_side(tmp_path):
    """Both runs of a runtime are there, with the verdict of each side and their pictures."""
    bad = {"outcome": "violated", "violated": ["duplicate_effect"]}
    text = page(tmp_path, row(**bad), row("gateway"))
    assert '<div class="pair both">' in text
    assert "Without a gateway: acme did again what harms." in text
    assert "Behind a gateway: nothing was done twice." in text
    assert 2 == text.count('<div class="scroll times"') == text.count('<div class="scroll steps"')
    assert "going on after 400 ms" in text


def test_what_is_said_is_escaped(tmp_path):
    """A slot's name is data, wherever it stands."""
    text = page(tmp_path, row("gateway"))
    assert "&lt;b&gt;mail" in text
    assert "<b>mail" not in text


def test_trials_of_one_run_tell_it_best(tmp_path):
    """Where a death was proved alone, that run is shown, and its picture leads to its events."""
    text = page(tmp_path, row(mode="batch"), row())
    assert 'href="acme/none/single-pay.html#e4"' in text
    assert "its batch" not in text


def test_of_a_batch_events_have_no_rows(tmp_path):
    """The picture of a run within a batch leads nowhere, and its times are not shown."""
    text = page(tmp_path, row(mode="batch"))
    assert "#e4" not in text
    assert "its batch" in text
    assert "going on after" not in text


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [row(fault="kill(server)")],
        [row(schedule="pay/before_effect#1:kill(worker)")],
        [row(schedule=LATER)],
    ],
)
def test_no_fitting_case_no_page(rows, tmp_path):
    """Without a death after what cannot be undone there is no page, and nothing leads to it."""
    assert "" == page(tmp_path, *rows)
    assert not (tmp_path / "story.html").exists()


def test_the_last_that_cannot_be_undone():
    """Of all deaths the one after the last irreversible step; what can be repeated is none."""
    assert DEATH == deaths.death(history(BARE), ["look/after_effect#1:kill(worker)", DEATH, LATER])
    assert "" == deaths.death(history(BARE), [LATER, f"{DEATH}+{DEATH}"])


def test_a_gateway_answers_for_the_moment_of_death():
    """Its first words after the blow count, not those at the end; doubts are marked."""
    found = deaths.answers(history(GUARDED), "gateway")
    assert [("pay", "✓", True), ("<b>mail", "?", False)] == [
        (fact.slot, fact.sign, fact.final) for fact in found.facts
    ]
    assert ["capability: c0ffee IS VALID"] == found.authority
    assert ["wait <b>mail: it is waited out"] == found.next
    assert "20 ms after the death" in found.who


def test_without_one_only_the_world_knows():
    """What was done and not answered is in doubt; what was done with it is told."""
    found = deaths.answers(history(BARE), "none")
    assert [("pay", "?")] == [(fact.slot, fact.sign) for fact in found.facts]
    assert any("Only the world knows" in text for text in found.true)
    assert "The engine said meanwhile: running." in found.true
    assert "What it did: pay again." in found.next


def test_a_gateway_that_was_not_asked_says_nothing():
    """An old history has no answers, and the page makes none up."""
    old = [event for event in history(GUARDED) if event.kind != "explained"]
    assert [] == deaths.answers(old, "gateway").facts


def test_twice_is_counted_by_the_world():
    """Only effects that harm by being done twice are named; an answer from a log is no effect."""
    assert ["pay"] == steps.repeated(history(BARE))
    assert [] == steps.repeated(history(GUARDED))
    assert "answered from the log" in steps.drawn(history(GUARDED))
    assert "2\N{MULTIPLICATION SIGN}" in steps.drawn(history(BARE))


def test_a_picture_begins_shortly_before_the_death():
    """Calls long before are left out; births are kept, or their lanes would be lost."""
    many = [event for n in range(9) for event in call("look", 1, 10 + n, "call", "reply")]
    kept = deaths.around(history([born(1), *many, *BARE[2:]]))
    assert "spawn" == kept[0].kind
    fault = next(i for i, event in enumerate(kept) if event.kind == "fault")
    assert deaths.LAST == [event.kind for event in kept[:fault]].count("call")
