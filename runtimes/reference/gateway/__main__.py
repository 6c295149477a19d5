"""The gateway before the harness's world: ``python -m runtimes.reference.gateway --world URL``.

It is given its credential by ``BAKEOFF_CREDENTIAL``, and nobody else is; a canary, which nothing
needs, by ``BAKEOFF_CANARY``.
"""

from __future__ import annotations

import asyncio
import os

from collections.abc import Mapping
from pathlib import Path

import aiohttp
import click

from harness.effects import Tier
from harness.scenario import Provider
from harness.worker import announce
from runtimes.reference.collector import seldom
from runtimes.reference.gateway.process import Behind, alone, run, told
from runtimes.reference.gateway.redact import Redactor
from runtimes.reference.gateway.request import WORLD
from runtimes.reference.upstreams.world import FENCES, UNFENCED, WorldUpstream
from runtimes.reference.upstreams.world_http import http_post


async def before_world(
    folder: Path, world: str, tier: Tier, providers: Mapping[str, Provider]
) -> None:
    """Serve before a world, with its credential."""
    name = os.environ.setdefault("BAKEOFF_INCARNATION", f"gateway-{os.getpid()}")
    known = {
        what: text
        for what in ("credential", "canary")
        if (text := os.environ.pop(f"BAKEOFF_{what.upper()}", ""))
    }
    headers = {"Authorization": f"Bearer {known['credential']}"} if "credential" in known else {}
    async with aiohttp.ClientSession(
        headers=headers,
        timeout=aiohttp.ClientTimeout(total=None),
        # A connection that was kept may be closed at the other end by now: a call on it
        # would be in doubt for nothing.
        connector=aiohttp.TCPConnector(limit=0, force_close=True),
    ) as http:

        def connect(run: str) -> WorldUpstream:
            cell, post = run.partition(".")[0], http_post(http, world)
            return WorldUpstream(post, cell, tier, name, providers)

        redactor = Redactor(known, {"canary"} & {*known})
        behind = Behind(connect=connect, codec=WORLD, redactor=redactor)
        await run(folder, behind, name, announce)


@click.command()
@click.option("--folder", type=click.Path(path_type=Path, file_okay=False), required=True)
@click.option("--world", required=True, help="The world's URL.")
@click.option("--tier", type=click.Choice([*Tier]), required=True, help="What the world offers.")
@click.option(
    "--provider",
    "offers",
    type=(str, click.Choice([*Tier]), click.Choice([FENCES, UNFENCED])),
    multiple=True,
    help="What is behind a first word of paths, where that is not the world's own.",
)
def main(folder: Path, world: str, tier: str, offers: tuple[tuple[str, str, str], ...]) -> None:
    """Stand between workers and a world: workers use FOLDER/workers.sock in its place.

    Exit code 1 where its folder, the keys or the log cannot be had, or another gateway is there.
    """
    providers = {
        name: Provider(tier=Tier(own), fenced=fences == FENCES) for name, own, fences in offers
    }
    with alone(folder), told(folder):
        asyncio.run(before_world(folder, world, Tier(tier), providers))


if __name__ == "__main__":
    seldom()
    main()
