"""What the checks have proven, in one JSON file that several processes add to."""

from __future__ import annotations

import io
import json
import os
import re
import tokenize

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock

from harness.cli.bench import host
from harness.load import names
from harness.policy import PRIMITIVES
from harness.process import ProcessError
from harness.runtime import Support


RUNTIMES = Path(__file__).parents[2] / "runtimes"
PATH = re.compile(r"(?<![\w.:/])/(?:[^\s/'\":,;()]+/)+")
"""The folders of an absolute path; what is left is the file's name."""
NO_CODE = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENCODING,
    tokenize.ENDMARKER,
}


@dataclass(frozen=True, slots=True)
class Proof:
    """What one check has shown.

    ``lines`` is the size of the emulation that it rests on, ``checked`` what the check sees.
    """

    support: Support
    evidence: str
    lines: int
    note: str
    checked: str


@dataclass(frozen=True, slots=True)
class Ledger:
    """The file; each change is atomic, and one process at a time makes it."""

    path: Path

    @contextmanager
    def _changed(self) -> Iterator[dict[str, Any]]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{self.path}.lock"):
            data = self.read()
            yield data
            data |= {"when": datetime.now(UTC).isoformat(timespec="seconds"), "host": host()}
            draft = self.path.with_suffix(".new")
            draft.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")
            os.replace(draft, self.path)

    def read(self) -> dict[str, Any]:
        """Return what is known."""
        if not self.path.exists():
            return {"runtimes": {}}
        data: dict[str, Any] = json.loads(self.path.read_text(encoding="utf-8"))
        return data

    def begin(self, runtime: str, version: str, profile: str) -> None:
        """Forget what was known of a runtime of another version or profile."""
        with self._changed() as data:
            known = data["runtimes"].setdefault(runtime, {})
            if (known.get("version"), known.get("profile")) != (version, profile):
                known |= {"version": version, "profile": profile}
                known |= {"primitives": {}, "unmeasured": {}}

    def forget(self, runtime: str, primitive: str, reason: str) -> None:
        """Forget what was known of a primitive, and keep why it is not measured."""
        with self._changed() as data:
            known = data["runtimes"][runtime]
            known["primitives"].pop(primitive, None)
            known.setdefault("unmeasured", {})[primitive] = cleaned(reason)

    def add(self, runtime: str, primitive: str, proof: Proof) -> None:
        """Keep what a check has shown."""
        with self._changed() as data:
            known = data["runtimes"][runtime]
            known["primitives"][primitive] = asdict(proof)
            known.get("unmeasured", {}).pop(primitive, None)

    def table(self) -> list[str]:
        """Return primitives by runtimes, a line for each primitive; what was not proven is empty."""
        runtimes = dict(sorted(self.read()["runtimes"].items()))
        wide = max(len(name) for name in PRIMITIVES)
        lines = [" ".join([" " * wide, *(f"{name:<10}" for name in runtimes)]).rstrip()]
        for primitive in PRIMITIVES:
            cells = [_word(found["primitives"].get(primitive, {})) for found in runtimes.values()]
            lines.append(" ".join([f"{primitive:<{wide}}", *(f"{c:<10}" for c in cells)]).rstrip())
        return lines


def _word(proof: dict[str, Any]) -> str:
    word = str(proof.get("support", ""))
    return f"{word} {proof['lines']}" if proof.get("lines") else word


def proof(
    declared: Support | None, failure: BaseException | None, loaded: set[str], lines: int
) -> tuple[Support, str]:
    """Return what a check has proven of what was declared, with a note.

    ``failure`` is how the check failed, ``loaded`` the emulations in its workers, ``lines``
    how many lines those of the runtime have.

    Raises:
        AssertionError: the declaration is not true.
        BaseException: the check's failure, where it was declared to pass.

    """
    if declared in {None, Support.MISSING}:
        assert failure or not declared, "it is declared missing, and its check passes"
        why = reason(failure) if failure else "its check passes"
        return Support.MISSING, why if declared else f"not declared; {why}"
    if failure:
        raise failure
    if declared is Support.NATIVE:
        assert not loaded, f"it is declared native, and its worker has loaded {sorted(loaded)}"
    else:
        assert lines, "it is declared emulated, and the runtime has no emulated.py"
    return declared, ""


def reason(failure: BaseException) -> str:
    """Return in a line how a check failed, without the folders of this machine."""
    words = str(failure).strip().splitlines() or [type(failure).__name__]
    # A worker that refuses the scenario says why at the end of its log.
    return cleaned(words[-1] if isinstance(failure, ProcessError) else words[0])


def cleaned(text: str) -> str:
    """Return a text whose absolute paths are cut to names."""
    return PATH.sub("", text)


def emulation_lines(runtime: str) -> int:
    """Return how many lines of code a runtime's emulations have, without comments and docs."""
    folder = RUNTIMES / names("runtimes")[runtime].split(".")[1]
    files = [*folder.glob("emulated.py"), *folder.glob("emulated/**/*.py")]
    return sum(code_lines(file.read_text(encoding="utf-8")) for file in files)


def code_lines(text: str) -> int:
    """Return how many lines carry code: no blank ones, no comments, no docstrings."""
    lines: set[int] = set()
    begins = True
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type in NO_CODE:
            begins |= token.type in {tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}
        elif not (begins and token.type == tokenize.STRING):
            lines |= set(range(token.start[0], token.end[0] + 1))
            begins = False
    return len(lines)
