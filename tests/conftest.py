"""What all tests share: the support package, and an empty home for commands."""

from __future__ import annotations

import signal
import sys
import tempfile

from collections.abc import Iterator
from pathlib import Path

import pytest


# importlib mode puts no folder of tests on the path; only the support package needs to be.
sys.path.insert(0, str(Path(__file__).parent))

from support.command import Home


def pytest_configure() -> None:
    """Let Ctrl-C reach the commands under test.

    A shell starts background jobs with SIGINT ignored, and children inherit that.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def base(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Make pytest's own folder before a test has another place for temporary ones."""
    tmp_path_factory.getbasetemp()


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """Lend an empty folder, and see that nothing that was started in it is left running."""
    # Short, because servers put sockets in it, whose paths may have 107 characters.
    with tempfile.TemporaryDirectory(prefix="bo-", dir="/tmp", ignore_cleanup_errors=True) as sites:
        Path(sites).chmod(0o711)  # databases run as another user
        place = Home(tmp_path, Path(sites))
        try:
            yield place
            left = place.left()
        finally:
            place.clear()
        assert left == []
