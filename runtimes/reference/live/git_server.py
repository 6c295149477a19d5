"""The git server's own process: git's own backend behind a password."""

from __future__ import annotations

import asyncio
import os

from typing import Any

from aiohttp import BasicAuth, web

from runtimes.reference.live.child import address, say, told


MOST_BYTES = 1 << 28


class Backend:
    """Hands each request to ``git http-backend``, as a web server does by CGI."""

    def __init__(self, part: dict[str, Any]) -> None:
        """Serve the part's folder."""
        self._folder = str(part["folder"])
        self._expected = BasicAuth(part["name"], part["secret"]).encode()

    async def handle(self, request: web.Request) -> web.Response:
        """Answer a request."""
        if request.headers.get("Authorization") != self._expected:
            return web.Response(status=401, headers={"WWW-Authenticate": 'Basic realm="git"'})
        body = await request.read()
        backend = await asyncio.create_subprocess_exec(
            "git",
            "http-backend",
            env={
                "PATH": os.environ.get("PATH", os.defpath),
                "HOME": self._folder,
                "GIT_CONFIG_NOSYSTEM": "1",
                "GIT_PROJECT_ROOT": self._folder,
                "GIT_HTTP_EXPORT_ALL": "1",
                "GIT_PROTOCOL": request.headers.get("Git-Protocol", ""),
                "REMOTE_USER": "gateway",
                "REQUEST_METHOD": request.method,
                "PATH_INFO": request.path,
                "QUERY_STRING": request.query_string,
                "CONTENT_TYPE": request.content_type,
                "CONTENT_LENGTH": str(len(body)),
            },
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        said, _ = await backend.communicate(body)
        head, _, content = said.partition(b"\r\n\r\n")
        lines = [line.split(": ", 1) for line in head.decode().split("\r\n") if ": " in line]
        headers = dict(lines)
        status = int(headers.pop("Status", "200").split()[0])
        return web.Response(status=status, headers=headers, body=content)


async def serve() -> None:
    """Listen until killed."""
    part = told()
    app = web.Application(client_max_size=MOST_BYTES)
    app.router.add_route("*", "/{path:.*}", Backend(part).handle)
    runner, where = web.AppRunner(app), address(part)
    await runner.setup()
    await web.TCPSite(runner, where.host, where.port).start()
    say()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve())
