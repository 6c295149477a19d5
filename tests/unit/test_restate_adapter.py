"""The pure parts of Restate's adapter: what its tables mean, and what its profiles say."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from harness.effects import Json
from harness.policy import PRIMITIVES, Batch, Concurrency, Policy, Retry
from harness.process import Address
from harness.runtime import RunView
from harness.scenario import Program, Scenario, ScenarioError
from harness.signature import GOVERNS
from runtimes.restate.adapter import RUNTIME
from runtimes.restate.declared import CAPABILITIES, emulates
from runtimes.restate.native.adapter import RUNTIME as NATIVE
from runtimes.restate.profiles import ATTEMPTS, PROFILES, environment
from runtimes.restate.views import readable, status_of, tails, view


def row(status: str, **more: Json) -> dict[str, Json]:
    """Return a line of ``sys_invocation``; the server leaves out what is null."""
    return {"id": "inv_1", "target_service_key": "t1-r1", "status": status, **more}


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("pending", "queued"),
        ("ready", "queued"),
        ("scheduled", "queued"),
        ("running", "running"),
        ("backing-off", "retrying"),
        ("suspended", "waiting"),
        ("paused", "parked"),
        ("a word of a later version", "unknown"),
    ],
)
def test_live_status(status: str, expected: str) -> None:
    """Each state of the server has one word of the harness; a new one is unknown, not guessed."""
    assert expected == status_of(row(status))


@pytest.mark.parametrize(
    ("result", "failure", "expected"),
    [
        ("success", None, "completed"),
        ("failure", "[409] killed", "cancelled"),
        ("failure", "[409] cancelled", "cancelled"),
        ("failure", "[409] conflict with another order", "failed"),
        ("failure", "[500] the name 'x' is used twice", "failed"),
    ],
)
def test_ended_status(result: str, failure: str | None, expected: str) -> None:
    """Only the server's own words for a stop count as a cancellation."""
    ended = row("completed", completion_result=result, completion_failure=failure)
    assert expected == status_of(ended)


@pytest.mark.parametrize(
    ("last", "open_steps", "expected"),
    [
        ("Command: Sleep", 0, "waiting"),
        ("Command: GetPromise", 0, "waiting"),
        ("Command: Call", 0, "waiting"),
        ("Command: Sleep", 1, "running"),
        ("Command: Run", 1, "running"),
        ("Notification: Run", 0, "running"),
        ("Notification: Sleep", 0, "running"),
    ],
)
def test_waiting_is_read_from_the_journal(last: str, open_steps: int, expected: str) -> None:
    """A run waits if a wait was written last and no step of a gather is in flight."""
    tail: dict[str, Json] = {"id": "inv_1", "last": last, "open_steps": open_steps}
    assert expected == status_of(row("running"), tail)


def test_a_dead_worker_outweighs_the_journal() -> None:
    """A run that backs off is retrying, whatever it waited for."""
    tail: dict[str, Json] = {"id": "inv_1", "last": "Command: Sleep", "open_steps": 0}
    assert status_of(row("backing-off"), tail) == "retrying"


def test_unknown_run() -> None:
    """A run that the tables do not have is unknown, and whether it moves is not claimed."""
    assert RunView(run="r", status="absent") == view("r", None, None, None)


@pytest.mark.parametrize(
    ("status", "expected"),
    [("running", "yes"), ("backing-off", "yes"), ("paused", "no"), ("new word", "unknown")],
)
def test_moves(status: str, expected: str) -> None:
    """A paused run stays where it is until someone resumes it."""
    assert expected == view("r", row(status, retry_count=3), None, None).moves


def test_view_carries_output_and_attempt() -> None:
    """A completed run has its output, ends, and keeps no null in its detail."""
    ended = row("completed", completion_result="success", last_failure=None)
    seen = view("r", ended, None, {"a": 1})
    assert seen.output == {"a": 1}
    assert seen.terminal
    assert seen.moves == "no"
    assert seen.attempt is None
    assert "last_failure" not in seen.detail


def test_values_of_the_journal_are_text() -> None:
    """A secret in a recorded value must be found by whoever searches the journal."""
    entry: Json = {"Run": {"completion_id": 1, "result": {"Success": list(b'{"key": "canary"}')}}}
    expected = {"Run": {"completion_id": 1, "result": {"Success": '{"key": "canary"}'}}}
    assert expected == readable(entry)


def test_other_lists_of_the_journal_stay() -> None:
    """Only lists of bytes are values; headers and empty lists are what they are."""
    entry: Json = {"headers": [["name", "value"]], "none": [], "large": [256]}
    assert entry == readable(entry)


def test_tails_asks_for_these_journals_only() -> None:
    """The query names the ids, so that the table of all journals is not scanned."""
    assert "id in ('inv_1', 'inv_2')" in tails(["inv_1", "inv_2"])


@pytest.mark.parametrize("profile", PROFILES)
def test_settings_declare_the_timers(profile: str) -> None:
    """The hang timer is the sum of the two timers that make it."""
    settings = PROFILES[profile].to_json()
    timers = (settings["inactivity_timeout_s"], settings["abort_timeout_s"])
    assert settings["hang_timer_s"] == sum(float(str(timer)) for timer in timers)
    assert float(str(settings["settle_s"])) > 0


def test_default_profile_changes_nothing_of_the_vendor() -> None:
    """What governs recovery is the vendor's unless the profile says so."""
    assert not PROFILES["default"].service
    assert not PROFILES["default"].server


def test_safe_profile_never_gives_up() -> None:
    """Timers are the vendor's, and a run is tried for as long as its worker is away."""
    vendor, safe = PROFILES["default"].to_json(), PROFILES["safe"].to_json()
    assert {ATTEMPTS: "unlimited", "budget_s": None} == {
        name: value for name, value in safe.items() if vendor[name] != value
    }


@pytest.mark.parametrize("profile", PROFILES)
def test_what_governs_is_among_the_settings(profile: str) -> None:
    """Every kind of trouble has a setting, whose value a diagnosis can show."""
    settings = PROFILES[profile].to_json()
    governs = settings["governs"]
    assert isinstance(governs, dict)
    assert set(GOVERNS.values()) == set(governs)
    assert set(governs.values()) <= set(settings)


@pytest.mark.parametrize(("profile", "expected"), [("default", 3783.5), ("fast", 27.1)])
def test_absence_that_a_run_survives(profile: str, expected: float) -> None:
    """The waits between the attempts add up: 0.5 + 1 + ... + 32 s, and 62 of a minute."""
    budget_s = PROFILES[profile].to_json()["budget_s"]
    assert expected == pytest.approx(budget_s)


def scenario(policy: Policy, *on: str) -> Scenario:
    """Return a scenario with one program of a policy."""
    return Scenario(
        name="s", programs=(Program(name="p", body=idle, policy=policy, on=on),), world={}
    )


async def idle(arg: Json) -> Json:
    """Do nothing."""
    return arg


@pytest.mark.parametrize(
    ("policy", "on", "expected"),
    [
        (Policy(), (), False),
        (Policy(retry=Retry(attempts=2)), (), False),
        (Policy(concurrency=Concurrency(limit=1, key="k")), (), False),
        (Policy(concurrency=Concurrency(limit=2, key="k")), (), True),
        (Policy(concurrency=Concurrency(limit=1)), (), True),
        (Policy(concurrency=Concurrency(limit=1, key="k"), priority="rank"), (), True),
        (Policy(concurrency=Concurrency(limit=1, key="k"), start_timeout_s=1.0), (), True),
        (Policy(cron="* * * * * *"), (), True),
        (Policy(), ("told",), True),
    ],
)
def test_emulation_is_loaded_where_it_is_needed(policy, on, expected) -> None:
    """What the server does by itself needs none: a queue of one for each key among it."""
    assert expected is emulates(scenario(policy, *on))


def test_what_is_missing_is_refused() -> None:
    """A worker does not begin what it cannot honour."""
    with pytest.raises(ScenarioError, match="restate has no batch"):
        emulates(scenario(Policy(batch=Batch(size=2, wait_s=1.0))))


def test_every_primitive_is_declared() -> None:
    """A primitive is native, emulated or missing, and said to be so."""
    assert {*PRIMITIVES, "decide"} == set(CAPABILITIES)


def test_native_differs_in_its_worker_only() -> None:
    """Hand-written workflows stand in a column of their own, with the scenarios they are for."""
    changed: dict[str, Any] = {
        "name": NATIVE.name,
        "module": NATIVE.module,
        "scenarios": NATIVE.scenarios,
    }
    assert "restate-native" == NATIVE.name
    assert replace(RUNTIME, **changed) == NATIVE


def test_environment_names_all_ports() -> None:
    """A server comes back on its ports because they are given, and on no other interface."""
    ports = [Address("127.0.0.1", port) for port in (1, 2, 3)]
    names = ("RESTATE_BIND_PORT", "RESTATE_ADMIN__BIND_PORT", "RESTATE_INGRESS__BIND_PORT")
    seen = environment("fast", ports)
    assert [seen[name] for name in names] == ["1", "2", "3"]
    assert seen["RESTATE_BIND_IP"] == "127.0.0.1"
