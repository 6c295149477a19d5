"""The pure parts of Trigger.dev's adapter: what the published answers would mean.

The rows have the fields that the API's pages document.  Nothing answers in the platform's
name: whether a real deployment does what is documented, no test here says.
"""

from __future__ import annotations

import pytest

from harness.runtime import RuntimeUnavailableError, RunView
from runtimes.trigger_dev.adapter import KEY, PROJECT, RUNTIME, URL, Deployment
from runtimes.trigger_dev.view import STATUS, journal, view


RUN = {
    "id": "run_1",
    "status": "COMPLETED",
    "taskIdentifier": "bakeoff-run",
    "version": "20261101.1",
    "attemptCount": 2,
    "payload": {},
    "output": {"published": True},
    "tags": ["pool", "r1"],
}


def test_completed_run_is_mapped():
    """Status, output and attempt are taken over; the platform's own words go to the detail."""
    expected = RunView(
        run="r1",
        status="completed",
        output={"published": True},
        engine_id="run_1",
        attempt=2,
        detail={"status": "COMPLETED", "version": "20261101.1"},
    )

    assert expected == view("r1", RUN)


@pytest.mark.parametrize(
    ("word", "terminal"),
    [(word, status in {"completed", "failed", "cancelled"}) for word, status in STATUS.items()],
)
def test_only_final_words_are_terminal(word, terminal):
    """A run that still moves is never taken for one that ended, nor the other way round."""
    final = {"COMPLETED", "CANCELED", "EXPIRED", "FAILED", "TIMED_OUT"}
    final |= {"CRASHED", "INTERRUPTED", "SYSTEM_FAILURE"}

    assert terminal == (word in final) == view("r1", {**RUN, "status": word}).terminal


@pytest.mark.parametrize("row", [{}, {"status": "A WORD OF A LATER VERSION"}])
def test_unknown_status_is_unknown(row):
    """A status that no page names is not guessed."""
    assert "unknown" == view("r1", row).status


def test_spans_are_the_journal():
    """Each span is an entry under its message, with everything that the API said of it."""
    span = {"spanId": "s", "message": "pay", "kind": "INTERNAL", "isPartial": True}
    (entry,) = journal("r1", {"events": [span]})

    assert ("pay", "INTERNAL", True) == (entry.name, entry.kind, entry.detail["isPartial"])


@pytest.mark.parametrize("given", [(), (URL,), (URL, KEY), (KEY, PROJECT)])
def test_missing_variables_are_named(given):
    """Without a deployment the runtime is unavailable, and says which variables are missing."""
    missing = {URL, KEY, PROJECT} - set(given)
    with pytest.raises(RuntimeUnavailableError) as refused:
        Deployment.named(dict.fromkeys(given, "x"))

    assert missing == {name for name in (URL, KEY, PROJECT) if name in str(refused.value)}


def test_secret_is_not_shown(tmp_path):
    """The secret key occurs in no text of the deployment."""
    place = Deployment.named({URL: "http://127.0.0.1:1/", KEY: "tr_secret", PROJECT: str(tmp_path)})

    assert "tr_secret" not in repr(place)
    assert "http://127.0.0.1:1" == place.url


def test_settings_say_that_it_was_never_run():
    """Whoever reads the settings of a result is told."""
    assert [True] * 2 == [RUNTIME.settings(name)["never_run"] for name in RUNTIME.profiles]
