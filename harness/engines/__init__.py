"""Where the binaries of real servers come from.

A sweep against a real server needs that server on this machine, in a known version, without
containers and without root.  Asking people to find and install it themselves ends in other
versions than the ones that were tested, and in half-made files after an interrupted download.

So a server package declares an `Engine`: a pinned version, and a `Recipe` that makes the binary
from a package registry.  `install` runs the recipe in a folder of its own and puts the result in
place in one move, `locate` says which binary or deployment a sweep is going to use, and neither
ever trusts a file that it cannot vouch for.
"""

from harness.engines.cache import install, remove, root
from harness.engines.child import EngineError
from harness.engines.engine import (
    DamagedError,
    Engine,
    Found,
    Progress,
    Recipe,
    Source,
    engines,
)
from harness.engines.gomodule import GoModule
from harness.engines.locate import Search, locate, search
from harness.engines.npm import NpmBinary


__all__ = [
    "DamagedError",
    "Engine",
    "EngineError",
    "Found",
    "GoModule",
    "NpmBinary",
    "Progress",
    "Recipe",
    "Search",
    "Source",
    "engines",
    "install",
    "locate",
    "remove",
    "root",
    "search",
]
