"""From the TypeScript code of durable functions to a profile of what they ask of an engine.

What is read: each function's configuration and triggers, and each call of its step object.
What cannot be decided (a configuration from a package, a step object that goes out of sight) is
listed under ``undecided``; nothing is guessed.  The words to look for are data
(``scenarios/data/vocabulary.toml``, ``[code]``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from tree_sitter import Node

from harness.importer.project import Foreign, Project
from harness.importer.source import FUNCTIONS, IDENTIFIERS, Code, bound_by, named, text, walk
from harness.importer.steps import Doubt, Handler


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """What to look for: functions are made by ``create`` of a ``client`` of ``module``."""

    module: str
    client: str
    create: str


@dataclass(slots=True)
class Importer:
    """One pass over a code base."""

    project: Project
    words: Words
    workflows: list[dict[str, Any]] = field(default_factory=list)
    doubts: list[Doubt] = field(default_factory=list)

    def read(self) -> None:
        """Read every function of every file."""
        for file in self.project.files.values():
            if file.root.has_error:
                line = next(n for n in walk(file.root) if n.is_error or n.is_missing)
                self.doubt(Code(file, line), "this is no TypeScript that can be parsed")
            for node in walk(file.root):
                if node.type == "call_expression":
                    self.call(Code(file, node))

    def doubt(self, code: Code, why: str) -> None:
        """Write down a place that cannot be decided."""
        self.doubts.append(Doubt(code.place, code.text[:80], why))

    def call(self, code: Code) -> None:
        """Read a call, if it makes a function."""
        callee = code.node.child_by_field_name("function")
        found = self.project.reduce(code.at(callee)) if callee else None
        made = isinstance(found, Code) and found.keys == (self.words.create,)
        if isinstance(found, Code) and made and self.client(found):
            for bound in self.contexts(code):
                self.function(bound)
        elif made or text(callee).endswith(f".{self.words.create}"):
            self.doubt(code, f"what {self.words.create} is called on cannot be told")

    def client(self, code: Code) -> bool:
        """Say whether an expression makes a client."""
        maker = code.node.child_by_field_name("constructor")
        found = self.project.reduce(code.at(maker)) if maker else None
        if not isinstance(found, Foreign) or found.module != self.words.module:
            return False
        whole = found.keys if found.name == "*" else (found.name, *found.keys)
        return whole == (self.words.client,)

    def contexts(self, code: Code) -> Iterator[Code]:
        """Yield a call as often as the wrapper around it is called, with its arguments bound."""
        wrapper = self.wrapper(code)
        if wrapper is None:
            yield code
            return
        callers = 0
        for file in self.project.files.values():
            for node in walk(file.root):
                callee = node.child_by_field_name("function")
                if node.type != "call_expression" or callee is None:
                    continue
                found = self.project.function(Code(file, callee))
                if found and found.node == wrapper:
                    callers += 1
                    given = named(node.child_by_field_name("arguments"))
                    entered = self.project.enter(found, [Code(file, item) for item in given])
                    yield replace(code, bound=entered.bound)
        if not callers:
            self.doubt(code, "it depends on the parameters of a function that nobody calls by name")

    def wrapper(self, code: Code) -> Node | None:
        """Return the function whose parameters a call's arguments depend on."""
        used = set()
        for argument in named(code.node.child_by_field_name("arguments")):
            below = list(walk(argument))
            if argument.type in FUNCTIONS:  # of a handler in place, only what it calls
                calls = (n for n in below if n.type == "call_expression")
                used |= {text(call.child_by_field_name("function")) for call in calls}
            else:
                used |= {text(n) for n in below if n.type in IDENTIFIERS}
        node: Node | None = code.node.parent
        while node:
            if node.type in FUNCTIONS and used & set(bound_by(node)):
                return node
            node = node.parent
        return None

    def function(self, code: Code) -> None:
        """Read a function: configuration, triggers (an argument or in it), handler."""
        before = len(self.doubts)
        arguments = [code.at(item) for item in named(code.node.child_by_field_name("arguments"))]
        config = self.project.value(arguments[0]) if arguments else None
        if not isinstance(config, dict) or not arguments[1:]:
            self.doubt(code, "its configuration is no object that can be read")
            return
        if "..." in config:
            self.doubt(code, f"its configuration takes in {config.pop('...')}, which may say more")
        ident = str(config.pop("id", "<none>"))
        inside = config.pop("triggers", [])
        between = arguments[1:-1]
        triggers = self.project.value(between[0]) if between else inside
        handler = Handler(self.project)
        body = self.handler(arguments[-1])
        if body:
            handler.read(body)
        else:
            self.doubt(arguments[-1], f"the handler of {ident} cannot be found")
        profile = {**self.triggers(code, triggers), "steps": handler.counts(), **config}
        if isinstance(profile.get("concurrency"), int | dict):
            profile["concurrency"] = [profile["concurrency"]]
        if "onFailure" in profile:
            profile["onFailure"] = True
        profile |= {"emits": handler.emits} if handler.emits else {}
        self.doubts += handler.doubts
        workflow = {"id": ident, "at": code.place, "profile": profile}
        if self.doubts[before:]:
            workflow["undecided"] = [f"{doubt.at}: {doubt.why}" for doubt in self.doubts[before:]]
        self.workflows.append(workflow)

    def triggers(self, code: Code, value: Any) -> dict[str, list[str]]:  # noqa: ANN401 - JSON
        """Sort triggers into events and crons."""
        found: dict[str, list[str]] = {"events": [], "crons": []}
        for trigger in value if isinstance(value, list) else [value]:
            kind = next(
                (k for k in ("event", "cron") if isinstance(trigger, dict) and k in trigger), ""
            )
            if kind:
                found[f"{kind}s"].append(str(trigger[kind]))
            else:
                self.doubt(code, f"a trigger cannot be read: {trigger}")
        return {kind: names for kind, names in found.items() if names}

    def handler(self, code: Code) -> Code | None:
        """Return the handler's function: named, in place, or what a wrapper returns."""
        found = self.project.reduce(code)
        if not isinstance(found, Code) or found.keys:
            return None
        if found.node.type in FUNCTIONS:
            return found
        callee = found.node.child_by_field_name("function")
        outer = self.project.function(found.at(callee)) if callee else None
        if outer is None:
            return None
        given = named(found.node.child_by_field_name("arguments"))
        entered = self.project.enter(outer, [found.at(item) for item in given])
        body = outer.node.child_by_field_name("body")
        if body and body.type == "statement_block":
            returned = [
                named(s)[0] for s in named(body) if s.type == "return_statement" and named(s)
            ]
            body = returned[0] if len(returned) == 1 else None
        return self.project.function(entered.at(body)) if body else None


def read(folder: Path, words: Words) -> dict[str, Any]:
    """Return the profile of a code base as JSON.

    ``counts`` are call sites of the whole; each of ``workflows`` has its own.
    """
    importer = Importer(Project.read(folder), words)
    importer.read()
    return {
        "source": "call sites of a TypeScript code base, counted by `bakeoff import`",
        "files": len(importer.project.files),
        "counts": counts(importer.workflows),
        "undecided": [asdict(doubt) for doubt in importer.doubts],
        "workflows": importer.workflows,
    }


def counts(workflows: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Return how often each word is used: steps by call site, configuration by function."""
    total: Counter[str] = Counter(functions=len(workflows))
    for workflow in workflows:
        profile = workflow["profile"]
        total.update({f"step.{name}": n for name, n in profile["steps"].items()})
        total["event_triggers"] += len(profile.get("events", ()))
        total["cron_triggers"] += len(profile.get("crons", ()))
        said = {name for name, value in profile.items() if value != 0}
        total.update(f"fn_{name}" for name in said - _NOT_COUNTED)
    return {name: n for name, n in sorted(total.items()) if n}


_NOT_COUNTED = {"events", "crons", "steps", "emits"}
