"""The HTTP face of the world, with its holds.

Two routes are all that a worker of any language needs; both take and answer JSON:

``POST /perform``
    ``{"cell", "run", "step", "op", "effect", "args", "key", "premises", "slept_s",
    "incarnation", "seq"}`` answers ``{"status": "ok" | "rejected" | "throttled" | "failed",
    "value", "etag", "after_s"}``.  The answer ``{"status": "hang"}`` asks the worker to
    never answer its engine and to stop its heartbeats: that is how a handler hangs.
``POST /at``
    ``{"cell", "run", "phase", "step", "incarnation", "seq"}`` answers ``{}``: the worker
    reports that its runtime recorded the step (``after_ack``) or the last one (``finalize``).

A third is for a gateway, which stands between the workers and the world:

``POST /probe``
    ``{"cell", "run", "ask", ...}``: ``look {path}`` answers ``{"value", "etag"}``, ``query
    {step}`` whether its effect was applied (tier Q) and how late that may show, ``fence {epoch}``
    has older calls refused, and ``asked {step, incarnation, seq}`` tells that a worker has asked
    the gateway for a step.

A request may be held before it is applied, after it was applied, or at a reported phase.
While it is held, the harness breaks what it likes.  A request whose caller dies before it
is applied is discarded, unless the hold *keeps* it: then it is a late packet.
"""

from __future__ import annotations

import asyncio
import json
import logging

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from harness.effects import Json, Tier
from harness.history import History
from harness.loop import Loop
from harness.process import Address
from harness.scenario import Added
from harness.world.cell import Call, Cell
from harness.world.live import LiveCell, ProviderError
from harness.world.room import APPLIED, Hold, Room


BACKLOG = 4096
# A request that fails because the disk is full is told once, by the trial.
logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL + 1)


class World:
    """All open cells behind one loopback port; a context manager owns the socket."""

    def __init__(self, loop: Loop) -> None:
        """Prepare to serve on ``loop``."""
        self._loop = loop
        self._rooms: dict[str, Room] = {}
        self._runner: web.AppRunner | None = None
        self.address = Address("127.0.0.1", 0)

    def __enter__(self) -> Self:
        """Bind a free port of the loopback interface."""
        self._loop.run(self._serve())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the socket; held requests are dropped."""
        if self._runner:
            self._loop.run(self._runner.cleanup())

    async def _serve(self) -> None:
        app = web.Application()
        app.add_routes(
            [
                web.post("/perform", self._perform),
                web.post("/at", self._at),
                web.post("/probe", self._probe),
            ]
        )
        self._runner = web.AppRunner(
            app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, backlog=BACKLOG)
        await site.start()
        self.address = Address("127.0.0.1", self._runner.addresses[0][1])

    # What the harness does with it (from any thread) -------------------------------------

    def open(self, name: str, cell: Cell | LiveCell, history: History) -> None:
        """Admit calls for a cell."""
        self._rooms[name] = Room(cell, history)

    def close(self, name: str) -> Cell | LiveCell | None:
        """Refuse further calls for a cell, drop what it holds, and return it."""
        room = self._rooms.pop(name, None)
        if room is None:
            return None
        for run, point in list(room.holds):
            self._free(room, run, point, "drop")
        return room.cell

    def cell(self, name: str) -> Cell:
        """Return an open cell; of a live one, what it has in memory."""
        found = self._rooms[name].cell
        return found.cell if isinstance(found, LiveCell) else found

    def conclude(self, name: str) -> dict[str, Json] | None:
        """Close a cell, and return how its world is at the end."""
        found = self.close(name)
        if isinstance(found, LiveCell):
            return self._loop.run(found.state())
        return found.state() if found else None

    def arm(self, name: str, run: str, point: str, *, keep: bool = False) -> None:
        """Hold the request that reaches ``point``; with ``keep`` even without its caller."""
        room = self._rooms[name]
        room.holds[run, point] = Hold(self._loop.asyncio.create_future(), keep)

    def release(self, name: str, run: str, point: str, how: str = "reply") -> None:
        """Let a held request go on: ``reply``, ``drop`` (the reply is lost) or ``hang``."""
        if room := self._rooms.get(name):
            self._free(room, run, point, how)

    def drift(self, name: str, path: str, value: Json | Added) -> None:
        """Write a resource as a stranger would."""
        self._loop.run(self._rooms[name].drift(path, value))

    def age(self, name: str, for_s: float) -> None:
        """Let time pass in a cell (virtual seconds)."""

        async def age() -> None:
            self.cell(name).age(for_s)

        self._loop.run(age())

    def _free(self, room: Room, run: str, point: str, how: str) -> None:
        hold = room.holds.pop((run, point), None)
        if hold:
            self._loop.asyncio.call_soon_threadsafe(
                lambda: None if hold.freed.done() else hold.freed.set_result(how)
            )

    # The routes --------------------------------------------------------------------------

    async def _perform(self, request: web.Request) -> web.Response:
        body, room = await self._room(request)
        try:
            call = Call.from_json(body)
        except ValueError as error:
            raise web.HTTPBadRequest(text=str(error)) from error
        work = asyncio.ensure_future(self._carry_out(room, call, request))
        work.add_done_callback(lambda done: done.cancelled() or done.exception())
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            if not any(hold.keep and hold.request is work for hold in room.holds.values()):
                work.cancel()
            raise

    async def _carry_out(self, room: Room, call: Call, request: web.Request) -> web.Response:
        nth = room.nth(call.run, call.step, "call")
        record = room.history.append
        said = {name: value for name, value in call.to_json().items() if name != "run"}
        record("call", call.run, nth=nth, **said)
        ident = {"step": call.step, "incarnation": call.incarnation, "seq": call.seq}
        applied = False
        try:
            how = await self._hold(room, call.run, f"{call.step}/before_effect#{nth}", ident)
            if how == "hang":
                return self._answer(room, call, {"status": "hang"}, ident)
            if how == "drop":
                return self._drop(room, call, request, ident, applied=False)
            outcome = await room.apply(call, request.headers.get("Authorization", ""))
            applied = True
            how = await self._hold(room, call.run, f"{call.step}/after_effect#{nth}", ident)
            if how == "hang":
                return self._answer(room, call, {"status": "hang"}, ident)
            if how == "drop":
                return self._drop(room, call, request, ident, applied=True)
        except asyncio.CancelledError as gone:
            applied = applied or gone.args == (APPLIED,)
            record("discard", call.run, applied=applied, why="caller gone", **ident)
            raise
        except ProviderError as error:
            record("discard", call.run, applied=applied, why=str(error), **ident)
            return web.Response(status=502, text=str(error))
        return self._answer(room, call, outcome.reply, ident)

    @staticmethod
    def _drop(
        room: Room, call: Call, request: web.Request, ident: Mapping[str, Any], *, applied: bool
    ) -> web.Response:
        why = "reply lost" if applied else "request lost"
        room.history.append("discard", call.run, applied=applied, why=why, **ident)
        if request.transport:
            request.transport.abort()
        return web.Response(status=502)

    @staticmethod
    def _answer(
        room: Room, call: Call, reply: Mapping[str, Any], ident: Mapping[str, Any]
    ) -> web.Response:
        room.history.append("reply", call.run, reply=dict(reply), **ident)
        return web.json_response(dict(reply))

    async def _at(self, request: web.Request) -> web.Response:
        body, room = await self._room(request)
        wanted = ("run", "phase", "step", "incarnation", "seq")
        if missing := [name for name in wanted if name not in body]:
            raise web.HTTPBadRequest(text=f"/at needs {', '.join(wanted)}; missing {missing}")
        run, phase, step = (str(body[name]) for name in wanted[:3])
        nth = room.nth(run, step, phase)
        ident = {"step": step, "incarnation": body["incarnation"], "seq": body["seq"]}
        room.history.append("at", run, phase=phase, nth=nth, **ident)
        try:
            point = f"{step}/{phase}#{nth}" if step else f"{phase}#{nth}"
            await self._hold(room, run, point, ident)
        except asyncio.CancelledError:
            room.history.append("discard", run, applied=False, why="caller gone", **ident)
            raise
        room.history.append("reply", run, reply={}, phase=phase, **ident)
        return web.json_response({})

    async def _probe(self, request: web.Request) -> web.Response:
        body, room = await self._room(request)
        run, ask, cell = str(body.get("run")), body.get("ask"), room.cell
        try:
            match ask:
                case "look":
                    value, etag = await room.look(str(body["path"]))
                    reply = {"value": value, "etag": etag}
                case "query":
                    applied = cell.tier is Tier.Q and cell.applied(run, body["step"])
                    reply = {"applied": applied, "lag_s": cell.lag_s}
                case "fence":
                    await room.fence(run, int(body["epoch"]))
                    reply = {}
                case "asked":
                    reply = {}
                case _:
                    raise web.HTTPBadRequest(text=f"/probe has no {ask!r}")
        except (KeyError, TypeError, ValueError) as error:
            raise web.HTTPBadRequest(text=f"/probe {ask}: {error!r}") from error
        except ProviderError as error:
            raise web.HTTPBadGateway(text=str(error)) from error
        room.history.append("probe", run, **{k: v for k, v in body.items() if k != "run"})
        return web.json_response(reply)

    async def _hold(self, room: Room, run: str, point: str, ident: Mapping[str, Any]) -> str:
        hold = room.holds.get((run, point))
        if hold is None:
            return "reply"
        hold.request = asyncio.current_task()
        room.history.append("held", run, point=point, **ident)
        return await asyncio.shield(hold.freed)

    async def _room(self, request: web.Request) -> tuple[dict[str, Any], Room]:
        try:
            body = json.loads(await request.text())
            name = str(body.pop("cell"))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            msg = f"expected a JSON object with a cell, seen {type(error).__name__}: {error}"
            raise web.HTTPBadRequest(text=msg) from error
        room = self._rooms.get(name)
        if room is None:
            raise web.HTTPGone(text=f"no open cell {name!r}: this call is of an ended trial")
        return body, room
