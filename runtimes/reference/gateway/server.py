"""HTTP on a Unix socket, of which nothing that came is repeated where it is no HTTP.

The library quotes a line that it cannot read, in its answer and in its log; a credential may stand
there.  Of what fails here the log has the place, and no value.
"""

from __future__ import annotations

import logging
import traceback

from pathlib import Path

from aiohttp import web
from aiohttp.web_protocol import RequestHandler
from aiohttp.web_request import BaseRequest


LOG = logging.getLogger("bakeoff.gateway")
BACKLOG = 4096
FAILED = 500


class _Handler(RequestHandler):  # type: ignore[type-arg, unused-ignore]
    """A connection; the library has no other way to say what becomes of its errors."""

    __slots__ = ()

    def handle_error(
        self,
        request: BaseRequest,
        status: int = FAILED,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what is no HTTP, or what failed here; of that the log has the place."""
        del message
        if status == FAILED and exc:
            where = "".join(traceback.format_tb(exc.__traceback__))
            LOG.error("%s at\n%s", type(exc).__name__, where)
        if request.writer.output_size > 0:
            why = "an answer was begun, there cannot be another"
            raise ConnectionError(why)
        text = "it failed here" if status == FAILED else "expected HTTP/1.1, seen something else"
        answer = web.Response(status=status, text=text)
        answer.force_close()
        return answer


class _Server(web.Server):  # type: ignore[type-arg, unused-ignore]
    def __call__(self) -> RequestHandler:  # type: ignore[type-arg, unused-ignore]
        return _Handler(self, loop=self._loop, **self._kwargs)


class _Runner(web.AppRunner):
    async def _make_server(self) -> web.Server:  # type: ignore[type-arg, unused-ignore]
        made = await super()._make_server()
        made.__class__ = _Server  # it names its handlers' class itself
        return made


async def serve(app: web.Application, path: Path, drain_s: float) -> web.AppRunner:
    """Serve on a Unix socket; ``cleanup`` lets what was asked finish."""
    # What came compressed is refused, and not unfolded in passing.
    runner = _Runner(app, access_log=None, shutdown_timeout=drain_s, auto_decompress=False)
    await runner.setup()
    await web.UnixSite(runner, str(path), backlog=BACKLOG).start()
    return runner
