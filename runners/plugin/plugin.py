"""The options and hooks; everything heavy is imported only where a runtime is named.

``pytest --bakeoff-runtime ./my_runtime.py:RUNTIME my_scenarios.py`` breaks the runtime at
every point of the file's ``SCENARIO``.  Without ``--bakeoff-runtime`` the plugin does nothing.
"""

from __future__ import annotations

import pytest


DEFAULT_RESULTS = "results/pytest"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("bakeoff", "break durable runtimes at every point (bakeoff)")
    group.addoption(
        "--bakeoff-runtime",
        action="append",
        default=[],
        metavar="RUNTIME",
        help="a name, module:attribute, or ./file.py:NAME; may be repeated",
    )
    group.addoption(
        "--bakeoff-scenario",
        action="append",
        default=[],
        metavar="CASE",
        help="NAME, NAME[TIER,variant] or ./file.py[TIER], beside the collected files",
    )
    group.addoption(
        "--bakeoff-fault",
        action="append",
        default=[],
        metavar="FAULT",
        help="only these faults, e.g. 'kill(worker)'; may be repeated",
    )
    group.addoption(
        "--bakeoff-profile",
        default="fast",
        metavar="PROFILE",
        help="settings that govern recovery (fast)",
    )
    group.addoption(
        "--bakeoff-guard",
        choices=["none", "keys"],
        default="none",
        help="how effects are guarded (none)",
    )
    group.addoption(
        "--bakeoff-accept-predicted",
        action="store_true",
        help="violations that the runtime's own guarantee predicts do not fail",
    )
    group.addoption(
        "--bakeoff-results",
        default=DEFAULT_RESULTS,
        metavar="DIR",
        help=f"where the evidence goes ({DEFAULT_RESULTS})",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Look up what is asked for.

    Raises:
        pytest.UsageError: something of it does not exist.

    """
    if not config.getoption("bakeoff_runtime"):
        for name in ("scenario", "fault"):
            if config.getoption(f"bakeoff_{name}"):
                msg = f"--bakeoff-{name} needs --bakeoff-runtime: which runtime is to be broken?"
                raise pytest.UsageError(msg)
        return
    from runners.plugin.collect import Asked, Collection  # noqa: PLC0415 - heavy

    if not config.pluginmanager.hasplugin("xdist"):
        line = "xdist_group(name): items of one runtime share its servers"
        config.addinivalue_line("markers", line)
    config.pluginmanager.register(Collection(Asked.of(config)), "bakeoff-collection")
