"""When the garbage collector looks.

What a log knows of its runs lives as long as they do.  The collector would go over it after every
few hundred new objects, and find nothing: a tenth of what an effect costs where many runs share a
commit.
"""

from __future__ import annotations

import gc


YOUNG, OLDER = 50_000, 20
"""After so many new objects it looks at these, and at older ones every so many times."""


def seldom() -> None:
    """Have it look seldom from now on, and never again at what is there already."""
    gc.freeze()
    gc.set_threshold(YOUNG, OLDER, OLDER)
