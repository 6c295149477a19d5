"""`bakeoff engines`: what it prints, and what it leaves behind however it ends."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import tarfile

from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import pytest

from click.testing import CliRunner, Result

from harness.cli.engines import engines as command
from harness.deadline import Deadline, wait_until
from harness.engines import Engine, NpmBinary


SERVER = "#!/bin/sh\necho fake server 1.2.3\n"
PLATFORMS = ("linux-x64", "linux-arm64", "darwin-x64", "darwin-arm64")
REPOSITORY = Path(__file__).parents[2]
PATIENCE_S = 60.0

# It tells that it is there by a pipe that it holds open, and stays while there is a gate.
NPM = """#!{python}
import os, shutil, sys
print(*sys.argv[1:], file=open("{here}/calls", "a"))
if os.path.exists("{here}/gate"):
    alive = open("{here}/alive", "wb", buffering=0)
    alive.write(b"x")
    open("{here}/gate").read()
option = "--pack-destination="
folder, = [a.removeprefix(option) for a in sys.argv if a.startswith(option)]
shutil.copy("{here}/server.tgz", folder)
"""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A folder with a cache, an npm, and a distribution that declares the engine ``fake``."""

    here: Path
    alive: int
    environment: Mapping[str, str]

    @property
    def installed(self) -> Path:
        """Return where the binary belongs."""
        return self.here / "cache" / "engines" / "fake-1.2.3" / "server"

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        """Start the command as a process of its own, with its output in the file ``out``."""
        code = "from harness.cli.engines import engines; engines()"
        with (self.here / "out").open("ab") as out:
            argv = [sys.executable, "-c", code, *words]
            return subprocess.Popen(argv, env=self.environment, stdout=out, stderr=out)

    def hold(self) -> None:
        """Let npm stay until it is let go."""
        os.mkfifo(self.here / "gate")

    def let_go(self) -> None:
        """Let the npm that is held go on, and hold no other."""
        os.close(os.open(self.here / "gate", os.O_WRONLY))
        (self.here / "gate").unlink()

    def npm_is_at_work(self) -> None:
        """Return once npm holds its pipe."""
        wait_until(lambda: self._reads(b"x"), Deadline.after(PATIENCE_S), "npm has started")

    def npm_is_gone(self) -> None:
        """Return once nobody holds npm's pipe any more."""
        wait_until(lambda: self._reads(b""), Deadline.after(PATIENCE_S), "npm is gone")

    def said(self) -> str:
        """Return what all commands printed."""
        return (self.here / "out").read_text()

    def _reads(self, wanted: bytes) -> bool:
        with suppress(BlockingIOError):
            return os.read(self.alive, 1) == wanted
        return False


def recipe(tarball: Path) -> NpmBinary:
    """Write a tarball with the server and return the recipe for it."""
    with tarfile.open(tarball, "w:gz") as archive:
        member = tarfile.TarInfo("package/bin/server")
        member.size = len(SERVER)
        archive.addfile(member, io.BytesIO(SERVER.encode()))
    digest = base64.b64encode(hashlib.sha512(tarball.read_bytes()).digest()).decode()
    return NpmBinary(
        package="@fake/server-{platform}",
        version="1.2.3",
        integrity=dict.fromkeys(PLATFORMS, f"sha512-{digest}"),
        member="package/bin/server",
    )


def fake(made_by: NpmBinary, name: str = "fake") -> Engine:
    """Return the engine."""
    return Engine(
        name=name,
        version="1.2.3",
        executable="server",
        env_binary=f"BAKEOFF_{name.upper()}_BIN",
        env_address=f"BAKEOFF_{name.upper()}_ADDRESS",
        version_argv=("--version",),
        recipe=made_by,
    )


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    """Yield a machine with an npm that works, declared engines and an empty cache."""
    site, commands = tmp_path / "site", tmp_path / "bin"
    info = site / "elsewhere-1.dist-info"
    for folder in (info, commands):
        folder.mkdir(parents=True)
    npm = commands / "npm"
    npm.write_text(NPM.format(python=sys.executable, here=tmp_path))
    npm.chmod(0o755)
    made_by = recipe(tmp_path / "server.tgz")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: elsewhere\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[bakeoff.engines]\nfake = fake_engine:ENGINE\n")
    (site / "fake_engine.py").write_text(
        f"from harness.engines import Engine, NpmBinary\nENGINE = {fake(made_by)!r}\n"
    )
    monkeypatch.setenv("PATH", str(commands))
    monkeypatch.setenv("BAKEOFF_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PYTHONPATH", f"{REPOSITORY}{os.pathsep}{site}")
    declared = {"fake": fake(made_by), "other": fake(made_by, "other")}
    monkeypatch.setattr("harness.cli.engines.declared", lambda: declared)
    os.mkfifo(tmp_path / "alive")
    alive = os.open(tmp_path / "alive", os.O_RDONLY | os.O_NONBLOCK)
    yield Machine(here=tmp_path, alive=alive, environment=dict(os.environ))
    os.close(alive)


def call(*words: str) -> Result:
    """Run the command in this process."""
    return CliRunner().invoke(command, words)


def test_install_without_names_installs_all(machine: Machine) -> None:
    """Each engine is installed, and its path printed."""
    result = call("install")

    assert 0 == result.exit_code, result.output
    assert f"fake 1.2.3 is installed: {machine.installed}" in result.stdout
    assert "other 1.2.3 is installed" in result.stdout


def test_install_goes_on_after_a_failure(machine: Machine) -> None:
    """One engine that cannot be installed does not keep the others away; the exit code is 1."""
    blocked = machine.installed.parent
    blocked.parent.mkdir(parents=True)
    blocked.write_text("in the way")

    result = call("install", "fake", "other")

    assert 1 == result.exit_code
    assert "fake: expected to write below" in result.stderr
    assert "other 1.2.3 is installed" in result.stdout


@pytest.mark.parametrize("verb", ["install", "path", "remove"])
def test_an_unknown_name_is_a_usage_error(machine: Machine, verb: str) -> None:
    """The exit code is 64, and the names that exist are printed."""
    del machine

    result = call(verb, "nonesuch")

    assert 64 == result.exit_code
    assert "no engine is called nonesuch; there are: fake, other" in result.stderr


@pytest.mark.parametrize("words", [["--nonesuch"], ["list", "--nonesuch"], ["path"], ["nonesuch"]])
def test_wrong_usage_is_exit_code_64(machine: Machine, words: list[str]) -> None:
    """Whatever the parser refuses is a usage error."""
    del machine

    assert 64 == call(*words).exit_code


def test_list_shows_what_is_where(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed engine shows its path whole, an absent one the command that installs it."""
    call("install", "fake")
    monkeypatch.setenv("PATH", "")

    result = call("list")

    assert 0 == result.exit_code
    assert str(machine.installed) in result.stdout
    assert "bakeoff engines install other" in result.stdout
    assert "other: cannot be installed: npm is not on the PATH" in result.stdout


def test_list_as_json_is_a_list_of_objects(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every field is there for present and absent engines alike."""
    monkeypatch.setenv("BAKEOFF_OTHER_ADDRESS", "127.0.0.1:7000")

    result = call("list", "--json")

    assert 0 == result.exit_code
    assert [
        {
            "name": "fake",
            "version": "1.2.3",
            "source": None,
            "version_seen": None,
            "path": None,
            "address": None,
            "owned": None,
            "install": "bakeoff engines install fake",
            "notes": [],
        },
        {
            "name": "other",
            "version": "1.2.3",
            "source": "address",
            "version_seen": None,
            "path": None,
            "address": "127.0.0.1:7000",
            "owned": False,
            "install": "bakeoff engines install other",
            "notes": [],
        },
    ] == json.loads(result.stdout)
    assert not (machine.here / "cache").exists()


def test_list_says_what_is_wrong_and_goes_on(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrong environment variable is a note at its engine, not the end of the list."""
    own = machine.here / "own"
    own.write_text(SERVER.replace("1.2.3", "2.0.0"))
    own.chmod(0o755)
    monkeypatch.setenv("BAKEOFF_FAKE_BIN", "/no/such/binary")
    monkeypatch.setenv("BAKEOFF_OTHER_BIN", str(own))

    result = call("list")

    assert 0 == result.exit_code
    assert "fake: expected BAKEOFF_FAKE_BIN to name an executable file" in result.stdout
    assert "other: version 2.0.0 is used where 1.2.3 is the tested one" in result.stdout


def test_path_prints_the_path_only(machine: Machine) -> None:
    """It can be used in a shell's command substitution."""
    call("install", "fake")

    result = call("path", "fake")

    assert 0 == result.exit_code
    assert f"{machine.installed}\n" == result.output


def test_path_of_an_absent_engine_fails_with_one_line(machine: Machine) -> None:
    """Stdout stays empty, and stderr says what to run."""
    del machine

    result = call("path", "fake")

    assert 1 == result.exit_code
    assert "" == result.stdout
    assert "Error: fake is not here; run `bakeoff engines install fake`\n" == result.stderr


def test_path_of_a_deployment_fails(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A deployment has an address and no binary."""
    del machine
    monkeypatch.setenv("BAKEOFF_FAKE_ADDRESS", "127.0.0.1:7000")

    result = call("path", "fake")

    assert 1 == result.exit_code
    assert "fake is a deployment at 127.0.0.1:7000" in result.stderr


def test_path_reports_a_wrong_environment(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error about the engine is one line and exit code 1."""
    del machine
    monkeypatch.setenv("BAKEOFF_FAKE_BIN", "/no/such/binary")

    result = call("path", "fake")

    assert 1 == result.exit_code
    assert 1 == len(result.stderr.splitlines())


def test_remove_deletes_from_the_cache(machine: Machine) -> None:
    """What is gone is printed, and nothing to delete is no failure."""
    call("install", "fake")

    result = call("remove", "fake", "other")

    assert 0 == result.exit_code
    assert f"fake: removed {machine.installed.parent}" in result.stdout
    assert "other: nothing in the cache" in result.stdout
    assert not machine.installed.exists()


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_an_interrupted_install_leaves_nothing_and_can_be_run_again(
    machine: Machine, number: signal.Signals, status: int
) -> None:
    """Nothing is on the path, npm does not live on, and the next install succeeds."""
    machine.hold()
    with machine.start("install", "fake") as first:
        machine.npm_is_at_work()
        first.send_signal(number)
        assert status == first.wait(PATIENCE_S), machine.said()
    machine.npm_is_gone()
    assert not machine.installed.exists()

    (machine.here / "gate").unlink()
    with machine.start("install", "fake") as second:
        assert 0 == second.wait(PATIENCE_S), machine.said()

    assert machine.installed.exists()
    assert not list(machine.here.glob("cache/engines/*.part"))


def test_a_second_installer_waits_and_finds_it(machine: Machine) -> None:
    """Two at once run npm once, and both succeed."""
    machine.hold()
    with machine.start("install", "fake") as first:
        machine.npm_is_at_work()
        with machine.start("install", "fake") as second:
            waiting = "another installer is at work on fake-1.2.3: waiting"
            deadline = Deadline.after(PATIENCE_S)
            wait_until(lambda: waiting in machine.said(), deadline, "the second one waits")
            assert 1 == call("remove", "fake").exit_code
            machine.let_go()
            assert 0 == first.wait(PATIENCE_S), machine.said()
            assert 0 == second.wait(PATIENCE_S), machine.said()

    assert 1 == len((machine.here / "calls").read_text().splitlines())
    assert 2 == machine.said().count(f"fake 1.2.3 is installed: {machine.installed}")
