"""The world as a provider: what is known of a call that it did not answer with 200."""

from __future__ import annotations

import asyncio
import subprocess
import sys

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import aiohttp
import pytest

from aiohttp import web
from aiohttp.test_utils import TestServer

from harness.effects import Json, Tier
from harness.scenario import Provider
from runtimes.reference.upstreams.base import (
    Answer,
    LostError,
    Order,
    UnreachableError,
    UpstreamError,
)
from runtimes.reference.upstreams.world import WorldUpstream
from runtimes.reference.upstreams.world_http import http_post


ORDER = Order(run="r", slot="send", op="append.irreversible", target="mail", args={"path": "mail"})


async def called(status: int) -> Answer:
    """Return what comes of a call that the world answers with a status."""

    async def perform(request: web.Request) -> web.Response:
        await request.read()
        return web.json_response({"status": "ok", "etag": "v1"}, status=status)

    app = web.Application()
    app.add_routes([web.post("/perform", perform)])
    async with TestServer(app) as server, aiohttp.ClientSession() as http:
        url = str(server.make_url("/")).rstrip("/")
        return await WorldUpstream(http_post(http, url), "r", Tier.O, "gateway").call(ORDER)


def test_an_answer() -> None:
    """What is answered with 200 is done, at the version that it says."""
    assert "v1" == asyncio.run(called(200)).after


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, UnreachableError), (410, UnreachableError), (500, LostError), (502, LostError)],
)
def test_a_refusal_is_no_failure(status: int, kind: type[UpstreamError]) -> None:
    """What is refused was not begun; where the world itself failed, it is in doubt."""
    with pytest.raises(kind) as caught:
        asyncio.run(called(status))
    assert kind is type(caught.value)


def test_a_worker_needs_no_http_library() -> None:
    """A worker that is started after a death is up soon: it imports the words of the world only."""
    code = "import sys, runtimes.reference.worker; print('aiohttp' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert "False" == ran.stdout.strip()


def test_providers_of_their_own() -> None:
    """What is behind a target has its own tier and its own fence; the rest is the cell's."""
    providers = {"dns": Provider(tier=Tier.V, fenced=False), "db": Provider()}

    async def nobody(path: str, body: object) -> dict[str, str]:
        raise AssertionError((path, body))

    world = WorldUpstream(nobody, "r", Tier.K, "gateway", providers)
    found = {
        target: world.contract("set.hybrid", target) for target in ("dns/shop", "db/users", "mail")
    }
    assert {"dns/shop": (Tier.V, False, 0), "db/users": (Tier.K, True, 86_400)} == {
        target: (each.tier, each.fenced, each.retention_s)
        for target, each in found.items()
        if target != "mail"
    }
    assert (Tier.K, True) == (found["mail"].tier, found["mail"].fenced)


def test_a_key_goes_to_who_keeps_it() -> None:
    """A provider of another tier is sent none."""
    sent: list[str] = []

    async def post(path: str, body: Mapping[str, Any]) -> dict[str, Json]:
        sent.append(f"{path} {body['key']}")
        return {"status": "ok", "etag": ""}

    world = WorldUpstream(post, "r", Tier.K, "gateway", {"mail": Provider(tier=Tier.O)})
    for target in ("mail/ann", "db/users"):
        order = replace(ORDER, target=target, key="k1", args={"path": target})
        asyncio.run(world.call(order))
    assert ["/perform ", "/perform k1"] == sent
