"""From a trial's files to its rows: the same for a live trial and for an old one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness import metrics
from harness.effects import Guard, Tier
from harness.faults import fault
from harness.history import Event, split
from harness.load import load_scenario
from harness.model import expect
from harness.oracle import Expectation, Judgement, Outcome, assess
from harness.plan import arg_of
from harness.runtime import Guarantee
from harness.scenario import Case
from harness.schedule import BEFORE, Point, Schedule, Stage, parse
from harness.signature import diagnosis, evidence


def case_of(facts: Mapping[str, Any]) -> Case:
    """Return the case that ``trial.json`` names."""
    return Case(
        scenario=load_scenario(facts["case_ref"]),
        ref=facts["case_ref"],
        tier=Tier(facts["tier"]),
        variant=facts["variant"],
    )


def _expect(
    facts: Mapping[str, Any], case: Case, run: str, schedule: Schedule, events: Sequence[Event]
) -> Expectation:
    return expect(
        case,
        schedule,
        Guarantee(facts["guarantee"]),
        Guard(facts["guard"]),
        facts["settings"],
        run,
        arg_of(case, run),
        events,
    )


def bystanders(
    facts: Mapping[str, Any], case: Case, events: Sequence[Event]
) -> list[dict[str, Any]]:
    """Return how each bystander fared: ``name``, ``outcome`` and ``why``.

    A fault that hits everyone hits them too: they may suffer what it predicts, no more.
    """
    found = []
    runs = split(events)
    for run in facts["bystanders"]:
        own = runs.get(run, [])
        schedule = Schedule()
        stages = parse(facts["schedules"][0]).stages
        if stages and fault(stages[-1].fault).everyone:
            schedule = Schedule((Stage(Point(facts["meets"], BEFORE), stages[-1].fault),))
        seen = [e for e in own if e.kind != "gate"]
        judgement = assess(seen, _expect(facts, case, run, schedule, seen))
        verdicts = [v for v in judgement.verdicts if v.outcome is Outcome.VIOLATED]
        outcome = "violated" if judgement.unpredicted else "unknown" if judgement.unknown else "ok"
        why = "; ".join(
            f"{v.oracle}: {v.note}" for v in verdicts if v.oracle in judgement.unpredicted
        )
        if outcome == "unknown":
            why = _why(judgement)
        found.append({"name": run, "outcome": outcome, "why": why})
    return found


def _why(judgement: Judgement) -> str:
    return "; ".join(
        f"{v.oracle}: {v.note}" for v in judgement.verdicts if v.outcome is Outcome.UNKNOWN
    )


def _diagnose(
    events: Sequence[Event], expectation: Expectation, settings: Mapping[str, Any]
) -> dict[str, Any] | None:
    """Return the signature of a run: while it was broken, where that was seen, and at the end."""
    seen = evidence(events, expectation)
    if seen is None:
        return None
    found: dict[str, Any] = diagnosis(seen, settings).to_json()
    healed = next((e.index for e in events if e.kind == "undo" and e.data["when"] == "heal"), None)
    broken = [e for e in events if healed is None or e.index < healed]
    if any(e.kind == "fault" for e in broken):
        meanwhile = evidence(broken, expectation)
        found["meanwhile"] = diagnosis(meanwhile, settings).to_json() if meanwhile else None
    return found


def rows(facts: Mapping[str, Any], events: Sequence[Event]) -> list[dict[str, Any]]:
    """Return one row for each schedule of a trial: what it is, its verdicts, its figures."""
    case = case_of(facts)
    runs = split(events)
    found = []
    for run, text in zip(facts["runs"], facts["schedules"], strict=True):
        own = runs.get(run, [])
        expectation = _expect(facts, case, run, parse(text), own)
        judgement = assess(own, expectation)
        found.append(
            {
                "trial": facts["key"],
                "run": run,
                **{
                    name: facts[name]
                    for name in ("runtime", "kind", "guarantee", "profile", "again")
                },
                **{name: facts[name] for name in ("case", "guard", "fault", "depth", "mode")},
                "schedule": text,
                **judgement.to_json(),
                "diagnosis": _diagnose(own, expectation, facts["settings"]),
                "told": [event.data["text"] for event in own if event.kind == "told"],
                "surprising": judgement.surprising,
                "exact": all(fault(stage.fault).exact for stage in parse(text).stages),
                "why": _why(judgement) if judgement.unknown else "",
                "metrics": metrics.of_run(own),
            }
        )
    return found
