"""The gateway's own surface, fuzzed by its description: a real process, both of its sockets.

``BAKEOFF_FUZZ=1000`` gives each route and mode that many random examples, in place of the same
few each time.
"""

from __future__ import annotations

import json
import os

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from subprocess import Popen
from typing import Any

import httpx
import jsonschema_rs
import pytest
import requests
import schemathesis

from click.testing import CliRunner
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from support.desk import CANARY, PAY, SECRET
from support.gateway_site import PATIENCE_S, Site, before_world

from harness.scenario import Answer
from runtimes.reference.effect_log.facts import Standing
from runtimes.reference.effect_log.folder import reading
from runtimes.reference.effect_log.reading import recover
from runtimes.reference.gateway.client import OPERATORS, WORKERS, ask
from runtimes.reference.gateway.commands import gateway as commands
from runtimes.reference.gateway.fields import PRINTABLE
from runtimes.reference.gateway.openapi import openapi
from runtimes.reference.gateway.request import PROVIDERS, WORLD, Codec, parse
from runtimes.reference.gateway.routes import AT_OPERATORS, FACES, PROBLEM, at_workers
from runtimes.reference.gateway.strict import BadRequestError


BUDGET = int(os.environ.get("BAKEOFF_FUZZ", "0"))
FUZZ = settings(
    max_examples=BUDGET or 15,
    derandomize=not BUDGET,
    database=None,
    deadline=None,
    suppress_health_check=[*HealthCheck],
)
AS_TOLD = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
GROWTH = 64 << 20
"""What the process may grow by, in bytes, whatever it is asked."""
ECHO = "echo"
"""A step whose answer has the credential in it."""
AT_WORKERS = at_workers(WORLD)
MODES = [GenerationMode.POSITIVE, GenerationMode.NEGATIVE]
schemathesis.openapi.format(PRINTABLE, st.text().filter(str.isprintable))


@dataclass
class Live:
    """A gateway's process with both of its sockets, and the world behind it."""

    site: Site
    process: Popen[bytes]
    wires: dict[str, httpx.Client]
    at_first: int = 0

    def send(self, face: str, case: Case, **headers: str) -> httpx.Response:
        """Send what was drawn; the answer is as described, and has no credential."""
        drawn = case.as_transport_kwargs(base_url="http://gateway")
        made = requests.Request(
            **{k: v for k, v in drawn.items() if k in {"method", "url", "json", "data", "headers"}}
        ).prepare()
        content: Any = made.body or b""
        known = {k: v for k, v in made.headers.items() if k == "Content-Type"}
        answer = self.wires[face].request(
            made.method or "", made.path_url, content=content, headers={**known, **headers}
        )
        case.validate_response(answer, checks=AS_TOLD)
        for secret in (SECRET, CANARY):
            assert secret not in answer.text + str(answer.headers)
        return answer

    @property
    def size(self) -> int:
        """Return how much memory the process has, in bytes."""
        pages = Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def kept(self) -> list[bytes]:
        """Return what operators have said, as the gateway keeps it."""
        names = ("admissions.jsonl", "approvals.json", "keys/keyring.json")
        files = (self.site.folder / name for name in names)
        return [each.read_bytes() if each.exists() else b"" for each in files]


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """Lend one gateway to all tests; in the end it lives, is no larger, and its log is true."""
    folder = tmp_path_factory.mktemp("fuzz")
    credentials = {"BAKEOFF_CREDENTIAL": SECRET, "BAKEOFF_CANARY": CANARY}
    with before_world(
        folder, Answer(step=ECHO, status="echo", lasting=True), **credentials
    ) as site:
        with site.gateway() as process:
            site.admit({"op": "read.read", "target": "log"})
            site.admit(run="s")
            wires = {
                name: httpx.Client(
                    base_url="http://gateway",
                    transport=httpx.HTTPTransport(uds=str(site.folder / name)),
                    timeout=PATIENCE_S,
                )
                for name in (WORKERS, OPERATORS)
            }
            found = Live(site, process, wires)
            found.at_first = found.size
            yield found
            assert process.poll() is None
            assert found.size < found.at_first + GROWTH
            for wire in wires.values():
                wire.close()
        with reading(site.folder / "log") as kept:
            tried = recover(*kept, "r").facts.effects
        assert set(site.applied()) == {k for k, v in tried.items() if v.standing is Standing.DONE}


def operation(face: str, path: str) -> Any:
    """Return what may be done at a path."""
    method = next(r.method for r in (*AT_WORKERS, *AT_OPERATORS) if r.path == path)
    return schemathesis.openapi.from_dict(openapi(face, WORLD))[path][method]


@cache
def told(path: str) -> Any:
    """Return what holds a body to the description of a path."""
    kind = next(r.body for r in (*AT_WORKERS, *AT_OPERATORS) if r.path == path)
    assert kind
    return jsonschema_rs.validator_for(
        kind.schema, formats={PRINTABLE: str.isprintable}, validate_formats=True
    )


def fits(path: str, body: Any) -> bool:
    """Say whether a body is as it is told: Schemathesis takes no notice of a format."""
    return not isinstance(body, bytes) and bool(told(path).is_valid(body))


# Workers ------------------------------------------------------------------------------------------

GOOD: dict[str, Any] = {
    "cell": "r",
    "run": "r",
    "step": "pay",
    "op": "append",
    "effect": "irreversible",
    "args": {"path": "log", "value": 1},
}
AT_HOME = st.fixed_dictionaries(
    {},
    optional={
        **{name: st.just(GOOD[name]) for name in ("cell", "run", "op", "effect")},
        "step": st.sampled_from(["pay", "pay again", ECHO]),
        "args": st.fixed_dictionaries(
            {"path": st.sampled_from(["log", "log", "../log"]), "value": st.integers(0, 3)}
        ),
    },
) | st.just(GOOD)
WORDS = st.fixed_dictionaries(
    {},
    optional={
        "Accept": st.just(PROBLEM),
        "Authorization": st.sampled_from(["", "Bearer", "Bearer x", f"Bearer {SECRET}", "Basic ="]),
    },
)


def plain(value: Any) -> Any:
    """Return a body in which whole numbers are written as such."""
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


@pytest.mark.parametrize("path", [route.path for route in AT_WORKERS])
def test_workers_are_answered_as_it_is_told(path: str, live: Live) -> None:
    """Body and status are those of the description, and what is said of the effect is true."""
    seen: set[tuple[int, str]] = set()

    @FUZZ
    @given(operation("workers", path).as_strategy(GenerationMode.POSITIVE), AT_HOME, WORDS)
    def fuzz(case: Case, home: dict[str, Any], words: dict[str, str]) -> None:
        home = home if path == "/perform" else {k: v for k, v in home.items() if k == "run"}
        case.body = {**plain(case.body), **home}
        before = live.site.applied()
        answer = live.send(WORKERS, case, **words)
        done, said = live.site.applied(), answer.json()
        ended = said.get("status") == "ok"
        assert done == before or (ended and done == [*before, case.body["step"]])
        assert len(done) == len({*done})
        if said.get("type") == "bad_request":
            assert path == "/perform"
            assert refused(case.body) or case.body["cell"] != case.body["run"].split(".")[0]
        elif said.get("effect"):
            assert said["effect"] == ("done" if case.body["step"] in done else "not done")
        seen.add((answer.status_code, str(said.get("type", said.get("status", "")))))

    fuzz()
    assert (200, "ok" if path == "/perform" else "") in seen
    assert {403} < {code for code, _ in seen}


@pytest.mark.parametrize("path", [route.path for route in AT_WORKERS])
def test_what_is_not_told_is_refused(path: str, live: Live) -> None:
    """Nothing of it is done, and that is what is said."""

    @FUZZ
    @given(operation("workers", path).as_strategy(GenerationMode.NEGATIVE), WORDS)
    def fuzz(case: Case, words: dict[str, str]) -> None:
        assume(not fits(path, case.body))
        before = live.site.applied()
        answer = live.send(WORKERS, case, **words)
        assert answer.status_code in {400, 413, 415, 422}
        assert ("bad_request", "not done") == (answer.json()["type"], answer.json()["effect"])
        assert live.site.applied() == before

    fuzz()


def refused(body: Any, codec: Codec = WORLD) -> str:
    """Return why a body is no request; empty where it is one."""
    try:
        parse(json.dumps(body).encode(), codec=codec)
    except BadRequestError as error:
        return str(error)
    return ""


# The description is what the code does ------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.just(0.5) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)
ASKED = {"run", "step", "op", "args", "premises", "seq", "incarnation", "more"}
"""What providers are asked with, and one field that they are not."""
NEAR = st.fixed_dictionaries(
    {},
    optional={
        "step": JSON | st.sampled_from(["x" * 255, "x" * 256, "", "a\nb"]),
        "op": st.sampled_from(["read", "append", "copy", "query", "wire", ""]),
        "effect": JSON | st.sampled_from(["read", "hybrid"]),
        "args": JSON | st.fixed_dictionaries({}, optional={"path": JSON, "to": JSON, "step": JSON}),
        "key": JSON | st.sampled_from(["x" * 511, "x" * 512]),
        "premises": JSON
        | st.lists(
            st.fixed_dictionaries({}, optional={"path": JSON, "etag": st.text(), "x": JSON})
        ),
        "slept_s": JSON,
        "seq": JSON | st.sampled_from([2**64 - 1, 2**64]),
        "more": JSON,
    },
)


@settings(max_examples=BUDGET or 150, derandomize=not BUDGET, database=None, deadline=None)
@given(NEAR, st.sets(st.sampled_from(["cell", "run", "step", "op", "effect", "args"]), max_size=1))
def test_the_description_is_what_is_done(changed: dict[str, Any], without: set[str]) -> None:
    """What it calls a request is read as one, and nothing else is; but for fractions in args."""
    body = {k: v for k, v in (GOOD | changed).items() if k not in without}
    why = refused(body)
    assert fits("/perform", body) == (not why or "at args" in why)
    why = refused(asked := {k: v for k, v in body.items() if k in ASKED}, PROVIDERS)
    told = jsonschema_rs.validator_for(
        PROVIDERS.body.schema, formats={PRINTABLE: str.isprintable}, validate_formats=True
    )
    assert told.is_valid(asked) == (not why or "at args" in why)
    assert refused(asked | {"effect": "read"}, PROVIDERS)


@pytest.mark.parametrize("world", [False, True])
@pytest.mark.parametrize("face", [*FACES])
def test_the_command_prints_the_description(face: str, world: bool) -> None:
    """As a document of OpenAPI, which has all routes of that socket and no other."""
    printed = CliRunner().invoke(commands, ["schema", face, *["--world"] * world])
    assert 0 == printed.exit_code
    document = json.loads(printed.output)
    schemathesis.openapi.from_dict(document).validate()
    routes = FACES[face](WORLD if world else PROVIDERS)
    assert {route.path for route in routes} == {*document["paths"]}
    bodies = {route.path: route.body.schema for route in routes if route.body}
    assert bodies == {
        path: said["post"]["requestBody"]["content"]["application/json"]["schema"]
        for path, said in document["paths"].items()
        if "post" in said
    }


# Operators ----------------------------------------------------------------------------------------

GRANT = {"op": PAY, "target": "log"}
HOME: dict[str, Any] = {
    "/admit": [{"run": "s", "peer": "uid:0:0", "grants": [GRANT], "ttl_s": 60}],
    "/status": ["r", "s"],
    "/explain": ["r"],
    "/revoke": {"what": "s"},
    "/decide": {"id": "x", "request_hash": "x", "yes": True},
    "/rotate": {},
    "/retire": {"key": 1},
}


@pytest.mark.parametrize("mode", MODES, ids=str)
@pytest.mark.parametrize("path", [route.path for route in AT_OPERATORS if route.body])
def test_operators_are_answered_as_it_is_told(path: str, mode: GenerationMode, live: Live) -> None:
    """What is refused has changed nothing of what is kept, and a worker goes on as before."""
    positive, seen = mode is GenerationMode.POSITIVE, set()

    @FUZZ
    @given(operation("operators", path).as_strategy(mode), st.booleans())
    def fuzz(case: Case, home: bool) -> None:
        assume(positive or not fits(path, case.body))
        if positive:
            case.body = HOME[path] if home else plain(case.body)
            assume('"r"' not in json.dumps(case.body) or path in {"/status", "/explain"})
        before, kept = live.site.applied(), live.kept()
        answer = live.send(OPERATORS, case)
        assert positive or answer.status_code in {400, 413, 415, 422}
        assert 200 == answer.status_code or kept == live.kept()
        assert before == live.site.applied()
        seen.add(answer.status_code)

    fuzz()
    assert 200 not in seen or positive
    assert 200 in seen or not positive or path in {"/decide", "/retire"}
    assert {"r": {"status": "", "why": ""}} == ask(live.site.folder, "/status", ["r"])
