"""Sessions: `nox -s lint`, `nox -s tests`, `nox -s bakeoff`, and the long ones."""

from __future__ import annotations

import os
import shutil

import nox


nox.options.sessions = ["lint", "tests"]
nox.options.reuse_venv = "yes"
nox.options.error_on_external_run = True
nox.options.default_venv_backend = "venv"

EVERYTHING = ".[report,engines,compat,load,gateway]"
LONG = ("tests/chaos", "tests/unit/test_effect_log_bytes.py")
DEV = nox.project.load_toml("pyproject.toml")["dependency-groups"]


def _install(session: nox.Session, *groups: str) -> None:
    session.install("-e", EVERYTHING, *(item for group in groups for item in DEV[group]))


@nox.session
def lint(session: nox.Session) -> None:
    """Ruff with all rules, its formatter, mypy strict, and the import rules."""
    _install(session, "lint", "test")
    session.install("nox")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("mypy")
    session.run("lint-imports")
    session.run("python", "tests/support/names.py")


@nox.session
def tests(session: nox.Session) -> None:
    """All tests, four at a time; what needs an engine that is missing is skipped."""
    _install(session, "test")
    # On two cores: half the time a test of an engine waits for a timer of its server.
    session.run("pytest", "-n", "4", "--dist", "loadgroup", *session.posargs)


@nox.session
def engines(session: nox.Session) -> None:
    """Install the real servers that can be had here (pinned, with checksums)."""
    session.install("-e", ".")
    session.run("bakeoff", "engines", "install", *session.posargs)


@nox.session
def bakeoff(session: nox.Session) -> None:
    """The main job: the standard suite on every runtime that is here, then the report."""
    session.install("-e", EVERYTHING)
    if shutil.which("npm"):
        session.run("bakeoff", "engines", "install", "restate")
    session.run("bakeoff", "run", *session.posargs)


@nox.session
def conformance(session: nox.Session) -> None:
    """Each primitive on each runtime that is here, proven; ends with the table."""
    _install(session, "test")
    session.env["BAKEOFF_CONFORMANCE"] = os.environ.get("BAKEOFF_CONFORMANCE", "1")
    tests = ("pytest", "-n", "2", "--dist", "loadgroup", "tests/conformance")
    session.run(*tests, *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """Print figures with machine and load; none of them is a test."""
    session.install("-e", EVERYTHING)
    session.run("python", "benchmarks/held.py")
    session.run("python", "benchmarks/effect_log.py")
    for script in ("gateway_check", "gateway_call", "gateway_revoke"):
        session.run("python", f"benchmarks/{script}.py")
    session.run("python", "benchmarks/sweeps.py", *session.posargs)


@nox.session
def enumerate(session: nox.Session) -> None:  # noqa: A001 - the command's name
    """Every way to die, to depth two, against the reference's recovery; each safeguard removed."""
    session.install("-e", ".")
    session.run("python", "-m", "runtimes.reference.enumeration", *session.posargs)


@nox.session
def campaign(session: nox.Session) -> None:
    """The long tests: all schedules batch against single, 20 sweeps again, each byte of a log."""
    _install(session, "test")
    session.env["BAKEOFF_CAMPAIGN"] = "1"
    session.run("pytest", "-n", "2", "--dist", "loadgroup", *LONG, *session.posargs)
