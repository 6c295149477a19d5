"""No engine, scenario or step name may occur in ``harness/`` or ``reports/``.

The names are read from the tree itself: the runtimes' folders, the scenarios' files, and
the step names in them.  Run by ``nox -s lint``; exits 1 with a line for each place.
"""

import ast
import re
import sys

from collections.abc import Iterator
from pathlib import Path


ROOT = Path(__file__).parents[2]
# Words of the instrument's own language that a runtime or a scenario is also called by.
OWN_WORDS = {
    "announce",
    "approval",
    "charge",
    "checkpoint",
    "embedded",
    "naive",
    "reference",
    "ship",
}


def names() -> Iterator[str]:
    """Yield what must not be named."""
    for folder in (ROOT / "runtimes").iterdir():
        if (folder / "adapter.py").is_file():
            yield folder.name
    for file in (ROOT / "scenarios").glob("[a-z]*.py"):
        yield file.stem
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id in {"step", "decide"}
                and isinstance(node.args[0], ast.Constant)
            ):
                yield str(node.args[0].value)


def code(file: Path) -> Iterator[tuple[int, str]]:
    """Yield line numbers and the words of identifiers and string constants, not of docs."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    docs = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
            yield node.lineno, node.value
        elif isinstance(node, ast.Name):
            yield node.lineno, node.id
        elif isinstance(node, ast.alias):
            yield node.lineno, node.name


def main() -> int:
    """Print each place where a name occurs; return the exit code."""
    pattern = re.compile(rf"\b({'|'.join(sorted(set(names()) - OWN_WORDS))})\b")
    found = [
        f"{file.relative_to(ROOT)}:{line}: names {match[1]!r}"
        for package in ("harness", "reports")
        for file in sorted((ROOT / package).rglob("*.py"))
        for line, text in code(file)
        if (match := pattern.search(text))
    ]
    print("\n".join(found) or "no engine, scenario or step is named in harness/ or reports/")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
