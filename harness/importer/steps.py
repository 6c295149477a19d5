"""The durable calls of a handler, wherever its step object goes.

Every name is either a *path* from the handler's context (``step``, ``step.run``) or nothing of
interest.  A path is followed through aliases, destructuring, parameters and helper functions;
where the step object goes out of sight, that place is written down as undecided.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from tree_sitter import Node

from harness.importer.project import BLOCKS, Project
from harness.importer.source import (
    FUNCTIONS,
    Code,
    bare,
    bindings,
    bound_by,
    declared,
    named,
    parameters,
    quoted,
    text,
    walk,
)


STEP = "step"
EMIT = "sendEvent"
PARALLEL = "parallel"
TOGETHER = {f"Promise.{name}" for name in ("all", "allSettled", "race", "any")}

Path = tuple[str, ...]
Paths = Mapping[str, Path]


@dataclass(frozen=True, slots=True)
class Doubt:
    """A place that could not be decided, and why."""

    at: str
    text: str
    why: str


@dataclass(slots=True)
class Handler:
    """What one handler does; ``calls`` are call sites, each counted once."""

    project: Project
    calls: dict[tuple[str, int], str] = field(default_factory=dict)
    emits: list[str] = field(default_factory=list)
    doubts: list[Doubt] = field(default_factory=list)
    seen: set[tuple[str, int, tuple[tuple[str, Path], ...]]] = field(default_factory=set)
    pending: set[str] = field(default_factory=set)

    def counts(self) -> dict[str, int]:
        """Return the number of call sites of each kind."""
        return dict(sorted(Counter(self.calls.values()).items()))

    def read(self, function: Code) -> None:
        """Follow a handler from its first parameter, the context."""
        first = parameters(function.node)[:1]
        self.enter(function, dict(self._bound(first[0], ())) if first else {})

    def enter(self, function: Code, paths: Paths) -> None:
        """Follow the body of a function whose parameters have these paths."""
        key = (function.file.rel, function.node.id, tuple(sorted(paths.items())))
        body = function.node.child_by_field_name("body")
        if body and key not in self.seen:
            self.seen.add(key)
            self.follow(function.at(body), paths)

    def follow(self, code: Code, paths: Paths) -> None:
        """Follow a node and what is below it."""
        node = code.node
        if node.type in BLOCKS:
            self._block(code, paths)
        elif node.type == "call_expression":
            self._call(code, paths)
        elif node.type == "variable_declarator":
            self._declarator(code, paths)
        elif hidden := set(bound_by(node)):
            body = node.child_by_field_name("body") if node.type in FUNCTIONS else None
            inner = {name: path for name, path in paths.items() if name not in hidden}
            for child in [body] if body else named(node):
                self.follow(code.at(child), inner)
        elif self.path(node, paths) is not None:
            if self._matters(self.path(node, paths)):
                self.doubt(code, f"the {STEP} object goes where it cannot be followed")
        else:
            for child in named(node):
                self.follow(code.at(child), paths)

    def path(self, node: Node, paths: Paths) -> Path | None:
        """Return the path of an expression, if it comes from the context."""
        node = bare(node)
        match node.type:
            case "identifier" | "shorthand_property_identifier":
                return paths.get(text(node))
            case "member_expression":
                inner = node.child_by_field_name("object")
                path = self.path(inner, paths) if inner else None
                key = text(node.child_by_field_name("property"))
                return None if path is None else (*path, key)
            case "subscript_expression":
                inner, index = (node.child_by_field_name(n) for n in ("object", "index"))
                path = self.path(inner, paths) if inner else None
                known = index is not None and index.type == "string"
                return None if path is None else (*path, quoted(index) if known else "[]")
        return None

    def doubt(self, code: Code, why: str) -> None:
        """Write down a place that cannot be decided."""
        found = Doubt(code.place, code.text[:80], why)
        if found not in self.doubts:
            self.doubts.append(found)

    def _matters(self, path: Path | None) -> bool:
        return path is not None and (not path or path[0] == STEP)

    def _bound(self, pattern: Node, path: Path) -> Iterator[tuple[str, Path]]:
        """Yield names of a pattern that matter, with their paths."""
        for name, keys in bindings(pattern):
            whole = (*path, *keys)
            if self._matters(whole):
                yield name, whole

    def _block(self, code: Code, paths: Paths) -> None:
        inner = dict(paths)
        for name, _, _ in declared(code.node):
            inner.pop(name, None)
        for child in named(code.node):
            self.follow(code.at(child), inner)
            for declarator in named(child) if child.type.endswith("_declaration") else ():
                pattern = declarator.child_by_field_name("name")
                value = declarator.child_by_field_name("value")
                path = self.path(value, inner) if value else None
                if declarator.type == "variable_declarator" and pattern and path is not None:
                    inner.update(self._bound(pattern, path))

    def _declarator(self, code: Code, paths: Paths) -> None:
        pattern, value = (code.node.child_by_field_name(n) for n in ("name", "value"))
        if not value or self.path(value, paths) is not None:
            return
        before = len(self.calls)
        self.follow(code.at(value), paths)
        if pattern and len(self.calls) > before:
            self.pending.update(name for name, _ in bindings(pattern))

    def _call(self, code: Code, paths: Paths) -> None:
        callee = code.node.child_by_field_name("function")
        arguments = named(code.node.child_by_field_name("arguments"))
        path = self.path(callee, paths) if callee else None
        if callee and path is not None and path[:1] == (STEP,) and len(path) > 1:
            self._step(code, ".".join(path[1:]), arguments, paths)
            return
        if callee and text(callee) in TOGETHER:
            self._together(code, arguments, paths)
            return
        given = [self._given(argument, paths) for argument in arguments]
        if callee and any(given):
            self._helper(code, callee, arguments, given)
        for argument, known in zip(arguments, given, strict=True):
            if not known:
                self.follow(code.at(argument), paths)
        if callee and path is None:
            self.follow(code.at(callee), paths)

    def _step(self, code: Code, name: str, arguments: list[Node], paths: Paths) -> None:
        if "[]" in name:
            self.doubt(code, f"which method of the {STEP} object is called is computed")
        else:
            self.calls[code.file.rel, code.node.start_byte] = name
        if name == EMIT and len(arguments) > 1:
            value = self.project.value(code.at(arguments[1]))
            for event in value if isinstance(value, list) else [value]:
                known = isinstance(event, dict) and event.get("name")
                emitted = str(known or (event if isinstance(event, str) else "<computed>"))
                if emitted not in self.emits:
                    self.emits.append(emitted)
        for argument in arguments:
            self.follow(code.at(argument), paths)

    def _together(self, code: Code, arguments: list[Node], paths: Paths) -> None:
        before = len(self.calls)
        for argument in arguments:
            self.follow(code.at(argument), paths)
        names = {text(n) for a in arguments for n in walk(a) if n.type == "identifier"}
        if len(self.calls) > before or names & self.pending:
            self.calls[code.file.rel, code.node.start_byte] = PARALLEL

    def _given(self, argument: Node, paths: Paths) -> dict[Path, Path]:
        """Return the paths that an argument hands over, by the properties they are under."""
        path = self.path(argument, paths)
        if path is not None:
            return {(): path} if self._matters(path) else {}
        found: dict[Path, Path] = {}
        for child in named(bare(argument)) if bare(argument).type == "object" else ():
            value = child.child_by_field_name("value") or child
            path = self.path(value, paths)
            if path is not None and self._matters(path):
                found[quoted(child.child_by_field_name("key") or child),] = path
        return found

    def _helper(
        self, code: Code, callee: Node, arguments: list[Node], given: list[dict[Path, Path]]
    ) -> None:
        """Follow the step object into the function that it is handed to."""
        function = self.project.function(code.at(callee))
        if function is None:
            self.doubt(code, f"the {STEP} object is handed to what is not in this code base")
            return
        inner: dict[str, Path] = {}
        for pattern, handed in zip(parameters(function.node), given, strict=False):
            for name, keys in bindings(pattern):
                for under, path in handed.items():
                    if keys[: len(under)] == under:
                        whole = (*path, *keys[len(under) :])
                        inner.update({name: whole} if self._matters(whole) else {})
                    elif not keys:
                        self.doubt(code, f"the {STEP} object is handed over inside another object")
        entered = self.project.enter(function, [code.at(a) for a in arguments])
        self.enter(replace(entered, keys=()), inner)
