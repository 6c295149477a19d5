"""The way to the harness's world for a process that has an HTTP client of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import aiohttp

from runtimes.reference.upstreams.base import LostError, UnreachableError
from runtimes.reference.upstreams.world import Post


OK, SERVER_FAILED = 200, 500


def http_post(http: aiohttp.ClientSession, url: str) -> Post:
    """Return how bodies are sent to the world at ``url``; the session has the credential."""

    async def post(path: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        try:
            async with http.post(f"{url}{path}", json=body) as answer:
                if answer.status != OK:
                    msg = f"{path} answered {answer.status}: {await answer.text()}"
                    # What it refuses it has not begun; where it failed, it may have been done.
                    refused = answer.status < SERVER_FAILED
                    raise UnreachableError(msg) if refused else LostError(msg)
                return await answer.json()  # type: ignore[no-any-return]
        except aiohttp.ClientConnectorError as error:
            raise UnreachableError(str(error)) from error
        except (aiohttp.ClientError, OSError) as error:
            msg = f"{path}: the answer was lost ({error!r})"
            raise LostError(msg) from error

    return post
