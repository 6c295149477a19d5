"""What a worker reports of its runs, and how it knows what the server has of their steps."""

from __future__ import annotations

import asyncio
import hashlib
import os

from http import HTTPStatus

import httpx

from harness.program import AFTER_ACK
from harness.runtime import Envelope
from harness.worker import WorldClient


LOOK_S = 0.02


class Reports:
    """The reports of one worker; requests for one run join the report that is open.

    A held report outlives the request that began it: the server asks again after a retry.
    """

    def __init__(self, world: WorldClient, api: str) -> None:
        """Report to ``world``; ``api`` is where the server is asked for what it recorded."""
        self._world = world
        self._open: dict[tuple[str, str, str], asyncio.Task[None]] = {}
        self._watches: set[asyncio.Task[None]] = set()
        key = os.environ.get("INNGEST_SIGNING_KEY")
        shown = {"Authorization": f"Bearer {key}"} if key else {}
        self._http = httpx.AsyncClient(base_url=api, headers=shown, trust_env=False)

    def begin(self, envelope: Envelope, phase: str, name: str) -> asyncio.Task[None]:
        """Return the open report of a phase, or a new one."""
        key = (envelope.run, phase, name)
        if key not in self._open:
            task = asyncio.create_task(self._world.at(envelope, phase, name))
            self._open[key] = task
            task.add_done_callback(lambda _: self._open.pop(key))
        return self._open[key]

    def watch(self, envelope: Envelope, run: str, name: str) -> None:
        """Report a step once the server has it; ``run`` is the run as the server calls it.

        In a gather the body is called again only when all siblings have ended.
        """
        task = asyncio.create_task(self._watch(envelope, run, name))
        self._watches.add(task)
        task.add_done_callback(self._watches.discard)

    async def _watch(self, envelope: Envelope, run: str, name: str) -> None:
        while not await self._recorded(run, name):  # noqa: ASYNC110 - the server tells nobody
            await asyncio.sleep(LOOK_S)
        await asyncio.shield(self.begin(envelope, AFTER_ACK, name))

    async def _recorded(self, run: str, name: str) -> bool:
        """Say whether the server has a step, or the whole run behind it."""
        try:
            answer = await self._http.get(f"/v0/runs/{run}/actions")
        except httpx.TransportError:
            return False
        if answer.status_code == HTTPStatus.GONE:
            return True
        return answer.is_success and _hashed(name) in answer.json()


def _hashed(name: str) -> str:
    """Return the key under which the SDK has the server keep a step."""
    return hashlib.sha1(name.encode()).hexdigest()  # noqa: S324 - no secret
