"""A gateway's process under attack: targets, tokens, slots and HTTP that are not what they seem.

Each refusal is held to the world's history: nothing was done, and the twin beside it is.
"""

from __future__ import annotations

import dataclasses
import gzip
import json
import os
import socket
import time

from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from support.desk import CANARY, PAY, SECRET
from support.gateway_site import PATIENCE_S, Site, before_world

from harness.deadline import Deadline, wait_until
from runtimes.reference.gateway.client import WORKERS, Wire, ask
from runtimes.reference.gateway.clock import SystemClock, Watch
from runtimes.reference.gateway.grant import Grant
from runtimes.reference.gateway.keys import Keyring
from runtimes.reference.gateway.peer import peer
from runtimes.reference.gateway.routes import PROBLEM
from runtimes.reference.gateway.strict import LARGEST
from runtimes.reference.gateway.token import attenuate, mint


MINE = peer(os.getuid(), os.getgid())
HEAD = b"POST /perform HTTP/1.1\r\nHost: g\r\nAccept: application/problem+json\r\n"
KIND = b"Content-Type: application/json\r\n"
GRANTS = [{"op": PAY, "target": f"{root}/"} for root in ("charges", "zone:example.com", "dns")]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Lend one gateway's process to all tests; it lives to the end."""
    folder = tmp_path_factory.mktemp("attacked")
    with before_world(folder, BAKEOFF_CREDENTIAL=SECRET) as found, found.gateway() as process:
        found.admit(*GRANTS, {"op": "wire.irreversible", "target": "wire"})
        yield found
        assert process.poll() is None


def body(step: str, **more: Any) -> dict[str, Any]:
    """Return a payment of run r."""
    fields = {"cell": "r", "run": "r", "step": step, "op": "append", "effect": "irreversible"}
    return {**fields, "args": {"path": "log", "value": 1}, **more}


def perform(site: Site, said: dict[str, Any], **headers: str) -> tuple[int, dict[str, Any]]:
    """Ask for a step, and be told of refusals by HTTP's status."""
    known = {"Content-Type": "application/json", "Accept": PROBLEM, **headers}
    with closing(Wire(site.folder / WORKERS, PATIENCE_S)) as wire:
        wire.request("POST", "/perform", json.dumps(said), known)
        answer = wire.getresponse()
        return answer.status, json.loads(answer.read())


def refused(site: Site, said: dict[str, Any], **headers: str) -> tuple[int, str, str]:
    """Return status, reason and what is known of a request of which nothing is done."""
    before = site.applied()
    code, told = perform(site, said, **headers)
    assert before == site.applied()
    assert SECRET not in json.dumps(told)
    return code, told["type"], told["effect"]


def raw(site: Site, content: bytes, *, ends: bool = True) -> bytes:
    """Send bytes, and return what comes back until the other end closes."""
    with socket.socket(socket.AF_UNIX) as wire:
        wire.settimeout(PATIENCE_S)
        wire.connect(str(site.folder / WORKERS))
        wire.sendall(content)
        if ends:
            wire.shutdown(socket.SHUT_WR)
        parts = []
        while part := wire.recv(1 << 16):
            parts.append(part)
        return b"".join(parts)


# Operations and targets ---------------------------------------------------------------------------


def test_nobody_offers_the_operation(site: Site) -> None:
    """One that is granted is unknown, one that is not is out of scope; both leave nothing done."""
    wire = {"op": "wire", "args": {"path": "x"}}
    assert (422, "unknown_operation", "not done") == refused(site, body("wire", **wire))
    drop = {"op": "drop", "args": {"path": "log"}}
    assert (403, "out_of_scope", "not done") == refused(site, body("drop", **drop))
    assert 200 == perform(site, body("no wire"))[0]


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        ("charges/anna", "../charges/anna"),
        ("charges/anna", "charges/../log"),
        ("charges/anna", "charges/./anna"),
        ("charges/anna", "charges//anna"),
        ("charges/anna", "/charges/anna"),
        ("charges/anna", "charges/%2e%2e/log"),
        ("charges/anna", "charges/anna%2flog"),
        ("charges/anna", "charges\\anna"),
        ("charges/anna", "charges/anna\x00"),
        ("charges/anna", "charges/anna\n"),
        ("charges/anna", "charges/an\u200bna"),
        ("charges/anna", "charges/\u202eanna"),
        ("charges/anna", "charges/аnna"),  # noqa: RUF001 - a Cyrillic letter
        ("charges/anna", "сharges/anna"),  # noqa: RUF001 - a Cyrillic letter
        ("charges/anna", "charges／anna"),  # noqa: RUF001 - another stroke
        ("charges/anna", "charges-evil/anna"),
        ("charges/anna", "CHARGES/anna"),
        ("charges/anna", "charges"),
        ("charges/anna", ["charges/anna"]),
        ("zone:example.com/www", "zone:example.com.evil/www"),
        ("zone:example.com/www", "zone:evil.example.com/www"),
        ("zone:example.com/www", "zone:example.com@evil/www"),
        ("zone:example.com/www", "zone:example.com%2eevil/www"),
        ("zone:example.com/www", "zone:exаmple.com/www"),  # noqa: RUF001 - a Cyrillic letter
        ("zone:example.com/www", "zone:example.com./www"),
        ("zone:example.com/www", "zone:example.com:53/www"),
        ("zone:example.com/www", "http://example.com/www"),
        ("dns/app.example", "dns/xn--pp-7lc.example"),
    ],
)
def test_a_target_that_seems_to_be_another(good: str, bad: Any, site: Site) -> None:
    """It is refused at the socket, and the world has seen nothing of it."""
    step = f"to {bad!a}"
    answer = refused(site, body(step, args={"path": bad, "value": 1}))
    assert (403, "out_of_scope", "not done") == answer
    assert 200 == perform(site, body(step, args={"path": good, "value": 1}))[0]
    assert step == site.applied()[-1]


def test_a_copy_needs_both_ends(site: Site) -> None:
    """Where it goes to is a target as well as where it comes from."""
    ask_for = {"op": "copy", "effect": "irreversible"}
    for ends in ({"path": "log", "to": "elsewhere"}, {"path": "elsewhere", "to": "log"}):
        said = refused(site, body("copy", **ask_for, args=ends))
        assert (403, "out_of_scope", "not done") == said


# Tokens -------------------------------------------------------------------------------------------


def given(site: Site, run: str = "r") -> str:
    """Return the token of a run, as its peer is given it."""
    with closing(Wire(site.folder / WORKERS, PATIENCE_S)) as wire:
        wire.request(
            "POST", "/token", json.dumps({"run": run}), {"Content-Type": "application/json"}
        )
        return str(json.loads(wire.getresponse().read())["token"])


def minted(site: Site, **more: Any) -> str:
    """Return a token that the gateway's own key has signed, as if it were stolen."""
    fields: dict[str, Any] = {
        "run": "r",
        "epoch": 1 << 30,
        "peer": MINE,
        "grants": [Grant(PAY, "log")],
        "issued_at": Watch(SystemClock()).now(),
        "ttl_s": 60.0,
    }
    return mint(Keyring.load(site.folder / "keys"), **{**fields, **more})


def later(**by: int) -> Any:
    """Return a moment that is so far from now."""
    now = Watch(SystemClock()).now()
    return dataclasses.replace(
        now, **{name: getattr(now, name) + more for name, more in by.items()}
    )


HOUR_MS, HOUR_NS = 3_600_000, 3_600_000_000_000


@pytest.mark.parametrize(
    ("why", "more"),
    [
        ("not_yet_valid", {"issued_at": later(wall_ms=HOUR_MS, mono_ns=HOUR_NS)}),
        ("expired", {"issued_at": later(wall_ms=-HOUR_MS, mono_ns=-HOUR_NS)}),
        ("wrong_run", {"run": "s"}),
        ("wrong_peer", {"peer": "uid:4242:4242"}),
        ("fenced", {"epoch": 0}),
        ("out_of_scope", {"grants": [Grant(PAY, "logs")]}),
    ],
)
def test_a_token_of_another_time_or_place(why: str, more: dict[str, Any], site: Site) -> None:
    """Even one that the right key has signed; the same token without that is good."""
    step = f"token {why}"
    bearer = {"Authorization": f"Bearer {minted(site, **more)}"}
    assert (403, why, "not done") == refused(site, body(step), **bearer)
    good = {"Authorization": f"Bearer {minted(site)}"}
    assert 200 == perform(site, body(step), **good)[0]


def test_a_token_that_is_spoilt_foreign_or_revoked(site: Site) -> None:
    """Each has its reason; the token that it was made of is good."""
    whole, ours = given(site), Keyring.load(site.folder / "keys").shared()
    child = attenuate(whole, ours, grants=[Grant(PAY, "log")])
    short = attenuate(whole, ours, ttl_s=0.001)
    ask(site.folder, "/revoke", {"what": child})
    theirs = mint(
        Keyring.make(),
        run="r",
        epoch=1,
        peer=MINE,
        grants=[Grant(PAY, "log")],
        issued_at=Watch(SystemClock()).now(),
        ttl_s=60,
    )
    middle = len(whole) // 2
    spoilt = whole[:middle] + ("A" if whole[middle] != "A" else "B") + whole[middle + 1 :]
    born_ns = time.monotonic_ns()
    wait_until(lambda: time.monotonic_ns() > born_ns + 2_000_000, Deadline.after(1), "2 ms")
    for text, whys in (
        (spoilt, {"unsigned", "malformed", "foreign_key"}),
        (whole[:-4], {"malformed"}),
        (whole + "A", {"malformed"}),
        (theirs, {"unsigned"}),
        (child, {"revoked"}),
        (attenuate(child, ours, ttl_s=9), {"revoked"}),
        (short, {"expired"}),
        ("é", {"malformed"}),
        ("x" * 7000, {"malformed"}),
    ):
        header = {"Authorization": f"Bearer {text.encode().decode('latin-1')}"}
        code, why, known = refused(site, body("spoilt"), **header)
        assert (403, "not done") == (code, known)
        assert why in whys
    assert 200 == perform(site, body("spoilt"), Authorization=f"Bearer {whole}")[0]


# A slot that is used again ------------------------------------------------------------------------


def test_a_slot_in_flight_is_not_another_request(site: Site) -> None:
    """Who asks the same waits for its answer; who asks something else is told of the conflict."""
    site.world.arm("r", "r", "flying/before_effect#1")
    first, firsts = site.asked("flying")
    site.held("flying/before_effect#1")
    second, seconds = site.asked("flying")
    other, others = site.asked("flying", value="another")
    site.world.release("r", "r", "flying/before_effect#1")
    for thread in (first, second, other):
        thread.join(PATIENCE_S)
    assert firsts == seconds
    assert "ok" == firsts[0]["status"]
    assert ("rejected", True) == (others[0]["status"], "CONFLICT" in others[0]["value"])
    assert 1 == site.applied().count("flying")
    conflict = body("flying", args={"path": "log", "value": "a third"})
    assert (422, "conflict", "done") == refused(site, conflict)


# HTTP ---------------------------------------------------------------------------------------------


def sent(step: str) -> bytes:
    """Return a good body."""
    return json.dumps(body(step)).encode()


def chunked(content: bytes) -> bytes:
    """Return a body in chunks."""
    return b"%x\r\n%s\r\n0\r\n\r\n" % (len(content), content)


def sized(content: bytes) -> bytes:
    """Return the rest of a request with a body of a known length."""
    return b"Connection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(content), content)


CHUNKS = b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
ZIPPED = gzip.compress(sent("http"))
BOMB = gzip.compress(b" " * (256 << 20), 1)[: LARGEST - 1000]
NO = b'"effect": "not done"'


STRANGE = {
    "chunks": (HEAD + KIND + CHUNKS + chunked(sent("http")), 200, b'"ok"'),
    "large chunks": (HEAD + KIND + CHUNKS + chunked(b" " * (LARGEST + 1)), 413, NO),
    "chunks of no length": (HEAD + KIND + CHUNKS + b"zz\r\n" + sent("http"), 400, b""),
    "a length, and chunks": (
        HEAD + KIND + b"Content-Length: 3\r\n" + CHUNKS + chunked(sent("http")),
        400,
        b"",
    ),
    "two lengths": (HEAD + KIND + b"Content-Length: 3\r\n" + sized(sent("http")), 400, b""),
    "zipped": (HEAD + KIND + b"Content-Encoding: gzip\r\n" + sized(ZIPPED), 415, NO),
    "a bomb": (HEAD + KIND + b"Content-Encoding: gzip\r\n" + sized(BOMB), 415, NO),
    "a coding that nobody has": (HEAD + KIND + b"Content-Encoding: x\r\n" + sized(b"x"), 415, NO),
    "no content type": (HEAD + sized(sent("http")), 415, NO),
    "text": (HEAD + b"Content-Type: text/plain\r\n" + sized(sent("http")), 415, NO),
    "GET": (HEAD.replace(b"POST", b"GET") + KIND + sized(b""), 405, NO),
    "DELETE": (HEAD.replace(b"POST", b"DELETE") + KIND + sized(sent("http")), 405, NO),
    "a stroke behind": (HEAD.replace(b"perform", b"perform/") + KIND + sized(b"{}"), 404, NO),
    "a stroke before": (HEAD.replace(b"/perf", b"//perf") + KIND + sized(b"{}"), 404, NO),
    "what operators say": (HEAD.replace(b"perform", b"admit") + KIND + sized(b"[]"), 404, NO),
    "another version": (HEAD.replace(b"P/1.1", b"P/9.9") + KIND + sized(sent("http")), 400, b""),
    "a long header": (HEAD + b"X: " + b"x" * 99_999 + b"\r\n" + sized(sent("http")), 400, b""),
    "a header that is none": (
        HEAD + b"Auth orization: Bearer " + SECRET.encode() + b"\r\n\r\n",
        400,
        b"",
    ),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00", 400, b""),
}


@pytest.mark.parametrize(("request_", "status", "told"), STRANGE.values(), ids=list(STRANGE))
def test_http_that_is_not_what_it_seems(
    request_: bytes, status: int, told: bytes, site: Site
) -> None:
    """It has an answer that says what is wrong, or is none; only whole requests are carried out."""
    before = site.applied()
    answer = raw(site, request_, ends=False)
    assert status == int(answer.split(b" ", 2)[1])
    assert told in answer
    assert SECRET.encode() not in answer
    assert site.applied() == (before if status != 200 else [*dict.fromkeys([*before, "http"])])


def test_a_body_that_stops_is_no_request(site: Site) -> None:
    """Who goes away in the middle of a request has asked for nothing."""
    before, whole = site.applied(), HEAD + KIND + sized(sent("stopped"))
    raw(site, whole[:-5])
    assert 200 == perform(site, body("after it"))[0]
    assert [*before, "after it"] == site.applied()


def test_slow_senders_keep_nobody_out(tmp_path: Path) -> None:
    """Two hundred of them are connected, and others are answered; what is unfinished is not done."""
    with before_world(tmp_path) as site, site.gateway(), ExitStack() as stack:
        site.admit()
        for number in range(200):
            wire = stack.enter_context(socket.socket(socket.AF_UNIX))
            wire.connect(str(site.folder / WORKERS))
            wire.sendall((HEAD + KIND + sized(sent("slow")))[: 5 + number])
        assert "ok" == site.send("quick")["status"]
        assert ["quick"] == site.applied()


def test_what_is_no_http_is_not_repeated(tmp_path: Path) -> None:
    """Neither to who sent it nor in the log of the process."""
    with before_world(tmp_path) as site, site.gateway() as process:
        for broken in ("a header that is none", "another version", "a long header"):
            raw(site, STRANGE[broken][0], ends=False)
        raw(site, b"G ET " + SECRET.encode() + b" HTTP/1.1\r\n\r\n")
        process.kill()
        assert process.stderr
        assert b"" == process.stderr.read()


REPORT = {"run": "r", "phase": "after_ack", "step": "pay", "incarnation": "0", "seq": 1}


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/perform", body("pay", incarnation=CANARY)),
        ("/perform", body(f"pay {CANARY}")),
        ("/perform", body("pay", premises=[{"path": CANARY, "etag": ""}])),
        ("/at", {**REPORT, "phase": CANARY}),
        ("/at", {**REPORT, "step": CANARY[::-1]}),
        ("/at", {**REPORT, "incarnation": CANARY}),
    ],
)
def test_a_canary_goes_no_further(path: str, said: dict[str, Any], tmp_path: Path) -> None:
    """In whatever field it comes, the run is ended, and neither world nor log has heard of it."""
    with before_world(tmp_path, BAKEOFF_CREDENTIAL=SECRET, BAKEOFF_CANARY=CANARY) as site:
        with site.gateway():
            site.admit()
            assert "ok" == site.send("before")["status"]
            with closing(Wire(site.folder / WORKERS, PATIENCE_S)) as wire:
                headers = {"Content-Type": "application/json", "Accept": PROBLEM}
                wire.request("POST", path, json.dumps(said), headers)
                answer = wire.getresponse()
                told = answer.read().decode()
            assert (403, "leak") == (answer.status, json.loads(told)["type"])
            assert "rejected" == site.send("after")["status"]
            found = ask(site.folder, "/status", ["r"])["r"]
            assert ("escalated", "canary canary was on its way out") == (*found.values(),)
        assert ["before"] == site.applied()
        seen = "".join(event.to_line() for event in site.history)
        kept = b"".join(each.read_bytes() for each in site.folder.rglob("*") if each.is_file())
        for secret in (CANARY, CANARY[::-1]):
            assert secret not in told + seen
            assert secret.encode() not in kept
