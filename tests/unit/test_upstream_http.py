"""An HTTP API behind the gateway: keys, versions, and statuses that leave things open."""

from __future__ import annotations

import asyncio

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from aiohttp import web
from aiohttp.test_utils import TestServer
from support.upstreams import NOWHERE, deaf, holds, order, place

from harness.effects import Effect, Tier
from harness.process import Address
from runtimes.reference.effect_log.canonical import canonical
from runtimes.reference.effect_log.records import Outcome
from runtimes.reference.live.api import DAY_S, Api, api
from runtimes.reference.upstreams.base import (
    Answer,
    LostError,
    Order,
    UnknownOperationError,
    UnreachableError,
)
from runtimes.reference.upstreams.credential import Credential
from runtimes.reference.upstreams.http import Http
from runtimes.reference.upstreams.http_words import Route
from runtimes.reference.upstreams.refusal import ABSENT


PAGE = "documents/page"
CREDENTIAL = Credential(secret="0a1b2c" * 3)
ROUTES = {
    "charge": Route(
        method="POST",
        under="charges",
        effect=Effect.IRREVERSIBLE,
        tier=Tier.K,
        retention_s=DAY_S,
        asks="charges?key={key}",
    ),
    "put": Route(method="PUT", under="documents", effect=Effect.HYBRID, tier=Tier.V, whole=True),
    "remove": Route(method="DELETE", under="documents", effect=Effect.HYBRID, tier=Tier.V),
    "get": Route(method="GET", under="documents", effect=Effect.READ, tier=Tier.Q),
}


@pytest.fixture
def shop() -> Iterator[Api]:
    """Lend an API that has done nothing yet."""
    with place() as site, api(site) as made:
        yield made


def upstream(shop: Api, at: Address | None = None, **more: Any) -> Http:
    """Return the connector, straight to the server or by way of a link."""
    return Http(shop.url(at), ROUTES, more.pop("credential", shop.credential), **more)


def charge(amount: int = 5, **more: Any) -> Order:
    """Return the order of a charge."""
    return order("charge", "charges", {"amount": amount}, **{"key": "k1", **more})


def put(text: str, **more: Any) -> Order:
    """Return the order to write a document."""
    return order("put", PAGE, {"text": text}, **more)


async def called(
    handler: Callable[[web.Request], Any], what: Order, *, deadline_s: int = 30
) -> Answer:
    """Return how an API answers of which ``handler`` is all there is."""

    async def handle(request: web.Request) -> web.StreamResponse:
        answer: web.StreamResponse = handler(request)
        return answer

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    async with TestServer(app) as server:
        one = Http(str(server.make_url("/v1")), ROUTES, CREDENTIAL, deadline_s=deadline_s)
        return await one.call(what)


def test_what_is_promised(shop: Api) -> None:
    """What the route declares; and nothing of other paths, however they are spelt."""
    one = upstream(shop)
    contract = one.contract("charge", "charges")
    assert (Effect.IRREVERSIBLE, Tier.K, DAY_S, False) == (
        contract.effect,
        contract.tier,
        contract.retention_s,
        contract.fenced,
    )
    assert Tier.V is one.contract("put", PAGE).tier
    wrong = (
        "documents/../charges",
        "documents/./a",
        "documents/%2e%2e",
        "documents//a",
        "/documents",
    )
    for path in (
        *wrong,
        "documents/a?b",
        "documents/a#b",
        "documentsx",
        "http://evil.test/",
        "charges",
    ):
        with pytest.raises(UnknownOperationError, match="paths below"):
            one.contract("put", path)
    with pytest.raises(UnknownOperationError, match="there are"):
        one.contract("refund", "charges")


def test_a_repeated_key_is_answered_with_its_first_answer(shop: Api) -> None:
    """Once; bound to its request; another key is another charge, and none is none."""

    async def all_() -> None:
        one = upstream(shop)
        first, second = await one.call(charge()), await one.call(charge())
        assert (Outcome.OK, False, True) == (first.outcome, first.replayed, second.replayed)
        assert {"charge": 1, "amount": 5} == first.response == second.response
        no = await one.call(charge(6))
        assert (Outcome.FAILED_BEFORE, "mismatch") == (no.outcome, no.response["refused"])
        assert 1 == len(shop.done())
        assert {"charge": 2, "amount": 6} == (await one.call(charge(6, key="k2"))).response
        assert "refused" == (await one.call(charge(key=""))).response["refused"]

    asyncio.run(all_())


def test_a_write_rests_on_the_version_that_was_seen(shop: Api) -> None:
    """It is made once; repeated, or on another, it conflicts."""

    async def all_() -> None:
        one = upstream(shop)
        assert ABSENT == (await one.look(PAGE)).version
        made = await one.call(put("old", expect=ABSENT))
        assert Outcome.OK is made.outcome
        assert Outcome.CONFLICT is (await one.call(put("new", expect=ABSENT))).outcome
        wanted = put("new", expect=made.after)
        moved = await one.call(wanted)
        assert (Outcome.OK, made.after) == (moved.outcome, moved.before)
        assert Outcome.CONFLICT is (await one.call(wanted)).outcome
        seen = await one.look(PAGE)
        assert (moved.after, one.desired(wanted)) == (seen.version, seen.value_hash)
        assert {"text": "new"} == (await one.call(order("get", PAGE))).response
        gone = order("remove", PAGE, expect=seen.version)
        assert Outcome.OK is (await one.call(gone)).outcome
        assert one.desired(gone) == (await one.look(PAGE)).value_hash
        assert 3 == len(shop.done())

    asyncio.run(all_())


def test_premises_are_looked_at(shop: Api) -> None:
    """One that does not hold is a conflict that names it; one that does lets the order pass."""

    async def all_() -> None:
        one = upstream(shop)
        no = await one.call(charge(premises={PAGE: '"v1"'}))
        assert (Outcome.CONFLICT, PAGE) == (no.outcome, no.resource)
        assert [] == shop.done()
        assert Outcome.OK is (await one.call(charge(premises={PAGE: ABSENT}))).outcome

    asyncio.run(all_())


def test_a_lost_answer_is_told_by_key_and_version(shop: Api) -> None:
    """The query has the charge, the key its answer; the look has what was desired."""

    async def all_(at: Address) -> None:
        far, one = upstream(shop, at), upstream(shop)
        assert await one.query(charge()) is None
        for wanted in (charge(), put("new", expect=ABSENT)):
            with pytest.raises(LostError) as lost:
                await far.call(wanted)
            assert not holds(shop.credential, lost.value)
        found = await one.query(charge())
        assert found
        assert [1] == found.response
        assert (await one.call(charge())).replayed
        assert one.desired(put("new")) == (await one.look(PAGE)).value_hash
        assert Outcome.CONFLICT is (await one.call(put("new", expect=ABSENT))).outcome
        assert 2 == len(shop.done())
        with pytest.raises(UnknownOperationError, match="cannot be asked"):
            await one.query(put("new"))

    with deaf(shop.address) as link:
        link.losing(lambda said: said.startswith((b"POST ", b"PUT ")))
        asyncio.run(all_(link.address))
        assert 2 == link.lost


def test_nobody_answers(shop: Api) -> None:
    """Nothing was done; nor is it for who has another token."""

    async def all_() -> None:
        one = upstream(shop, NOWHERE)
        for each in (
            lambda: one.call(charge()),
            lambda: one.query(charge()),
            lambda: one.look(PAGE),
        ):
            with pytest.raises(UnreachableError, match="nothing was done") as error:
                await each()
            assert not holds(shop.credential, error.value)
        wrong = Credential(secret="wrong" * 2)
        no = await upstream(shop, credential=wrong).call(charge())
        assert (Outcome.FAILED_BEFORE, 401) == (no.outcome, no.response["status"])
        assert not holds(wrong, no)
        assert not await one.fence("r1", 2)
        assert [] == shop.done()

    asyncio.run(all_())


def test_while_an_attempt_is_in_flight_it_waits() -> None:
    """Until it has an answer; to the deadline, and then it is lost."""
    statuses = [409, 409, 201]

    def busy(_request: web.Request) -> web.Response:
        return web.json_response({}, status=statuses.pop(0), headers={"Retry-After": "0"})

    assert Outcome.OK is asyncio.run(called(busy, charge())).outcome
    assert [] == statuses

    def for_ever(_request: web.Request) -> web.Response:
        return web.json_response({}, status=409, headers={"Retry-After": "60"})

    with pytest.raises(LostError, match="still in flight"):
        asyncio.run(called(for_ever, charge()))
    no = asyncio.run(called(for_ever, put("new", expect='"v1"')))
    assert (Outcome.FAILED_BEFORE, 409) == (no.outcome, no.response["status"])


@pytest.mark.parametrize(
    ("status", "why"), [(400, "refused"), (403, "refused"), (422, "mismatch"), (429, "throttled")]
)
def test_a_no_is_certain(status: int, why: str) -> None:
    """What was refused was not done."""
    no = asyncio.run(called(lambda _: web.json_response({}, status=status), charge()))
    assert (Outcome.FAILED_BEFORE, why, status) == (
        no.outcome,
        no.response["refused"],
        no.response["status"],
    )


@pytest.mark.parametrize("status", [303, 500, 502, 503, 504])
def test_a_broken_server_leaves_it_open(status: int) -> None:
    """Of a write nobody knows; a read has done nothing in any case."""

    def broken(_request: web.Request) -> web.Response:
        return web.Response(status=status)

    with pytest.raises(LostError, match="what was done is open"):
        asyncio.run(called(broken, charge()))
    read = asyncio.run(called(broken, order("get", PAGE)))
    assert Outcome.FAILED_BEFORE is read.outcome


def test_the_token_goes_to_no_other_authority() -> None:
    """A redirect elsewhere is refused, one within the authority is followed with the same key."""
    seen: list[web.Request] = []

    async def all_() -> None:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", caught)
        async with TestServer(app) as elsewhere:
            away = str(elsewhere.make_url("/v1/charges"))

            def leads(request: web.Request) -> web.Response:
                if request.path == "/v1/there":
                    seen.append(request)
                    return web.json_response({})
                where = {"near": "/v1/there", "bad": "http://[x/"}
                key = request.headers["Idempotency-Key"]
                return web.Response(status=308, headers={"Location": where.get(key, away)})

            for key in ("far", "bad"):
                no = await called(leads, charge(key=key))
                assert (Outcome.FAILED_BEFORE, "refused") == (no.outcome, no.response["refused"])
            assert [] == seen
            assert Outcome.OK is (await called(leads, charge(key="near"))).outcome

    async def caught(request: web.Request) -> web.Response:
        seen.append(request)
        return web.json_response({})

    asyncio.run(all_())
    assert [("POST", "near")] == [(one.method, one.headers["Idempotency-Key"]) for one in seen]


def test_a_redirect_that_changes_the_method_leaves_it_open() -> None:
    """After a POST it may be done; in circles nothing is."""

    def other(_request: web.Request) -> web.Response:
        return web.Response(status=303, headers={"Location": "/v1/charges/1"})

    with pytest.raises(LostError, match="303"):
        asyncio.run(called(other, charge()))

    def circle(_request: web.Request) -> web.Response:
        return web.Response(status=307, headers={"Location": "/v1/charges"})

    assert "circles" in asyncio.run(called(circle, charge())).response["detail"]


def test_an_echoed_token_is_hidden() -> None:
    """Wherever a provider puts it, and in whatever form; the rest is as it was."""

    def echo(request: web.Request) -> web.Response:
        sent = request.headers["Authorization"]
        body = {"sent": sent, sent: [CREDENTIAL.secret[::-1]], "price": 0.5, "big": 10**30}
        return web.json_response(body, headers={"Request-Id": sent})

    answer = asyncio.run(called(echo, charge()))
    assert not holds(CREDENTIAL, answer)
    assert {
        "sent": "Bearer [credential]",
        "Bearer [credential]": ["[credential]"],
        "price": "0.5",
        "big": str(10**30),
    } == answer.response
    assert canonical(answer.response)


def test_a_credential_shows_its_name_only() -> None:
    """A short one is refused: hiding it would hide ordinary words."""
    assert "Credential(name='ann')" == repr(Credential(name="ann", secret="s" * 12))
    with pytest.raises(ValueError, match="fewer than") as error:
        Credential(name="ann", secret="e" * 5)
    assert "e" * 5 not in str(error.value)
    with pytest.raises(ValueError, match="give it apart"):
        Http(f"https://ann:{CREDENTIAL.secret}@api.test/v1", ROUTES, CREDENTIAL)
