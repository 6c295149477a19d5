"""Binaries built from Go modules, with every dependency pinned by a go.sum.

Some vendors publish no binary on a package registry, and their module cannot be installed by
`go install` because its go.mod replaces a dependency by a folder.  A module of our own that only
requires theirs takes that hurdle, and its go.sum fixes each of several hundred dependencies.
Where theirs does not even compile as it is published, it is built inside a copy that is mended.
"""

from __future__ import annotations

import json
import os
import shutil

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources.abc import Traversable
from pathlib import Path, PurePosixPath

from harness.engines.child import EngineError, Tool, run
from harness.engines.engine import Progress
from harness.engines.toolchain import Go, find_go, install_go, no_go


FLAGS = "-p=2 -buildvcs=false -mod=readonly"
_LIST = "{{if .Stale}}stale {{end}}{{.ImportPath}}"


@dataclass(frozen=True, slots=True, kw_only=True)
class GoModule:
    """Main packages of a Go module: the server's, and those of its companions.

    ``module_files`` is a folder with go.mod and go.sum; ``typical_s`` is how long the whole takes
    on two cores with nothing in Go's caches, in seconds.

    ``copy_of`` is the ``module@version`` to build inside a copy of, for one that lacks files or
    replaces dependencies: the text files ``added`` go in by path, its own go.mod and go.sum apply,
    and ours only pins it.
    """

    module_files: Traversable
    package: str
    companions: tuple[str, ...] = ()
    ldflags: str = "-s -w"
    copy_of: str = ""
    added: Mapping[str, str] = field(default_factory=dict)
    typical_s: float | None = None

    @property
    def packages(self) -> tuple[str, ...]:
        """Return all that are built, the server's first."""
        return (self.package, *self.companions)

    def __str__(self) -> str:
        """Return how it is built, for the receipt."""
        inside = f" in a copy of {self.copy_of}" if self.copy_of else ""
        built = " ".join(self.packages)
        return f"go build -trimpath -ldflags '{self.ldflags}' {built}{inside}"

    def obstacle(self) -> str | None:
        """Return why it cannot be built on this machine, or None."""
        return no_go()

    def make(self, work: Path, say: Progress) -> Sequence[Path]:
        """Fetch the modules and compile; Go's own caches carry an interrupted build on."""
        go = find_go() or install_go(say)
        module, copy, scratch = work / "module", work / "copy", work / "tmp"
        for folder in (copy, scratch):
            shutil.rmtree(folder, ignore_errors=True)
        for folder in (module, scratch):
            folder.mkdir(exist_ok=True)
        for name in ("go.mod", "go.sum"):
            (module / name).write_bytes((self.module_files / name).read_bytes())
        env = _environment(go, scratch)
        try:
            if self.copy_of:
                self._copy(go, module, copy, env, say)
                module = copy
            stale, packages = self._fetch(go, module, env, say)
            typical_s = self.typical_s * stale / packages if self.typical_s else None
            say.stage("compiling", unit="packages", total=stale, typical_s=typical_s)
            return self._compile(go, module, env, say)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def _copy(self, go: Go, module: Path, copy: Path, env: dict[str, str], say: Progress) -> None:
        """Make a copy of the module that may be changed, with the added files."""
        log = module.parent / "download.log"
        say.stage(f"fetching {self.copy_of}")
        argv = [str(go.binary), "mod", "download", "-json", self.copy_of]
        tool = Tool(what=f"go mod download {self.copy_of}", argv=argv, cwd=module, env=env)
        run(tool, log, lambda: None)
        said = log.read_text()
        source = Path(json.loads(said[said.index("{") :])["Dir"])
        # Not copytree: Go's cache forbids writing, and a copy that forbids it cannot be deleted.
        for path in [source, *source.rglob("*")]:
            target = copy / path.relative_to(source)
            if path.is_dir():
                target.mkdir()
            else:
                shutil.copyfile(path, target)
        for name, text in self.added.items():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            (copy / name).write_text(text)

    def _fetch(self, go: Go, module: Path, env: dict[str, str], say: Progress) -> tuple[int, int]:
        """Bring the sources here; return how many packages are left to compile, and of how many."""
        log = module.parent / "modules.log"
        say.stage("fetching Go modules", unit="modules")
        argv = [str(go.binary), "list", "-deps", "-trimpath", "-f", _LIST, *self.packages]
        tool = Tool(what=f"go list {' '.join(self.packages)}", argv=argv, cwd=module, env=env)
        run(tool, log, lambda: say.reached(len(_lines(log)) - len(_packages(log))))
        packages = _packages(log)
        stale = [line for line in packages if line.startswith("stale ")]
        return max(1, len(stale)), max(1, len(packages))

    def _compile(self, go: Go, module: Path, env: dict[str, str], say: Progress) -> Sequence[Path]:
        """Compile what is not in Go's cache, and link."""
        made, log = module.parent / "made", module.parent / "build.log"
        shutil.rmtree(made, ignore_errors=True)
        made.mkdir()
        argv = [str(go.binary), "build", "-v", "-trimpath", "-ldflags", self.ldflags]
        argv += ["-o", str(made), *self.packages]
        tool = Tool(what=f"go build {' '.join(self.packages)}", argv=argv, cwd=module, env=env)
        run(tool, log, lambda: say.reached(len(_packages(log))))
        binaries = [made / PurePosixPath(package).name for package in self.packages]
        missing = [binary.name for binary in binaries if not binary.is_file()]
        if missing:
            raise EngineError(
                expected=f"`go build` to write {', '.join(missing)} into {made}",
                seen="no such file",
                do=f"see {log}; each of {', '.join(self.packages)} must be a main package",
            )
        return binaries


def _environment(go: Go, scratch: Path) -> dict[str, str]:
    """Return what makes the build the same everywhere; caches stay where the user has them."""
    foreign = ("GOOS", "GOARCH", "GOROOT", "GO111MODULE")
    env = {name: value for name, value in os.environ.items() if name not in foreign}
    env |= {"CGO_ENABLED": "0", "GOFLAGS": FLAGS, "GOTOOLCHAIN": "local", "GOWORK": "off"}
    env |= {"GOTMPDIR": str(scratch)}
    return env | ({"GOROOT": str(go.root)} if go.root else {})


def _lines(log: Path) -> list[str]:
    return log.read_text(errors="replace").splitlines()


def _packages(log: Path) -> list[str]:
    """Return the lines that name a package: Go's messages begin with ``go: ``."""
    return [line for line in _lines(log) if not line.startswith("go: ")]
