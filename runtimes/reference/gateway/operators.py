"""What the operator of a gateway may ask and say, on a socket of its own.

``POST /admit`` (a list of admissions), ``/status`` (a list of runs), ``/revoke``, ``/decide``,
``/rotate``, ``/retire``; ``GET /approvals``, ``/metrics``.
"""

from __future__ import annotations

import json
import socket

from collections.abc import Awaitable, Callable
from contextlib import closing
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

from aiohttp import web

from runtimes.reference.effect_log.errors import EffectLogError
from runtimes.reference.gateway.admissions import DAY_S, Admission
from runtimes.reference.gateway.approval_file import ApprovalFileError
from runtimes.reference.gateway.approval_state import ApprovalError
from runtimes.reference.gateway.errors import GatewayError, UnjudgedError
from runtimes.reference.gateway.gateway import Gateway
from runtimes.reference.gateway.peer import peer_of
from runtimes.reference.gateway.strict import BadRequestError, read


WORKERS, OPERATORS = "workers.sock", "operators.sock"
ASK_S = 10.0
NOT_FOUND, REFUSED, TROUBLE = 404, 422, 503


class OperatorError(Exception):
    """The gateway did not do what an operator said; the message says why, and what holds."""


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

    async def _revoke(self, body: Any, peer: str) -> object:  # noqa: ANN401 - JSON
        by, why = _by(body, peer), str(body.get("why", "") or "an operator said so")
        if "token" in body:
            run, ended = await self.gateway.revoke_token(str(body["token"]), by, why)
        else:
            run = str(body["run"])
            if not self.gateway.admissions.knows(run):
                raise web.HTTPNotFound(text=f"nobody ever admitted {run[:80]!a}")
            ended = await self.gateway.revoke(run, by, why)
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


class Wire(HTTPConnection):
    """HTTP on a Unix socket."""

    def __init__(self, path: Path, patience_s: float) -> None:
        """Prepare; nothing is opened yet."""
        super().__init__("gateway", timeout=patience_s)
        self._path, self._patience_s = path, patience_s

    def connect(self) -> None:
        """Open the socket."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self._patience_s)
        self.sock.connect(str(self._path))


def ask(folder: Path, path: str, body: object = None) -> Any:  # noqa: ANN401 - JSON
    """Say something to the gateway of a folder, and return what it answers.

    Raises:
        OperatorError: it refuses, or nobody answers there.

    """
    try:
        with closing(Wire(folder / OPERATORS, ASK_S)) as wire:
            wire.request("GET" if body is None else "POST", path, json.dumps(body))
            answer = wire.getresponse()
            text = answer.read().decode()
    except (OSError, HTTPException) as error:
        msg = f"no gateway answers in {folder}: {error}; is it running there?"
        raise OperatorError(msg) from error
    if answer.status != HTTPStatus.OK:
        msg = f"the gateway says {answer.status}: {text}"
        raise OperatorError(msg)
    return text if path == "/metrics" else json.loads(text)


async def serve(app: web.Application, path: Path, drain_s: float) -> web.AppRunner:
    """Serve on a Unix socket; ``cleanup`` lets what was asked finish."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=drain_s)
    await runner.setup()
    await web.UnixSite(runner, str(path), backlog=4096).start()
    return runner
