"""Bugs that engines' trackers tell of are seen where they are, and not where they are not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from support.campaign import CAMPAIGN
from support.sweeps import started, target

from harness.load import load, resolve
from harness.runtime import RuntimeUnavailableError
from harness.schedule import parse
from scenarios.bugs.catalogue import Bug, Sight, bugs


AT_ONCE = 3
"""A run that is stuck is waited for a minute and more, in which nothing happens."""
LOOKS = [
    (bug, sight, affected)
    for bug in bugs()
    for affected, sights in ((True, bug.shows), (False, bug.absent))
    for sight in sights
]
WANTED = [look for look in LOOKS if CAMPAIGN or not look[1].long]

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("bugs")]


def _seen(bug: Bug, sight: Sight, folder):
    """Return the row and the history of the bug's schedule in a column, or why there is none."""
    schedule = parse(bug.schedule)
    name = schedule.stages[0].fault if schedule.stages else "none"
    row = target(bug.case, name)
    runtime = load(resolve("runtimes", sight.column), "RUNTIME")
    try:
        with started(runtime, folder, row) as one:
            events, (found,) = one.trial(row, name, len(schedule.stages), "alone", (schedule,))
    except RuntimeUnavailableError as error:
        return str(error)
    return found, events


@pytest.fixture(scope="module")
def seen(request, tmp_path_factory) -> Iterator[Mapping[tuple[str, str], Future]]:
    """Lend what is seen of each bug in each column that was asked for; they wait side by side."""
    asked = [
        (item.callspec.params["bug"], item.callspec.params["sight"])
        for item in request.session.items
        if item.path == request.path
    ]
    with ThreadPoolExecutor(AT_ONCE, "bugs") as threads:
        yield {
            (bug.id, sight.column): threads.submit(
                _seen, bug, sight, tmp_path_factory.mktemp("bug", numbered=True)
            )
            for bug, sight, _ in WANTED
            if (bug, sight) in asked
        }


@pytest.mark.parametrize(
    ("bug", "sight", "affected"),
    [
        pytest.param(
            *look,
            id=f"{look[0].id}-{look[1].column}",
            marks=pytest.mark.skipif(look not in WANTED, reason="long; set BAKEOFF_CAMPAIGN=1"),
        )
        for look in LOOKS
    ],
)
def test_where_a_bug_is(bug, sight, affected, seen):
    """An affected column shows what the bug is known by, another one ends the run and none of it."""
    found = seen[bug.id, sight.column].result()
    if isinstance(found, str):
        pytest.skip(found)
    row, events = found

    assert [True] * len(parse(bug.schedule).stages) == [
        event.data["ok"] for event in events if event.kind == "gate"
    ], row["why"]
    assert [] == sight.missing(row, events)
    if not affected:
        assert ("completed", "clean") == (row["end"], row["diagnosis"]["signature"])
        assert [] == row["unpredicted"]
        assert all(known.missing(row, events) for known in bug.shows)
