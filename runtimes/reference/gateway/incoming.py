"""How a body comes in: whole, in time, as it is; what it says is held to its kind."""

from __future__ import annotations

import asyncio

from typing import Any

from aiohttp import web

from runtimes.reference.gateway.fields import Kind
from runtimes.reference.gateway.request import taken
from runtimes.reference.gateway.strict import LARGEST, BadRequestError


READ_S = 30.0
"""What a body may take: who sends it is on this machine."""
BYTES = LARGEST + 1
"""That one byte lets ``taken`` say that it is too large."""


async def said(request: web.Request, body: Kind, media: str = "") -> Any:  # noqa: ANN401 - JSON
    """Return what a request says; ``media`` stands for its content type, whatever that is.

    Raises:
        BadRequestError: it is something else; nothing was done.

    """
    # A small one could unfold into one that is too large.
    if request.headers.get("Content-Encoding", "identity") != "identity":
        why = "expected a body as it is, seen a Content-Encoding; send it without"
        raise BadRequestError(415, why)
    content = await _content(request)
    return taken(content, media or request.headers.get("Content-Type", ""), body)


async def _content(request: web.Request) -> bytes:
    try:
        async with asyncio.timeout(READ_S):
            return await request.read()
    except TimeoutError:
        status, why = 408, f"expected the body within {READ_S:.0f} s, seen a part; send it at once"
    except web.HTTPRequestEntityTooLarge:
        status = 413
        why = f"expected at most {LARGEST} bytes, seen more; send a reference to the rest"
    except web.RequestPayloadError:
        status, why = 400, "expected a body in the length or the chunks that it names, seen another"
    raise BadRequestError(status, why)
