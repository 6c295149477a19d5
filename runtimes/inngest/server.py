"""The Inngest server: one binary, built from Go modules inside a copy of Inngest's own.

No registry has it as a binary: the npm package only downloads one when it is installed.  And the
module does not compile as it is published: it embeds pages of its website, a git submodule, and
module archives hold no submodules.  One empty page, which only its documentation search would
read, takes that hurdle.
"""

from __future__ import annotations

from importlib.resources import files

from harness.engines import Engine, GoModule


VERSION = "1.43.0"

ENGINE = Engine(
    name="inngest",
    version=VERSION,
    executable="inngest",
    env_binary="BAKEOFF_INNGEST_BIN",
    env_address="BAKEOFF_INNGEST_ADDRESS",
    version_argv=("version",),
    recipe=GoModule(
        module_files=files("runtimes.inngest") / "build",
        copy_of=f"github.com/inngest/inngest@v{VERSION}",
        added={"internal/embeddocs/website/pages/docs/empty.md": ""},
        package="./cmd",
        # Without the version it calls itself dev; its own releases set it like this.
        ldflags=f"-s -w -X github.com/inngest/inngest/pkg/inngest/version.Version={VERSION}",
        typical_s=4 * 60,
    ),
)
