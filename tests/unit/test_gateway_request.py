"""What comes in: the world's protocol to the letter, and a refusal that says what was seen."""

from __future__ import annotations

import asyncio
import json

from dataclasses import replace
from typing import Any

import pytest

from aiohttp import web
from aiohttp.test_utils import TestServer
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from harness.effects import Effect, Guard, Op, Tier
from harness.program import Premise, Step
from harness.runtime import Envelope
from harness.worker import WorldClient
from harness.world.cell import NEEDS, Call
from runtimes.reference.gateway.request import PREMISES, Request, parse
from runtimes.reference.gateway.strict import DEEPEST, LARGEST, BadRequestError
from runtimes.reference.upstreams.base import Order
from runtimes.reference.upstreams.world import WorldUpstream


PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
NAME = st.text(st.characters(categories=["L", "N", "P"]), min_size=1, max_size=12)
WHOLE = st.integers(min_value=-(2**63), max_value=2**64 - 1)
JSON = st.recursive(
    st.none() | st.booleans() | WHOLE | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(NAME, inner),
    max_leaves=10,
)
BODY: dict[str, Any] = {
    "cell": "r",
    "run": "r",
    "step": "book",
    "op": "set",
    "effect": "hybrid",
    "args": {"path": "dns/app.example", "value": 1},
    "key": "r/book",
    "premises": [{"path": "order", "etag": "v1"}],
    "slept_s": 0.5,
    "incarnation": "0",
    "seq": 3,
}
ENVELOPE = Envelope(trial="t", pool="p", cell="r", run="r", guard=Guard.KEYS)
STEP = Step(
    name="book",
    op=Op("set", Effect.HYBRID),
    args={"path": "order", "value": ["book", 1]},
    premises=(Premise(path="plan", etag="v1,v2"),),
    slept_s=1.5,
)
STATUSES = {200, 400, 413, 415, 422}
CANARY = "sk-live-0123456789abcdef"


@st.composite
def calls(draw: st.DrawFn) -> Call:
    """Draw a call that the world accepts; its numbers are whole, its names are printable."""
    verb = draw(st.sampled_from(sorted(NEEDS)))
    args = draw(st.dictionaries(NAME, JSON, max_size=3)) | {
        name: draw(JSON) for name in NEEDS[verb]
    }
    premises = draw(st.lists(st.fixed_dictionaries({"path": NAME, "etag": NAME}), max_size=3))
    said = {
        **{name: draw(NAME) for name in ("run", "step", "key", "incarnation")},
        "op": verb,
        "effect": str(draw(st.sampled_from(Effect))),
        "args": args,
        "premises": tuple(premises),
        "slept_s": draw(st.floats(min_value=0, allow_infinity=False) | st.integers(0, 10**9)),
        "seq": draw(st.integers(0, 10**9)),
    }
    return Call.from_json(said)


def body(**changed: Any) -> bytes:
    """Return a good body with some fields changed; one that is ``...`` is left out."""
    cell = str(changed.get("run", "r")).partition(".")[0]
    said = BODY | {"cell": cell} | changed
    return json.dumps({k: v for k, v in said.items() if v is not ...}).encode()


def sent_on(request: Request) -> dict[str, Any]:
    """Return what a request is at the world."""
    bodies: list[Any] = []

    async def post(_: str, body: Any) -> dict[str, Any]:
        bodies.append(json.loads(json.dumps(body)))
        return {"status": "ok"}

    wanted = request.wanted
    order = Order(
        run=request.run,
        slot=wanted.slot,
        op=wanted.op,
        target=wanted.target,
        args=wanted.args,
        premises=wanted.premises,
        context=wanted.context,
    )
    world = WorldUpstream(post, request.run.partition(".")[0], Tier.O, "gateway")
    asyncio.run(world.call(order))
    return dict(bodies[0])


def refused(content: bytes, media: str = "application/json") -> BadRequestError:
    """Return how a body is refused."""
    with pytest.raises(BadRequestError) as caught:
        parse(content, media)
    return caught.value


def status(content: bytes) -> int:
    """Return how HTTP says what becomes of a body; another error than the one goes through."""
    try:
        parse(content)
    except BadRequestError as error:
        return error.status
    return 200


def test_a_worker_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the workers' own client sends is taken as it stands."""
    bodies: list[tuple[str, bytes]] = []

    async def answer(request: web.Request) -> web.Response:
        bodies.append((request.headers["Content-Type"], await request.read()))
        return web.json_response({"status": "ok"})

    async def call() -> None:
        application = web.Application()
        application.router.add_post("/perform", answer)
        async with TestServer(application) as server:
            monkeypatch.setenv("BAKEOFF_WORLD", str(server.make_url("/")))
            monkeypatch.setenv("BAKEOFF_INCARNATION", "0")
            monkeypatch.setenv("BAKEOFF_CREDENTIAL", CANARY)
            await WorldClient().perform(ENVELOPE, STEP)

    asyncio.run(call())
    [(media, content)] = bodies
    request = parse(content, media)
    wanted = request.wanted
    assert ("r", "book", "set.hybrid") == (request.run, wanted.slot, wanted.op)
    assert (STEP.args, 1.5) == (wanted.args, wanted.context["slept_s"])


@PATIENT
@given(calls())
def test_what_the_world_accepts(call: Call) -> None:
    """A call as any worker writes it is read as the world reads it, and goes on as it came."""
    assume(not call.run.startswith("."))
    said = {**call.to_json(), "run": call.run, "cell": call.run.partition(".")[0]}
    request = parse(json.dumps(said).encode())
    onward = sent_on(request)
    assert said["cell"] == onward.pop("cell")
    assert 0 == onward.pop("epoch")
    expected = Call.from_json({**onward, "key": call.key})
    premises = {each["path"]: each["etag"] for each in call.premises}
    assert premises == {each["path"]: each["etag"] for each in expected.premises}
    assert replace(call, premises=()) == replace(expected, premises=())
    assert len(request.wanted.request_hash) == len(request.wanted.premise_hash) == 64


@PATIENT
@given(
    st.binary(max_size=300)
    | st.text().map(str.encode)
    | JSON.map(lambda it: json.dumps(it).encode())
)
def test_any_bytes(content: bytes) -> None:
    """They are a request or refused, and nothing else happens."""
    assert status(content) in STATUSES


@PATIENT
@given(st.data())
def test_any_bytes_within_a_request(data: st.DataObject) -> None:
    """The same of a good body in which a piece is something else."""
    whole = body()
    start = data.draw(st.integers(0, len(whole)))
    end = data.draw(st.integers(start, min(len(whole), start + 8)))
    piece = data.draw(st.binary(max_size=6) | st.sampled_from([b'"', b"{", b"1e999", b"\\ud800"]))
    assert status(whole[:start] + piece + whole[end:]) in STATUSES


@PATIENT
@given(st.dictionaries(st.sampled_from(sorted(BODY)), JSON | st.floats(), max_size=3))
def test_any_fields(changed: dict[str, Any]) -> None:
    """Whatever stands in its fields, it is a request that the world takes, or refused."""
    content = body(**changed)
    assert status(content) in {200, 400, 422}
    if status(content) == 200:
        onward = sent_on(parse(content))
        assert Call.from_json({k: v for k, v in onward.items() if k not in {"cell", "epoch"}})


def text(good: str, bad: str) -> tuple[bytes, bytes]:
    """Return a good body, and one in which ``bad`` stands in the place of ``good``."""
    whole = body().decode()
    assert good in whole
    return whole.encode(), whole.replace(good, bad, 1).encode()


DEEP = DEEPEST - 2
TABLE = {
    "not JSON": (*text('"seq": 3', '"seq": 3,'), 400, "expected JSON"),
    "two values": (body(), body() * 2, 400, "expected JSON"),
    "no UTF-8": (body(), body() + b"\xff", 400, "UTF-8"),
    "UTF-16": (body(), body().decode().encode("utf-16"), 400, "UTF-8"),
    "a mark before it": (body(), b"\xef\xbb\xbf" + body(), 400, "expected JSON"),
    "too large": (body() + b" " * (LARGEST - len(body())), body() + b" " * LARGEST, 413, "at most"),
    "too deep": (
        *text('"value": 1', f'"value": {"[" * 99}{"]" * 99}'),
        400,
        "levels",
    ),
    "brackets in text are no levels": (
        body(args={"path": "p", "value": "[" * 99 + '\\"' + "{" * 99}),
        body(args={"path": "p", "value": json.loads("[" * (DEEP + 1) + "]" * (DEEP + 1))}),
        400,
        "levels",
    ),
    "text without an end": (body(), b'{"a": "' + b'\\"' * 500_000, 400, "expected JSON"),
    "bottomless": (body(), b"[" * 500_000, 400, "levels"),
    "a key twice": (*text('"seq": 3', '"seq": 3, "seq": 3'), 400, "'seq' twice"),
    "a key twice, deeper": (*text('"value": 1', '"value": {"a": 1, "a": 2}'), 400, "'a' twice"),
    "the same key, escaped": (*text('"seq": 3', '"seq": 3, "\\u0073eq": 4'), 400, "twice"),
    "NaN": (*text('"slept_s": 0.5', '"slept_s": NaN'), 400, "finite"),
    "Infinity": (*text('"slept_s": 0.5', '"slept_s": -Infinity'), 400, "finite"),
    "beyond a double": (*text('"slept_s": 0.5', '"slept_s": 1e999'), 400, "finite"),
    "a number of 5000 digits": (*text('"seq": 3', f'"seq": {"9" * 5000}'), 400, "64 bits"),
    "no object": (body(), b"[]", 422, "seen a list"),
    "a field is missing": (body(key=...), body(step=...), 422, "step is missing"),
    "a field too many": (body(), body(extra=1), 422, "seen 'extra' too"),
    "a field without a name": (body(), body(**{"": 1}), 422, "a name of 0 characters too"),
    "no text": (body(run="1"), body(run=1), 422, "run to be text, seen a number"),
    "null": (body(key=""), body(key=None), 422, "seen null"),
    "no name": (body(incarnation=""), body(step=""), 422, "seen empty text"),
    "a long name": (body(run="r" * 255), body(run="r" * 256), 422, "255 characters, seen 256"),
    "a long key": (body(key="r" * 511), body(key="r" * 512), 422, "511 characters"),
    "a line in a name": (body(step="a b"), body(step="a\nb"), 422, "printable"),
    "half a character in a name": (body(step="😀"), body(step="\ud83d"), 422, "printable"),
    "another effect": (body(effect="read"), body(effect="write"), 422, "one of read"),
    "arguments in a list": (body(), body(args=[]), 422, "args to be an object"),
    "no argument": (body(), body(args={"path": "p"}), 422, "expected value in args of set"),
    "a fraction": (
        body(args={"path": "p", "value": {"list": [1, 2.0]}}),
        body(args={"path": "p", "value": {"list": [1, 2.5]}}),
        422,
        r"at args\.'value'\.'list'\[1\]",
    ),
    "an inexact whole": (
        body(args={"path": "p", "value": float(2**53)}),
        body(args={"path": "p", "value": 1e300}),
        422,
        "inexact",
    ),
    "more than 64 bits": (
        body(args={"path": "p", "value": 2**64 - 1}),
        body(args={"path": "p", "value": 2**64}),
        422,
        "64 bits",
    ),
    "half a character": (
        body(args={"path": "p", "value": "😀"}),
        body(args={"path": "p", "value": "\ud83d"}),
        422,
        "half a character at args",
    ),
    "half a character as a key": (
        body(args={"path": "p", "value": {"é": 1}}),
        body(args={"path": "p", "value": {"\ud83d": 1}}),
        422,
        "half a character",
    ),
    "true as a number": (body(seq=1), body(seq=True), 422, "whole number"),
    "a fraction of a sequence": (body(slept_s=1.5), body(seq=1.5), 422, "seq to be a whole number"),
    "time that runs back": (body(slept_s=0), body(slept_s=-0.1), 422, "zero or more"),
    "premises in an object": (body(premises=[]), body(premises={}), 422, "to be a list"),
    "many premises": (
        body(premises=BODY["premises"] * PREMISES),
        body(premises=BODY["premises"] * (PREMISES + 1)),
        422,
        "at most 100",
    ),
    "a premise that is text": (body(), body(premises=["order"]), 422, "seen text"),
    "a premise without a version": (
        body(premises=[{"path": "order", "etag": ""}]),
        body(premises=[{"path": "order"}]),
        422,
        "etag is missing",
    ),
    "a premise that says more": (
        body(),
        body(premises=[{"path": "order", "etag": "v1", "force": True}]),
        422,
        "'force' too",
    ),
    "a version that is a number": (
        body(),
        body(premises=[{"path": "order", "etag": 1}]),
        422,
        "etag of a premise to be text",
    ),
}


@pytest.mark.parametrize(("good", "bad", "status", "why"), TABLE.values(), ids=list(TABLE))
def test_to_the_letter(good: bytes, bad: bytes, status: int, why: str) -> None:
    """A body that is a little wrong is refused, and says so; its twin is taken."""
    parse(good)
    error = refused(bad)
    assert status == error.status
    with pytest.raises(BadRequestError, match=why):
        parse(bad)


@pytest.mark.parametrize(
    ("media", "taken"),
    [
        ("application/json", True),
        ('Application/JSON; charset="UTF-8"', True),
        ("application/json; charset=latin-1", False),
        ("text/plain", False),
        ("", False),
    ],
)
def test_the_content_type(media: str, taken: bool) -> None:
    """JSON in UTF-8 is taken; anything else is another kind of content."""
    if taken:
        parse(body(), media)
    else:
        assert 415 == refused(body(), media).status


@pytest.mark.parametrize(
    "content",
    [
        body(**{CANARY: 1}),
        body(run=CANARY * 20),
        body(args={"path": "p", "value": {CANARY: 0.5}}),
        body(args=CANARY),
        body(effect=CANARY),
        body(premises=[CANARY]),
        body() + CANARY.encode(),
        body().replace(b'"seq"', f'"{CANARY}": 1, "{CANARY}": 1, "seq"'.encode()),
    ],
)
def test_no_secret_in_a_message(content: bytes) -> None:
    """Whatever stands in a request, the refusal does not repeat it, nor carry it along."""
    error = refused(content)
    assert CANARY not in str(error)
    assert (None, None) == (error.__cause__, error.__context__)


@PATIENT
@given(calls())
def test_another_attempt_is_the_same_request(call: Call) -> None:
    """The hash is that of the effect: not of the time, the process or the count of the call."""
    assume(not call.run.startswith("."))
    whole = {**call.to_json(), "run": call.run, "cell": call.run.partition(".")[0]}
    again = whole | {"slept_s": 7.5, "incarnation": "other", "seq": 12345}
    one, other = (parse(json.dumps(each).encode()).wanted for each in (whole, again))
    assert one.request_hash == other.request_hash
    assert one.premise_hash == other.premise_hash


@pytest.mark.parametrize(
    "changed",
    [
        {"op": "append"},
        {"effect": "irreversible"},
        {"args": {"path": "dns/app.example", "value": 2}},
    ],
)
def test_another_request_has_another_hash(changed: dict[str, Any]) -> None:
    """Each field of the effect counts; the premises have a hash of their own too."""
    one, other = parse(body()).wanted, parse(body(**changed)).wanted
    assert one.request_hash != other.request_hash
    assert one.premise_hash == other.premise_hash
    moved = parse(body(premises=[{"path": "order", "etag": "v2"}])).wanted
    assert one.fingerprint == moved.fingerprint
    assert one.request_hash != moved.request_hash
    assert one.premise_hash != moved.premise_hash


def test_a_whole_float_is_its_number() -> None:
    """A worker that has no whole numbers makes the same request as one that has."""
    one, other = (body(args={"path": "p", "value": value}) for value in (2, 2.0))
    assert parse(one).wanted.request_hash == parse(other).wanted.request_hash
