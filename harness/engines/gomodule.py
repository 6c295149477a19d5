"""A binary built from Go modules, with every dependency pinned by a go.sum of ours.

Some vendors publish no binary on a package registry, and their module cannot be installed by
`go install` because its go.mod replaces a dependency by a folder.  A module of our own that only
requires theirs takes that hurdle, and its go.sum fixes each of several hundred dependencies.
"""

from __future__ import annotations

import os
import shutil

from dataclasses import dataclass
from importlib.resources.abc import Traversable
from pathlib import Path

from harness.engines.child import EngineError, Tool, run
from harness.engines.engine import Progress
from harness.engines.toolchain import Go, find_go, install_go, no_go


FLAGS = "-p=2 -buildvcs=false -mod=readonly"
_LIST = "{{if .Stale}}stale {{end}}{{.ImportPath}}"


@dataclass(frozen=True, slots=True, kw_only=True)
class GoModule:
    """One main package of a Go module.

    ``module_files`` is a folder with go.mod and go.sum; ``typical_s`` is how long the whole takes
    on two cores with nothing in Go's caches, in seconds.
    """

    module_files: Traversable
    package: str
    ldflags: str = "-s -w"
    typical_s: float | None = None

    def __str__(self) -> str:
        """Return how it is built, for the receipt."""
        return f"go build -trimpath -ldflags '{self.ldflags}' {self.package}"

    def obstacle(self) -> str | None:
        """Return why it cannot be built on this machine, or None."""
        return no_go()

    def make(self, work: Path, say: Progress) -> Path:
        """Fetch the modules and compile; Go's own caches carry an interrupted build on."""
        go = find_go() or install_go(say)
        module, scratch = work / "module", work / "tmp"
        shutil.rmtree(scratch, ignore_errors=True)
        for folder in (module, scratch):
            folder.mkdir(exist_ok=True)
        for name in ("go.mod", "go.sum"):
            (module / name).write_bytes((self.module_files / name).read_bytes())
        env = _environment(go, scratch)
        try:
            stale, packages = self._fetch(go, work, env, say)
            typical_s = self.typical_s * stale / packages if self.typical_s else None
            say.stage("compiling", unit="packages", total=stale, typical_s=typical_s)
            return self._compile(go, work, env, say)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def _fetch(self, go: Go, work: Path, env: dict[str, str], say: Progress) -> tuple[int, int]:
        """Bring the sources here; return how many packages are left to compile, and of how many."""
        log = work / "modules.log"
        say.stage("fetching Go modules", unit="modules")
        argv = [str(go.binary), "list", "-deps", "-trimpath", "-f", _LIST, self.package]
        tool = Tool(what=f"go list {self.package}", argv=argv, cwd=work / "module", env=env)
        run(tool, log, lambda: say.reached(len(_lines(log)) - len(_packages(log))))
        packages = _packages(log)
        stale = [line for line in packages if line.startswith("stale ")]
        return max(1, len(stale)), max(1, len(packages))

    def _compile(self, go: Go, work: Path, env: dict[str, str], say: Progress) -> Path:
        """Compile what is not in Go's cache, and link."""
        binary, log = work / "binary", work / "build.log"
        binary.unlink(missing_ok=True)
        argv = [str(go.binary), "build", "-v", "-trimpath", "-ldflags", self.ldflags]
        argv += ["-o", str(binary), self.package]
        tool = Tool(what=f"go build {self.package}", argv=argv, cwd=work / "module", env=env)
        run(tool, log, lambda: say.reached(len(_packages(log))))
        if not binary.is_file():
            raise EngineError(
                expected=f"`go build` to write {binary}",
                seen="no such file",
                do=f"see {log}; {self.package} must be a main package",
            )
        return binary


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
