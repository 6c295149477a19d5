"""The Hatchet server: engine, API and queue in one binary, built from Go modules.

No registry has it as a binary.  It needs two others beside it: one makes its database, the other
its keys and its tokens.  `build/` holds a module of ours whose go.sum began as Hatchet's own,
because the checksum database lacks one of its dependencies.
"""

from __future__ import annotations

from importlib.resources import files

from harness.engines import Engine, GoModule


VERSION = "0.105.0"
MIGRATE, ADMIN = "hatchet-migrate", "hatchet-admin"
COMMANDS = "github.com/hatchet-dev/hatchet/cmd"

ENGINE = Engine(
    name="hatchet",
    version=VERSION,
    executable="hatchet-lite",
    companions=(MIGRATE, ADMIN),
    env_binary="BAKEOFF_HATCHET_BIN",
    env_address="BAKEOFF_HATCHET_ADDRESS",
    version_argv=("--version",),
    recipe=GoModule(
        module_files=files("runtimes.hatchet") / "build",
        package=f"{COMMANDS}/hatchet-lite",
        companions=(f"{COMMANDS}/{MIGRATE}", f"{COMMANDS}/{ADMIN}"),
        ldflags=f"-s -w -X main.Version=v{VERSION}",
        typical_s=4 * 60,
    ),
)
