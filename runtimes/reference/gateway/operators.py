"""What the operator of a gateway may ask and say, on a socket of its own.

``routes`` has all of it, and what each may say.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web

from runtimes.reference.effect_log.errors import EffectLogError
from runtimes.reference.gateway.admissions import Admission
from runtimes.reference.gateway.approval_file import ApprovalFileError
from runtimes.reference.gateway.approval_state import ApprovalError
from runtimes.reference.gateway.client import DAY_S
from runtimes.reference.gateway.errors import GatewayError, RefusedError, UnjudgedError
from runtimes.reference.gateway.gateway import Gateway
from runtimes.reference.gateway.incoming import BYTES, said
from runtimes.reference.gateway.peer import peer_of
from runtimes.reference.gateway.request import MEDIA
from runtimes.reference.gateway.routes import AT_OPERATORS, Route
from runtimes.reference.gateway.strict import BadRequestError
from runtimes.reference.gateway.token import capability_ids


REFUSED, TROUBLE = 422, 503
ENDS = frozenset({"/revoke", "/retire"})
"""What takes something away is in force before it is written down."""
IN_FORCE = "it is in force here, and may not outlive this process; say it again"
NOTHING = "nothing of it counts here; make room, and say it again"


@dataclass(frozen=True, slots=True)
class OperatorFace:
    """The routes of operators; ``keys`` is the folder of the root keys."""

    gateway: Gateway
    keys: Path

    def app(self) -> web.Application:
        """Return the routes."""
        app = web.Application(client_max_size=BYTES)
        handlers = {
            "/admit": self._admit,
            "/status": self._status,
            "/explain": self._explain,
            "/revoke": self._revoke,
            "/decide": self._decide,
            "/rotate": self._rotate,
            "/retire": self._retire,
            "/approvals": self._approvals,
            "/metrics": self._metrics,
        }
        app.add_routes(
            [
                web.route(route.method, route.path, _answered(route, handlers[route.path]))
                for route in AT_OPERATORS
            ]
        )
        return app

    async def _admit(self, body: Any, peer: str) -> object:  # noqa: ANN401 - JSON
        admissions = [Admission.from_json(one) for one in body]
        self.gateway.rule.admit(admissions, peer)
        return {"admitted": len(admissions)}

    async def _status(self, body: Any, peer: str) -> object:  # noqa: ANN401 - JSON
        del peer
        found = {run: self.gateway.runs.status(run) for run in body}
        return {run: {"status": status, "why": why} for run, (status, why) in found.items()}

    async def _explain(self, body: Any, peer: str) -> object:  # noqa: ANN401 - JSON
        del peer
        try:
            return {run: self.gateway.runs.explain(run) for run in body}
        except EffectLogError as error:
            raise web.HTTPServiceUnavailable(text=f"{type(error).__name__}: {error}") from error

    async def _revoke(self, body: Any, peer: str) -> object:  # noqa: ANN401 - JSON
        by, why = _by(body, peer), body.get("why", "") or "an operator said so"
        what = run = body["what"]
        if self.gateway.admissions.knows(what):
            ended = await self.gateway.rule.revoke(what, by, why)
        elif _is_token(what):
            run, ended = await self.gateway.rule.revoke_token(what, by, why)
        else:
            raise web.HTTPNotFound(text=f"nobody ever admitted {what[:80]!a}, and it is no token")
        return {"run": run, "revoked": ended.capabilities, "in_flight": ended.in_flight}

    async def _decide(self, body: Any, peer: str) -> object:  # noqa: ANN401 - JSON
        done = self.gateway.review.decide(
            body["id"],
            body["request_hash"],
            _by(body, peer),
            body.get("lasts_s", DAY_S),
            yes=body["yes"],
        )
        return {"id": done.ident, "state": done.state.value}

    async def _rotate(self, body: Any, peer: str) -> object:  # noqa: ANN401 - JSON
        newest = self.gateway.rule.rotate(self.keys, _by(body, peer))
        return {"newest": newest, "keys": self.gateway.keyring.ids}

    async def _retire(self, body: Any, peer: str) -> object:  # noqa: ANN401 - JSON
        self.gateway.rule.retire(body["key"], self.keys, _by(body, peer))
        return {"keys": self.gateway.keyring.ids}

    async def _approvals(self, body: Any, peer: str) -> object:  # noqa: ANN401 - JSON
        del body, peer
        return self.gateway.review.waiting()

    async def _metrics(self, body: Any, peer: str) -> object:  # noqa: ANN401 - JSON
        del body, peer
        kind = "text/plain; version=0.0.4; charset=utf-8"
        return web.Response(body=self.gateway.metrics.text(), headers={"Content-Type": kind})


def _is_token(text: str) -> bool:
    try:
        return bool(capability_ids(text))
    except RefusedError:
        return False


def _by(body: Any, peer: str) -> str:  # noqa: ANN401 - JSON
    """Return who says it: the name that is given, and the one that the kernel has."""
    name = body.get("by", "")
    return f"{name} ({peer})" if name else peer


def _answered(
    route: Route, handle: Callable[[Any, str], Awaitable[object]]
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """Return the handler of a route; what is wrong is one message."""
    left = IN_FORCE if route.path in ENDS else NOTHING

    async def handler(request: web.Request) -> web.StreamResponse:
        try:
            # Who types curl sends a form's content type.
            told = await said(request, route.body, MEDIA[0]) if route.body else None
            done = await handle(told, peer_of(request))
        except BadRequestError as error:
            return web.Response(status=error.status, text=str(error))
        except (UnjudgedError, EffectLogError, ApprovalFileError, OSError) as error:
            return web.Response(status=TROUBLE, text=f"{error}; {left}")
        except (GatewayError, ApprovalError) as error:
            return web.Response(status=REFUSED, text=str(error))
        return done if isinstance(done, web.StreamResponse) else web.json_response(done)

    return handler
