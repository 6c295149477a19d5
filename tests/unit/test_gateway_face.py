"""The gateway's sockets: who is there, what they may send, and what they are told."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import subprocess

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aiohttp import web
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.desk import CANARY, NOTE, PAY, SECRET
from support.gateway_sockets import MINE, PATIENCE_S, Served, body, served

from runtimes.reference.gateway.client import WORKERS, OperatorError, ask
from runtimes.reference.gateway.commands import gateway as commands
from runtimes.reference.gateway.face import PROBLEM, WorkerFace
from runtimes.reference.gateway.grant import Grant
from runtimes.reference.gateway.peer import NOBODY
from runtimes.reference.gateway.request import WORLD
from runtimes.reference.gateway.strict import LARGEST
from runtimes.reference.gateway.token import attenuate


PYTHON = shutil.which("python3", path="/usr/bin")
"""One that anybody may start."""
NOBODYS = 65534
"""The user that owns nothing."""
DOCUMENTED = {200, 400, 403, 404, 405, 409, 413, 415, 422, 503}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Lend one gateway to all tests that leave nothing behind."""
    with served(tmp_path_factory.mktemp("gw")) as found:
        yield found


# Workers --------------------------------------------------------------------------------------


def test_a_worker_is_answered_as_the_world_would(shared: Served) -> None:
    """With the provider's reply, the first time and each time after it."""
    first = shared.send(body(step="hello"))
    assert (200, "ok") == (first[0], first[1]["status"])
    assert first == shared.send(body(step="hello", seq=7))
    assert 1 == shared.place.desk.ledger.count("hello")


@pytest.mark.parametrize(
    ("why", "status", "wrong"),
    [
        ("out_of_scope", 403, {"args": {"path": "elsewhere", "value": 1}}),
        ("out_of_scope", 403, {"effect": "idempotent"}),
        ("not_admitted", 403, {"run": "s", "cell": "s"}),
        ("leak", 403, {"args": {"path": "charges/anna", "value": SECRET}}),
        ("conflict", 422, {"step": "taken"}),
        ("unknown_operation", 422, {"op": "wire"}),
    ],
)
def test_a_refusal_is_an_answer_or_a_problem(
    why: str, status: int, wrong: dict[str, Any], tmp_path: Path
) -> None:
    """Of the world's protocol, or of HTTP where that is accepted; and nothing is done."""
    grants = (Grant(PAY, "charges/"), Grant("wire.irreversible", "wire"))
    with served(tmp_path, grants=grants) as place:
        assert (
            "ok"
            == place.send(body(step="taken", args={"path": "charges/a", "value": 1}))[1]["status"]
        )
        code, said = place.send(body(**wrong))
        assert (200, "rejected") == (code, said["status"])
        code, said = place.send(body(**wrong), Accept=PROBLEM)
        assert (status, status, why) == (code, said["status"], said["type"])
        assert SECRET not in json.dumps(said)
        assert ["taken"] == place.place.desk.ledger


def test_a_bearer_counts(shared: Served) -> None:
    """A narrower token refuses what the run's own allows."""
    _, said = shared.send({"run": "r"}, "/token")
    keys = shared.place.gateway.keyring.shared()
    narrow = attenuate(said["token"], keys, grants=[Grant(PAY, "charges/bert")])
    code, refused = shared.send(
        body(step="bearer"), Authorization=f"Bearer {narrow}", Accept=PROBLEM
    )
    assert (403, "out_of_scope") == (code, refused["type"])
    allowed = body(step="bearer", args={"path": "charges/bert", "value": 1})
    assert "ok" == shared.send(allowed, Authorization=f"Bearer {narrow}")[1]["status"]
    code, refused = shared.send(allowed, Authorization="Bearer abc", Accept=PROBLEM)
    assert (403, "malformed") == (code, refused["type"])


def test_what_is_known_is_said_with_trouble(tmp_path: Path) -> None:
    """A lost answer is in doubt, a provider that is gone has done nothing."""
    with served(tmp_path) as place:
        place.place.desk.trouble = ["unreachable"]
        code, said = place.send(body(step="one"))
        assert (503, "trouble", "not done") == (code, said["type"], said["effect"])
        place.place.desk.trouble = ["lost"] * 9
        code, said = place.send(body(step="two"))
        assert (503, "trouble", "in doubt") == (code, said["type"], said["effect"])
        place.place.desk.trouble = []
        assert "ok" == place.send(body(step="two"))[1]["status"]
        code, said = place.send(
            body(step="two", args={"path": "elsewhere", "value": 1}), Accept=PROBLEM
        )
        assert (403, "done") == (code, said["effect"])


def test_a_stranger_is_not_told_what_is_known(tmp_path: Path) -> None:
    """That another peer acts for a run is all that he learns."""
    with served(tmp_path, peer="uid:4242:4242") as place:
        code, said = place.send(body(), Accept=PROBLEM)
        assert (403, "wrong_peer") == (code, said["type"])
        assert "effect" not in said
        assert 403 == place.send({"run": "r"}, "/token")[0]
        report = {"run": "r", "phase": "x", "step": "", "incarnation": "0", "seq": 1}
        assert 403 == place.send(report, "/at")[0]
        assert {} == place.place.gateway.runs.held


@pytest.mark.skipif(os.getuid() != 0 or not PYTHON, reason="only root may be somebody else")
def test_the_kernel_says_who_asks(tmp_path: Path) -> None:
    """Another user gets no further than the folder; let in there, he is the wrong peer."""
    with served(tmp_path) as place:
        said = json.dumps(body()).encode()
        script = (
            "import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]);"
            "b = sys.stdin.buffer.read(); s.sendall(b'POST /perform HTTP/1.1\\r\\nHost: g\\r\\n"
            "Connection: close\\r\\nContent-Type: application/json\\r\\nContent-Length: '"
            " + str(len(b)).encode() + b'\\r\\n\\r\\n' + b);"
            "print(s.makefile('rb').read().decode())"
        )

        def other() -> subprocess.CompletedProcess[bytes]:
            return subprocess.run(
                [PYTHON, "-c", script, str(tmp_path / WORKERS)],
                input=said,
                capture_output=True,
                check=False,
                user=NOBODYS,
                group=NOBODYS,
                cwd="/",
            )

        tmp_path.chmod(0o700)
        assert b"PermissionError" in other().stderr
        for folder in (tmp_path, *tmp_path.parents[:-2]):
            folder.chmod(folder.stat().st_mode | 0o011)
        (tmp_path / WORKERS).chmod(0o666)
        told = other().stdout.decode()
        assert '"status": "rejected"' in told
        assert f"uid:{NOBODYS}:{NOBODYS}" in told
        assert [] == place.place.desk.ledger
        assert "ok" == place.send(body())[1]["status"]


@pytest.mark.parametrize(
    ("status", "content", "headers"),
    [
        (400, b"", {}),
        (400, b"{", {}),
        (400, b"\xff\xfe{}", {}),
        (400, b'{"run": "r", "run": "s"}', {}),
        (400, b"[" * 100 + b"]" * 100, {}),
        (413, b" " * (LARGEST + 1), {}),
        (415, json.dumps(body()).encode(), {"Content_Type": "text/plain"}),
        (422, b"[]", {}),
        (422, json.dumps(body(cell="s")).encode(), {}),
        (422, json.dumps(body(args={"path": "p"})).encode(), {}),
        (422, json.dumps(body(args={"path": "charges/a", "value": 0.5})).encode(), {}),
        (422, json.dumps(body(more=1)).encode(), {}),
    ],
)
def test_what_is_no_request(
    status: int, content: bytes, headers: dict[str, str], shared: Served
) -> None:
    """It has a status of its own, says that nothing was done, and nothing was."""
    before = [*shared.place.desk.ledger]
    code, said = shared.send(content, **headers)
    assert (status, status, "not done") == (code, said["status"], said["effect"])
    assert before == shared.place.desk.ledger


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
FIELDS = st.fixed_dictionaries(
    {},
    optional={
        name: JSON | st.sampled_from(["r", "r.child", "read", "append", "charges/x", "../charges"])
        for name in (*body(), "key", "premises", "slept_s", "incarnation", "seq", "phase")
    },
)
CONTENT = st.one_of(
    st.binary(max_size=200),
    FIELDS.map(lambda said: json.dumps(said).encode()),
    FIELDS.map(lambda said: json.dumps({**body(), **said}).encode()).filter(
        lambda content: content != json.dumps(body()).encode()
    ),
)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    CONTENT,
    st.sampled_from(["/perform", "/at", "/token", "/admit", "/revoke", "/"]),
    st.sampled_from(["POST", "PUT", "GET"]),
    st.binary(max_size=40).map(lambda raw: raw.hex()) | st.just(""),
)
def test_any_bytes(shared: Served, content: bytes, path: str, method: str, token: str) -> None:
    """Whatever comes, the answer is one of the documented ones, and only a payment is done."""
    before = len(shared.place.desk.ledger)
    bearer = {"Authorization": f"Bearer {token}"} if token else {}
    code, said = shared.send(content, path, method, **bearer)
    assert code in DOCUMENTED
    done = isinstance(said, dict) and said.get("status") == "ok"
    assert done or before == len(shared.place.desk.ledger)
    if done:
        sent = json.loads(content)
        assert ("append", "irreversible") == (sent["op"], sent["effect"]) or sent["op"] == "read"
        assert sent["args"]["path"].startswith("charges/")
    assert SECRET not in json.dumps(said)


def test_a_worker_cannot_say_what_operators_say(shared: Served) -> None:
    """Those routes are on the other socket."""
    for path in ("/admit", "/revoke", "/decide", "/rotate", "/status"):
        assert 404 == shared.send([], path)[0]


# Operators ------------------------------------------------------------------------------------


def test_operators_admit_and_ask(tmp_path: Path) -> None:
    """A run acts from the moment on at which it is admitted."""
    with served(tmp_path) as place:
        said = body(run="new", cell="new")
        assert "rejected" == place.send(said)[1]["status"]
        more = {"run": "new", "peer": MINE, "ttl_s": 60}
        grants = [{"op": PAY, "target": "charges/"}]
        assert {"admitted": 1} == ask(tmp_path, "/admit", [{**more, "grants": grants}])
        assert "ok" == place.send(said)[1]["status"]
        assert {"new": {"status": "", "why": ""}} == ask(tmp_path, "/status", ["new"])
        bad: list[Any] = [
            {**more, "grants": [{"op": PAY, "target": "../"}]},
            {**more, "grants": grants, "ttl_s": -1},
            {**more, "grants": grants, "approvals": ["no operation"]},
            {**more, "grants": grants, "strange": 1},
            {**more, "grants": grants, "peer": 5},
            {"run": "new"},
            "new",
        ]
        for wrong in bad:
            with pytest.raises(OperatorError, match="422"):
                ask(tmp_path, "/admit", [wrong])


def test_the_command_revokes(tmp_path: Path) -> None:
    """A run by its name, a token by its text; an unknown run is said to be unknown."""
    with served(tmp_path) as place:
        _, said = place.send({"run": "r"}, "/token")
        child = attenuate(said["token"], place.place.gateway.keyring.shared(), ttl_s=9)
        done = place.call("revoke", child, "--by", "anna")
        assert (0, "r: 1 capabilities ended\n") == (done.exit_code, done.output)
        code, _ = place.send(body(), Authorization=f"Bearer {child}", Accept=PROBLEM)
        assert 403 == code
        assert "ok" == place.send(body())[1]["status"]
        done = place.call("revoke", "r", "--why", "enough")
        assert (0, "r: 1 capabilities ended\n") == (done.exit_code, done.output)
        assert "rejected" == place.send(body(step="two"))[1]["status"]
        done = place.call("revoke", "nobody")
        assert 1 == done.exit_code
        assert "nobody ever admitted 'nobody'" in done.stderr
        assert "anna" in (tmp_path / "audit.jsonl").read_text()


def test_the_command_decides(tmp_path: Path) -> None:
    """What waits is listed with what it asks; a yes lets it happen, a no does not."""
    with served(tmp_path, approvals=(PAY,)) as place:
        for step in ("one", "two"):
            code, said = place.send(body(step=step), Accept=PROBLEM)
            assert (403, "awaiting_approval", "not done") == (code, said["type"], said["effect"])
        done = place.call("approvals", "list")
        assert 0 == done.exit_code
        assert '"value": 500' in done.output
        found = json.loads(place.call("approvals", "list", "--json").output)
        one, two = (each["id"] for each in found)
        assert f"{one}: approved\n" == place.call("approvals", "approve", one).output
        assert f"{two}: denied\n" == place.call("approvals", "deny", two).output
        assert "ok" == place.send(body(step="one"))[1]["status"]
        assert "rejected" == place.send(body(step="two"))[1]["status"]
        assert ["one"] == place.place.desk.ledger
        assert 1 == place.call("approvals", "approve", "nobody").exit_code
        assert 1 == place.call("approvals", "approve", one).exit_code


def test_the_command_rotates(tmp_path: Path) -> None:
    """The new key is on the disk; what the old one signed is good until it is retired."""
    with served(tmp_path) as place:
        _, said = place.send({"run": "r"}, "/token")
        old = {"Authorization": f"Bearer {said['token']}", "Accept": PROBLEM}
        assert "key 2 signs; 1, 2 verify\n" == place.call("rotate").output
        assert 200 == place.send(body(step="one"), **old)[0]
        assert "2 verify\n" == place.call("retire", "1").output
        assert (403, "foreign_key") == (
            (answer := place.send(body(step="two"), **old))[0],
            answer[1]["type"],
        )
        assert "ok" == place.send(body(step="two"))[1]["status"]
        assert 1 == place.call("retire", "2").exit_code
        assert (tmp_path / "keys" / "keyring.json").exists()


def test_the_command_prints_figures(shared: Served) -> None:
    """As Prometheus reads them."""
    done = shared.call("metrics")
    assert 0 == done.exit_code
    assert "# TYPE bakeoff_gateway_decisions_total counter" in done.output


def test_nobody_answers(tmp_path: Path) -> None:
    """One message, and exit code 1."""
    done = CliRunner().invoke(commands, ["revoke", "r", "--gateway", str(tmp_path)])
    assert 1 == done.exit_code
    assert "no gateway answers in" in done.stderr


def test_a_full_disk_is_said_to_the_operator(tmp_path: Path, monkeypatch: Any) -> None:
    """What was said may not outlive the process; it is in force all the same."""
    with served(tmp_path) as place:
        with monkeypatch.context() as patch:
            patch.setattr("runtimes.reference.gateway.admissions.os.pwrite", _full)
            done = place.call("revoke", "r")
        assert 1 == done.exit_code
        assert "503" in done.stderr
        assert "rejected" == place.send(body())[1]["status"]


def _full(*_: object) -> int:
    raise OSError(28, "No space left on device")


def test_a_canary_is_seen_by_the_operator(tmp_path: Path) -> None:
    """The run is escalated, with the reason; the worker has the answer without it."""
    with served(tmp_path) as place:
        place.place.desk.echo = f"debug {CANARY}"
        code, said = place.send(
            body(op="set", effect="idempotent", args={"path": "notes/x", "value": 1})
        )
        assert (200, "debug [redacted canary]") == (code, said["value"])
        assert "rejected" == place.send(body())[1]["status"]
        found = ask(tmp_path, "/status", ["r"])["r"]
        assert ("escalated", "canary canary was on its way out") == (found["status"], found["why"])
        assert NOTE.startswith("set")


def test_who_comes_by_another_way_is_nobody(tmp_path: Path) -> None:
    """On a TCP socket no kernel says who asks, and nobody acts for no run."""

    async def story(found: Served) -> web.AppRunner:
        runner = web.AppRunner(WorkerFace(found.place.gateway, WORLD).app(), access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return runner

    with served(tmp_path) as place:
        runner = place.loop.run(story(place))
        wire = http.client.HTTPConnection(*runner.addresses[0][:2], timeout=PATIENCE_S)
        headers = {"Content-Type": "application/json", "Accept": PROBLEM}
        wire.request("POST", "/perform", json.dumps(body()), headers)
        said = json.loads(wire.getresponse().read())
        wire.close()
        place.loop.run(runner.cleanup())
        assert "wrong_peer" == said["type"]
        assert NOBODY in said["detail"]
