"""A check for each primitive: a function of its name."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

from conformance.checks import ends, events, limits, starts, values, waits
from conformance.kit import Kit

from harness.policy import PRIMITIVES


Check = Callable[[Kit], str | None]
"""It asserts; what it returns is said beside the result, and judges nothing."""
MODULES: tuple[ModuleType, ...] = (values, waits, events, starts, limits, ends)
CHECKS: dict[str, Check] = {
    name: getattr(module, name)
    for name in PRIMITIVES
    for module in MODULES
    if hasattr(module, name) and getattr(module, name).__module__ == module.__name__
}
