"""Every fault on real processes: it comes, it is confirmed, and the model says what it may do."""

from __future__ import annotations

import dataclasses
import os

from pathlib import Path

import pytest

from support.campaign import runtime
from support.sweeps import golden, schedules, started, sweep, target

from harness.engines import locate
from harness.faults import fault
from harness.load import load
from harness.policy import Policy, Throttle
from harness.runtime import Dial, Guarantee, RuntimeUnavailableError, Support
from runtimes.restate.server import ENGINE


HERE = Path(__file__).parent
SMALL = f"{HERE / 'small.py'}[O]"
ROLLOUT = "rollout[O]"
EMBEDDED = ["naive", "checkpoint", "reference"]
CHANGES = ["change(renamed)", "change(reordered)", "change(removed)"]
LINKS = ["cut(link)", "black_hole(link)", "half_open(link)", "slow(link)"]
QUEUE = 40


def _from(file, name):
    return load(f"{HERE / 'faults' / file}.py:{name}", "RUNTIME")


def _violated(found):
    return {row["schedule"].partition(":")[0] for row in found.broken if row["violated"]}


# Embedded runtimes ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", EMBEDDED)
def test_a_rolling_restart_is_no_worse_than_a_kill(name, tmp_path):
    """The successor is there before its predecessor goes: only what promises little repeats."""
    found = sweep(runtime(name), tmp_path, target(SMALL, "roll(workers)"), confirm=False)

    assert [] == found.surprises
    assert 10 == found.judged
    assert bool(_violated(found)) is (name != "reference")


@pytest.mark.parametrize("name", EMBEDDED)
def test_a_rewound_store_repeats_what_it_forgot(name, tmp_path):
    """Who does not know what it sent sends again; a log whose head stands elsewhere knows that."""
    found = sweep(runtime(name), tmp_path, target(SMALL, "rewind(store)"), confirm=False)

    forgotten = {"send/after_effect#1", "send/after_ack#1", "finalize#1"}
    assert [] == found.surprises
    assert (set() if name == "reference" else forgotten) == _violated(found)


def test_keys_outlive_the_store(tmp_path):
    """Where the provider honours keys, nothing comes twice, whatever the runtime forgot."""
    row = target("fan_out[K]", "rewind(store)", guard="keys")

    found = sweep(runtime("checkpoint"), tmp_path, row, confirm=False)

    assert [] == found.surprises
    assert set() == _violated(found)


@pytest.mark.parametrize("name", EMBEDDED)
def test_a_queue_outlives_its_engine(name, tmp_path):
    """Runs that nobody had begun are all carried out, each once, and the drain is timed."""
    row = target(SMALL, "restart(backlog)")
    with started(runtime(name), tmp_path, row) as one:
        one.request = dataclasses.replace(one.request, backlog=QUEUE)
        _, _, points = golden(one, row)
        last = schedules(points[-1:], "restart(backlog)")
        events, (judged,) = one.trial(row, "restart(backlog)", 1, "one", tuple(last))
        figures = (one.store.trial(judged["trial"]).path / "metrics.json").read_text()

    assert (False, "completed") == (judged["surprising"], judged["end"]), judged
    (told,) = [event.data for event in events if event.kind == "bystander"]
    assert (f"backlog of {QUEUE}", "ok") == (told["name"], told["outcome"])
    assert QUEUE == sum(e.kind == "apply" and e.run.find("-q") > 0 for e in events) / 2
    assert '"drain_s"' in figures


def test_a_lost_queue_is_seen(tmp_path):
    """A runtime that gives up what stood in its queue is convicted."""
    row = target(SMALL, "restart(backlog)")

    found = sweep(_from("loser", "LOSER"), tmp_path, row, confirm=False, backlog=QUEUE)

    (judged,) = found.broken
    assert ["recovery_harm"] == judged["unpredicted"]
    (note,) = [v["note"] for v in judged["verdicts"] if v["oracle"] == "recovery_harm"]
    assert f"{QUEUE} in all" in note
    assert "ended dead" in note


@pytest.mark.parametrize("name", EMBEDDED)
def test_another_program_takes_over(name, tmp_path):
    """Who knows steps by name goes on: only what was renamed after it was done comes twice."""
    found = sweep(runtime(name), tmp_path, target(ROLLOUT, *CHANGES), confirm=False)

    assert [] == found.surprises
    assert 3 * 16 == found.judged
    clean = {row["schedule"] for row in found.broken if not row["violated"]}
    assert {f"read_image/after_ack#1:{change}" for change in CHANGES} <= clean
    # It has another name, and comes again: no promise about steps covers it.
    renamed = {row["schedule"] for row in found.broken if row["violated"]}
    assert "drain_pool/after_ack#1:change(renamed)" in renamed


def test_results_by_position_are_seen(tmp_path):
    """A runtime that takes one step's result for another's loses an effect, and is convicted."""
    row = target(ROLLOUT, "change(removed)")

    found = sweep(_from("counter", "COUNTER"), tmp_path, row, confirm=False)

    lost = {r["schedule"] for r in found.broken if "lost_effect" in r["unpredicted"]}
    assert "check_pool/after_ack#1:change(removed)" in lost


def test_a_version_that_was_not_loaded_is_no_change(tmp_path):
    """A successor that does not run the version that it should shows nothing."""
    row = target(ROLLOUT, "change(renamed)")

    found = sweep(_from("deaf", "DEAF"), tmp_path, row, confirm=False)

    assert {"unknown"} == {judged["outcome"] for judged in found.broken}
    assert "runs '', not 'renamed'" in found.broken[0]["why"]


@pytest.mark.parametrize("name", ["reference", "checkpoint"])
def test_a_cancelled_run_begins_nothing(name, tmp_path):
    """Whatever it was doing: a run that was cancelled carries out no further step."""
    found = sweep(runtime(name), tmp_path, target(SMALL, "cancel(run)"), confirm=False)

    assert {"ok"} == {judged["outcome"] for judged in found.broken}
    assert {"cancelled"} <= {judged["end"] for judged in found.broken}


def test_a_heedless_runtime_is_convicted(tmp_path):
    """One that only nods goes on with its steps after it has taken the cancellation."""
    row = target(SMALL, "cancel(run)")

    found = sweep(_from("heedless", "HEEDLESS"), tmp_path, row, confirm=False)

    assert "cancel_ignored" in {name for r in found.broken for name in r["unpredicted"]}


@pytest.mark.parametrize("name", ["kill(parent)", "kill(listener)"])
def test_a_part_of_a_worker_dies(name, tmp_path):
    """The rest may live on beside the successor: what that repeats is predicted, no more."""
    with started(_from("parted", "PARTED"), tmp_path, row := target(SMALL, name)) as one:
        assert fault(name).obstacle(one.means(row.case)) is None
        _, _, points = golden(one, row)
        chosen = schedules([p for p in points if p.phase in fault(name).phases], name)
        events, rows = one.trial(row, name, 1, "batch", tuple(chosen))

    assert [] == [r for r in rows if r["surprising"] or r["outcome"] == "unknown"]
    (told,) = [event.data for event in events if event.kind == "fault"]
    assert name == f"kill({told['part']})"
    _, first, second = (event.data["incarnation"] for event in events if event.kind == "spawn")
    # Without its listener the first worker goes on with what it holds.
    victim = first if name == "kill(parent)" else f"{first}/listener"
    assert victim == told["victim"]
    (at,) = [event.index for event in events if event.kind == "fault"]
    after = {e.data["incarnation"] for e in events if e.kind == "call" and e.index > at}
    assert (second if name == "kill(parent)" else first) in after


def test_what_is_not_there_is_skipped(tmp_path):
    """A fault that has nothing to break is not measured, and the reason is told."""
    names = [*LINKS, "kill(database)", "kill(parent)", "kill(listener)", "upgrade(server)"]

    found = sweep(runtime("checkpoint"), tmp_path, target(SMALL, *names, "change(renamed)"))

    assert [] == found.broken
    assert len(names) + 1 == len(found.skips)
    assert "no connection leads from its workers" in found.skips[0]
    assert "has no version 'renamed'" in found.skips[-1]


def test_a_policy_that_is_not_there_is_skipped(tmp_path):
    """A program that asks for what the runtime has not is not measured, and nothing is begun."""
    bare = dataclasses.replace(runtime("checkpoint"), capabilities={"step": Support.NATIVE})
    row = target(SMALL, "kill(worker)")
    (first,) = row.case.scenario.programs
    asks = dataclasses.replace(first, policy=Policy(throttle=Throttle(limit=1, period_s=1.0)))
    case = dataclasses.replace(
        row.case, scenario=dataclasses.replace(row.case.scenario, programs=(asks,))
    )

    found = sweep(bare, tmp_path, dataclasses.replace(row, case=case))

    assert ([], 1) == (found.rows, len(found.skips))
    assert found.skips[0].endswith("it has no throttle")


def test_a_link_that_was_never_asked_for_shows_nothing(tmp_path):
    """A runtime that says that it is linked and is not cannot be cut: unknown, no pass."""
    boast = dataclasses.replace(runtime("checkpoint"), dial=Dial.WORKER)

    found = sweep(boast, tmp_path, target(SMALL, "cut(link)"), confirm=False)

    assert {"unknown"} == {row["outcome"] for row in found.broken}
    assert "asked the site for no link" in found.broken[0]["why"]


def test_another_clock(tmp_path):
    """The successor's clock is an hour ahead, and it says so itself."""
    found = sweep(runtime("checkpoint"), tmp_path, target(SMALL, "skew(clock)"), confirm=False)

    if found.skips:
        pytest.skip(found.skips[0])
    assert [] == found.surprises
    assert 10 == found.judged


# A real engine -------------------------------------------------------------------------------


@pytest.mark.engine
@pytest.mark.xdist_group("restate")
def test_links_and_stores_of_an_engine(tmp_path, monkeypatch):
    """One server meets each of them at every point; a promise that is too high is convicted."""
    names = [*LINKS, "roll(workers)", "rewind(store)", "restart(backlog)", "upgrade(server)"]
    rows = {name: target(SMALL, name) for name in names}
    found = {}
    try:
        with started(runtime("restate"), tmp_path, *rows.values()) as one:
            monkeypatch.setenv("BAKEOFF_RESTATE_BIN_NEXT", os.fspath(locate(ENGINE).path))
            one.request = dataclasses.replace(one.request, backlog=QUEUE)
            _, _, points = golden(one, rows["cut(link)"])
            for name, row in rows.items():
                assert fault(name).obstacle(one.means(row.case)) is None
                chosen = schedules([p for p in points if p.phase in fault(name).phases], name)
                events, found[name] = one.trial(row, name, 1, "batch", tuple(chosen))
                assert any(e.kind == "fault" and e.data["fault"] == name for e in events)
                if name in LINKS:
                    (told,) = [e.data["text"] for e in events if e.kind == "told"]
                    assert int(told.split()[-1]) > 0
            # The control: who promises that nothing comes twice is convicted by the same runs.
            one.runtime = dataclasses.replace(one.runtime, guarantee=Guarantee.EFFECT_ONCE)
            _, high = one.trial(
                rows["black_hole(link)"],
                "black_hole(link)",
                1,
                "high",
                tuple(
                    schedules(
                        [p for p in points if str(p) == "send/after_effect#1"], "black_hole(link)"
                    )
                ),
            )
    except RuntimeUnavailableError as error:
        pytest.skip(str(error))

    odd = [r for rs in found.values() for r in rs if r["surprising"] or r["outcome"] == "unknown"]
    assert [] == [(r["schedule"], r["unpredicted"], r["why"]) for r in odd]
    assert "duplicate_effect" in high[0]["unpredicted"]
