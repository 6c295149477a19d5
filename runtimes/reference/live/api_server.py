"""The API's own process: what it has done is in its ledger before it says so."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from aiohttp import web

from runtimes.reference.live.child import address, say, told


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Books:
    """Charges by their keys, and documents by their names."""

    def __init__(self, ledger: Path, retention_s: float) -> None:
        """Begin with what the ledger says."""
        self._ledger, self._retention_s = ledger, retention_s
        self._charges: list[dict[str, Any]] = []
        self._documents: dict[str, Any] = {}
        for line in ledger.read_text().splitlines():
            self._apply(json.loads(line))

    async def charge(self, request: web.Request) -> web.Response:
        """Charge, once for each key."""
        key, text = request.headers.get("Idempotency-Key", ""), await request.text()
        if not key:
            return web.json_response({"error": "Idempotency-Key is missing"}, status=400)
        known = [one for one in self._charges if one["key"] == key and self._honoured(one)]
        if known and known[-1]["text"] != text:
            return web.json_response({"error": "the key has another request"}, status=422)
        replayed = "true" if known else "false"
        if not known:
            number = len(self._charges) + 1
            self._do({"charge": number, "key": key, "text": text, "at_s": time.time()})
            known = [self._charges[-1]]
        answer = {"charge": known[-1]["charge"], **json.loads(text)}
        return web.json_response(answer, status=201, headers={"Idempotent-Replayed": replayed})

    async def charges(self, request: web.Request) -> web.Response:
        """List the charges of a key."""
        key = request.query.get("key", "")
        found = [one["charge"] for one in self._charges if one["key"] == key]
        return web.json_response(found)

    async def read(self, request: web.Request) -> web.Response:
        """Return a document."""
        name = request.match_info["name"]
        if name not in self._documents:
            return web.json_response({"error": "no such document"}, status=404)
        return self._shown(name)

    async def write(self, request: web.Request) -> web.Response:
        """Replace or remove a document, if it is as expected."""
        name, wanted = request.match_info["name"], request.headers.get("If-Match")
        there = name in self._documents
        now = self._tag(name) if there else None
        if (wanted and wanted != now) or (there and request.headers.get("If-None-Match") == "*"):
            return web.json_response({"error": "it has changed"}, status=412)
        if request.method == "DELETE":
            self._do({"document": name, "value": None})
            return web.Response(status=204)
        self._do({"document": name, "value": await request.json()})
        return self._shown(name)

    def _shown(self, name: str) -> web.Response:
        return web.json_response(self._documents[name], headers={"ETag": self._tag(name)})

    def _tag(self, name: str) -> str:
        text = json.dumps(self._documents[name], sort_keys=True)
        return f'"{hashlib.sha256(text.encode()).hexdigest()[:16]}"'

    def _honoured(self, charge: dict[str, Any]) -> bool:
        return time.time() - float(charge["at_s"]) < self._retention_s

    def _do(self, effect: dict[str, Any]) -> None:
        with self._ledger.open("a") as ledger:
            ledger.write(json.dumps(effect) + "\n")
        self._apply(effect)

    def _apply(self, effect: dict[str, Any]) -> None:
        if "charge" in effect:
            self._charges.append(effect)
        elif effect["value"] is None:
            self._documents.pop(effect["document"], None)
        else:
            self._documents[effect["document"]] = effect["value"]


def made(books: Books, secret: str) -> web.Application:
    """Return the API, for who has the token."""

    @web.middleware
    async def admitted(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.headers.get("Authorization") != f"Bearer {secret}":
            return web.json_response({"error": "who are you?"}, status=401)
        return await handler(request)

    app = web.Application(middlewares=[admitted])
    app.router.add_post("/v1/charges", books.charge)
    app.router.add_get("/v1/charges", books.charges)
    app.router.add_get("/v1/documents/{name}", books.read)
    app.router.add_put("/v1/documents/{name}", books.write)
    app.router.add_delete("/v1/documents/{name}", books.write)
    return app


async def serve() -> None:
    """Listen until killed."""
    part = told()
    books = Books(Path(part["ledger"]), float(part["retention_s"]))
    runner, where = web.AppRunner(made(books, part["secret"])), address(part)
    await runner.setup()
    await web.TCPSite(runner, where.host, where.port).start()
    say()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve())
