"""The store: what is on disk survives the harness, and raw files never change.

``results/<utc>-<id>/``: ``sweep.json``, then per trial ``trials/<key>/`` with ``trial.json``
(written before anything starts), ``history.jsonl`` (flushed live), ``logs/``,
``verdicts.json`` (can be made again) and ``metrics.json``; ``index.jsonl`` has one line for
each judged run.  A trial is finished once its verdicts are there: files appear by rename.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import threading
import uuid

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout


SCHEMA = 1


class StoreError(Exception):
    """A results folder cannot be used; the message says why and what to do."""


def write_json(path: Path, value: Any) -> None:  # noqa: ANN401 - JSON
    """Write a file so that it is there whole or not at all."""
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        temporary.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


class TrialFolder:
    """The files of one trial."""

    def __init__(self, path: Path) -> None:
        """Look at a folder; it need not exist."""
        self.path = path
        self.logs = path / "logs"
        self.history = path / "history.jsonl"

    @property
    def finished(self) -> bool:
        """Say whether its verdicts are there."""
        return (self.path / "verdicts.json").is_file()

    def begin(self, facts: Mapping[str, Any]) -> None:
        """Make it anew; what an interrupted attempt left is removed."""
        shutil.rmtree(self.path, ignore_errors=True)
        self.logs.mkdir(parents=True)
        write_json(self.path / "trial.json", facts)

    def facts(self) -> dict[str, Any]:
        """Return what was written before it started."""
        return json.loads((self.path / "trial.json").read_text(encoding="utf-8"))  # type: ignore[no-any-return]

    def finish(self, rows: Sequence[Mapping[str, Any]], metrics: Mapping[str, Any]) -> None:
        """Write metrics and verdicts; the verdicts come last."""
        write_json(self.path / "metrics.json", metrics)
        write_json(self.path / "verdicts.json", list(rows))

    def rows(self) -> list[dict[str, Any]]:
        """Return the verdicts, a row for each run."""
        file = self.path / "verdicts.json"
        try:
            return json.loads(file.read_text(encoding="utf-8"))  # type: ignore[no-any-return]
        except ValueError as error:
            msg = f"{file} is damaged: {error}; remove it, and its trial is run again by --resume"
            raise StoreError(msg) from error


class Store:
    """One results folder."""

    def __init__(self, path: Path) -> None:
        """Look at a folder."""
        self.path = path
        self._lock = threading.Lock()

    @classmethod
    def create(cls, parent: Path, facts: Mapping[str, Any]) -> Store:
        """Make a new results folder and point ``latest`` at it.

        Raises:
            StoreError: the disk is full or the folder cannot be written.

        """
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        path = parent / f"{stamp}-{uuid.uuid4().hex[:6]}"
        try:
            (path / "trials").mkdir(parents=True)
            write_json(path / "sweep.json", {"schema": SCHEMA, **facts})
            link = parent / f".latest-{uuid.uuid4().hex[:8]}"
            link.symlink_to(path.name)
            os.replace(link, parent / "latest")
        except OSError as error:
            msg = f"cannot write results to {parent}: {error.strerror}; use --results DIR"
            raise StoreError(msg) from error
        return cls(path)

    @classmethod
    def open(cls, path: Path) -> Store:
        """Open an existing results folder.

        Raises:
            StoreError: it is none, or of another schema version.

        """
        file = path / "sweep.json"
        if not file.is_file():
            msg = f"{path} is no results folder: it has no sweep.json"
            raise StoreError(msg)
        try:
            schema = json.loads(file.read_text(encoding="utf-8"))["schema"]
        except (ValueError, TypeError, KeyError) as error:
            msg = f"{file} is damaged: {error}"
            raise StoreError(msg) from error
        if schema != SCHEMA:
            msg = (
                f"{path} has results of schema {schema}, this bakeoff reads schema {SCHEMA}; "
                f"read it with the version that wrote it, or run the sweep again"
            )
            raise StoreError(msg)
        return cls(path.resolve())

    def facts(self) -> dict[str, Any]:
        """Return what the sweep is: ``sweep.json``."""
        return json.loads((self.path / "sweep.json").read_text(encoding="utf-8"))  # type: ignore[no-any-return]

    def update(self, **facts: Any) -> None:  # noqa: ANN401 - JSON
        """Add facts to ``sweep.json`` (columns, counts, skips)."""
        with self._lock:
            write_json(self.path / "sweep.json", {**self.facts(), **facts})

    def trial(self, key: str) -> TrialFolder:
        """Return the folder of a trial."""
        return TrialFolder(self.path / "trials" / key)

    def trials(self) -> Iterator[TrialFolder]:
        """Return the folders of all finished trials."""
        for facts in sorted((self.path / "trials").rglob("trial.json")):
            folder = TrialFolder(facts.parent)
            if folder.finished:
                yield folder

    def append(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Add lines to ``index.jsonl``."""
        text = "".join(json.dumps(row) + "\n" for row in rows)
        with self._lock, (self.path / "index.jsonl").open("a", encoding="utf-8") as index:
            index.write(text)
            index.flush()

    def reindex(self) -> list[dict[str, Any]]:
        """Write ``index.jsonl`` anew from the finished trials, and return its rows."""
        rows = [row for folder in self.trials() for row in folder.rows()]
        temporary = self.path / ".index.jsonl"
        temporary.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        os.replace(temporary, self.path / "index.jsonl")
        return rows

    def rows(self) -> list[dict[str, Any]]:
        """Return the lines of ``index.jsonl``; a torn last line is left out."""
        file = self.path / "index.jsonl"
        if not file.is_file():
            return []
        return [
            json.loads(line)
            for line in file.read_text(encoding="utf-8").splitlines(keepends=True)
            if line.endswith("\n")
        ]

    @contextlib.contextmanager
    def owned(self) -> Iterator[None]:
        """Hold the folder for one harness.

        Raises:
            StoreError: another one writes to it.

        """
        lock = FileLock(self.path / ".lock")
        try:
            lock.acquire(timeout=0)
        except Timeout as error:
            msg = f"{self.path} is being written by another bakeoff; wait for it or stop it"
            raise StoreError(msg) from error
        try:
            yield
        finally:
            lock.release()
