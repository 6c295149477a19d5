"""Which lines and branches of ``resume`` the small campaigns leave out; a process of its own.

What is imported before it is measured is not measured: so this is no fixture.
"""

from __future__ import annotations

import json
import sys

from functools import partial
from pathlib import Path

import coverage


sys.path.insert(0, str(Path(__file__).parents[2]))


def main() -> None:
    """Print the lines that were never reached, or never left on one of their ways."""
    measured = coverage.Coverage(
        branch=True, include=["*/runtimes/reference/resume/*"], data_file=None, config_file=False
    )
    measured.start()
    from harness.effects import Tier  # noqa: PLC0415 - measured from here on
    from runtimes.reference.enumeration.campaign import SMALL  # noqa: PLC0415
    from runtimes.reference.enumeration.state import State  # noqa: PLC0415

    for name in sys.argv[1:]:
        for tier in Tier:
            for ended in SMALL[name](partial(State.fresh, tier, fences=True)):
                del ended
    measured.stop()
    left: set[str] = set()
    for module in measured.get_data().measured_files():
        found = measured._analyze(module)
        lines = Path(module).read_text(encoding="utf-8").splitlines()
        missing = {*found.missing, *found.missing_branch_arcs()}
        left |= {f"{Path(module).stem}: {lines[line - 1].strip()}" for line in missing}
    print(json.dumps(sorted(left), indent=1))  # noqa: T201


if __name__ == "__main__":
    main()
