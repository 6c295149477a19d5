"""What workers see of a gateway: the world's own protocol, on a Unix socket.

To a worker a refusal is an answer (``rejected``), because that is what its program branches on;
what the same request may be sent for again is 503, and its engine tries again.  Who accepts
``application/problem+json`` is told by HTTP's status, with what is known of the effect.

``POST /token`` gives a peer the token of its own run, to be narrowed for a child.  Whoever has
been given one sends it as ``Authorization: Bearer``; without one, that of the run is taken.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from harness.effects import Json
from runtimes.reference.effect_log.errors import EffectLogError
from runtimes.reference.gateway.admissions import AdmissionError
from runtimes.reference.gateway.errors import Known, RefusedError, TroubleError
from runtimes.reference.gateway.fields import check_fields, check_name, refuse
from runtimes.reference.gateway.gateway import Gateway
from runtimes.reference.gateway.peer import peer_of
from runtimes.reference.gateway.request import NAMES, Request, parse
from runtimes.reference.gateway.said import ERRORS, UNAVAILABLE, reason, status
from runtimes.reference.gateway.strict import LARGEST, BadRequestError, read
from runtimes.reference.resume.errors import DriftError, EscalatedError, ResumeError
from runtimes.reference.resume.session import Given
from runtimes.reference.upstreams.base import UpstreamError
from runtimes.reference.upstreams.world import HungError, WorldUpstream


PROBLEM = "application/problem+json"
BEARER = "bearer "
SETTLED: dict[str, Json] = {"status": "ok", "value": None, "etag": ""}
"""What a worker is given of an effect that was found to be done."""


@dataclass(frozen=True, slots=True)
class WorkerFace:
    """The routes of workers."""

    gateway: Gateway

    def app(self) -> web.Application:
        """Return the routes."""
        app = web.Application(client_max_size=LARGEST + 1)
        app.add_routes(
            [
                web.post("/perform", self._plain(self._perform)),
                web.post("/at", self._plain(self._at)),
                web.post("/token", self._plain(self._token)),
            ]
        )
        return app

    def _plain(
        self, handle: Callable[[web.Request], Awaitable[web.Response]]
    ) -> Callable[[web.Request], Awaitable[web.Response]]:
        """Return a handler that says what is wrong with a request, and no more."""

        async def handler(request: web.Request) -> web.Response:
            try:
                return await handle(request)
            except BadRequestError as error:
                return self._problem(error, Known.NOT_DONE)
            except web.HTTPRequestEntityTooLarge:
                why = f"expected at most {LARGEST} bytes, seen more; send a reference to the rest"
                return self._problem(BadRequestError(413, why), Known.NOT_DONE)

        return handler

    async def _perform(self, request: web.Request) -> web.Response:
        asked = parse(await request.read(), request.headers.get("Content-Type", ""))
        peer, run = peer_of(request), asked.call.run
        if asked.cell != run.partition(".")[0]:
            refuse("expected the cell of the run, seen another; leave the cell to the gateway")
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
        gateway, run = self.gateway, asked.call.run
        await gateway.announce(peer, run, asked.call)
        given = await gateway.perform(peer, asked.wanted(), run, token=token, targets=asked.targets)
        return _reply(given)

    async def _at(self, request: web.Request) -> web.Response:
        body, run = await _said(request)
        try:
            self.gateway.admitted(peer_of(request), run)
            held = await self.gateway.hold(run)
            if isinstance(held.world, WorldUpstream):
                await held.world.report({**body, "cell": held.world.cell})
        except (AdmissionError, RefusedError) as error:
            return self._problem(error, None)
        except (UpstreamError, EffectLogError, ResumeError) as error:
            return self._clean({"detail": str(error)}, UNAVAILABLE)
        return web.json_response({})

    async def _token(self, request: web.Request) -> web.Response:
        _, run = await _said(request)
        try:
            return web.json_response({"token": await self.gateway.token(peer_of(request), run)})
        except ERRORS as error:
            return self._problem(error, None)

    def _word(self, run: str, error: Exception) -> str:
        """Return the world's word for a refusal."""
        if (
            isinstance(error, DriftError | EscalatedError)
            and self.gateway.admissions.of(run).replans
        ):
            return "replan" if isinstance(error, DriftError) else "escalated"
        return "rejected"

    def _known(self, peer: str, asked: Request, error: Exception) -> Known | None:
        """Return what is known of the effect, for who may know it."""
        if isinstance(error, TroubleError):
            return error.known
        try:
            self.gateway.admitted(peer, asked.call.run)
        except (AdmissionError, RefusedError):
            return None
        return self.gateway.known(asked.call.run, asked.call.step)

    def _problem(self, error: Exception, known: Known | None) -> web.Response:
        kind = "bad_request" if isinstance(error, BadRequestError) else reason(error)
        said: dict[str, Json] = {"type": kind, "status": status(error), "detail": str(error)}
        return self._clean(
            said | ({"effect": known.value} if known else {}), status(error), PROBLEM
        )

    def _clean(
        self, said: dict[str, Json], status: int = 200, media: str = "application/json"
    ) -> web.Response:
        value: Any = self.gateway.redactor.redact(said).value
        return web.json_response(value, status=status, content_type=media)


def _token(request: web.Request) -> str:
    held = request.headers.get("Authorization", "")
    return held[len(BEARER) :].strip() if held.lower().startswith(BEARER) else ""


async def _said(request: web.Request) -> tuple[dict[str, Json], str]:
    """Return the object of a body, and the run that it is about."""
    body = read(await request.read())
    if not isinstance(body, dict):
        refuse("expected an object with a run, seen something else; correct it")
    check_fields("the request", body, ("run",), tuple(body))
    check_name("run", body["run"], NAMES["run"], empty=False)
    return body, str(body["run"])


def _reply(given: Given) -> dict[str, Json]:
    return SETTLED if given.settled or not isinstance(given.response, dict) else given.response
