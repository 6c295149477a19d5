"""What the observers of engines make of an answer: a death is claimed only where it shows."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from harness.process import Address
from harness.runtime import RuntimeUnavailableError
from harness.signature import Signature, classify
from runtimes.hatchet.tenant import tenant_of
from runtimes.inngest.observer import _given_up, _unreached
from runtimes.restate import observer as restate
from runtimes.support.reach import reach
from runtimes.temporal import observer as temporal


NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
ROW = {
    "id": "inv_1",
    "target": "service/run/run",
    "modified_at": "2026-01-01T11:59:00.000Z",
    "retry_count": 3,
    "last_failure": "connection refused",
    "endpoint": "http://127.0.0.1:1/",
}


@pytest.mark.parametrize(
    ("status", "answers", "expected"),
    [
        ("backing-off", "gone", Signature.SDK_UNREACHABLE),
        ("backing-off", "alive", Signature.CLEAN),
        ("backing-off", "unknown", Signature.CLEAN),
        ("running", "gone", Signature.CLEAN),
        ("suspended", "gone", Signature.CLEAN),
        ("paused", "alive", Signature.ATTEMPTS_BURNT),
        ("paused", "gone", Signature.ATTEMPTS_BURNT),
        ("a status of tomorrow", "alive", Signature.UNKNOWN),
    ],
)
def test_restate(status, answers, expected):
    """A port that cannot be reached from here counts only where the server has no answer either."""
    seen = restate._seen({**ROW, "status": status}, answers, NOW)

    assert expected is classify(seen)
    assert 60.0 == seen.idle_s


@pytest.mark.parametrize(("answers", "proven"), [("alive", True), ("gone", False)])
def test_restate_resumes_only_where_a_worker_is(answers, proven):
    """Without a worker a resumed run would only burn its attempts again."""
    seen = restate._seen({**ROW, "status": "paused"}, answers, NOW)
    remedy = restate.RestateObserver(None, "x").remedy(seen, Signature.ATTEMPTS_BURNT)

    assert proven is remedy.proven
    assert {"id": "inv_1"} == remedy.args


HELD = {
    "state": "PENDING_ACTIVITY_STATE_STARTED",
    "lastWorkerIdentity": "w1",
    "lastStartedTime": "2026-01-01T11:58:00.123456789Z",
}
PAUSED = {"state": "PENDING_ACTIVITY_STATE_PAUSED"}
SIGNAL = {"status": "RUNNING", "activities": [], "wakes": 0, "begun": True}


@pytest.mark.parametrize(
    ("seen", "pollers", "expected"),
    [
        ({"status": "RUNNING", "activities": [HELD]}, {"w1": 30.0}, Signature.CLEAN),
        ({"status": "RUNNING", "activities": [HELD]}, {"w1": 70.0}, Signature.SDK_UNREACHABLE),
        (
            {"status": "RUNNING", "activities": [HELD]},
            {"w1": 70.0, "w2": 1.0},
            Signature.ORPHANED_CLAIM,
        ),
        ({"status": "RUNNING", "activities": [PAUSED]}, {"w2": 1.0}, Signature.STUCK_RUN),
        ({"status": "RUNNING", "task": {"attempt": 9}}, {"w2": 1.0}, Signature.UNKNOWN),
        (SIGNAL, {"w2": 1.0}, Signature.UNKNOWN),
        ({**SIGNAL, "wakes": 1}, {"w2": 1.0}, Signature.CLEAN),
    ],
)
def test_temporal(seen, pollers, expected):
    """A worker lives while it polls; what waits for a signal is nobody's fault."""
    row = {"run": "r", "type": "t", "queue": "q", "seen": seen}

    assert expected is classify(temporal._seen(row, pollers, NOW))


def test_inngest_tells_absence_from_error():
    """Only the server's own words for an absence make a failed run one that was burnt."""
    burnt = {
        "function": {"slug": "f"},
        "id": "1",
        "output": '{"message": "Unable to reach SDK URL"}',
    }

    assert _unreached(burnt["output"])
    assert not _unreached('{"message": "ValueError: no such order"}')
    assert Signature.ATTEMPTS_BURNT is classify(_given_up(burnt))


def test_nobody_is_there():
    """A refused connection is an absence, a name that means nothing tells nothing."""
    assert "gone" == reach(f"http://{Address('127.0.0.1', 1)}")
    assert "unknown" == reach("http://no-such-host.invalid:80")


@pytest.mark.parametrize("token", ["", "garbage", "a.b", "a.!!.c"])
def test_no_token(token):
    """What is no token is refused as such."""
    with pytest.raises(ValueError, match=r"."):
        tenant_of(token)


def test_no_deployment_is_named(monkeypatch):
    """Without an address there is one clear error, which names the variable."""
    monkeypatch.delenv("BAKEOFF_RESTATE_ADDRESS", raising=False)
    with pytest.raises(RuntimeUnavailableError, match="set BAKEOFF_RESTATE_ADDRESS"):
        restate.observing().__enter__()
