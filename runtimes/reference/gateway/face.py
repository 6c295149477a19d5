"""The gateway's HTTP faces: one for workers, which is the world's own, and one for operators.

Both are Unix sockets, so that the kernel says who is at the other end.  To a worker a refusal is
an answer (``rejected``), because that is what its program branches on; what cannot be told yet is
503, and its engine tries again.  Who is admitted as one that can plan anew is told ``replan`` where
its plan does not hold, and ``escalated`` where a human must say.

For operators: ``POST /admit`` (a list of admissions), ``POST /status`` and ``POST /explain`` (lists
of runs) and ``POST /revoke``.
"""

from __future__ import annotations

import json
import socket
import struct

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from harness.effects import Json
from runtimes.reference.effect_log.errors import ConflictError, EffectLogError
from runtimes.reference.gateway.admissions import Admission, AdmissionError
from runtimes.reference.gateway.errors import GatewayError, RefusedError, UnjudgedError
from runtimes.reference.gateway.gateway import Gateway
from runtimes.reference.gateway.request import Request, parse
from runtimes.reference.gateway.strict import LARGEST, BadRequestError
from runtimes.reference.resume.errors import DriftError, EscalatedError, ResumeError
from runtimes.reference.resume.session import Given, Wanted
from runtimes.reference.upstreams.base import UnknownOperationError, UpstreamError
from runtimes.reference.upstreams.world import HungError, WorldUpstream, operation


CREDENTIALS = struct.Struct("3i")
SETTLED: dict[str, Json] = {"status": "ok", "value": None, "etag": ""}
"""What a worker is given of an effect that was found to be done."""


def peer_of(request: web.Request) -> str:
    """Return who is at the other end of a Unix socket, as the kernel has it."""
    end = request.transport.get_extra_info("socket") if request.transport else None
    if end is None or end.family != socket.AF_UNIX:
        return "nobody"
    raw = end.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size)
    _, uid, gid = CREDENTIALS.unpack(raw)
    return f"uid:{uid}:{gid}"


@dataclass(frozen=True, slots=True)
class WorkerFace:
    """What workers see: the world's protocol."""

    gateway: Gateway

    def app(self) -> web.Application:
        """Return the routes."""
        app = web.Application(client_max_size=LARGEST + 1)
        app.add_routes([web.post("/perform", self._perform), web.post("/at", self._at)])
        return app

    async def _perform(self, request: web.Request) -> web.Response:
        try:
            asked = parse(await request.read(), request.headers.get("Content-Type", ""))
        except BadRequestError as error:
            return web.Response(status=error.status, text=str(error))
        try:
            reply = await self._carry_out(peer_of(request), asked)
        except HungError:
            reply = {"status": "hang"}
        except (DriftError, EscalatedError) as error:
            replans = self.gateway.admissions.of(asked.call.run).replans
            told = "replan" if isinstance(error, DriftError) else "escalated"
            reply = {"status": told if replans else "rejected", "value": str(error)}
        except (RefusedError, ResumeError, ConflictError, AdmissionError) as error:
            reply = {"status": "rejected", "value": str(error)}
        except UnknownOperationError as error:
            reply = {"status": "rejected", "value": str(error)}
        except (UpstreamError, EffectLogError, UnjudgedError) as error:
            return web.Response(status=503, text=f"{type(error).__name__}: {error}")
        return web.json_response(reply)

    async def _carry_out(self, peer: str, asked: Request) -> dict[str, Json]:
        call = asked.call
        held = await self.gateway.hold(call.run)
        context: dict[str, Json] = {"incarnation": call.incarnation, "seq": call.seq}
        if isinstance(held.world, WorldUpstream):
            await held.world.asked(call.run, context, call.step)
        wanted = Wanted(
            slot=call.step,
            op=operation(call.op, call.effect),
            target=str(call.args.get("path") or call.op),
            args=call.args,
            premises={premise["path"]: premise["etag"] for premise in call.premises},
            context={**context, "slept_s": call.slept_s},
        )
        return _reply(await self.gateway.perform(peer, wanted, call.run))

    async def _at(self, request: web.Request) -> web.Response:
        body = await request.json()
        held = await self.gateway.hold(str(body["run"]))
        if isinstance(held.world, WorldUpstream):
            try:
                await held.world.report(body)
            except UpstreamError as error:
                return web.Response(status=503, text=str(error))
        return web.json_response({})


def _reply(given: Given) -> dict[str, Json]:
    return SETTLED if given.settled or not isinstance(given.response, dict) else given.response


@dataclass(frozen=True, slots=True)
class OperatorFace:
    """What the operator of a gateway may ask and say."""

    gateway: Gateway

    def app(self) -> web.Application:
        """Return the routes."""
        app = web.Application()
        app.add_routes(
            [
                web.post("/admit", self._admit),
                web.post("/status", self._status),
                web.post("/explain", self._explain),
                web.post("/revoke", self._revoke),
            ]
        )
        return app

    async def _admit(self, request: web.Request) -> web.Response:
        try:
            said = [Admission.from_json(one) for one in await _list(request)]
        except GatewayError as error:
            raise web.HTTPUnprocessableEntity(text=str(error)) from error
        self.gateway.admissions.admit(said)
        return web.json_response({"admitted": len(said)})

    async def _status(self, request: web.Request) -> web.Response:
        found = {run: self.gateway.status(str(run)) for run in await _list(request)}
        return web.json_response(
            {run: {"status": status, "why": why} for run, (status, why) in found.items()}
        )

    async def _explain(self, request: web.Request) -> web.Response:
        runs = [str(run) for run in await _list(request)]
        try:
            return web.json_response({run: self.gateway.explain(run) for run in runs})
        except EffectLogError as error:
            raise web.HTTPServiceUnavailable(text=f"{type(error).__name__}: {error}") from error

    async def _revoke(self, request: web.Request) -> web.Response:
        body: Mapping[str, Any] = await request.json()
        try:
            ended = await self.gateway.revoke(
                str(body["run"]), str(body.get("by", "operator")), str(body.get("why", ""))
            )
        except AdmissionError as error:
            raise web.HTTPNotFound(text=str(error)) from error
        return web.json_response({"revoked": [*ended]})


async def _list(request: web.Request) -> list[Any]:
    try:
        found = json.loads(await request.text())
    except ValueError as error:
        raise web.HTTPBadRequest(text=f"expected JSON, saw {error}") from error
    if not isinstance(found, list):
        raise web.HTTPBadRequest(text="expected a list")
    return found
