"""The pure parts of Inngest's adapter: whose run an event starts, and what queue items mean."""

from __future__ import annotations

import json

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from harness.engines import Found
from harness.policy import PRIMITIVES
from harness.process import Address
from harness.runtime import Envelope, RuntimeUnavailableError, RunView, Support
from harness.signature import GOVERNS
from runtimes.inngest import adapter, emulated
from runtimes.inngest.adapter import CLOUD, CONNECT, RUNTIME, RUNTIMES, SQLITE
from runtimes.inngest.api import Api
from runtimes.inngest.backend import InngestBackend
from runtimes.inngest.emulated import Letter, Letters
from runtimes.inngest.names import FAILED, app, happens, started, starts
from runtimes.inngest.server import ENGINE
from runtimes.inngest.settings import CAPABILITIES, PROFILES
from runtimes.inngest.stores import Keys
from runtimes.inngest.view import status_of, view, waits_for


PARENT = Envelope(trial="t1", pool="t1-b", cell="t1-b0000", run="t1-b0000", armed=("finalize",))


def node(status, output=None):
    """Return a run as GraphQL shows it."""
    return {"id": "01ENGINE", "status": status, "output": output}


def job(kind, *, attempt=0, leased=False, **payload):
    """Return a line of ``/v1/runs/ID/jobs``."""
    raw = {"data": {"payload": payload}, **({"leaseID": "01LEASE"} if leased else {})}
    return {"kind": kind, "attempt": attempt, "at": "2026-11-21T08:00:00Z", "Raw": raw}


def test_a_start_names_its_run():
    """The event that starts one program carries the envelope of its run."""
    data = {"envelope": PARENT.to_json(), "arg": {"n": 1}}
    assert (PARENT, {"n": 1}) == started("greet", starts("t1-b", "greet"), data)


def test_a_listener_is_a_child_of_the_sender():
    """One event starts each listener under an id of its own; nothing is armed in it."""
    data = {"envelope": PARENT.to_json(), "key": "ann", "arg": None}
    envelope, arg = started("greet", happens("t1-b", "joined"), data)
    assert envelope.run == "t1-b0000.joined.ann.greet"
    assert envelope.parent == "t1-b0000"
    assert envelope.armed == ()
    assert arg is None


def test_a_failed_listener_is_named_by_what_started_it():
    """The server tells of a failure with the event that began the run; its own id is in that."""
    data = {
        "function_id": "bakeoff-t1-b-greet",
        "event": {
            "name": happens("t1-b", "joined"),
            "data": {"envelope": PARENT.to_json(), "key": "ann", "arg": None},
        },
        "error": {"message": "no"},
    }
    envelope, arg = started("tidy", FAILED, data)
    assert arg == {"run": "t1-b0000.joined.ann.greet", "error": "no"}
    assert envelope.run == "t1-b0000.joined.ann.greet.on_failure"


@pytest.mark.parametrize(
    ("status", "jobs", "expected"),
    [
        ("QUEUED", [job("start")], "queued"),
        ("RUNNING", [job("edge", leased=True)], "running"),
        ("RUNNING", [job("edge", attempt=2, leased=True)], "running"),
        ("RUNNING", [job("edge", attempt=2)], "retrying"),
        ("RUNNING", [job("sleep")], "waiting"),
        ("RUNNING", [job("pause")], "waiting"),
        ("RUNNING", [job("pause"), job("edge", leased=True)], "running"),
        ("RUNNING", [], "running"),
        ("COMPLETED", [], "completed"),
        ("FAILED", [], "failed"),
        ("CANCELLED", [], "cancelled"),
        ("SKIPPED", [], "cancelled"),
        ("a word of a later version", [], "unknown"),
    ],
)
def test_status(status, jobs, expected):
    """A live run waits if only timers and waits are queued, backs off if nobody has its item."""
    assert expected == status_of(node(status), jobs)


@pytest.mark.parametrize(
    ("status", "jobs", "expected"),
    [
        ("RUNNING", [job("pause")], "yes"),
        ("RUNNING", [], "no"),
        ("RUNNING", None, "unknown"),
        ("COMPLETED", None, "no"),
    ],
)
def test_moves(status, jobs, expected):
    """A live run that nothing is queued for is a ghost; where nobody could look, that is said."""
    assert expected == view("r", node(status), jobs).moves


def test_view_carries_the_output():
    """Outputs come as JSON text."""
    assert {"a": 1} == view("r", node("COMPLETED", '{"a": 1}'), None).output


def test_unknown_run():
    """A run that the server does not list is unknown."""
    assert RunView(run="r", status="absent") == view("r", None, None)


def test_an_event_is_delivered_to_the_wait_for_it_only():
    """A run that waits for another event, or for another key of it, is not yet there."""
    pause = {"event": "bakeoff/p.to.called", "stepName": "called friend"}
    jobs = [job("sleep"), job("pause", pause=pause)]
    assert waits_for(jobs, "bakeoff/p.to.called", "called friend")
    assert not waits_for(jobs, "bakeoff/p.to.called", "called nobody")
    assert not waits_for([job("sleep")], "bakeoff/p.to.called", "called friend")


def test_an_early_event_is_kept_once_and_sent_once():
    """It waits for its run; a second one of its key is not taken, and nothing is sent twice."""
    letters, sent = Letters(), []
    for n in (1, 2):
        letters.keep("p", Letter(run="r", event="e", step="called friend", body={"n": n}))
    waiting = [job("pause", pause={"event": "e", "stepName": "called friend"})]
    for jobs in ([job("edge")], waiting, waiting):
        letters.deliver("p", {"r": jobs}, sent.extend)
    assert [{"n": 1}] == sent


def test_every_primitive_is_declared():
    """What is not declared would be skipped; what is emulated is what the emulation says."""
    assert not set(PRIMITIVES) - set(CAPABILITIES)
    assert {*emulated.PRIMITIVES} == {
        name for name, support in CAPABILITIES.items() if support is Support.EMULATED
    }


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("runtime", RUNTIMES, ids=lambda runtime: runtime.name)
def test_each_signature_has_its_setting(runtime, profile):
    """What governs is one of the settings shown; each edition has its own."""
    settings = runtime.settings(profile)
    assert set(GOVERNS.values()) == set(settings["governs"])
    assert set(settings["governs"].values()) <= set(settings)


def test_what_governs_a_run_that_stands_still():
    """Over HTTP a connection breaks at once; who dialled has a lease; what is in memory is lost."""
    kinds = [one.settings("fast")["governs"]["dead_worker"] for one in (RUNTIME, CONNECT, SQLITE)]
    assert ["retry_backoff_s", "connect_request_lease_s", "store"] == kinds


def test_the_budget_is_the_sum_of_the_waits():
    """Without a worker each attempt fails at once, so only the waits between them take time."""
    budgets = {name: profile.budget_s for name, profile in PROFILES.items()}
    assert {"default": 225.0, "fast": 100.0, "safe": 87525.0} == budgets


def test_the_cloud_is_not_measured_without_an_address(monkeypatch):
    """Its row says what to set, and a binary on this machine does not stand in for it."""
    here = Found(engine=ENGINE, source="cache", path=Path("inngest"))
    monkeypatch.setattr(adapter, "present", lambda *_: (here, "0"))
    assert RUNTIME.version()
    with pytest.raises(RuntimeUnavailableError, match=ENGINE.env_address):
        CLOUD.version()


def test_default_profile_changes_nothing_of_recovery():
    """Only the number of held steps differs from the vendor's values."""
    assert PROFILES["default"].flags == ["--queue-workers", "2000"]
    assert PROFILES["default"].retries is None


@pytest.mark.parametrize("behind", [0, 2])
def test_a_cancelled_run_is_waited_for_until_the_server_lists_it(behind):
    """A cancel of what is not listed yet was dropped without a word."""
    cancelled, shown = [], []

    def answer(request):
        query = json.loads(request.content)
        if "cancelRun" in query["query"]:
            cancelled.append(query["variables"]["run"])
            return httpx.Response(200, json={"data": {}})
        shown.append(len(shown) >= behind)
        whose = {"triggerIDs": ["event-id"], "function": {"slug": f"{app('pool')}-main"}}
        edges = [{"node": node("RUNNING") | whose}] if shown[-1] else []
        page = {"hasNextPage": False, "endCursor": ""}
        return httpx.Response(200, json={"data": {"runs": {"edges": edges, "pageInfo": page}}})

    server = "http://127.0.0.1:9"
    with (
        httpx.Client(base_url=server, transport=httpx.MockTransport(answer)) as http,
        ThreadPoolExecutor() as threads,
    ):
        backend = InngestBackend(
            place=None,
            profile=PROFILES["fast"],
            module="",
            api=Api(http=http, keys=Keys(event=""), revive=lambda: None),
            threads=threads,
            interface=Address("127.0.0.1", 9),
            gateway=None,
            apps={"pool": "app-id"},
            starters={("event-id", "main"): "run", ("another", "main"): "another"},
        )
        backend.cancel("pool", ["run", "never-asked"])
    assert ["01ENGINE"] == cancelled
    assert [*[False] * behind, True] == shown
