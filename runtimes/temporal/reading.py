"""What the client child reads of runs: their states and their histories."""

from __future__ import annotations

import asyncio

from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import timedelta
from typing import Any, TypeVar

from google.protobuf.json_format import MessageToDict
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client, WorkflowFailureError
from temporalio.service import RPCError, RPCStatusCode

from runtimes.temporal.settings import ADMIT, ASK, CLOSED, Place


PLACE = Place.of_environment()
ABREAST = 32
"""Calls at one time: more of them only queue up at the one connection of the server's SQLite."""
READ_S = timedelta(seconds=10)
AWAY = {RPCStatusCode.UNAVAILABLE.name, RPCStatusCode.DEADLINE_EXCEEDED.name}
OPENED = {EventType.EVENT_TYPE_TIMER_STARTED}
FIRED = {EventType.EVENT_TYPE_TIMER_FIRED, EventType.EVENT_TYPE_TIMER_CANCELED}

T = TypeVar("T")
R = TypeVar("R")


async def each(call: Callable[[T], Awaitable[R]], items: Iterable[T]) -> list[R]:
    """Call for every item, ``ABREAST`` at a time; results in order."""
    room = asyncio.Semaphore(ABREAST)

    async def one(item: T) -> R:
        async with room:
            return await call(item)

    return await asyncio.gather(*(one(item) for item in items))


def waits(event: HistoryEvent) -> int:
    """Return 1 for what will wake a run (a timer, an answer of its gate), -1 once it came."""
    asked = event.signal_external_workflow_execution_initiated_event_attributes.signal_name
    told = event.workflow_execution_signaled_event_attributes.signal_name
    opened = event.event_type in OPENED or asked == ASK
    return opened - (event.event_type in FIRED or told == ADMIT)


class Reader:
    """What has ended is asked for once."""

    def __init__(self, client: Client) -> None:
        """Use one connection for all."""
        self._client = client
        self._ended: dict[str, dict[str, Any]] = {}

    async def describe(self, runs: Sequence[str]) -> list[dict[str, Any]]:
        """Return what ``settings.view`` reads, for each run."""
        away: dict[str, Any] = {}

        async def one(run: str) -> dict[str, Any]:
            # The SDK has already tried for some 10 s: do not try again for hundreds of runs.
            seen = away or await self._describe(run)
            if seen["status"] in AWAY:
                away.update(seen)
            return seen

        return await each(one, runs)

    async def _describe(self, run: str) -> dict[str, Any]:
        if run in self._ended:
            return self._ended[run]
        handle = self._client.get_workflow_handle(PLACE.id(run))
        try:
            described = await handle.describe(rpc_timeout=READ_S)
            raw = described.raw_description
            status = described.status.name if described.status else "UNKNOWN"
            seen: dict[str, Any] = {"status": status, "id": described.run_id}
            if status in CLOSED:
                self._ended[run] = seen | await self._end(run, described.run_id)
                return self._ended[run]
            seen["activities"] = [MessageToDict(entry) for entry in raw.pending_activities]
            if raw.HasField("pending_workflow_task"):
                seen["task"] = MessageToDict(raw.pending_workflow_task)
            seen["begun"] = described.history_length > 2  # noqa: PLR2004 - started, scheduled
            if not seen["activities"] and "task" not in seen:
                seen["wakes"] = len(raw.pending_children) + await self._timers(run)
        except RPCError as error:
            return {"status": error.status.name, "failure": error.message}
        return seen

    async def _end(self, run: str, engine_id: str) -> dict[str, Any]:
        handle = self._client.get_workflow_handle(PLACE.id(run), run_id=engine_id)
        try:
            return {"output": await handle.result(rpc_timeout=READ_S)}
        except WorkflowFailureError as error:
            return {"failure": str(error.cause)}

    async def _timers(self, run: str) -> int:
        handle = self._client.get_workflow_handle(PLACE.id(run))
        return sum([waits(event) async for event in handle.fetch_history_events()])

    async def journal(self, run: str) -> list[dict[str, Any]]:
        """Return the history of a run as the API shows it; none of a run that never was."""
        handle = self._client.get_workflow_handle(PLACE.id(run))
        try:
            return [MessageToDict(event) async for event in handle.fetch_history_events()]
        except RPCError as error:
            if error.status != RPCStatusCode.NOT_FOUND:
                raise
            return []
