"""TypeScript files as syntax trees: a real parser, so that comments and strings are no calls."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from tree_sitter import Language, Node, Parser
from tree_sitter_typescript import language_tsx, language_typescript


SUFFIXES = (".ts", ".tsx", ".mts", ".cts")
FUNCTIONS = {
    "arrow_function",
    "function_declaration",
    "function_expression",
    "generator_function",
    "generator_function_declaration",
    "method_definition",
}
IDENTIFIERS = {"identifier", "shorthand_property_identifier"}
_WRAPPED = {
    "parenthesized_expression",
    "as_expression",
    "satisfies_expression",
    "non_null_expression",
}


@dataclass(slots=True)
class File:
    """A parsed file.

    An import is a specifier and a name (``*``: all of it).  An export is that, or a name of the
    file itself, or an expression; ``stars`` are the modules that are re-exported as a whole.
    """

    path: Path
    rel: str
    root: Node
    imports: dict[str, tuple[str, str]] = field(default_factory=dict)
    exports: dict[str, Node | str | tuple[str, str]] = field(default_factory=dict)
    stars: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Code:
    """A node in its file; ``keys`` are the properties to take of it.

    ``bound`` are the arguments of the wrappers that it stands in, by function and parameter.
    """

    file: File
    node: Node
    keys: tuple[str, ...] = ()
    bound: Mapping[int, Mapping[str, Code]] = field(default_factory=dict)

    def at(self, node: Node, *keys: str) -> Code:
        """Return another node of the same file and wrappers."""
        return replace(self, node=node, keys=keys)

    @property
    def place(self) -> str:
        """Return ``file:line``."""
        return f"{self.file.rel}:{self.node.start_point.row + 1}"

    @property
    def text(self) -> str:
        """Return the source on one line."""
        return " ".join(text(self.node).split())


@dataclass(frozen=True, slots=True)
class Alias:
    """A module path that stands for files: ``pattern`` and ``target`` may have one ``*``.

    It holds for the files below ``scope``.
    """

    scope: Path
    pattern: str
    target: Path

    def place(self, file: Path, specifier: str) -> Path | None:
        """Return what a specifier in a file stands for, if this alias is meant."""
        head, star, tail = self.pattern.partition("*")
        fits = specifier.startswith(head) and specifier.endswith(tail) if star else False
        if not file.is_relative_to(self.scope) or not (fits or specifier == self.pattern):
            return None
        middle = specifier[len(head) : len(specifier) - len(tail)] if star else ""
        return Path(str(self.target).replace("*", middle))


def text(node: Node | None) -> str:
    """Return the source of a node."""
    return (node.text or b"").decode(errors="replace") if node else ""


def quoted(node: Node | None) -> str:
    """Return the source of a name, without quotes if it has any."""
    return text(node).strip("'\"`")


def named(node: Node | None) -> list[Node]:
    """Return the children of a node, without punctuation and comments."""
    return [child for child in node.named_children if child.type != "comment"] if node else []


def bare(node: Node) -> Node:
    """Return an expression without parentheses, casts and assertions."""
    while node.type in _WRAPPED:
        node = named(node)[0]
    return node


def walk(node: Node) -> Iterator[Node]:
    """Yield a node and all below it, in the order of the text."""
    todo = [node]
    while todo:
        current = todo.pop()
        yield current
        todo += reversed(current.children)


def parameters(function: Node) -> list[Node]:
    """Return the patterns of a function's parameters."""
    single = function.child_by_field_name("parameter")
    if single:
        return [single]
    found = named(function.child_by_field_name("parameters"))
    return [child.child_by_field_name("pattern") or child for child in found]


def bindings(pattern: Node, keys: tuple[str, ...] = ()) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the names that a pattern binds, each with the properties that it takes."""
    match pattern.type:
        case "identifier":
            yield text(pattern), keys
        case "shorthand_property_identifier_pattern":
            yield text(pattern), (*keys, text(pattern))
        case "pair_pattern":
            value = pattern.child_by_field_name("value")
            if value:
                yield from bindings(value, (*keys, quoted(pattern.child_by_field_name("key"))))
        case "object_assignment_pattern" | "assignment_pattern" | "rest_pattern":
            yield from bindings(named(pattern)[0], keys)
        case "object_pattern":
            for child in named(pattern):
                yield from bindings(child, keys)
        case "array_pattern":
            for child in named(pattern):
                yield from bindings(child, (*keys, "[]"))


def declared(block: Node) -> Iterator[tuple[str, Node | None, tuple[str, ...]]]:
    """Yield the names that a block declares: the value (none: it may change), its properties."""
    for child in named(block):
        yield from _declares(child.child_by_field_name("declaration") or child)


def _declares(statement: Node) -> Iterator[tuple[str, Node | None, tuple[str, ...]]]:
    if statement.type in FUNCTIONS:
        yield text(statement.child_by_field_name("name")), statement, ()
    elif statement.type == "class_declaration":
        yield text(statement.child_by_field_name("name")), None, ()
    elif statement.type in {"lexical_declaration", "variable_declaration"}:
        constant = text(statement).startswith("const")
        for declarator in named(statement):
            pattern = declarator.child_by_field_name("name")
            value = declarator.child_by_field_name("value") if constant else None
            for name, keys in bindings(pattern) if pattern else ():
                yield name, value, keys


def bound_by(node: Node) -> Iterator[str]:
    """Yield the names that a function, a loop or a ``catch`` binds for what it contains."""
    patterns = parameters(node) if node.type in FUNCTIONS else []
    if node.type in {"for_in_statement", "catch_clause"}:
        pattern = node.child_by_field_name("left") or node.child_by_field_name("parameter")
        patterns += [pattern] if pattern else []
    for pattern in patterns:
        yield from (name for name, _ in bindings(pattern))
    if node.type == "for_statement":
        yield from (name for name, _, _ in declared(node))


def parse(path: Path, rel: str) -> File:
    """Parse a file, and note what it imports and exports."""
    tsx = path.suffix == ".tsx"
    language = Language(language_tsx() if tsx else language_typescript())
    file = File(path, rel, Parser(language).parse(path.read_bytes()).root_node)
    for statement in named(file.root):
        source = quoted(statement.child_by_field_name("source"))
        if statement.type == "import_statement":
            _imports(file, statement, source)
        elif statement.type == "export_statement":
            _exports(file, statement, source)
    return file


def _imports(file: File, statement: Node, source: str) -> None:
    for node in walk(statement):
        match node.type:
            case "import_specifier":
                name = node.child_by_field_name("name")
                own = node.child_by_field_name("alias") or name
                file.imports[text(own)] = (source, quoted(name))
            case "namespace_import":
                file.imports[text(named(node)[0])] = (source, "*")
            case "identifier" if node.parent and node.parent.type == "import_clause":
                file.imports[text(node)] = (source, "default")


def _exports(file: File, statement: Node, source: str) -> None:
    value = statement.child_by_field_name("value")
    if value:
        file.exports["default"] = value
    by_default = any(child.type == "default" for child in statement.children)
    holder = statement.child_by_field_name("declaration")
    if holder and by_default:
        file.exports["default"] = holder
    elif holder:
        file.exports.update((name, name) for name, _, _ in _declares(holder))
    for clause in named(statement):
        if clause.type == "namespace_export":
            file.exports[text(named(clause)[0])] = (source, "*")
        for item in named(clause) if clause.type == "export_clause" else ():
            name = quoted(item.child_by_field_name("name"))
            outer = quoted(item.child_by_field_name("alias")) or name
            file.exports[outer] = (source, name) if source else name
    if source and any(child.type == "*" for child in statement.children):
        file.stars.append(source)
