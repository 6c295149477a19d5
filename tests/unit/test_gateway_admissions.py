"""The file of admissions, and answers without credentials."""

from __future__ import annotations

import asyncio
import errno

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from support.desk import CANARY, GRANTS, PAY, SECRET, Desk, admission
from support.upstreams import order

from runtimes.reference.gateway.admissions import Admission, AdmissionError, Admissions
from runtimes.reference.gateway.clean import CleanUpstream
from runtimes.reference.gateway.grant import Grant, OneOf, Within
from runtimes.reference.gateway.redact import Redactor


BOUNDED = Grant(PAY, "charges/", (Within("value", 500, -1), OneOf("to", ("anna", "bert"))))


def test_what_was_said_is_read_again(tmp_path: Path) -> None:
    """With all bounds; the latest of a run counts, and a child has that of its parent."""
    path = tmp_path / "admissions.jsonl"
    more = {"approvals": (PAY,), "patience_s": 9, "slots": ("pay", "tell"), "replans": True}
    said = admission(grants=(*GRANTS, BOUNDED), **more)
    first = Admissions(path)
    first.admit([admission(), admission("s")])
    first.admit([said])
    first.close()
    again = Admissions(path)
    assert said == again.of("r") == again.of("r.one.two")
    assert {"r", "s"} == {one.run for one in again}
    assert said == Admission.from_json(said.to_json())
    again.close()


@pytest.mark.parametrize("run", ["", "x", "rr", "R", "r/child", ".r"])
def test_nobody_admitted_that(run: str, tmp_path: Path) -> None:
    """A name that merely begins like an admitted one is another run."""
    found = Admissions(tmp_path / "admissions.jsonl")
    found.admit([admission()])
    with pytest.raises(AdmissionError, match="admit it first"):
        found.of(run)
    assert not found.knows(run)
    assert found.of("r.x")
    assert found.knows("r.x")
    found.close()


def test_a_withdrawal_is_for_the_children_too(tmp_path: Path) -> None:
    """Also for one that was admitted by itself; and not for its neighbour, nor its parent."""
    path = tmp_path / "admissions.jsonl"
    found = Admissions(path)
    found.admit([admission(), admission("r.kid"), admission("rr"), admission("s")])
    found.withdraw("r", "anna", "enough")
    found.withdraw("s.kid", "anna", "enough")
    found.close()
    again = Admissions(path)
    for run in ("r", "r.kid", "r.kid.kid", "s.kid"):
        with pytest.raises(AdmissionError, match="anna ended what"):
            again.of(run)
    assert "enough" == again.withdrawn("r.kid")
    assert again.of("rr")
    assert again.of("s")
    again.admit([admission("r")])
    assert again.of("r")
    assert again.withdrawn("r.kid")
    again.close()


@pytest.mark.parametrize("keep", [0, 1, 40, -1, -2])
def test_a_torn_line_was_never_said(keep: int, tmp_path: Path) -> None:
    """What was acknowledged before it counts, and what is said next is whole."""
    path = tmp_path / "admissions.jsonl"
    first = Admissions(path)
    first.admit([admission()])
    whole = path.read_bytes()
    first.admit([admission("s")])
    first.close()
    rest = path.read_bytes()[len(whole) :]
    path.write_bytes(whole + rest[:keep])
    again = Admissions(path)
    assert again.of("r")
    assert not again.knows("s")
    again.admit([admission("t")])
    again.close()
    last = Admissions(path)
    assert {"r", "t"} == {one.run for one in last}
    last.close()


def test_a_write_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: Any) -> None:
    """What was written in part is written over by the next."""
    path = tmp_path / "admissions.jsonl"
    found = Admissions(path)
    found.admit([admission()])
    with monkeypatch.context() as patch:
        patch.setattr(
            "runtimes.reference.gateway.admissions.os.pwrite",
            lambda file, text, at: PWRITE(file, text[: len(text) // 2], at),
        )
        with pytest.raises(OSError, match="takes no more"):
            found.admit([admission("lost")])
    assert not found.knows("lost")
    found.admit([admission("s")])
    found.close()
    again = Admissions(path)
    assert {"r", "s"} == {one.run for one in again}
    again.close()


@pytest.mark.parametrize("name", ["pwrite", "fdatasync"])
def test_what_failed_does_not_count_later(name: str, tmp_path: Path, monkeypatch: Any) -> None:
    """Nor does the part of it that was whole by then, in the next process."""
    path = tmp_path / "admissions.jsonl"
    found = Admissions(path)
    found.admit([admission()])

    def halved(file: int, text: bytes, at: int) -> int:
        return PWRITE(file, text[:-3], at)

    def unsynced(_: int) -> None:
        raise OSError(errno.EIO, "no more")

    with monkeypatch.context() as patch:
        patch.setattr(
            f"runtimes.reference.gateway.admissions.os.{name}",
            {"pwrite": halved, "fdatasync": unsynced}[name],
        )
        with pytest.raises(OSError, match="more"):
            found.admit([admission("lost"), admission("too")])
    found.close()
    again = Admissions(path)
    assert {"r"} == {one.run for one in again}
    again.close()


@pytest.mark.parametrize(
    "more", [{"slots": [7]}, {"slots": [""]}, {"patience_s": -1}, {"patience_s": "1"}]
)
def test_what_cannot_be_meant_is_refused(more: dict[str, Any]) -> None:
    """A slot has a name, and patience is a number of seconds."""
    assert Admission.from_json(admission().to_json())
    with pytest.raises(AdmissionError, match="expected names, times"):
        Admission.from_json(admission().to_json() | more)


@pytest.mark.parametrize("line", [b"{}", b"[]", b"nonsense", b'{"withdrawn": {"run": "r"}}', b"7"])
def test_a_file_that_says_something_else_is_refused(line: bytes, tmp_path: Path) -> None:
    """In the middle of it: whoever may do what is not guessed."""
    path = tmp_path / "admissions.jsonl"
    path.write_bytes(line + b"\n")
    with pytest.raises(AdmissionError, match="in line 1; restore it"):
        Admissions(path)


def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    """And a link in its place is not followed."""
    path = tmp_path / "admissions.jsonl"
    Admissions(path).close()
    assert 0o600 == path.stat().st_mode & 0o777
    path.unlink()
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic"):
        Admissions(path)


def test_an_answer_is_cleared_and_a_canary_is_told_of() -> None:
    """In the response, in the provider's reference and in what a look shows."""
    leaks: list[tuple[str, frozenset[str]]] = []
    desk = Desk(echo={"said": [SECRET, {CANARY: 1}]})
    clean = CleanUpstream(
        desk,
        Redactor({"credential": SECRET, "canary": CANARY}, {"canary"}),
        lambda run, names: leaks.append((run, names)),
    )
    asked = order(PAY, "charges/anna", {"value": 1}, key="k")

    async def story() -> None:
        answer = await clean.call(asked)
        assert {"said": ["[redacted credential]", {"[redacted canary]": 1}]} == answer.response[  # type: ignore[index, call-overload]
            "value"
        ]
        desk.keys["k"] = replace(desk.keys["k"], response=None, ref=f"re {CANARY}")
        found = await clean.query(asked)
        assert found
        assert "re [redacted canary]" == found.ref
        assert (await clean.look("charges/anna")).value is None
        assert await clean.query(order(PAY, "charges/anna", key="other")) is None

    asyncio.run(story())
    assert [("r1", frozenset({"canary"}))] * 2 == leaks


PWRITE = __import__("os").pwrite
