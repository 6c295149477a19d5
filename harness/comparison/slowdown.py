"""Whether recovery became slower between two sweeps, beyond noise.

Only single trials count, paired by schedule.  A pair is slower where HEAD takes longer than
``TOLERANCE`` times BASE; where controls ran on both sides, BASE is first multiplied by how much
slower *they* became, which is the machine's doing.  A sign test says whether more pairs are
slower than chance would give.

Recovery is mostly the time that a runtime was told to wait: under unequal settings, profiles or
hosts it is not compared, and that is said.
"""

from __future__ import annotations

import statistics

from collections.abc import Sequence
from dataclasses import dataclass

from harness.comparison.sides import ALPHA, Finding, Side, Weight, chance_of, unclear
from harness.runtime import Kind


TOLERANCE = 1.25
FLOOR_S = 0.05
"""Differences below it are the scheduler's, whatever their ratio."""
MIN_PAIRS = 6
"""With fewer, not even a slowdown in every pair would stand out from chance."""
SINGLE = ("single", "alone")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """Recovery of one runtime from one fault, BASE against HEAD, over pairs of single trials.

    Times are medians in seconds, ``ratio`` is the median of HEAD to BASE, ``machine`` that of
    the controls (``None``: they cannot tell), ``slower`` counts the pairs beyond the tolerance.
    """

    runtime: str
    fault: str
    pairs: int
    base_s: float
    head_s: float
    ratio: float
    machine: float | None
    slower: int
    chance: float


def _times(side: Side) -> dict[tuple[str, ...], float]:
    """Return seconds from fault to first progress (else to the end) of each single trial."""
    found = {}
    for row in side.rows:
        if row["mode"] not in SINGLE or row["outcome"] == "unknown":
            continue
        for name, value in (row["metrics"].get("recovery") or {}).items():
            key = (row["runtime"], row["fault"], row["case"], row["guard"], row["schedule"], name)
            found[key] = float(value)
    return {
        key: value
        for key, value in found.items()
        if key[-1] == "progress_s" or (*key[:-1], "progress_s") not in found
    }


def _unequal(base: Side, head: Side, runtime: str, *, across_hosts: bool) -> list[str]:
    """Return what keeps the recovery of a runtime from being compared."""
    old, new = base.columns.get(runtime, {}), head.columns.get(runtime, {})
    found = []
    if old.get("profile") != new.get("profile"):
        found.append(f"profile {old.get('profile')} in BASE, {new.get('profile')} in HEAD")
    before, after = old.get("settings") or {}, new.get("settings") or {}
    found += [
        f"{name} = {before.get(name)} in BASE, {after.get(name)} in HEAD"
        for name in sorted({*before, *after})
        if before.get(name) != after.get(name)
    ]
    if not across_hosts:
        found += hosts(base, head)
    return found


def hosts(base: Side, head: Side) -> list[str]:
    """Return in what the machines differ; the load at the start is no property of them."""
    old, new = base.facts.get("host") or {}, head.facts.get("host") or {}
    if not old or not new:
        return ["the host is not recorded"]
    return [
        f"host: {name} {old.get(name)} in BASE, {new.get(name)} in HEAD"
        for name in ("system", "cores", "python")
        if old.get(name) != new.get(name)
    ]


def recovery(base: Side, head: Side, *, across_hosts: bool) -> tuple[list[Recovery], list[Finding]]:
    """Return a line for each runtime and fault that can be compared, and what was found."""
    before, after = _times(base), _times(head)
    kinds = {row["runtime"]: row["kind"] for row in head.rows}
    pairs: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for key in sorted(before):
        own = pairs.setdefault((key[0], key[1]), [])
        if key in after:
            own.append((before[key], after[key]))
    yardstick = [
        head_s / base_s
        for (runtime, _), own in pairs.items()
        if kinds.get(runtime) == Kind.CONTROL
        for base_s, head_s in own
        if base_s > 0
    ]
    machine = statistics.median(yardstick) if len(yardstick) >= MIN_PAIRS else None
    lines: list[Recovery] = []
    found: list[Finding] = []
    if across_hosts and (other := hosts(base, head)):
        note = f"recovery is compared though the hosts differ: {'; '.join(other)}"
        found.append(Finding(weight=Weight.NOTED, what="hosts", note=note))
    for (runtime, fault), own in pairs.items():
        if kinds.get(runtime) in {Kind.CONTROL, None}:
            continue  # controls are the yardstick; a runtime that HEAD lost has lost its cells
        place = {"runtime": runtime, "fault": fault}
        if unequal := _unequal(base, head, runtime, across_hosts=across_hosts):
            note = f"not compared: {'; '.join(unequal)}"
            found.append(unclear("recovery", note, **place))
        elif len(own) < MIN_PAIRS:
            note = f"{len(own)} schedules have a single trial on both sides, {MIN_PAIRS} needed"
            found.append(unclear("recovery", f"{note}: run with a larger --sample", **place))
        else:
            line = _line(runtime, fault, own, machine)
            lines.append(line)
            found += [_slower(line)] if line.chance < ALPHA else []
    return lines, found


def _line(
    runtime: str, fault: str, pairs: Sequence[tuple[float, float]], machine: float | None
) -> Recovery:
    limit = TOLERANCE * max(1.0, machine or 1.0)
    slower = sum(head_s > limit * base_s + FLOOR_S for base_s, head_s in pairs)
    return Recovery(
        runtime=runtime,
        fault=fault,
        pairs=len(pairs),
        base_s=statistics.median(base_s for base_s, _ in pairs),
        head_s=statistics.median(head_s for _, head_s in pairs),
        ratio=statistics.median(head_s / max(base_s, 1e-4) for base_s, head_s in pairs),
        machine=machine,
        slower=slower,
        chance=chance_of(slower, len(pairs)),
    )


def _slower(line: Recovery) -> Finding:
    machine = "no controls to tell" if line.machine is None else f"{line.machine:.2f}"
    return Finding(
        weight=Weight.WORSE,
        what="slower",
        note=(
            f"recovery takes {line.ratio:.2f} times as long ({line.base_s:.3g} s in BASE, "
            f"{line.head_s:.3g} s in HEAD); beyond the tolerance in {line.slower} of "
            f"{line.pairs} pairs (chance {line.chance:.2g}; the machine: {machine})"
        ),
        runtime=line.runtime,
        fault=line.fault,
    )
