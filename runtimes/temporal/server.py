"""The Temporal server: the dev server inside Temporal's command line tool, built from Go modules.

No registry has it as a binary, and `go install` refuses the module because its go.mod replaces
a dependency by a folder.  `build/` holds a module of ours that names that dependency properly;
its go.sum pins all of them.
"""

from __future__ import annotations

from importlib.resources import files

from harness.engines import Engine, GoModule


VERSION = "1.8.2"

ENGINE = Engine(
    name="temporal",
    version=VERSION,
    executable="temporal",
    env_binary="BAKEOFF_TEMPORAL_BIN",
    env_address="BAKEOFF_TEMPORAL_ADDRESS",
    version_argv=("--version",),
    recipe=GoModule(
        module_files=files("runtimes.temporal") / "build",
        package="github.com/temporalio/cli/cmd/temporal",
        # Without the version it calls itself 0.0.0-DEV; its own releases set it like this.
        ldflags=f"-s -w -X github.com/temporalio/cli/internal/temporalcli.Version={VERSION}",
        typical_s=7 * 60,
    ),
)
