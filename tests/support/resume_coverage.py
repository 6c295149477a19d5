"""Which lines and branches of ``resume`` the small campaigns leave out; a process of its own.

What is imported before it is measured is not measured: so this is no fixture.
"""

from __future__ import annotations

import json
import sys

from functools import partial

import coverage


def main() -> None:
    """Print a list of lines and branches (``[from, to]``) by module that were never reached."""
    measured = coverage.Coverage(
        branch=True, include=["*/runtimes/reference/resume/*"], data_file=None, config_file=False
    )
    measured.exclude(r"^    def \w+\(.*\) -> .*: \.\.\.$|^    async def \w+\(.*\) -> .*: \.\.\.$")
    measured.start()
    from harness.effects import Tier  # noqa: PLC0415 - measured from here on
    from runtimes.reference.enumeration.campaign import SMALL  # noqa: PLC0415
    from runtimes.reference.enumeration.life import State  # noqa: PLC0415

    for name in sys.argv[1:]:
        for tier in Tier:
            for ended in SMALL[name](partial(State.fresh, tier, fences=True)):
                del ended
    measured.stop()
    left = {}
    for module in measured.get_data().measured_files():
        found = measured._analyze(module)
        arcs = [[begin, end] for begin, ends in found.missing_branch_arcs().items() for end in ends]
        left[module.rpartition("/")[2]] = [*sorted(found.missing), *sorted(arcs)]
    print(json.dumps({name: lines for name, lines in left.items() if lines}))  # noqa: T201


if __name__ == "__main__":
    main()
