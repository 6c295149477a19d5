"""``bakeoff effects``: a log is read, and never changed."""

from __future__ import annotations

import asyncio
import json
import sqlite3

from contextlib import closing
from pathlib import Path

import pytest

from click.testing import CliRunner, Result
from support.effects import LEASE, intent, read, story

from runtimes.reference.commands import effects
from runtimes.reference.effect_log.canonical import digest
from runtimes.reference.effect_log.facts import Facts
from runtimes.reference.effect_log.folder import HEADS, LOG, effect_log


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a log with a run that has ended and one that is in doubt."""

    async def fill() -> None:
        with effect_log(tmp_path / "log", "gateway-1") as log:
            for record in story():
                await log.open("done").append(record)
            for record in (LEASE, read("zone"), intent("notify")):
                await log.open("open").append(record)

    asyncio.run(fill())
    return tmp_path / "log"


def call(*words: str | Path) -> Result:
    """Run the command."""
    return CliRunner().invoke(effects, [str(word) for word in words])


def test_a_whole_log_is_verified(folder: Path) -> None:
    """Each run with its records, and exit code 0."""
    done = call("verify", "--log", folder)
    assert 0 == done.exit_code
    assert [
        "done: whole, 13 records to 13",
        "open: whole, 3 records to 3",
        "2 runs, 0 damaged",
    ] == done.output.splitlines()


def test_a_damaged_run_is_named(folder: Path) -> None:
    """And the others are still looked at; nothing of it is shown or exported as true."""
    with closing(sqlite3.connect(folder / LOG)) as sql, sql:
        sql.execute("update log set data = x'7b7d' where run = 'done' and seq = 5")
    done = call("verify", "--log", folder)
    assert 1 == done.exit_code
    assert "done: LOG_DAMAGED: record 5 of run done" in done.output
    assert "open: whole" in done.output
    found = json.loads(call("verify", "--log", folder, "--json").output)
    assert [("done", 5), ("open", 3)] == [(one["run"], one["seq"]) for one in found]
    assert [True, False] == [bool(one["damage"]) for one in found]
    for word in ("show", "export"):
        broken = call(word, "done", "--log", folder)
        assert (1, True) == (broken.exit_code, "LOG_DAMAGED: record 5" in broken.output)
    assert 0 == call("show", "open", "--log", folder).exit_code


def test_a_run_is_shown(folder: Path) -> None:
    """What is done, what is in doubt, who holds it; as JSON all of it."""
    text = call("show", "done", "--log", folder).output
    for line in (
        "run done: completed",
        "held by gateway-1, epoch 1, plan 2",
        "revoked: cap-1",
        "  notify: done",
        "  cut_over: not done",
        "  zone: read dns/zone at version v3 (record 2)",
        "  plan: decided",
    ):
        assert line in text.splitlines()
    assert "  notify: IN DOUBT: it was tried" in call("show", "open", "--log", folder).output
    told = json.loads(call("show", "open", "--log", folder, "--json").output)
    assert ["notify"] == Facts.from_json(told).unresolved


def test_records_are_exported(folder: Path) -> None:
    """A line each, with the hash by which it can be checked."""
    lines = [
        json.loads(text) for text in call("export", "open", "--log", folder).output.splitlines()
    ]
    assert ["lease", "read", "intent"] == [line["kind"] for line in lines]
    assert digest(1) == lines[1]["body"]["value_hash"]
    assert 3 == len({line["hash"] for line in lines})


def test_reading_changes_nothing(folder: Path) -> None:
    """Not a byte, also while a gateway has it open."""
    before = {name: (folder / name).read_bytes() for name in (LOG, HEADS)}
    for words in (("verify",), ("show", "open"), ("export", "done")):
        assert 0 == call(*words, "--log", folder).exit_code
    assert before == {name: (folder / name).read_bytes() for name in (LOG, HEADS)}
    with effect_log(folder, "gateway-2") as log:
        run = log.open("more")
        asyncio.run(run.append(LEASE))
        assert "more: whole, 1 records to 1" in call("verify", "--log", folder).output


def test_what_has_ended_is_kept_as_one_record(folder: Path) -> None:
    """With all that is known of it; what is in doubt, and what is young, is left as it is."""
    shown = call("show", "done", "--log", folder).output
    young = call("compact", "--log", folder)
    assert (0, "0 of 2 runs compacted\n") == (young.exit_code, young.output)
    told = call("compact", "--log", folder, "--older-than", 0, "--dry-run").output
    assert ["done: 13 records would be one", "1 of 2 runs would be compacted"] == told.splitlines()
    assert "13 records to 13" in call("verify", "--log", folder).output
    done = call("compact", "--log", folder, "--older-than", 0)
    assert (0, "done: 13 records are one") == (done.exit_code, done.output.splitlines()[0])
    assert [
        "done: whole, 1 records to 14",
        "open: whole, 3 records to 3",
        "2 runs, 0 damaged",
    ] == call("verify", "--log", folder).output.splitlines()
    assert shown == call("show", "done", "--log", folder).output
    for run in ("open", "done"):
        again = call("compact", run, "--log", folder, "--older-than", 0)
        assert (2, True) == (again.exit_code, f"{run} goes on, has been" in again.output)


def test_bad_input_is_told(folder: Path, tmp_path: Path) -> None:
    """What was expected, what is there."""
    other = call("verify", "--log", tmp_path)
    assert (2, True) == (other.exit_code, f"it has no {LOG}" in other.output)
    unknown = call("show", "nobody", "--log", folder)
    assert (2, True) == (unknown.exit_code, "it has done, open" in unknown.output)
    (folder / HEADS).unlink()
    gone = call("verify", "--log", folder)
    assert (1, True) == (gone.exit_code, f"has no {HEADS}" in gone.output)
