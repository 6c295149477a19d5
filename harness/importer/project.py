"""What a name stands for, across the files of a code base.

A name is followed through constants, properties, imports, re-exports and the parameters of
wrappers.  Where it cannot be followed (a ``let``, a call, a computed key), the answer says so:
nothing is guessed.
"""

from __future__ import annotations

import os

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from harness.importer.source import (
    FUNCTIONS,
    SUFFIXES,
    Alias,
    Code,
    File,
    bare,
    bindings,
    bound_by,
    declared,
    named,
    parameters,
    parse,
    quoted,
    text,
    walk,
)


SKIPPED = {"node_modules", "dist", "build"}
BLOCKS = {"statement_block", "program", "switch_body"}
DEPTH = 60


@dataclass(frozen=True, slots=True)
class Foreign:
    """What comes from a package, and the properties to take of it."""

    module: str
    name: str
    keys: tuple[str, ...] = ()


@dataclass(slots=True)
class Project:
    """All files of a code base, and the aliases that its configuration gives to modules."""

    root: Path
    files: dict[Path, File] = field(default_factory=dict)
    aliases: list[Alias] = field(default_factory=list)

    @classmethod
    def read(cls, root: Path) -> Project:
        """Parse every TypeScript file below a folder, in a stable order."""
        project = cls(root.resolve())
        for folder, inner, names in os.walk(project.root):
            inner[:] = sorted(n for n in inner if n not in SKIPPED and not n.startswith("."))
            for name in sorted(names):
                path = Path(folder, name)
                if path.suffix in SUFFIXES and not name.endswith(".d.ts"):
                    rel = path.relative_to(project.root).as_posix()
                    project.files[path] = parse(path, rel)
            if "tsconfig.json" in names:
                project.aliases += project._paths(Path(folder))
            if "package.json" in names:
                project.aliases += project._workspace(Path(folder))
        return project

    def _paths(self, folder: Path) -> Iterator[Alias]:
        """Yield the ``paths`` of a ``tsconfig.json``."""
        options = self._configuration(folder / "tsconfig.json").get("compilerOptions", {})
        base = folder / str(options.get("baseUrl", "."))
        for pattern, targets in options.get("paths", {}).items():
            yield from (Alias(folder, pattern, base / target) for target in targets)

    def _workspace(self, folder: Path) -> Iterator[Alias]:
        """Yield what a package of the code base is imported as by the others."""
        package = self._configuration(folder / "package.json")
        name, exports = package.get("name"), package.get("exports", {})
        if not name:
            return
        table = exports if isinstance(exports, dict) else {".": exports}
        for key, target in table.items():
            if isinstance(target, str) and key.startswith("."):
                yield Alias(self.root, f"{name}{key[1:]}", folder / target)
        for place in (package.get("main", "index"), "src/index"):
            yield Alias(self.root, name, folder / str(place))
        for inner in ("", "src"):
            yield Alias(self.root, f"{name}/*", folder / inner / "*")

    def _configuration(self, path: Path) -> dict[str, Any]:
        """Read JSON with comments and trailing commas: that is TypeScript too."""
        file = parse(path, path.name)
        found = next((n for n in walk(file.root) if n.type == "object"), None)
        value = self.value(Code(file, found)) if found else None
        return value if isinstance(value, dict) else {}

    def reduce(self, code: Code, depth: int = DEPTH) -> Code | Foreign | None:
        """Follow names and properties to the expression that they stand for.

        ``keys`` of the answer are what is left to take of it; ``None``: it cannot be told.
        """
        code = replace(code, node=bare(code.node))
        found: Code | Foreign | None = code
        match code.node.type:
            case _ if not depth:
                return None
            case "identifier" | "shorthand_property_identifier":
                found = self._lookup(code)
            case "member_expression":
                inner = code.node.child_by_field_name("object")
                key = text(code.node.child_by_field_name("property"))
                found = replace(code, node=inner, keys=(key,)) if inner else None
            case "object" if code.keys:
                return self._property(code, depth)
            case "program" if code.keys:
                found, code = (
                    self._export(code.file, code.keys[0]),
                    code.at(code.node, *code.keys[1:]),
                )
            case _:
                return code
        if isinstance(found, Code):
            return self.reduce(replace(found, keys=(*found.keys, *code.keys)), depth - 1)
        return replace(found, keys=(*found.keys, *code.keys)) if found else None

    def function(self, code: Code) -> Code | None:
        """Return the function that an expression stands for."""
        found = self.reduce(code)
        whole = isinstance(found, Code) and not found.keys and found.node.type in FUNCTIONS
        return found if isinstance(found, Code) and whole else None

    def enter(self, function: Code, arguments: Sequence[Code]) -> Code:
        """Return a function's code with its parameters bound to arguments."""
        own = {
            name: replace(argument, keys=(*argument.keys, *keys))
            for pattern, argument in zip(parameters(function.node), arguments, strict=False)
            for name, keys in bindings(pattern)
        }
        return replace(function, bound={**function.bound, function.node.id: own})

    def value(self, code: Code) -> Any:  # noqa: ANN401 - as varied as JSON
        """Return a constant expression as JSON; ``<its text>`` where it is none."""
        found = self.reduce(code)
        if isinstance(found, Code) and not found.keys:
            node = found.node
            match node.type:
                case "string" | "number" | "true" | "false" | "null" | "undefined":
                    return _literal(node)
                case "template_string" | "binary_expression":
                    return self._text(found) or f"<{code.text}>"
                case "array":
                    return [self.value(found.at(item)) for item in named(node)]
                case "object":
                    return dict(self._pairs(found))
        return f"<{code.text}>"

    def _pairs(self, code: Code) -> Iterator[tuple[str, Any]]:
        for child in named(code.node):
            if child.type == "spread_element":
                inner = self.value(code.at(named(child)[0]))
                yield from inner.items() if isinstance(inner, dict) else [("...", inner)]
            elif child.type == "method_definition":
                yield quoted(child.child_by_field_name("name")), "<function>"
            else:
                value = child.child_by_field_name("value") or child
                key = child.child_by_field_name("key") or child
                if key.type == "computed_property_name":
                    yield str(self.value(code.at(named(key)[0]))), self.value(code.at(value))
                else:
                    yield quoted(key), self.value(code.at(value))

    def _text(self, code: Code) -> str:
        """Join a template or a sum of constants; empty where a part is none."""
        parts: list[str] = []
        if (
            code.node.type == "binary_expression"
            and text(code.node.child_by_field_name("operator")) != "+"
        ):
            return ""
        for child in named(code.node):
            if child.type in {"string_fragment", "escape_sequence"}:
                parts.append(_literal(child))
                continue
            inner = named(child)[0] if child.type == "template_substitution" else child
            value = self.value(code.at(inner))
            if not isinstance(value, str | int) or str(value).startswith("<"):
                return ""
            parts.append(str(value))
        return "".join(parts)

    def _property(self, code: Code, depth: int) -> Code | Foreign | None:
        """Take the first key of an object literal; later entries win."""
        key, *rest = code.keys
        for child in reversed(named(code.node)):
            if child.type == "spread_element":
                inner = self.reduce(code.at(named(child)[0]), depth - 1)
                if not isinstance(inner, Code) or inner.node.type != "object" or inner.keys:
                    return None
                found = self.reduce(replace(inner, keys=code.keys), depth - 1)
                if found:
                    return found
            elif child.type == "method_definition":
                if quoted(child.child_by_field_name("name")) == key:
                    return code.at(child, *rest)
            elif quoted(child.child_by_field_name("key") or child) == key:
                value = child.child_by_field_name("value") or child
                return self.reduce(code.at(value, *rest), depth - 1)
        return None

    def _lookup(self, code: Code) -> Code | Foreign | None:
        """Find what a name means where it stands: the innermost place that declares it."""
        name, node = text(code.node), code.node.parent
        while node:
            if name in bound_by(node):
                return code.bound.get(node.id, {}).get(name)
            if node.type in BLOCKS:
                for own, value, keys in declared(node):
                    if own == name:
                        return code.at(value, *keys) if value else None
            node = node.parent
        return self._global(code.file, name)

    def _global(self, file: File, name: str) -> Code | Foreign | None:
        for own, value, keys in declared(file.root):
            if own == name:
                return Code(file, value, keys) if value else None
        return self._import(file, *file.imports[name]) if name in file.imports else None

    def _import(self, file: File, specifier: str, name: str) -> Code | Foreign | None:
        other = self._module(file, specifier)
        if other is None:
            return None if specifier.startswith(".") else Foreign(specifier, name)
        return Code(other, other.root) if name == "*" else self._export(other, name)

    def _export(self, file: File, name: str) -> Code | Foreign | None:
        match file.exports.get(name):
            case (str() as specifier, str() as inner):
                return self._import(file, specifier, inner)
            case str() as own:
                return self._global(file, own)
            case None:
                found = (self._import(file, star, name) for star in file.stars)
                return next((code for code in found if isinstance(code, Code)), None)
            case node:
                return Code(file, node)

    def _module(self, file: File, specifier: str) -> File | None:
        places = [file.path.parent / specifier] if specifier.startswith(".") else []
        places += [p for alias in self.aliases if (p := alias.place(file.path, specifier))]
        for place in places:
            stem = place.with_suffix("") if place.suffix in {".js", ".mjs", ".cjs"} else place
            for end in ("", *SUFFIXES, *(f"/index{suffix}" for suffix in SUFFIXES)):
                found = self.files.get(Path(os.path.normpath(f"{stem}{end}")))
                if found:
                    return found
        return None


_ESCAPES = {"\\n": "\n", "\\t": "\t", "\\r": "\r"}


def _literal(node: Any) -> Any:  # noqa: ANN401 - a node and a JSON scalar
    match node.type:
        case "string":
            return "".join(_literal(child) for child in named(node))
        case "escape_sequence":
            return _ESCAPES.get(text(node), text(node)[1:])
        case "number":
            digits = text(node).replace("_", "").lower()
            whole = digits.startswith("0x") or not set(digits) & set(".e")
            return int(digits, 0) if whole else float(digits)
        case "true" | "false":
            return node.type == "true"
        case "null" | "undefined":
            return None
    return text(node)
