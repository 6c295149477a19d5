"""The store: whole files or none, owned by one harness, readable after any death."""

from __future__ import annotations

import json
import os

from pathlib import Path
from typing import Any

import pytest

from harness.store import SCHEMA, Store, StoreError, write_json


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Return a new results folder."""
    return Store.create(tmp_path, {"asked": {"suite": "smoke"}})


def finished(store: Store, key: str, *rows: dict[str, Any]) -> None:
    """Put a finished trial into a store."""
    folder = store.trial(key)
    folder.begin({"key": key})
    folder.finish(rows, {"cpu_s": 1.0})


def listing(folder: Path) -> set[str]:
    """Return the names in a folder."""
    return {path.name for path in folder.iterdir()}


# Results folders -----------------------------------------------------------------------------


def test_create(store: Store, tmp_path: Path) -> None:
    """A new folder has its facts and its schema, and ``latest`` leads to it."""
    assert {"schema": SCHEMA, "asked": {"suite": "smoke"}} == store.facts()
    assert store.path == (tmp_path / "latest").resolve()
    assert [] == list(store.trials())


def test_latest_moves_on(store: Store, tmp_path: Path) -> None:
    """``latest`` is always the newest; older ones stay."""
    newer = Store.create(tmp_path, {})
    assert newer.path == (tmp_path / "latest").resolve()
    assert store.path.is_dir()
    assert {store.path.name, newer.path.name, "latest"} == listing(tmp_path)


def test_open(store: Store, tmp_path: Path) -> None:
    """A folder is opened by its path, or by ``latest``."""
    assert store.path == Store.open(store.path).path == Store.open(tmp_path / "latest").path


def test_open_what_is_none(tmp_path: Path) -> None:
    """A folder without a sweep is none."""
    with pytest.raises(StoreError) as caught:
        Store.open(tmp_path)
    assert f"{tmp_path} is no results folder: it has no sweep.json" == str(caught.value)


@pytest.mark.parametrize("schema", [SCHEMA + 1, None])
def test_open_another_schema(store: Store, schema: int | None) -> None:
    """Results of another schema are refused: which, and what to do."""
    write_json(store.path / "sweep.json", {"schema": schema})
    with pytest.raises(StoreError) as caught:
        Store.open(store.path)
    assert f"results of schema {schema}, this bakeoff reads schema {SCHEMA}" in str(caught.value)
    assert "or run the sweep again" in str(caught.value)


def test_open_damaged(store: Store) -> None:
    """A damaged sweep is named, with where it is damaged."""
    (store.path / "sweep.json").write_text('{"schema": 1,')
    with pytest.raises(StoreError, match=r"sweep\.json is damaged: .* line 1 column 14"):
        Store.open(store.path)


def test_create_where_nobody_may(tmp_path: Path) -> None:
    """A place that cannot be written is named, with the way out."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError) as caught:
        Store.create(tmp_path / "file", {})
    assert f"cannot write results to {tmp_path / 'file'}: " in str(caught.value)
    assert str(caught.value).endswith("; use --results DIR")


def test_update(store: Store) -> None:
    """Facts are added, the others stay."""
    store.update(planned=40)
    assert {"schema": SCHEMA, "asked": {"suite": "smoke"}, "planned": 40} == store.facts()


def test_owned_twice(store: Store) -> None:
    """Two harnesses never write to one folder; once it is free, the next may."""
    with store.owned():
        with pytest.raises(StoreError) as caught, Store.open(store.path).owned():
            pass
        assert f"{store.path} is being written by another bakeoff" in str(caught.value)
    with Store.open(store.path).owned():
        pass


# Trials --------------------------------------------------------------------------------------


def test_trial(store: Store) -> None:
    """A trial has its facts before it starts and is finished with its verdicts."""
    folder = store.trial("naive/migration/kill/batch")
    assert not folder.finished
    folder.begin({"key": "k"})
    assert {"key": "k"} == folder.facts()
    assert folder.logs.is_dir()
    assert not folder.finished
    assert [] == list(store.trials())
    folder.finish([{"run": "r"}], {"cpu_s": 1.0})
    assert folder.finished
    assert [{"run": "r"}] == folder.rows()
    assert [folder.path] == [found.path for found in store.trials()]


def test_begin_again(store: Store) -> None:
    """What an interrupted attempt left is removed."""
    folder = store.trial("k")
    folder.begin({"attempt": 1})
    folder.history.write_text("torn")
    (folder.logs / "w1.log").write_text("old")
    folder.begin({"attempt": 2})
    assert {"attempt": 2} == folder.facts()
    assert not folder.history.exists()
    assert [] == list(folder.logs.iterdir())


def test_finish_is_atomic(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A harness that dies before the last rename leaves an unfinished trial and no scraps."""
    folder = store.trial("k")
    folder.begin({})
    rename = os.replace

    def die(source: Path, target: Path) -> None:
        if target.name == "verdicts.json":
            raise KeyboardInterrupt
        rename(source, target)

    monkeypatch.setattr(os, "replace", die)
    with pytest.raises(KeyboardInterrupt):
        folder.finish([{"run": "r"}], {})
    assert not folder.finished
    assert {"logs", "metrics.json", "trial.json"} == listing(folder.path)


def test_write_json_keeps_the_old(tmp_path: Path) -> None:
    """What cannot be written whole leaves the old file as it was."""
    path = tmp_path / "x.json"
    write_json(path, {"old": 1})
    with pytest.raises(TypeError):
        write_json(path, {"new": object()})
    assert {"old": 1} == json.loads(path.read_text())
    assert [path] == list(tmp_path.iterdir())


# The index -----------------------------------------------------------------------------------


def test_index(store: Store) -> None:
    """Lines are added and read in order; without a file there are none."""
    assert [] == store.rows()
    store.append([{"n": 1}, {"n": 2}])
    store.append([{"n": 3}])
    assert [{"n": 1}, {"n": 2}, {"n": 3}] == store.rows()


def test_torn_index_line(store: Store) -> None:
    """A line that a kill tore is left out."""
    store.append([{"n": 1}])
    with (store.path / "index.jsonl").open("a") as index:
        index.write('{"n": 2')
    assert [{"n": 1}] == store.rows()


def test_reindex(store: Store) -> None:
    """The index can be made anew from the finished trials, in their order."""
    finished(store, "b", {"n": 2}, {"n": 3})
    finished(store, "a/deep", {"n": 1})
    store.trial("c").begin({})
    store.append([{"n": 9}])
    (store.path / "index.jsonl").write_text('{"torn')
    assert [{"n": 1}, {"n": 2}, {"n": 3}] == store.reindex() == store.rows()
    assert "index.jsonl" in listing(store.path)
    assert ".index.jsonl" not in listing(store.path)
