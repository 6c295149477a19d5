"""What the items of one process share: a world, a store, and the runtime that is up."""

from __future__ import annotations

import threading

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from harness.cli.bench import Bench, bench, git, host
from harness.cli.run import column, describe
from harness.cli.screen import Screen
from harness.deadline import Deadline
from harness.known import listed
from harness.process import ProcessError
from harness.rpc import RpcError
from harness.runtime import Runtime, RuntimeUnavailableError
from harness.store import Store
from harness.summary import Cell, cells, exit_code
from harness.sweep import Column, Request, Target


READY_S = 60.0
LISTED = 10
"""How many schedules a failure names; the results folder has them all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What one cell showed; ``skipped`` is why it was not measured, if it was not."""

    path: Path
    skipped: str = ""
    missing: str = ""
    cells: Sequence[Cell] = ()
    accept_predicted: bool = False

    @property
    def violated(self) -> list[Mapping[str, Any]]:
        """Return the schedules that fail the item; the run without faults is among them."""
        return [
            row
            for cell in self.cells
            for row in cell.rows
            if row["outcome"] != "unknown"
            and (row["surprising"] or (row["violated"] and not self.accept_predicted))
        ]

    @property
    def unclear(self) -> list[str]:
        """Return why the cell cannot be called clean."""
        unknown = [
            f"{row['schedule']}: {row['why']}"
            for cell in self.cells
            for row in cell.rows
            if row["outcome"] == "unknown"
        ]
        return [*([self.missing] if self.missing else []), *unknown]

    def violated_text(self) -> str:
        """Return the violated schedules, each with the command that runs it alone."""
        bad, total = self.violated, sum(cell.schedules for cell in self.cells)
        lines = [f"{len(bad)} of {total} schedules are violated"]
        for row in bad[:LISTED]:
            lines.append(f"  {row['schedule']}")
            for verdict in row["verdicts"]:
                if verdict["outcome"] == "violated":
                    as_ = "as the guarantee predicts" if verdict["predicted"] else "CONTRADICTS"
                    as_ = f"known: {row['known']}" if row.get("known") else as_
                    lines.append(f"    {verdict['oracle']} ({as_}): {verdict['note']}")
            lines += [f"    predicted, but it did not occur: {name}" for name in row["absent"]]
            lines.append(f"    bakeoff replay '{row['schedule']}' {row['again']}")
        return "\n".join([*lines, *self._rest(len(bad))])

    def unknown_text(self) -> str:
        """Return why it cannot be told whether anything is violated."""
        lines = ["UNKNOWN: the cell shows nothing, and that is no pass"]
        lines += [f"  {why}" for why in self.unclear[:LISTED]]
        return "\n".join([*lines, *self._rest(len(self.unclear))])

    def _rest(self, total: int) -> list[str]:
        more = [f"  and {total - LISTED} more"] if total > LISTED else []
        return [*more, f"evidence: {self.path} (see: bakeoff list --results, bakeoff report)"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What is opened once, with the first item."""

    store: Store
    bench: Bench
    screen: Screen


class Lab:
    """Starts each runtime once, for all items that follow one another."""

    def __init__(
        self,
        runtimes: Mapping[str, Runtime],
        profile: str,
        results: Path,
        *,
        accept_predicted: bool,
    ) -> None:
        """Prepare; nothing is started or written yet."""
        self._runtimes, self._profile, self._results = runtimes, profile, results
        self._accept = accept_predicted
        self._known = listed()
        self._stack, self._running = ExitStack(), ExitStack()
        self._desk: Desk | None = None
        self._up: tuple[str, Column] | None = None
        self._planned = self._judged = 0

    def measure(self, reference: str, target: Target) -> Found:
        """Sweep one cell and return what it showed.

        Raises:
            ProcessError: the runtime is here and does not start.

        """
        desk = self._open()
        path, skips = desk.store.path, desk.screen.skips
        try:
            one = self._start(reference, desk)
        except RuntimeUnavailableError as error:
            place = (self._runtimes[reference].name, target.case.id, str(target.guard))
            for name in target.faults:
                desk.screen.skipped(*place, name, str(error))
            return Found(path=path, skipped=str(error))
        except RpcError as error:
            raise ProcessError(str(error)) from error
        planned, judged, before = one.planned, one.judged, len(skips)
        one.target(target)
        planned, judged = one.planned - planned, one.judged - judged
        self._planned, self._judged = self._planned + planned, self._judged + judged
        reason = "; ".join(skip["reason"] for skip in skips[before:])
        if reason and not planned:
            return Found(path=path, skipped=reason)
        place = (one.runtime.name, target.case.id, str(target.guard))
        rows = [
            row
            for row in desk.store.rows()
            if (row["runtime"], row["case"], row["guard"]) == place
            and row["fault"] in {"none", *target.faults}
        ]
        missing = f"{judged} of {planned} schedules ran {reason}" if judged < planned else ""
        return Found(
            path=path,
            missing=missing,
            cells=cells(rows, self._known),
            accept_predicted=self._accept,
        )

    def close(self) -> None:
        """Stop everything, and write down how much was measured."""
        try:
            self._running.close()
        finally:
            self._stack.close()
        if self._desk:
            found = cells(self._desk.store.reindex(), self._known)
            self._desk.store.update(
                known=[entry.to_json() for entry in self._known],
                planned=self._planned,
                judged=self._judged,
                unknown=sum(cell.unknown for cell in found),
                skips=self._desk.screen.skips,
                exit_code=exit_code(found, self._planned, self._judged, ""),
            )

    def _open(self) -> Desk:
        if self._desk is None:
            facts = {
                "asked": {"pytest": list(self._runtimes), "profile": self._profile},
                "git": git(),
                "host": host(),
                "started_at": datetime.now(UTC).isoformat(),
                "columns": [describe(*item, self._profile) for item in self._runtimes.items()],
            }
            store = Store.create(self._results, facts)
            self._stack.enter_context(store.owned())
            lent = self._stack.enter_context(bench())
            self._desk = Desk(store=store, bench=lent, screen=Screen(store, quiet=True))
        return self._desk

    def _start(self, reference: str, desk: Desk) -> Column:
        if self._up and self._up[0] == reference:
            return self._up[1]
        self._up = None
        self._running.close()
        runtime = self._runtimes[reference]
        request = Request(targets=(), profile=self._profile)
        one = column(
            desk.bench, reference, runtime, request, desk.store, desk.screen, threading.Event()
        )
        with ExitStack() as stack:
            one.backend = stack.enter_context(runtime.start(one.lot, self._profile))
            for server in one.backend.servers:
                server.ready(Deadline.after(READY_S))
            self._running = stack.pop_all()
        self._up = (reference, one)
        return one
