"""`bakeoff diagnose` on real servers: what is sick is named, and only what is proven is mended.

In each deployment some runs are made sick by a real death and one stays well, held at its second
step.  The command is given nothing but the address.
"""

from __future__ import annotations

import socket
import subprocess

from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import httpx
import pytest

from support.campaign import runtime
from support.command import Done
from support.deployment import Deployment, deployed

from harness.deadline import Deadline
from harness.trial import READY_S


WELL, ILL, CANNOT_TELL, CRASH = 0, 1, 2, 70
SLOWLY_S = 3.0
"""How long to wait before the command is asked again what a timer of half a minute decides."""
ASK = ("--profile", "fast", "--older-than-s", "0", "--json")
ADDRESSES = {
    "restate": "BAKEOFF_RESTATE_ADDRESS",
    "temporal": "BAKEOFF_TEMPORAL_ADDRESS",
    "inngest-sqlite": "BAKEOFF_INNGEST_ADDRESS",
    "hatchet": "BAKEOFF_HATCHET_ADDRESS",
    "dbos": "BAKEOFF_DBOS_URL",
}


def _name(engine: str) -> str:
    """Return a reference to a runtime that needs no entry point."""
    return f"runtimes.{engine}.adapter:RUNTIME"


def _asked(home, engine, *more, **env):
    """Run the command; return its exit code and what it found, by run."""
    done = home.run("diagnose", "--runtime", engine, *ASK, *more, **env)
    assert done.code in {WELL, ILL, CANNOT_TELL}, done.text
    return done.code, {found["run"]: found for found in done.json()["runs"]}


def _told(found):
    """Return the signatures and governing settings, by run."""
    return {run: (one["signature"], one["setting"]) for run, one in found.items()}


def _calls(deployment: Deployment, run: str) -> list[str]:
    return [event.data["step"] for event in deployment.seen("call", run)]


@pytest.mark.engine
@pytest.mark.xdist_group("restate")
def test_restate(home):
    """A paused run is resumed where a worker is; one whose worker is gone is left alone."""
    with deployed(runtime("restate"), home.sites) as here:
        backend = here.backend
        here.work("lost")
        here.start("lost", "r-lost")
        here.workers["lost"].kill()
        here.work("parked")
        here.start("parked", "r-parked")
        here.workers["parked"].kill()
        here.until(lambda: here.view("parked", "r-parked").status == "retrying", "it is retried")
        idents = {run: here.view(run[2:], run).engine_id for run in ("r-lost", "r-parked")}
        httpx.patch(f"{backend.admin}/invocations/{idents['r-parked']}/pause").raise_for_status()
        here.until(lambda: here.view("parked", "r-parked").status == "parked", "it is paused")
        here.work("parked")
        here.start("parked", "r-well")
        address = {"BAKEOFF_RESTATE_ADDRESS": backend.admin.removeprefix("http://")}
        lost = f"bakeoff-lost/r-lost/run {idents['r-lost']}"
        parked = f"bakeoff-parked/r-parked/run {idents['r-parked']}"

        code, found = _asked(home, "restate", **address)

        governs = runtime("restate").settings("fast")["governs"]
        assert ILL == code
        assert {
            lost: ("SDK_UNREACHABLE", governs["unreachable"]),
            parked: ("ATTEMPTS_BURNT", governs["attempts"]),
        } == _told(found)
        assert {lost: False, parked: True} == {run: one["proven"] for run, one in found.items()}
        assert "parked" == here.view("parked", "r-parked").status

        code, found = _asked(home, "restate", "--fix", **address)

        assert ILL == code
        assert {lost: False, parked: True} == {run: one["mended"] for run, one in found.items()}
        assert "completed" == here.ends("parked", "r-parked")
        assert "retrying" == here.view("lost", "r-lost").status
        assert ["look_up", "note"] == _calls(here, "r-well")
        here.release("r-well")
        assert "completed" == here.ends("parked", "r-well")


@pytest.mark.engine
@pytest.mark.xdist_group("temporal")
def test_temporal(home):
    """Who polls tells: nobody ever, nobody any more; silence is no proof, so nothing is done."""
    with deployed(runtime("temporal"), home.sites) as here:
        here.work("lost")
        here.start("lost", "r-lost")
        here.workers["lost"].kill()
        here.backend.worker("empty", here.scenario)
        here.start("empty", "r-empty", held=False)
        here.work("well")
        here.start("well", "r-well")
        address = {"BAKEOFF_TEMPORAL_ADDRESS": here.backend.place.target}
        governs = runtime("temporal").settings("fast")["governs"]
        unreachable = ("SDK_UNREACHABLE", governs["unreachable"])

        code, found = _asked(home, "temporal", **address)

        assert ILL == code
        assert {"r-empty": unreachable} == _told(found)

        # The server remembers the last poll of the dead for a minute and more.
        here.until(
            lambda: "r-lost" in _asked(home, "temporal", **address)[1],
            "the poll is old",
            patience_s=120.0,
            poll_s=SLOWLY_S,
        )
        history = len(here.backend.journal("well", "r-well"))
        code, found = _asked(home, "temporal", "--fix", **address)

        assert ILL == code
        assert {"r-empty": unreachable, "r-lost": unreachable} == _told(found)
        assert {("", False)} == {(one["done"], one["proven"]) for one in found.values()}
        assert history == len(here.backend.journal("well", "r-well"))
        here.work("empty")
        assert "completed" == here.ends("empty", "r-empty")


@pytest.mark.engine
@pytest.mark.xdist_group("inngest")
def test_inngest(home):
    """Without a durable store the server's death loses a run, and only its record stays."""
    with deployed(runtime("inngest-sqlite"), home.sites, "default") as here:
        backend, server = here.backend, here.backend.servers[-1]
        worker = here.work("kept")
        here.start("kept", "r-lost")
        lost = f"bakeoff-kept-greet {here.view('kept', 'r-lost').engine_id}"
        server.kill()
        here.release("r-lost")
        server.restart()
        server.ready(Deadline.after(READY_S))
        backend.attach("kept", worker, worker.announced(Deadline.after(READY_S)))
        here.work("gone")
        here.start("gone", "r-gone")
        here.workers["gone"].kill()
        here.until(lambda: here.view("gone", "r-gone").status == "retrying", "it is retried")
        gone = f"bakeoff-gone-greet {here.view('gone', 'r-gone').engine_id}"
        here.start("kept", "r-well")
        address = {
            "BAKEOFF_INNGEST_ADDRESS": backend.api.http.base_url.netloc.decode(),
            **backend.api.keys.environment,
        }
        governs = runtime("inngest-sqlite").settings("fast")["governs"]

        code, found = _asked(home, "inngest-sqlite", "--fix", **address)

        assert ILL == code
        assert {
            lost: ("LOST_RUN", governs["store"]),
            gone: ("SDK_UNREACHABLE", governs["unreachable"]),
        } == _told(found)
        assert {("", False)} == {(one["done"], one["proven"]) for one in found.values()}
        assert ["look_up", "note"] == _calls(here, "r-well")
        here.release("r-well")
        assert "completed" == here.ends("kept", "r-well")


@pytest.mark.engine
@pytest.mark.xdist_group("inngest")
def test_inngest_without_its_queue(home):
    """A run whose queue is lost and whose state is not stands for ever; a cancellation ends it."""
    with deployed(runtime("inngest-redis-pg"), home.sites) as here:
        backend, server, store = here.backend, here.backend.servers[-1], here.backend.databases[0]
        worker = here.work("p")
        here.start("p", "r-stuck")
        stuck = f"bakeoff-p-greet {here.view('p', 'r-stuck').engine_id}"
        server.kill()
        ask = ["redis-cli", "-s", str(store.socket), "--no-auth-warning", "-a", store.password]
        keys = subprocess.check_output([*ask, "--scan", "--pattern", "{queue}*"], text=True).split()
        subprocess.run([*ask, "DEL", *keys], check=True, capture_output=True)
        here.release("r-stuck")
        server.restart()
        server.ready(Deadline.after(READY_S))
        backend.attach("p", worker, worker.announced(Deadline.after(READY_S)))
        here.start("p", "r-well")
        address = {
            "BAKEOFF_INNGEST_ADDRESS": backend.api.http.base_url.netloc.decode(),
            **backend.api.keys.environment,
        }
        governs = runtime("inngest-redis-pg").settings("fast")["governs"]

        code, found = _asked(home, "inngest-redis-pg", **address)

        assert ILL == code
        assert {stuck: ("STUCK_RUN", governs["store"])} == _told(found)
        assert "running" == here.view("p", "r-stuck").status

        code, found = _asked(home, "inngest-redis-pg", "--fix", **address)

        assert WELL == code
        assert found[stuck]["mended"]
        assert "cancelled" == here.view("p", "r-stuck").status
        assert ["look_up", "note"] == _calls(here, "r-well")
        here.release("r-well")
        assert "completed" == here.ends("p", "r-well")


@pytest.mark.engine
@pytest.mark.xdist_group("hatchet")
def test_hatchet(home):
    """A silent worker's run, and one that no worker ever could take, are told from a live one."""
    engine = _name("hatchet")
    with deployed(_loaded(engine), home.sites) as here:
        place = here.backend.place
        here.work("lost")
        here.start("lost", "r-lost")
        here.workers["lost"].kill()
        lost = f"lost_greet {here.view('lost', 'r-lost').engine_id}"
        here.work("well")
        here.start("well", "r-well")
        address = {
            "BAKEOFF_HATCHET_ADDRESS": place.grpc,
            "BAKEOFF_HATCHET_REST": place.rest.removeprefix("http://"),
            "BAKEOFF_HATCHET_TOKEN": place.token,
        }
        here.until(
            lambda: lost in _asked(home, engine, **address)[1],
            "its worker is silent",
            poll_s=SLOWLY_S,
        )

        code, found = _asked(home, engine, "--fix", **address)

        governs = _loaded(engine).settings("fast")["governs"]
        assert ILL == code
        assert {("SDK_UNREACHABLE", governs["unreachable"])} == set(_told(found).values())
        assert {"lost_greet", "lost_bakeoff.step.greet"} == {run.split()[0] for run in found}
        assert {("", False)} == {(one["done"], one["proven"]) for one in found.values()}
        assert ["look_up", "note"] == _calls(here, "r-well")
        here.release("r-well")
        assert "completed" == here.ends("well", "r-well")


@pytest.mark.engine
@pytest.mark.xdist_group("dbos")
def test_dbos(home):
    """On PostgreSQL the absence of everybody is seen; who of several died is for others to say."""
    with deployed(runtime("dbos-postgres"), home.sites) as here:
        here.work("p")
        here.start("p", "r-lost")
        here.workers["p"].kill()
        address = {"BAKEOFF_DBOS_URL": here.backend.place.url("p")}
        governs = runtime("dbos-postgres").settings("fast")["governs"]
        unreachable = ("SDK_UNREACHABLE", governs["unreachable"])

        assert (ILL, unreachable) == _of("r-lost", *_asked(home, "dbos-postgres", **address))

        # A second executor that nobody has given the first one's runs to.
        successor = here.work("p", attach=False)
        executor = str(successor.announced(Deadline.after(READY_S))["executor"])
        here.start("p", "r-well")

        known = {**address, "BAKEOFF_DBOS_EXECUTORS": executor}
        code, found = _asked(home, "dbos-postgres", "--fix", **known)

        assert WELL == code
        assert {"r-lost": ("ORPHANED_CLAIM", governs["dead_worker"])} == _told(found)
        assert found["r-lost"]["mended"]
        assert "completed" == here.ends("p", "r-lost")
        assert ["look_up", "note"] == _calls(here, "r-well")
        here.release("r-well")
        assert "completed" == here.ends("p", "r-well")
        assert (WELL, {}) == _asked(home, "dbos-postgres", **known)


@pytest.mark.engine
@pytest.mark.xdist_group("dbos")
def test_dbos_on_a_file(home):
    """A file tells nobody who has it open: unknown, unless it is said that nobody lives."""
    with deployed(runtime("dbos"), home.sites) as here:
        here.work("p")
        here.start("p", "r-lost")
        here.workers["p"].kill()
        address = {"BAKEOFF_DBOS_URL": here.backend.place.url("p")}

        assert (CANNOT_TELL, ("UNKNOWN", "")) == _of(
            "r-lost", *_asked(home, "dbos", "--fix", **address)
        )
        code, found = _asked(home, "dbos", **address, BAKEOFF_DBOS_EXECUTORS="")
        assert (ILL, "SDK_UNREACHABLE") == (code, found["r-lost"]["signature"])


def _of(run, code, found):
    return code, _told(found)[run]


def _loaded(reference):
    from harness.load import load  # noqa: PLC0415 - only until it has an entry point

    return load(reference, "RUNTIME")


def _refused(done, *words):
    """Check that the command ended with 70 and one line that has these words."""
    assert CRASH == done.code, done.text
    assert "Traceback" not in done.text
    assert "" == done.out
    assert 1 == len(done.err.strip().splitlines()), done.err
    for word in words:
        assert word in done.err, done.err


@pytest.fixture
def nobody():
    """Return an address at which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{probe.getsockname()[1]}"


class _Garbage(BaseHTTPRequestHandler):
    """A server that answers everything, and nothing that was asked."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<h1>It works!</h1>")

    do_POST = do_GET  # noqa: N815 - as http.server has it

    def log_message(self, *words: object) -> None:
        """Say nothing."""


@pytest.fixture
def garbage():
    """Lend the address of a server that is no engine."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Garbage) as server:
        Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()


TOKEN = "e30.eyJzdWIiOiAidGVuYW50In0.e30"  # noqa: S105 - of nobody, for nothing


def _place(engine: str, address: str) -> dict[str, str]:
    """Return the environment that names an address as an engine's deployment."""
    named = {ADDRESSES[engine]: address}
    if engine == "dbos":
        named = {ADDRESSES[engine]: f"postgresql://u:secret@{address}/nothing?connect_timeout=5"}
    if engine == "hatchet":
        named |= {"BAKEOFF_HATCHET_REST": address, "BAKEOFF_HATCHET_TOKEN": TOKEN}
    return named


def _reference(engine: str) -> str:
    return _name(engine) if engine == "hatchet" else engine


def _refusals(home, places):
    """Run the command for every engine side by side; return how each ended."""
    with ExitStack() as stack:
        begun = {
            engine: stack.enter_context(
                home.begun("diagnose", "--runtime", _reference(engine), **place)
            )
            for engine, place in places.items()
        }
        ends = {engine: process.communicate(timeout=120.0) for engine, process in begun.items()}
        return {engine: Done(begun[engine].returncode, *said) for engine, said in ends.items()}


@pytest.mark.engine
def test_no_address(home):
    """Without an address the command says which variable to set."""
    unset = dict.fromkeys(ADDRESSES.values(), "")

    for engine, done in _refusals(home, dict.fromkeys(ADDRESSES, unset)).items():
        _refused(done, f"set {ADDRESSES[engine]}")


@pytest.mark.engine
def test_dead_address(home, nobody):
    """Where nobody listens, the command names the address and the variable."""
    places = {engine: _place(engine, nobody) for engine in ADDRESSES}

    for done in _refusals(home, places).values():
        _refused(done, nobody, "correct BAKEOFF_")
        assert "secret" not in done.err


@pytest.mark.engine
def test_garbage(home, garbage):
    """Where something else answers, the command says that it is no such engine."""
    places = {engine: _place(engine, garbage) for engine in ADDRESSES}

    for done in _refusals(home, places).values():
        _refused(done, garbage, "does not answer as one", "correct BAKEOFF_")


def test_nothing_to_look_at(home):
    """A runtime that lives inside its workers has no deployment: that is bad usage."""
    done = home.run("diagnose", "--runtime", "reference")

    assert 64 == done.code
    assert "no deployments" in done.err
