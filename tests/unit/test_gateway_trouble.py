"""What goes wrong at a gateway's sockets: bad words of operators, time, drift, disks, providers."""

from __future__ import annotations

import asyncio
import json
import socket
import threading

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from aiohttp import web
from aiohttp.test_utils import TestServer
from support.desk import PAY, READ, SECRET, Desk
from support.gateway_sockets import MINE, PATIENCE_S, Served, body, served

from harness.effects import Effect, Tier
from runtimes.reference.gateway.client import OPERATORS, WORKERS, OperatorError, Wire, ask
from runtimes.reference.gateway.face import PROBLEM
from runtimes.reference.gateway.grant import Grant
from runtimes.reference.upstreams.base import Seen, UnreachableError
from runtimes.reference.upstreams.credential import Credential
from runtimes.reference.upstreams.http import Http
from runtimes.reference.upstreams.http_words import Route
from runtimes.reference.upstreams.world import HungError


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Lend one gateway to all tests that leave nothing behind."""
    with served(tmp_path_factory.mktemp("gw")) as found:
        yield found


# Operators ----------------------------------------------------------------------------------------

WORD = {"id": "x", "request_hash": "x", "yes": True}
ADMITTED: dict[str, Any] = {
    "run": "s",
    "peer": MINE,
    "grants": [{"op": PAY, "target": "log"}],
    "ttl_s": 60,
}
HALF = "\ud83d"


@pytest.mark.parametrize(
    ("path", "wrong"),
    [
        ("/decide", {**WORD, "yes": "no"}),
        ("/decide", {**WORD, "yes": 1}),
        ("/decide", {**WORD, "lasts_s": -1}),
        ("/decide", {**WORD, "lasts_s": 1e18}),
        ("/decide", {**WORD, "lasts_s": "9"}),
        ("/decide", {**WORD, "by": "anna\nbert"}),
        ("/decide", {**WORD, "more": 1}),
        ("/retire", {"key": True}),
        ("/retire", {"key": "1"}),
        ("/retire", {"key": 1.5}),
        ("/rotate", []),
        ("/rotate", {"key": 1}),
        ("/status", "r"),
        ("/status", {"r": 1}),
        ("/status", [1]),
        ("/explain", [HALF]),
        ("/revoke", {"what": ["r"]}),
        ("/revoke", {"what": f"r.{HALF}"}),
        ("/revoke", {"what": "r", "why": HALF}),
        ("/revoke", {"what": "r", "why": "x" * 1000}),
        ("/admit", {}),
        ("/admit", [{**ADMITTED, "ttl_s": 1e308}]),
        ("/admit", [{**ADMITTED, "ttl_s": True}]),
        ("/admit", [{**ADMITTED, "ttl_s": 0.0001}]),
        ("/admit", [{**ADMITTED, "grants": []}]),
        ("/admit", [{**ADMITTED, "grants": [{"op": PAY, "target": "log", "bounds": [{}]}]}]),
        ("/admit", [{**ADMITTED, "peer": "a\nb"}]),
        ("/admit", [{**ADMITTED, "run": HALF}]),
        ("/admit", [{**ADMITTED, "approval_s": True}]),
    ],
)
def test_operators_are_held_to_the_letter(path: str, wrong: Any, shared: Served) -> None:
    """What has another meaning than it seems is refused, and changes nothing."""
    names = ("admissions.jsonl", "approvals.json", "keys/keyring.json", "audit.jsonl")
    files = [shared.folder / name for name in names]
    before = [each.read_bytes() if each.exists() else b"" for each in files]
    with pytest.raises(OperatorError, match=r"says 422: .*expected"):
        ask(shared.folder, path, wrong)
    assert before == [each.read_bytes() if each.exists() else b"" for each in files]
    assert {"r": {"status": "", "why": ""}} == ask(shared.folder, "/status", ["r"])


def test_operators_may_type_curl(shared: Served) -> None:
    """It calls what it sends a form; it is read as JSON all the same, and compressed it is not."""
    for headers, status in (
        ({"Content-Type": "application/x-www-form-urlencoded"}, 200),
        ({}, 200),
        ({"Content-Encoding": "gzip"}, 415),
    ):
        wire = Wire(shared.folder / OPERATORS, PATIENCE_S)
        wire.request("POST", "/status", json.dumps(["r"]), headers)
        assert status == wire.getresponse().status
        wire.close()


def test_what_no_token_can_say_is_not_admitted(shared: Served) -> None:
    """The operator is told, and not each worker later; a smaller one is admitted."""
    values = [f"{number:03}" + "x" * 500 for number in range(64)]
    bounds = [{"arg": f"a{number}", "values": values} for number in range(2)]
    grant = {"op": PAY, "target": "charges/large"}
    large = {**ADMITTED, "run": "large"}
    with pytest.raises(OperatorError, match="422: expected a token of at most"):
        ask(shared.folder, "/admit", [{**large, "grants": [{**grant, "bounds": bounds}]}])
    assert "rejected" == shared.send(body(run="large", cell="large"))[1]["status"]
    ask(shared.folder, "/admit", [{**large, "grants": [grant]}])
    good = body(run="large", cell="large", args={"path": "charges/large", "value": 1})
    assert "ok" == shared.send(good)[1]["status"]


def test_a_key_that_cannot_be_saved_signs_nothing(tmp_path: Path, monkeypatch: Any) -> None:
    """After a restart nobody would know it; the one before it signs on, and can be replaced."""
    with served(tmp_path) as place:
        with monkeypatch.context() as patch:
            patch.setattr("runtimes.reference.gateway.keys.os.fsync", _full)
            with pytest.raises(OperatorError, match=r"503: .*No space.*nothing of it counts"):
                ask(tmp_path, "/rotate", {})
        keyring = place.place.gateway.keyring
        assert (1, (1,)) == (keyring.newest, keyring.ids)
        assert {"newest": 2, "keys": [1, 2]} == ask(tmp_path, "/rotate", {})


def test_an_admission_that_cannot_be_written_does_not_count(
    tmp_path: Path, monkeypatch: Any
) -> None:
    """And that is what the operator is told; of a revocation, that it counts here."""
    with served(tmp_path) as place, monkeypatch.context() as patch:
        patch.setattr("runtimes.reference.gateway.admissions.os.pwrite", _full)
        with pytest.raises(OperatorError, match=r"503: .*No space.*nothing of it counts"):
            ask(tmp_path, "/admit", [ADMITTED])
        assert "rejected" == place.send(body(run="s", cell="s"))[1]["status"]
        with pytest.raises(OperatorError, match=r"503: .*No space.*it is in force here"):
            ask(tmp_path, "/revoke", {"what": "r"})
        assert "rejected" == place.send(body())[1]["status"]


def _full(*_: object) -> int:
    raise OSError(28, "No space left on device")


# Workers ------------------------------------------------------------------------------------------


def test_a_body_that_does_not_come_ends(tmp_path: Path, monkeypatch: Any) -> None:
    """It is told so, on both sockets, and nothing was done."""
    monkeypatch.setattr("runtimes.reference.gateway.incoming.READ_S", 0.05)
    with served(tmp_path) as place:
        for name, path in ((WORKERS, "/perform"), (OPERATORS, "/admit")):
            wire = Wire(tmp_path / name, PATIENCE_S)
            wire.putrequest("POST", path)
            wire.putheader("Content-Type", "application/json")
            wire.putheader("Content-Length", "100")
            wire.endheaders(b'{"run": ')
            assert isinstance(wire.sock, socket.socket)
            answer = wire.getresponse()
            said = answer.read().decode()
            assert (408, True) == (answer.status, "expected the body within" in said)
            assert name == OPERATORS or "not done" == json.loads(said)["effect"]
            wire.close()
        assert [] == place.place.desk.ledger


@dataclass
class Slow(Desk):
    """A provider whose resources are looked at until ``seen`` is set; by then they have moved."""

    looks: threading.Event = field(default_factory=threading.Event)
    seen: asyncio.Event = field(default_factory=asyncio.Event)

    async def look(self, resource: str) -> Seen:
        self.looks.set()
        await self.seen.wait()
        return Seen(resource=resource, version="v99", value_hash="other")


@pytest.mark.parametrize("replans", [True, False])
def test_a_run_that_ends_while_its_premise_is_looked_at(replans: bool, tmp_path: Path) -> None:
    """It is told that nothing was done: not with an error of the gateway's own."""
    desk = Slow()
    grants = (Grant(PAY, "charges/"), Grant(READ, "notes/"))
    with served(tmp_path, desk, replans=replans, grants=grants) as place:
        note = body(step="look", op="read", effect="read", args={"path": "notes/x"})
        assert "ok" == place.send(note)[1]["status"]
        answers: list[Any] = []
        said = body(premises=[{"path": "notes/x", "etag": "v0"}])
        thread = threading.Thread(target=lambda: answers.append(place.send(said)))
        thread.start()
        assert desk.looks.wait(PATIENCE_S)
        ask(tmp_path, "/revoke", {"what": "r"})
        place.loop.run(_set(desk.seen))
        thread.join(PATIENCE_S)
        assert [(200, "rejected")] == [(code, told["status"]) for code, told in answers]
        assert [] == desk.ledger


def test_a_report_that_cannot_be_passed_on(tmp_path: Path, monkeypatch: Any) -> None:
    """It has a problem as any other: the provider is gone, or a refusal cannot be written down."""

    async def gone(*_: object) -> bool:
        raise UnreachableError(SECRET)

    async def hangs(*_: object) -> bool:
        raise HungError

    report = {"run": "r", "phase": "after_ack", "step": "pay", "incarnation": "0", "seq": 1}
    with served(tmp_path) as place:
        monkeypatch.setattr(place.place.desk, "fence", gone)
        code, told = place.send(report, "/at")
        assert (503, 503, "trouble") == (code, told["status"], told["type"])
        assert SECRET not in told["detail"]
        monkeypatch.setattr(place.place.desk, "fence", hangs)
        code, told = place.send({"run": "r"}, "/token")
        assert (503, "trouble") == (code, told["type"])
        monkeypatch.setattr("runtimes.reference.gateway.audit.os.write", _full)
        code, told = place.send({**report, "step": SECRET}, "/at")
        assert (503, "unjudged") == (code, told["type"])


async def _set(event: asyncio.Event) -> None:
    event.set()


@pytest.mark.parametrize(("hours", "done"), [(23, ["pay"]), (25, ["pay"])])
def test_a_key_is_good_while_its_provider_remembers_it(
    hours: int, done: list[str], tmp_path: Path
) -> None:
    """Within the retention the lost call is repeated under it, after it a human is asked."""
    with served(tmp_path) as place:
        place.place.desk.trouble = ["lost"] * 9
        assert "in doubt" == place.send(body())[1]["effect"]
        place.place.desk.trouble = []
        place.place.gateway.clock.now += hours * 3_600_000
        code, told = place.send(body(), Accept=PROBLEM)
        if hours < 24:
            assert (200, "ok") == (code, told["status"])
        else:
            assert (409, "escalated", "in doubt") == (code, told["type"], told["effect"])
        assert done == place.place.desk.ledger
        other = body(args={"path": "charges/anna", "value": 501})
        code, told = place.send(other, Accept=PROBLEM)
        assert code in {409, 422}
        assert done == place.place.desk.ledger


def test_a_provider_that_leads_elsewhere(tmp_path: Path) -> None:
    """The other host sees no request and no credential; within its authority one is followed."""
    caught: list[str] = []
    routes = {
        PAY: Route(
            method="POST",
            under="charges",
            effect=Effect.IRREVERSIBLE,
            tier=Tier.K,
            retention_s=86_400,
            asks="charges?key={key}",
        )
    }

    async def elsewhere(request: web.Request) -> web.Response:
        caught.append(str(request.headers))
        return web.json_response({"status": "ok"})

    async def started(handle: Any) -> TestServer:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", handle)
        server = TestServer(app)
        await server.start_server()
        return server

    with served(tmp_path) as place:
        other = place.loop.run(started(elsewhere))

        async def leads(request: web.Request) -> web.Response:
            if request.path == "/v1/there":
                return web.json_response({"status": "ok", "value": "paid"})
            near = request.path.endswith("near")
            where = "/v1/there" if near else str(other.make_url("/v1/charges"))
            return web.Response(status=308, headers={"Location": where})

        shop = place.loop.run(started(leads))
        upstream = Http(str(shop.make_url("/v1")), routes, Credential(secret=SECRET))
        place.place.gateway.runs.connect = lambda _: upstream
        code, told = place.send(body(args={"path": "charges/far", "value": 1}, step="far"))
        assert (200, "refused") == (code, told["refused"])
        code, told = place.send(body(args={"path": "charges/near", "value": 1}, step="near"))
        assert (200, "paid") == (code, told["value"])
        for server in (shop, other):
            place.loop.run(server.close())
    assert [] == caught
