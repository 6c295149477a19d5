"""JUnit for CI: one test case for each cell.

A predicted violation passes, and says so: the test is the instrument's, the violation is
the product's.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

from pathlib import Path

from harness.summary import Cell
from reports.matrix import put
from reports.sheet import Gap, Place, Sheet, place_of
from reports.words import found_in, state_of


_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
SHOWN = 50


def clean(text: str) -> str:
    """Return a text without what XML cannot hold."""
    return _NO_XML.sub("\ufffd", text)


def _case(suite: ET.Element, runtime: str, place: Place) -> ET.Element:
    depth = f" depth {place.depth}" if place.depth > 1 else ""
    return ET.SubElement(
        suite,
        "testcase",
        classname=clean(f"{runtime}.{place.case}"),
        name=clean(f"{place.fault} guard {place.guard}{depth}"),
    )


def _lines(cell: Cell, key: str) -> str:
    rows = [row for row in cell.rows if state_of(row).key == key]
    lines = [f"{row['schedule']}: {found_in(row)} (trials/{row['trial']})" for row in rows[:SHOWN]]
    if len(rows) > SHOWN:
        lines.append(f"and {len(rows) - SHOWN} more")
    return clean("\n".join(lines))


def _measured(suite: ET.Element, sheet: Sheet, cell: Cell) -> None:
    case = _case(suite, cell.runtime, place_of(cell))
    properties = ET.SubElement(case, "properties")
    basis = "sampled" if sheet.sampled(cell) else "enumerated"
    for name, value in (
        ("state", cell.state),
        ("basis", basis),
        ("schedules", cell.schedules),
        ("clean", cell.clean),
        ("escalated", cell.escalated),
        ("violated_as_predicted", cell.predicted),
        ("surprising", cell.surprising),
        ("known", cell.known),
        ("unknown", cell.unknown),
        ("proved_alone", cell.confirmed),
    ):
        ET.SubElement(properties, "property", name=name, value=str(value))
    if cell.surprising:
        message = f"{cell.surprising} of {cell.schedules} schedules contradict the model"
        ET.SubElement(case, "failure", message=message).text = _lines(cell, "surprising")
    elif cell.unknown:
        message = f"{cell.unknown} of {cell.schedules} schedules are unknown"
        ET.SubElement(case, "error", message=message).text = _lines(cell, "unknown")
    for key, number, what, why in (
        ("predicted", cell.predicted, "VIOLATED AS PREDICTED", "as the declared guarantee permits"),
        ("known", cell.known, "KNOWN FAILURE", "listed with where it is told of"),
    ):
        if number:
            text = f"{what}: {number} of {cell.schedules} schedules, {why}\n{_lines(cell, key)}"
            ET.SubElement(case, "system-out").text = text


def _gap(suite: ET.Element, gap: Gap) -> None:
    case = _case(suite, gap.runtime, gap.place)
    change = f"; to measure it: {gap.command}" if gap.command else ""
    ET.SubElement(case, "skipped", message=clean(f"not measured: {gap.reason}{change}"))


def document(sheet: Sheet) -> ET.Element:
    """Return the test suites, one for each runtime."""
    root = ET.Element("testsuites", name="bakeoff")
    gaps = sheet.gaps()
    for column in sheet.columns:
        name = column["runtime"]
        suite = ET.SubElement(root, "testsuite", name=clean(name))
        for cell in sheet.cells:
            if cell.runtime == name:
                _measured(suite, sheet, cell)
        for gap in gaps:
            if gap.runtime == name:
                _gap(suite, gap)
        _count(suite, suite)
    _count(root, root)
    return root


def _count(element: ET.Element, within: ET.Element) -> None:
    for name, path in (
        ("tests", "testcase"),
        ("failures", "failure"),
        ("errors", "error"),
        ("skipped", "skipped"),
    ):
        element.set(name, str(sum(1 for _ in within.iter(path))))


def write(sheet: Sheet) -> Path:
    """Write ``junit.xml``."""
    root = document(sheet)
    ET.indent(root)
    text = ET.tostring(root, encoding="unicode", xml_declaration=False)
    return put(sheet.path / "junit.xml", f'<?xml version="1.0" encoding="utf-8"?>\n{text}\n')
