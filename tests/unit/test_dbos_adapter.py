"""What DBOS's rows mean, and what the adapter declares."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.runtime import Guarantee, Runtime, RunView
from harness.signature import GOVERNS
from runtimes.dbos.adapter import POSTGRESQL, RUNTIME
from runtimes.dbos.native.adapter import RUNTIME as NATIVE
from runtimes.dbos.pools import Files
from runtimes.dbos.view import view


def row(status: str, attempt: int = 1, waits: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return a row as the client child answers it."""
    return {
        "status": status,
        "attempt": attempt,
        "output": {"told": "ok"} if status == "SUCCESS" else None,
        "error": None,
        "id": "w1",
        "executor": "p1",
        "queue": "runs",
        "waits": list(waits),
    }


@pytest.mark.parametrize(
    ("status", "attempt", "waits", "expected"),
    [
        ("DELAYED", 0, (), "queued"),
        ("ENQUEUED", 0, (), "queued"),
        ("ENQUEUED", 1, (), "retrying"),
        ("PENDING", 1, (), "running"),
        ("PENDING", 1, ("3 DBOS.sleep",), "waiting"),
        ("SUCCESS", 1, (), "completed"),
        ("ERROR", 1, (), "failed"),
        ("CANCELLED", 1, (), "cancelled"),
        ("MAX_RECOVERY_ATTEMPTS_EXCEEDED", 102, (), "dead"),
    ],
)
def test_every_state_has_a_status(
    status: str, attempt: int, waits: tuple[str, ...], expected: str
) -> None:
    """Each state of DBOS is one status of ours."""
    assert expected == view("r1", row(status, attempt, waits), staffed=True).status


@pytest.mark.parametrize(
    ("status", "staffed", "expected"),
    [
        ("ENQUEUED", True, "yes"),
        ("ENQUEUED", False, "no"),
        ("PENDING", True, "unknown"),
        ("PENDING", False, "no"),
        ("SUCCESS", True, "no"),
    ],
)
def test_a_run_moves_only_where_a_worker_lives(
    status: str,
    staffed: bool,
    expected: str,
) -> None:
    """Without a worker nothing moves; with one, only a queued run is known to."""
    assert expected == view("r1", row(status), staffed=staffed).moves


def test_a_completed_run_has_its_output() -> None:
    """The output of a run goes into its view."""
    assert {"told": "ok"} == view("r1", row("SUCCESS"), staffed=True).output


def test_a_run_without_a_row_is_unknown() -> None:
    """No row is no evidence."""
    assert RunView(run="r1", status="absent") == view("r1", None, staffed=True)


@pytest.mark.parametrize("profile", RUNTIME.profiles)
def test_the_step_timer_is_the_declared_hang_timer(profile: str) -> None:
    """What is declared of hangs is what the steps get."""
    settings: Any = RUNTIME.settings(profile)
    assert settings["step"]["timeout_seconds"] == settings["hang_timer_s"]


def test_a_pool_is_a_copy_of_the_template(tmp_path: Path) -> None:
    """A pool begins with all that the template has, and dropping it leaves the template."""
    files = Files(tmp_path)
    (tmp_path / "template.sqlite").write_text("migrated")

    files.copy("template", "p1")

    assert f"sqlite:///{tmp_path}/p1.sqlite" == files.url("p1")
    assert "migrated" == (tmp_path / "p1.sqlite").read_text()
    files.drop("p1")
    assert ["template.sqlite"] == [file.name for file in tmp_path.iterdir()]


@pytest.mark.parametrize("profile", RUNTIME.profiles)
def test_both_databases_recover_alike(profile: str) -> None:
    """A profile differs between SQLite and PostgreSQL in what keeps data and time, and no timer."""
    here: Any = RUNTIME.settings(profile)
    there: Any = POSTGRESQL.settings(profile)
    differs = {"database", "journal_mode", "durable", "executors", "governs", "clock_s"}
    assert differs == {key for key in here.keys() | there.keys() if here.get(key) != there.get(key)}


@pytest.mark.parametrize("runtime", [RUNTIME, POSTGRESQL], ids=lambda runtime: runtime.name)
@pytest.mark.parametrize("profile", RUNTIME.profiles)
def test_what_governs_recovery_is_a_setting(runtime: Runtime, profile: str) -> None:
    """Each kind of setting has a name, and the name a value; no absence uses a run up."""
    settings: Any = runtime.settings(profile)
    assert set(GOVERNS.values()) == set(settings["governs"])
    assert set(settings["governs"].values()) <= set(settings)
    assert settings["budget_s"] is None


@pytest.mark.parametrize("runtime", [RUNTIME, POSTGRESQL, NATIVE], ids=lambda runtime: runtime.name)
def test_it_is_a_runtime(runtime: Runtime) -> None:
    """The adapter meets the common interface, whatever database and workflows it has."""
    assert Guarantee.AT_LEAST_ONCE == runtime.guarantee


def test_native_differs_in_its_worker_only() -> None:
    """Hand-written workflows stand in a column of their own, with the scenarios they are for."""
    assert NATIVE == replace(
        RUNTIME, name=NATIVE.name, module=NATIVE.module, scenarios=NATIVE.scenarios
    )
    assert "dbos-native" == NATIVE.name
