"""Temporal's states as the harness reads them, without a server and without the SDK."""

import sys

from dataclasses import asdict, replace

import pytest

from harness.load import load_scenario
from harness.policy import PRIMITIVES, CancelOn, Concurrency, Policy
from harness.program import sleep
from harness.runtime import Runtime, RuntimeUnavailableError, Support
from harness.scenario import Program, Scenario
from harness.signature import GOVERNS
from runtimes.support import present
from runtimes.temporal.adapter import RUNTIME
from runtimes.temporal.native.adapter import RUNTIME as NATIVE
from runtimes.temporal.settings import (
    EMULATIONS,
    GATED,
    PROFILES,
    VARIABLE,
    Place,
    cancels,
    life_s,
    named,
    uses,
    view,
)


HELD = {"state": "PENDING_ACTIVITY_STATE_STARTED", "attempt": 1, "lastWorkerIdentity": "w-1"}
BACKING_OFF = {
    "state": "PENDING_ACTIVITY_STATE_SCHEDULED",
    "attempt": 3,
    "lastFailure": {"message": "activity Heartbeat timeout"},
}
PLACE = Place(
    target="127.0.0.1:1", namespace="default", prefix="bakeoff-1-", timers=PROFILES["fast"]
)


@pytest.mark.parametrize(
    ("seen", "status", "moves"),
    [
        ({"status": "COMPLETED", "output": 1}, "completed", "no"),
        ({"status": "FAILED"}, "failed", "no"),
        ({"status": "CANCELED"}, "cancelled", "no"),
        ({"status": "TERMINATED"}, "cancelled", "no"),
        ({"status": "TIMED_OUT"}, "failed", "no"),
        ({"status": "NOT_FOUND"}, "absent", "unknown"),
        ({"status": "UNAVAILABLE"}, "unknown", "unknown"),
        ({"status": "RUNNING", "task": {"attempt": 1}, "begun": False}, "queued", "yes"),
        ({"status": "RUNNING", "task": {"attempt": 1}, "begun": True}, "running", "yes"),
        ({"status": "RUNNING", "task": {"attempt": 2}, "begun": True}, "retrying", "yes"),
        ({"status": "RUNNING", "activities": [HELD]}, "running", "yes"),
        ({"status": "RUNNING", "activities": [HELD, BACKING_OFF]}, "retrying", "yes"),
        ({"status": "RUNNING", "wakes": 1}, "waiting", "yes"),
        ({"status": "RUNNING", "wakes": 0}, "waiting", "no"),
        (
            {"status": "RUNNING", "activities": [{"state": "PENDING_ACTIVITY_STATE_PAUSED"}]},
            "parked",
            "no",
        ),
    ],
)
def test_every_state_has_its_status(seen, status, moves):
    """A state of the engine becomes the status that says the same."""
    shown = view("r1", seen)

    assert (status, moves) == (shown.status, shown.moves)


def test_view_carries_output_attempt_claim_and_failure():
    """What the engine tells beyond its state is not lost."""
    done = view("r1", {"status": "COMPLETED", "id": "abc", "output": {"ok": True}})
    busy = view("r1", {"status": "RUNNING", "activities": [HELD, BACKING_OFF]})

    assert ({"ok": True}, "abc", None) == (done.output, done.engine_id, done.attempt)
    assert (3, "w-1") == (busy.attempt, busy.claim)
    assert "activity Heartbeat timeout" == busy.detail["failure"]


def test_history_events_are_named_by_what_they_are_about():
    """An activity by its step, a signal and a timer by theirs, others not at all."""
    step = {"activityTaskScheduledEventAttributes": {"activityType": {"name": "notify"}}}
    signal = {"workflowExecutionSignaledEventAttributes": {"signalName": "bakeoff.event"}}
    timer = {"timerStartedEventAttributes": {"timerId": "1"}}

    assert ["notify", "bakeoff.event", "1", ""] == [named(e) for e in (step, signal, timer, {})]


def test_a_place_survives_the_environment(monkeypatch):
    """A child reads the place that its parent wrote."""
    monkeypatch.setenv(VARIABLE, PLACE.environment()[VARIABLE])

    assert PLACE == Place.of_environment()


def test_pools_and_runs_are_prefixed():
    """On a deployment that is not ours nothing meets the names of an earlier sweep."""
    assert ("bakeoff-1-p", "bakeoff-1-r") == (PLACE.queue("p"), PLACE.id("r"))


@pytest.mark.parametrize("profile", RUNTIME.profiles)
def test_settings_declare_their_timers(profile):
    """Every profile says when a hang is noticed and how long settling may take."""
    settings = RUNTIME.settings(profile)

    assert settings["hang_timer_s"] == settings["heartbeat_s"] < settings["settle_s"]


def test_safe_loses_nothing_and_suspects_nobody_sooner():
    """Beside the vendor's timers, what was recorded outlives a power cut and a ghost ends."""
    vendor, safe = asdict(PROFILES["default"]), asdict(PROFILES["safe"])

    assert {"run_s": 7200.0, "synchronous": 2} == {
        name: value for name, value in safe.items() if vendor[name] != value
    }
    assert ["journal_mode=wal", "synchronous=2"] == RUNTIME.settings("safe")["sqlite"]


@pytest.mark.parametrize("profile", RUNTIME.profiles)
def test_each_signature_has_its_setting(profile):
    """What governs is one of the settings shown, and no run outlives its own end."""
    settings = RUNTIME.settings(profile)

    assert set(GOVERNS.values()) == set(settings["governs"])
    assert set(settings["governs"].values()) <= set(settings)
    assert (settings["run_s"] or None) == settings["budget_s"]


def test_every_primitive_is_declared():
    """Nothing is left open, and what loads an emulation is not called native."""
    assert set(PRIMITIVES) <= set(RUNTIME.capabilities)
    assert {Support.EMULATED} == {RUNTIME.capabilities[name] for name in EMULATIONS}


def test_emulations_are_loaded_only_for_what_needs_them():
    """A plain program needs no gate; a listener needs none either, but somebody to tell it."""

    async def body(arg):
        await sleep("nap", arg)

    plain = Program(name="plain", body=body)
    limited = Program(
        name="limited",
        body=body,
        policy=Policy(
            concurrency=Concurrency(limit=1), cancel_on=(CancelOn(event="e", match="k"),)
        ),
    )
    told = Scenario(name="s", programs=(plain, Program(name="p", body=body, on=("e",))), world={})
    gated = Scenario(name="s", programs=(plain, limited), world={})

    assert not uses(load_scenario("scenarios.migration:SCENARIO")) & EMULATIONS
    assert {"emit"} == uses(told)
    assert {"concurrency", "cancel_on"} == uses(gated) <= GATED
    assert (["limited"], []) == (cancels(gated, "e"), cancels(gated, "other"))


def test_a_run_ends_by_its_policy_or_by_its_profile():
    """The policy's time is the scenario's; without one the profile's end holds."""
    safe = PROFILES["safe"]

    assert 2.0 == life_s(Policy(finish_timeout_s=20.0), 0.1, safe)
    assert (7200.0, 0.0) == (life_s(Policy(), 0.1, safe), life_s(Policy(), 0.1, PROFILES["fast"]))


def test_native_differs_in_its_worker_only():
    """Hand-written workflows stand in a column of their own, and promise what they use."""
    assert "temporal-native" == NATIVE.name
    assert {Support.NATIVE} == set(NATIVE.capabilities.values())
    assert NATIVE == replace(
        RUNTIME,
        name=NATIVE.name,
        module=NATIVE.module,
        scenarios=NATIVE.scenarios,
        capabilities=NATIVE.capabilities,
    )


def test_adapter_needs_no_sdk():
    """The harness can list and describe Temporal without importing its SDK."""
    runtime: Runtime = RUNTIME

    assert "temporal" == runtime.name
    assert "temporalio" not in sys.modules


def test_a_missing_server_says_what_to_do(monkeypatch):
    """Without a binary Temporal is not measured, and the message has the command."""
    monkeypatch.setattr(present, "locate", lambda _: None)

    with pytest.raises(RuntimeUnavailableError, match="bakeoff engines install temporal"):
        RUNTIME.version()
