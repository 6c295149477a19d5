"""What the operator of a gateway may ask and say, on a socket of its own.

``POST /admit`` (a list of admissions), ``/status`` and ``/explain`` (lists of runs), ``/revoke``,
``/decide``, ``/rotate``, ``/retire``; ``GET /approvals``, ``/metrics``.
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
from runtimes.reference.gateway.peer import peer_of
from runtimes.reference.gateway.strict import BadRequestError, read
from runtimes.reference.gateway.token import capability_ids


REFUSED, TROUBLE = 422, 503


@dataclass(frozen=True, slots=True)
class OperatorFace:
    """The routes of operators; ``keys`` is the folder of the root keys."""

    gateway: Gateway
    keys: Path

    def app(self) -> web.Application:
        """Return the routes."""
        app = web.Application()
        handlers = {
            "/admit": self._admit,
            "/status": self._status,
            "/explain": self._explain,
            "/revoke": self._revoke,
            "/decide": self._decide,
            "/rotate": self._rotate,
            "/retire": self._retire,
        }
        app.add_routes([web.post(path, _said(handle)) for path, handle in handlers.items()])
        app.add_routes([web.get("/approvals", self._approvals), web.get("/metrics", self._metrics)])
        return app

    async def _admit(self, body: Any, peer: str) -> object:  # noqa: ANN401 - JSON
        said = [Admission.from_json(one) for one in body]
        self.gateway.admit(said, peer)
        return {"admitted": len(said)}

    async def _status(self, body: Any, peer: str) -> object:  # noqa: ANN401 - JSON
        del peer
        found = {str(run): self.gateway.status(str(run)) for run in body}
        return {run: {"status": status, "why": why} for run, (status, why) in found.items()}

    async def _explain(self, body: Any, peer: str) -> object:  # noqa: ANN401 - JSON
        del peer
        try:
            return {str(run): self.gateway.explain(str(run)) for run in body}
        except EffectLogError as error:
            raise web.HTTPServiceUnavailable(text=f"{type(error).__name__}: {error}") from error

    async def _revoke(self, body: Any, peer: str) -> object:  # noqa: ANN401 - JSON
        by, why = _by(body, peer), str(body.get("why", "") or "an operator said so")
        what = run = str(body["what"])
        if self.gateway.admissions.knows(what):
            ended = await self.gateway.revoke(what, by, why)
        elif _is_token(what):
            run, ended = await self.gateway.revoke_token(what, by, why)
        else:
            raise web.HTTPNotFound(text=f"nobody ever admitted {what[:80]!a}, and it is no token")
        return {"run": run, "revoked": ended.capabilities, "in_flight": ended.in_flight}

    async def _decide(self, body: Any, peer: str) -> object:  # noqa: ANN401 - JSON
        done = self.gateway.decide(
            str(body["id"]),
            str(body["request_hash"]),
            _by(body, peer),
            int(body.get("lasts_s", DAY_S)),
            yes=bool(body["yes"]),
        )
        return {"id": done.ident, "state": done.state.value}

    async def _rotate(self, body: Any, peer: str) -> object:  # noqa: ANN401 - JSON
        newest = self.gateway.keyring.rotate()
        self.gateway.keyring.save(self.keys)
        self.gateway.rotated(_by(body, peer))
        return {"newest": newest, "keys": self.gateway.keyring.ids}

    async def _retire(self, body: Any, peer: str) -> object:  # noqa: ANN401 - JSON
        self.gateway.keyring.retire(int(body["key"]))
        self.gateway.keyring.save(self.keys)
        self.gateway.rotated(_by(body, peer))
        return {"keys": self.gateway.keyring.ids}

    async def _approvals(self, request: web.Request) -> web.Response:
        del request
        return web.json_response(self.gateway.waiting())

    async def _metrics(self, request: web.Request) -> web.Response:
        del request
        kind = "text/plain; version=0.0.4; charset=utf-8"
        return web.Response(body=self.gateway.metrics.text(), headers={"Content-Type": kind})


def _is_token(text: str) -> bool:
    try:
        return bool(capability_ids(text))
    except RefusedError:
        return False


def _by(body: Any, peer: str) -> str:  # noqa: ANN401 - JSON
    """Return who says it: the name that is given, and the one that the kernel has."""
    name = str(body.get("by", ""))
    return f"{name[:80]} ({peer})" if name.isprintable() and name else peer


def _said(
    handle: Callable[[Any, str], Awaitable[object]],
) -> Callable[[web.Request], Awaitable[web.Response]]:
    """Return the handler of a body that is JSON; what is wrong is one message."""

    async def handler(request: web.Request) -> web.Response:
        try:
            done = await handle(read(await request.read()), peer_of(request))
        except BadRequestError as error:
            return web.Response(status=error.status, text=str(error))
        except (UnjudgedError, EffectLogError, ApprovalFileError, OSError) as error:
            return web.Response(status=TROUBLE, text=f"{error}; it may not outlive this process")
        except (GatewayError, ApprovalError) as error:
            return web.Response(status=REFUSED, text=str(error))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            return web.Response(status=REFUSED, text=f"expected other fields, saw {error!r}")
        return web.json_response(done)

    return handler


async def serve(app: web.Application, path: Path, drain_s: float) -> web.AppRunner:
    """Serve on a Unix socket; ``cleanup`` lets what was asked finish."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=drain_s)
    await runner.setup()
    await web.UnixSite(runner, str(path), backlog=4096).start()
    return runner
