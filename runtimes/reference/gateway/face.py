"""What workers see of a gateway, on a Unix socket: the protocol of what is behind it.

To a worker a refusal is an answer (``rejected``), because that is what its program branches on;
what the same request may be sent for again is 503, and its engine tries again.  Who accepts
``application/problem+json`` is told by HTTP's status, with what is known of the effect.

``POST /token`` gives a peer the token of its own run, to be narrowed for a child.  Whoever has
been given one sends it as ``Authorization: Bearer``; without one, that of the run is taken.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

from aiohttp import web

from harness.effects import Json
from runtimes.reference.effect_log.errors import DamagedError, EffectLogError
from runtimes.reference.gateway.admissions import AdmissionError
from runtimes.reference.gateway.errors import Known, Reason, RefusedError, TroubleError
from runtimes.reference.gateway.fields import Kind
from runtimes.reference.gateway.gateway import Gateway
from runtimes.reference.gateway.incoming import BYTES, said
from runtimes.reference.gateway.peer import peer_of
from runtimes.reference.gateway.request import Codec, Request
from runtimes.reference.gateway.routes import PROBLEM, Route, at_workers
from runtimes.reference.gateway.said import ERRORS, UNAVAILABLE, reason, status
from runtimes.reference.gateway.strict import BadRequestError
from runtimes.reference.resume.errors import DriftError, EscalatedError, PlanError
from runtimes.reference.upstreams.base import UpstreamError
from runtimes.reference.upstreams.world import HungError


Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]
UNTOLD: tuple[type[Exception], ...] = (*ERRORS, UpstreamError, EffectLogError)
"""What can be wrong where there is no effect of which anything is known."""
BEARER = "bearer "


@dataclass(frozen=True)
class WorkerFace:
    """The routes of workers."""

    gateway: Gateway
    codec: Codec

    @cached_property
    def routes(self) -> Sequence[Route]:
        """Return what may be asked."""
        return at_workers(self.codec)

    def app(self) -> web.Application:
        """Return the routes."""
        app = web.Application(client_max_size=BYTES, middlewares=[self._told])
        handlers = {"/perform": self._perform, "/at": self._at, "/token": self._token}
        app.add_routes(
            [
                web.route(route.method, route.path, _held(route.body, handlers[route.path]))
                for route in self.routes
            ]
        )
        return app

    @web.middleware
    async def _told(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Say what is wrong with a request, and no more."""
        try:
            return await handler(request)
        except BadRequestError as error:
            return self._problem(error, Known.NOT_DONE)
        except (web.HTTPNotFound, web.HTTPMethodNotAllowed) as error:
            paths = ", ".join(f"{route.method} {route.path}" for route in self.routes)
            why = f"expected one of {paths}, seen something else; correct it"
            answer = self._problem(BadRequestError(error.status, why), Known.NOT_DONE)
            answer.headers.update({k: v for k, v in error.headers.items() if k == "Allow"})
            return answer

    async def _perform(self, request: web.Request, body: Any) -> web.Response:  # noqa: ANN401 - JSON
        asked = self.codec.request(body)
        peer, run = peer_of(request), asked.run
        try:
            return web.json_response(await self._carry_out(peer, asked, _token(request)))
        except HungError:
            return web.json_response({"status": "hang"})
        except ERRORS as error:
            told = PROBLEM in request.headers.get("Accept", "")
            if told or status(error) == UNAVAILABLE:
                return self._problem(error, self._known(peer, asked, error))
            return self._clean({"status": self._word(run, error), "value": str(error)})

    async def _carry_out(self, peer: str, asked: Request, token: str) -> dict[str, Json]:
        gateway, run, wanted = self.gateway, asked.run, asked.wanted
        await gateway.announce(peer, run, wanted)
        given = await gateway.perform(peer, wanted, run, token=token, targets=asked.targets)
        return self.codec.answer(given)

    async def _at(self, request: web.Request, body: Any) -> web.Response:  # noqa: ANN401 - JSON
        try:
            await self.gateway.report(peer_of(request), body["run"], body)
        except DamagedError:
            pass  # nobody is told of phases any more, and the program may end
        except UNTOLD as error:
            return self._problem(error, None)
        return web.json_response({})

    async def _token(self, request: web.Request, body: Any) -> web.Response:  # noqa: ANN401 - JSON
        try:
            token = await self.gateway.token(peer_of(request), body["run"])
            return web.json_response({"token": token})
        except UNTOLD as error:
            return self._problem(error, None)

    def _word(self, run: str, error: Exception) -> str:
        """Return the world's word for a refusal."""
        with suppress(AdmissionError):  # somebody may have ended it meanwhile
            if self.gateway.admissions.of(run).replans:
                if isinstance(error, DriftError):
                    return "replan"
                stopped = isinstance(error, EscalatedError | PlanError | DamagedError)
                return "escalated" if stopped or reason(error) == Reason.REUSED else "rejected"
        return "rejected"

    def _known(self, peer: str, asked: Request, error: Exception) -> Known | None:
        """Return what is known of the effect, for who may know it."""
        if isinstance(error, TroubleError):
            return error.known
        try:
            self.gateway.admitted(peer, asked.run)
        except (AdmissionError, RefusedError):
            return None
        return self.gateway.runs.known(asked.run, asked.wanted.slot)

    def _problem(self, error: Exception, known: Known | None) -> web.Response:
        code = status(error)
        told: dict[str, Json] = {"type": reason(error), "status": code, "detail": str(error)}
        return self._clean(told | ({"effect": known.value} if known else {}), code, PROBLEM)

    def _clean(
        self, told: dict[str, Json], status: int = 200, media: str = "application/json"
    ) -> web.Response:
        value: Any = self.gateway.redactor.redact(told).value
        return web.json_response(value, status=status, content_type=media)


def _token(request: web.Request) -> str:
    held = request.headers.get("Authorization", "")
    return held[len(BEARER) :].strip() if held.lower().startswith(BEARER) else ""


def _held(
    body: Kind | None, handle: Callable[[web.Request, Any], Awaitable[web.StreamResponse]]
) -> Handler:
    """Return a handler that is given what a request says."""

    async def handler(request: web.Request) -> web.StreamResponse:
        return await handle(request, await said(request, body) if body else None)

    return handler
