"""One backend for each runtime, and the table at the end."""

from __future__ import annotations

import os

from collections.abc import Iterator
from pathlib import Path

import pytest

from conformance.columns import ASKED
from conformance.ledger import Ledger
from conformance.stand import Stand, opened
from support.campaign import runtime

from harness.runtime import RuntimeUnavailableError


# What a check compares is to be told when it differs.
pytest.register_assert_rewrite("conformance.checks")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add where the results go."""
    parser.addoption("--conformance-out", help="the JSON file of the results")


def _ledger(config: pytest.Config) -> Ledger | None:
    """Return where results are kept; a plain test run keeps none."""
    default = "results/conformance.json" if ASKED else ""
    given = config.getoption("--conformance-out", default=None)
    path = given or os.environ.get("BAKEOFF_CONFORMANCE_OUT", default)
    return Ledger(Path(path)) if path else None


@pytest.fixture(scope="session")
def ledger(pytestconfig: pytest.Config) -> Ledger | None:
    """Return where results are kept, if anywhere."""
    return _ledger(pytestconfig)


@pytest.fixture(scope="module")
def stand(
    request: pytest.FixtureRequest,
    ledger: Ledger | None,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Stand]:
    """Lend a runtime that serves; its earlier results are forgotten."""
    one = runtime(request.param)
    if getattr(one, "scenarios", None) is not None:
        pytest.skip("it runs workflows written by hand, and no program of a check")
    try:
        with opened(one, tmp_path_factory.mktemp(one.name)) as started:
            if ledger:
                ledger.begin(one.name, one.version(), started.profile)
            yield started
    except RuntimeUnavailableError as error:
        pytest.skip(str(error))


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Print the table of what was proven."""
    if (ledger := _ledger(config)) and ledger.path.exists():
        terminalreporter.section("conformance")
        for line in ledger.table():
            terminalreporter.write_line(line)
        terminalreporter.write_line(f"kept in {ledger.path}")
