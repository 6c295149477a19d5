"""A private HTTP API: charges by key, and documents with versions; its ledger is in a file."""

from __future__ import annotations

import json
import secrets

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.effects import Json
from harness.process import Address, Process, Site
from runtimes.reference.live.child import child
from runtimes.reference.upstreams.credential import Credential


DAY_S = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """An API, its address, the token that it asks for, and what it has done."""

    process: Process
    address: Address
    ledger: Path
    credential: Credential

    def url(self, at: Address | None = None) -> str:
        """Return its URL, by way of another address if one is given."""
        return f"http://{at or self.address}/v1"

    def done(self) -> list[dict[str, Any]]:
        """Return each effect, in order."""
        return [json.loads(line) for line in self.ledger.read_text().splitlines()]


@contextmanager
def api(site: Site, *, retention_s: int = DAY_S, name: str = "api") -> Iterator[Api]:
    """Start an API that has done nothing yet.

    Raises:
        ProcessError: it was not ready in time.

    """
    ledger, address = site.state_dir(name) / "ledger.jsonl", site.reserve()
    ledger.touch()
    credential = Credential(secret=secrets.token_hex(16))
    part: dict[str, Json] = {
        "host": address.host,
        "port": address.port,
        "ledger": str(ledger),
        "secret": credential.secret,
        "retention_s": retention_s,
    }
    with child(site, name, "runtimes.reference.live.api_server", part) as process:
        yield Api(process=process, address=address, ledger=ledger, credential=credential)
