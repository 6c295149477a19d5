"""The gateway before real providers: killed between their answer and its own record of it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from support.command import Home
from support.upstreams import place

from harness.deadline import Deadline, wait_until
from runtimes.reference.gateway.client import WORKERS
from runtimes.reference.gateway.peer import peer
from runtimes.support.postgres import DEBIAN, postgres


ROOT = Path(__file__).parents[2]
PATIENCE_S = 60.0
POSTGRES = pytest.mark.skipif(
    not (DEBIAN / "postgres").is_file() and shutil.which("postgres") is None,
    reason="no PostgreSQL on this machine: apt-get install postgresql-15",
)
SECRET = "sk-live-0123456789abcdef"  # noqa: S105 - made up
ECHO = f'''
from pathlib import Path

from harness.effects import Effect, Tier
from runtimes.reference.effect_log.records import Outcome
from runtimes.reference.upstreams.base import Answer, Contract
from runtimes.reference.upstreams.credential import Credential

class Echo:
    """Answers with its own credential."""

    def credentials(self):
        return [Credential(name="till", secret="{SECRET}")]

    def contract(self, op, target):
        return Contract(effect=Effect.IRREVERSIBLE, tier=Tier.K, retention_s=10**6)

    async def call(self, order):
        with Path("paid").open("a") as ledger:
            print(order.slot, file=ledger)
        return Answer(outcome=Outcome.OK, response={{
            "debug": "{SECRET}", "paid": order.args, "status": "declined", "refused": "in part"
        }})

    async def fence(self, run, epoch):
        return True

def short():
    found = Echo()
    found.credentials = lambda: [Credential(name="till", secret="sevenxx")]
    return found

def twice():
    found = Echo()
    found.credentials = lambda: [Credential(secret=16 * word) for word in "ab"]
    return found

def broken():
    import os
    return os.environ["NO_SUCH_PASSWORD"]

SEVEN = 7
upstream = Echo
'''


def spoken(home: Home, at: str = "gw", **said: Any) -> httpx.Response:
    """Ask a gateway for a step, as a worker does."""
    transport = httpx.HTTPTransport(uds=str(home.path / at / WORKERS))
    with httpx.Client(transport=transport, base_url="http://gateway", timeout=PATIENCE_S) as http:
        return http.post("/perform", json={"run": "north", **said})


def admitted(home: Home, *grants: dict[str, Any], at: str = "gw") -> None:
    """Let run north act."""
    said = [
        {"run": "north", "peer": peer(os.getuid(), os.getgid()), "ttl_s": 600, "grants": [*grants]}
    ]
    (home.path / "admit.json").write_text(json.dumps(said))
    done = home.run("gateway", "admit", "admit.json", "--gateway", at)
    assert (0, "1 admitted") == (done.code, done.out.strip()), done.text


@contextmanager
def serving(
    home: Home, file: str, *more: str, at: str = "gw", **env: str
) -> Iterator[subprocess.Popen[str]]:
    """Lend a gateway that serves."""
    with home.begun("gateway", "serve", file, "--gateway", at, *more, **env) as process:
        assert process.stdout
        said = [process.stdout.readline() for _ in range(3)]
        assert "serving until Ctrl-C\n" == said[-1], process.communicate()
        yield process


# Real providers -----------------------------------------------------------------------------------

STEPS: dict[str, dict[str, Any]] = {
    "clear_users": {"op": "clear_users", "args": {"path": "db/old_users", "shop": "north"}},
    "cut_over": {
        "op": "dns.set",
        "args": {"path": "dns/example.test/north/A", "records": ["192.0.2.2"], "ttl": 60},
    },
    "notify": {
        "op": "mail.send",
        "args": {"path": "mail/ann@example.test", "subject": "north has moved", "text": "Yes."},
    },
}
BEFORE = {
    "clear_users": "old_users  3",
    "cut_over": "name       192.0.2.1",
    "notify": "mails      0",
}
AFTER = {
    "clear_users": "old_users  0",
    "cut_over": "name       192.0.2.2",
    "notify": "mails      1",
}


@pytest.fixture
def servers(home: Home) -> Iterator[Home]:
    """Lend a home with PostgreSQL, Knot and a mail server, and a shop in them."""
    for name in ("migration_agent.py", "migration_world.py"):
        shutil.copy(ROOT / "docs" / "examples" / name, home.path)
    argv = [shutil.which("python") or "python", "-m", "runtimes.reference.live", "servers.json"]
    with subprocess.Popen(argv, cwd=home.path, env=home.environment()) as process:
        try:
            wait_until(
                lambda: (home.path / "servers.json").exists() or process.poll() is not None,
                Deadline.after(PATIENCE_S),
                "the servers are up",
            )
            world(home, "prepare")
            yield home
        finally:
            process.terminate()
            process.wait(PATIENCE_S)


def world(home: Home, *argv: str) -> str:
    """Look at the servers as a person does."""
    return subprocess.run(
        ["python", "migration_world.py", *argv],
        cwd=home.path,
        env=home.environment(),
        check=True,
        capture_output=True,
        text=True,
    ).stdout


def killed(home: Home, process: subprocess.Popen[str], step: str) -> None:
    """Ask for a step at which the gateway dies."""
    with pytest.raises(httpx.TransportError):
        spoken(home, step=step, **STEPS[step])
    assert -signal.SIGKILL == process.wait(PATIENCE_S)


@pytest.mark.engine
@POSTGRES
@pytest.mark.skipif(
    not shutil.which("knotd") and not Path("/usr/sbin/knotd").is_file(),
    reason="no Knot on this machine: apt-get install knot",
)
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_dead_gateway_repeats_nothing(when: str, servers: Home) -> None:
    """What the next one can find out, it settles; of mail nobody can know, and it says so."""
    home, secrets = servers, json.loads((servers.path / "servers.json").read_text())
    with serving(home, "migration_agent.py", DIE=f"{when} clear_users") as process:
        admitted(home, *({"op": e["op"], "target": e["args"]["path"]} for e in STEPS.values()))
        killed(home, process, "clear_users")
    for step, following in (("clear_users", "cut_over"), ("cut_over", "notify"), ("notify", "")):
        assert (AFTER if when == "after" else BEFORE)[step] in world(home, "look", "north")
        with serving(home, "migration_agent.py", DIE=f"{when} {following}") as process:
            told = [spoken(home, step=step, **STEPS[step]).json()["status"] for _ in range(2)]
            blind = step == "notify"
            assert ["rejected" if blind else "ok"] * 2 == told
            expected = BEFORE if blind and when == "before" else AFTER
            assert expected[step] in world(home, "look", "north")
            if following:
                killed(home, process, following)
            else:
                process.terminate()
                assert 0 == process.wait(PATIENCE_S)
    explained = home.run("effects", "explain", "north", "--log", "gw/log").out
    assert "unknown     notify" in explained, explained
    kept = [file.read_bytes() for file in (home.path / "gw").rglob("*") if file.is_file()]
    for name in ("postgres", "knot", "mail"):
        assert not any(secrets[name]["secret"].encode() in each for each in kept)


@pytest.fixture
def database() -> Iterator[str]:
    """Lend the address of a PostgreSQL that syncs."""
    with place() as site, postgres(site, durable=True) as server:
        server.ready(Deadline.after(PATIENCE_S))
        yield server.socket_url()


@pytest.mark.engine
@POSTGRES
def test_gateways_that_share_a_log(database: str, home: Home) -> None:
    """What one has done the other one knows; whoever is asked has the run, and each dies alone."""
    (home.path / "till.py").write_text(ECHO)
    store, pay = ("--store", database), {"op": "pay", "args": {"path": "till/ann"}}
    with serving(home, "till.py", *store), serving(home, "till.py", *store, at="other") as other:
        for at in ("gw", "other"):
            admitted(home, {"op": "pay", "target": "till/ann"}, at=at)
        for at, step in (("gw", "1"), ("other", "1"), ("other", "2"), ("gw", "2"), ("gw", "3")):
            answers = [spoken(home, at, step=step, **pay) for _ in range(2)]
            assert "ok" == answers[-1].json()["status"]
        other.kill()
        assert "ok" == spoken(home, step="4", **pay).json()["status"]
    assert ["1", "2", "3", "4"] == (home.path / "paid").read_text().split()
    for folder in ("gw", "other"):
        assert 0 == home.run("effects", "verify", "--log", f"{folder}/log").code
    shown = home.run("effects", "show", "north", "--log", "gw/log")
    assert shown.out.count(" done") == 4
    moved = home.run("gateway", "serve", "till.py", "--gateway", "gw", "--store", f"{database}&x=1")
    assert (64, True) == (moved.code, "choose another folder" in moved.err)


# What no server is needed for ---------------------------------------------------------------------


def test_a_credential_goes_neither_way(home: Home) -> None:
    """What a provider echoes is cleared; a worker that has one is refused, and the log has none.

    All else that it says is passed on, and taken for no word of the gateway's.
    """
    (home.path / "till.py").write_text(ECHO)
    with serving(home, "till.py"):
        admitted(home, {"op": "pay", "target": "till/ann"})
        paid = spoken(home, step="pay", op="pay", args={"path": "till/ann", "amount": 5}).json()
        assert ("ok", "declined") == (paid["status"], paid["value"].pop("status"))
        assert {"debug": "[redacted till]", "paid": {"amount": 5}, "refused": "in part"} == paid[
            "value"
        ]
        args = {"path": "till/ann", "note": SECRET[::-1]}
        told = spoken(home, step="again", op="pay", args=args).json()
        assert "rejected" == told["status"]
        assert "leak" in told["value"]
    for file in (home.path / "gw").rglob("*"):
        assert not file.is_file() or SECRET.encode() not in file.read_bytes()


def test_what_was_not_granted_is_not_done(home: Home) -> None:
    """Neither another operation, nor another target, nor arguments beyond their bounds."""
    (home.path / "till.py").write_text(ECHO)
    with serving(home, "till.py"):
        bound = {"arg": "amount", "high": 5}
        admitted(home, {"op": "pay", "target": "till/ann", "bounds": [bound]})
        for changed in (
            {"op": "refund"},
            {"args": {"path": "till/eve", "amount": 5}},
            {"args": {"path": "till/ann", "amount": 6}},
        ):
            said = {"op": "pay", "args": {"path": "till/ann", "amount": 5}} | changed
            assert "rejected" == spoken(home, step="pay", **said).json()["status"]
        wrong: list[dict[str, Any]] = [{}, {"args": {"amount": 5}}, {"effect": "read"}]
        for more in wrong:
            answer = spoken(home, **({"step": "pay", "op": "pay"} | more))
            assert (422, "not done") == (answer.status_code, answer.json()["effect"])


@pytest.mark.parametrize(
    ("reference", "code", "why"),
    [
        ("none.py", 64, "there is no file none.py"),
        ("till.py:nobody", 64, "has no attribute 'nobody'"),
        ("till.py:short", 1, "of at least 12 bytes"),
        ("till.py --store postgresql://me:secret@nowhere/x", 64, "without a password"),
        ("till.py --store nonsense", 64, "expected the address of a PostgreSQL"),
        ("till.py --store postgresql://ann:hunter%zzsecret@h/log", 64, "expected the address"),
        ("till.py --store postgresql://ann:ge/hunter@h/log", 64, "expected the address"),
        ("till.py --store postgresql://ann@h/log?sslpassword=hunter", 64, "without a password"),
        ("till.py:twice", 1, "expected a name of its own for each credential"),
        ("till.py:broken", 64, "KeyError: 'NO_SUCH_PASSWORD'"),
        ("till.py:SEVEN", 64, "'int' object is not callable"),
    ],
)
def test_what_cannot_be_served_is_said(reference: str, code: int, why: str, home: Home) -> None:
    """In one line, with the exit code of wrong usage or of failure; nothing is left running."""
    (home.path / "till.py").write_text(ECHO)
    done = home.run("gateway", "serve", *reference.split(), "--gateway", "gw")
    assert code == done.code, done.text
    assert why in done.err
    assert "Traceback" not in done.err
    assert "hunter" not in done.text
    assert not (home.path / "gw" / "log" / "effects.postgresql").exists()
