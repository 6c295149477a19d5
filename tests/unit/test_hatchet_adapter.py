"""The pure parts of the Hatchet adapter: how states read, what a timer can be, what was said."""

from __future__ import annotations

import json

from base64 import urlsafe_b64encode

import pytest

from harness.policy import PRIMITIVES, Policy
from harness.process import ProcessError
from harness.signature import GOVERNS
from runtimes.hatchet.adapter import RUNTIME, tenant_of
from runtimes.hatchet.launch import TENANT, said
from runtimes.hatchet.settings import (
    PROFILES,
    SILENCE_S,
    STEP,
    Place,
    named,
    precedence,
    rounded,
    view,
    whole_s,
)
from runtimes.hatchet.stalls import Stalls


@pytest.mark.parametrize(
    ("core", "status", "moves"),
    [
        ("COMPLETED", "completed", "no"),
        ("FAILED", "failed", "no"),
        ("CANCELLED", "cancelled", "no"),
        ("QUEUED", "queued", "unknown"),
        ("RUNNING", "running", "unknown"),
        ("UNREACHABLE", "unknown", "unknown"),
        ("NOT_FOUND", "absent", "unknown"),
        ("EVICTED", "unknown", "unknown"),
    ],
)
def test_state_is_read(core, status, moves):
    """Each state of the engine has one meaning; what is not known says so."""
    seen = view("r", {"core": core})

    assert (status, moves) == (seen.status, seen.moves)


@pytest.mark.parametrize(
    ("waits", "status"),
    [
        ([], "running"),
        (["nap"], "waiting"),
        (["pool_child"], "waiting"),
        ([named("pool", f"{STEP}.main")], "running"),
        (["nap", named("pool", f"{STEP}.main")], "running"),
    ],
)
def test_a_run_waits_unless_a_step_is_open(waits, status):
    """Timers, events and other programs are waits; an open task of ours is work."""
    assert status == view("r", {"core": "RUNNING", "waits": waits}).status


def test_the_engine_is_believed_before_its_views():
    """The REST list lags behind: it is a detail, never the status."""
    seen = view("r", {"core": "COMPLETED", "olap": "RUNNING", "output": 7})

    assert ("completed", 7, "RUNNING") == (seen.status, seen.output, seen.detail["olap"])


@pytest.mark.parametrize(
    ("evicted", "waits", "moves"),
    [(True, [], "no"), (True, ["nap"], "yes"), (False, [], "unknown")],
)
def test_a_run_off_its_worker_needs_something_to_wake_it(evicted, waits, moves):
    """Evicted with nothing left to wait for it does not move, whatever its status says."""
    assert moves == view("r", {"core": "RUNNING", "evicted": evicted, "waits": waits}).moves


@pytest.mark.parametrize("waits", [[], ["nap"]])
def test_what_was_dropped_does_not_move(waits):
    """Nobody works on it, whatever the end of its waits would tell."""
    seen = view("r", {"core": "RUNNING", "stalled": True, "waits": waits})

    assert ("no", True) == (seen.moves, seen.detail["stalled"])


TASKS = [f"{number:08}-0000-4000-8000-000000000000" for number in range(3)]
SAID = "2026-11-21T09:22:17Z ERR durable task {} (invocation {}): ordered release stalled waiting"


def _stalls(folder, asked, answer):
    for number, task in enumerate(TASKS):
        (folder / f"{number}.log").write_text(f"started\n{SAID.format(task, number + 1)}\n")

    def sql(statement):
        asked.append(statement)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return Stalls(logs=lambda: sorted(folder.glob("*.log")), sql=sql)


def test_dropped_runs_are_those_of_log_and_tables(tmp_path):
    """The log of every start is read, and only what it says is looked up, as it was said."""
    asked = []
    found = _stalls(tmp_path, asked, TASKS[2]).among(TASKS[1:])

    assert {TASKS[2]} == found
    assert f"(VALUES ('{TASKS[1]}', 2), ('{TASKS[2]}', 3))" in asked[0]


def test_nothing_is_dropped_without_proof(tmp_path):
    """A task that no log speaks of needs no tables, and without tables nothing is told."""
    asked = []
    stalls = _stalls(tmp_path, asked, ProcessError("away"))

    assert frozenset() == stalls.among(["another"])
    assert [] == asked
    assert frozenset() == stalls.among(TASKS)


def test_a_second_attempt_in_the_queue_is_a_retry():
    """What was tried before and waits for a worker again is no fresh run."""
    assert "retrying" == view("r", {"core": "QUEUED", "attempt": 2}).status


@pytest.mark.parametrize(("asked_s", "real_s"), [(0.0, 1), (0.2, 1), (1.0, 1), (1.01, 2)])
def test_timers_are_whole_seconds_and_never_too_short(asked_s, real_s):
    """The server knows no shorter timer."""
    assert real_s == whole_s(asked_s)


@pytest.mark.parametrize(
    ("period_s", "window"),
    [(0.6, "SECOND"), (1.0, "SECOND"), (1.5, "MINUTE"), (3601, "DAY"), (1e6, "WEEK")],
)
def test_a_limit_has_the_next_longer_window(period_s, window):
    """A longer window keeps the limit, a shorter one would not."""
    assert window == rounded(period_s)


@pytest.mark.parametrize(("rank", "priority"), [(0, 1), (1, 1), (2, 2), (3, 3), (9, 3)])
def test_priorities_are_three(rank, priority):
    """The server knows three; what is beyond is the nearest of them."""
    assert priority == precedence(Policy(priority="rank"), {"rank": rank})


def test_no_priority_is_the_servers_own():
    """A program that asks for none leaves it to the server."""
    assert precedence(Policy(), {"rank": 2}) is None


def test_a_place_survives_the_environment(monkeypatch):
    """A child reads what the harness wrote, and the SDK its own variables."""
    place = Place(
        grpc="127.0.0.1:1",
        rest="http://127.0.0.1:2",
        token="ey",  # noqa: S106 - nobody's
        tenant="t",
        timers=PROFILES["fast"],
        since="2026-01-01T00:00:00+00:00",
    )
    for name, value in place.environment("pool").items():
        monkeypatch.setenv(name, value)

    assert place == Place.of_environment()


def test_the_token_says_whose_it_is():
    """The tenant is the subject of the token; its base64 has no padding."""
    claims = urlsafe_b64encode(json.dumps({"sub": "a-tenant"}).encode()).decode().rstrip("=")

    assert "a-tenant" == tenant_of(f"ey.{claims}.signature")


def test_what_a_command_did_not_print_is_an_error():
    """The error quotes what was seen instead."""
    assert "707d0855-80ab-4e1f-a156-f1c4546cbf52" == said(
        TENANT, "tenant", "created tenant 707d0855-80ab-4e1f-a156-f1c4546cbf52\n"
    )
    with pytest.raises(ProcessError, match="no such flag"):
        said(TENANT, "tenant", "no such flag")


def test_every_primitive_is_declared():
    """Nothing is left unsaid, and what recovery waits for is said for each profile."""
    assert set(PRIMITIVES) <= set(RUNTIME.capabilities)
    for profile in RUNTIME.profiles:
        settings = RUNTIME.settings(profile)
        assert SILENCE_S == settings["silence_s"] < settings["settle_s"]
        assert settings["refresh_s"] < settings["hang_timer_s"]
        assert {*GOVERNS.values()} == {*settings["governs"]}
        assert {*settings["governs"].values()} <= {*settings}
