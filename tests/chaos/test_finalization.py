"""Between the last step and the report, and at start-up: what users report most."""

from __future__ import annotations

import pytest

from support.campaign import CAMPAIGN, runtime
from support.sweeps import abreast, opened, started, sweep, target

from harness.runtime import RuntimeUnavailableError
from harness.schedule import parse
from harness.situations import entries
from harness.suite import situations, targets


QUICK = {"kill(worker)", "gone(worker)", "slow(handler)", "refuse(worker)", "wipe(store)"}
LAST = {"kill(worker)", "gone(worker)"}


@pytest.mark.parametrize("name", ["naive", "reference"])
def test_a_worker_gone_before_the_report(name, tmp_path):
    """Who begins again does all of it twice, and says so; who keeps what is done ends clean."""
    rows = [one for one in targets("finalization", [], [], "") if set(one.faults) <= QUICK]

    with opened(runtime(name), tmp_path, *rows, confirm=False) as (one, screen):
        one.run()
        told = one.store.rows()

    assert [] == [row["schedule"] for row in told if row["surprising"]]
    assert {"alone", "golden"} == {row["mode"] for row in told}
    ended = [r for r in told if r["schedule"].startswith("finalize") and r["fault"] in LAST]
    twice = [row["fault"] for row in ended if "duplicate_effect" in row["violated"]]
    assert (["gone(worker)", "kill(worker)"] if name == "naive" else []) == sorted(twice)
    skips = [_skip(text) for text in screen.skips]
    table = dict(entries(situations("finalization"), [name], told, skips))
    (gone,) = table["worker gone before the report, back after the retries"]
    assert ("clean", "SDK_UNREACHABLE") == (gone.signature, gone.meanwhile)
    assert "no budget limits it" in gone.text
    (refused,) = table["worker unreachable at its registration"]
    assert "not measured: its worker dials, or there is no connection" in refused.text


def _skip(text):
    """Return what was skipped, and why."""
    place, _, reason = text.partition(": ")
    name, case, _, fault = place.split()
    return {"runtime": name, "case": case, "fault": fault, "reason": reason}


def test_a_chain_stands_before_it_is_broken(tmp_path):
    """What a run has begun and does not wait for has ended before the fault: no race is left."""
    found = sweep(runtime("checkpoint"), tmp_path, target("chain[O]", "kill(worker)"))

    assert [] == found.surprises
    assert 0 == sum(cell.disagreed for cell in found.cells)
    assert {"log_order/after_effect#1", "confirm_order/after_effect#1"} <= {
        row["schedule"].partition(":")[0] for row in found.broken if row["violated"]
    }


@pytest.mark.engine
@pytest.mark.xdist_group("restate")
def test_an_engine_that_calls_its_workers(tmp_path):
    """It refuses whom it cannot reach, goes on elsewhere, and gives up when its attempts are."""
    lost = "cut_over/before_effect#1:wipe(store)"
    wanted = {
        "attach#1:refuse(worker)": "clean",
        "cut_over/before_effect#1:redeploy(worker)": "clean",
        "finalize#1:gone(worker)": "CHAIN_BROKEN",
        **({lost: "LOST_RUN"} if CAMPAIGN else {}),
    }
    row = target("migration[O]")
    try:
        with started(runtime("restate"), tmp_path, row) as one:
            chosen = {text: parse(text) for text in wanted}
            each = {text: (s.stages[0].fault, (s,)) for text, s in chosen.items() if text != lost}
            found = {text: rows[0] for text, (_, rows) in abreast(one, row, each).items()}
            if CAMPAIGN:  # it kills the server of all
                found[lost] = one.trial(row, "wipe(store)", 1, lost, (chosen[lost],))[1][0]
    except RuntimeUnavailableError as error:
        pytest.skip(str(error))

    assert wanted == {text: judged["diagnosis"]["signature"] for text, judged in found.items()}
    assert [] == [text for text, r in found.items() if r["surprising"] or r["outcome"] == "unknown"]
    refused, gone = found["attach#1:refuse(worker)"], found["finalize#1:gone(worker)"]
    assert "the engine refuses" in refused["told"][0]
    assert "gave it up meanwhile" in gone["told"][0]
    governs = runtime("restate").settings("fast")["governs"]
    assert governs["attempts"] == gone["diagnosis"]["setting"]
