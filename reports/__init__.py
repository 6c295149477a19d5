"""Readers of the store that people look at: HTML, tables, JUnit, a summary for CI.

They read the store only, and write beside it: raw files are never changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def write(results: Path, beside: Sequence[Path] = ()) -> list[Path]:
    """Write all reports of a results folder, and return their paths, the page first.

    ``beside`` are results with other profiles, whose recovery is shown beside this one's.
    """
    # The report's libraries are an extra: what only lists entry points must not need them.
    from reports import html, junit, markdown, matrix, primitives, runtime, story, trial  # noqa: PLC0415
    from reports.sheet import read  # noqa: PLC0415

    sheet = read(results)
    pages = trial.write(sheet)
    told = story.write(sheet, pages)
    return [
        html.write(sheet, pages, story=bool(told)),
        matrix.write_json(sheet),
        matrix.write_csv(sheet),
        junit.write(sheet),
        markdown.write(sheet),
        primitives.write(sheet),
        *told,
        *runtime.write(sheet, pages, [read(other) for other in beside]),
        *(sheet.path / page for page in pages.values()),
    ]
