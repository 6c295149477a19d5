"""What the README and the pages say is true: their examples run, their words exist.

Above a block stands what a test does with it.  ``<!-- file: NAME -->`` puts it into the page's
folder, ``<!-- run: NAME -->`` runs it there (``<!-- run: NAME exit 1 -->`` where it must
fail), ``<!-- seen: NAME -->`` says that each of its lines is printed by that run, and
``<!-- not run: REASON -->`` says why nobody runs it.  What ``walk``, ``beside``, ``prints`` and
``part of`` mean stands in ``test_walks``.
"""

from __future__ import annotations

import ast
import json
import os
import re
import shlex
import shutil
import subprocess

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import click
import pytest

from support.command import COMMAND
from support.pages import ROOT, blocks, prose

from harness.cli.main import cli
from harness.effects import Tier
from harness.faults import FAULTS
from harness.history import History
from harness.load import names
from harness.loop import Loop
from harness.suite import case, suites
from harness.world import Cell, World


PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
LANGUAGES = {"python", "bash", "toml", "json", "js"}
ELSEWHERE = re.compile(
    r"(?<![\w.])/(?:tmp|work|root|home|Users|opt|var)\b|pypi|npmjs|proxy\.golang|localhost"
    r"|https?://(?!127\.0\.0\.1)"
)
WIDTH = 100
PATIENCE_S = 240.0

pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def commands(text: str) -> list[list[str]]:
    """Return the words of each command line of a script, cut where a pipe or another begins."""
    lines, whole = [], ""
    for part in text.replace("\\\n", " ").splitlines():
        whole += re.sub(r" 2> ?\S+", "", part) + "\n"
        try:
            shlex.split(whole)
        except ValueError:  # a quotation goes on in the next line
            continue
        line, whole = whole, ""
        lexer = shlex.shlex(line, posix=True, punctuation_chars="|;&><")
        lexer.whitespace_split = True
        words: list[str] = []
        for word in lexer:
            if re.fullmatch(r"[|;&><]+", word):
                lines.append(words)
                words = []
            else:
                words.append(word)
        lines.append(words)
    return [words for words in lines if words]


def said(page: Path) -> Iterator[tuple[bool, list[str]]]:
    """Yield each command of a page, and whether it is whole (in a block, not in a sentence)."""
    for block in blocks(page):
        if block.language == "bash":
            for words in commands(block.text):
                yield True, words
    for code in re.findall(r"`([^`\n]+)`", prose(page)):
        if re.match(r"(bakeoff|\.venv/bin/\w+|nox) ", code):
            yield False, shlex.split(code)


def understood(words: list[str], *, whole: bool) -> None:
    """Refuse what the ``bakeoff`` command would refuse."""
    command: click.Command = cli
    rest = words[1:]
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        inner = command.get_command(click.Context(command), rest[0])
        assert inner, f"bakeoff has no command {rest[0]!r}"
        command, rest = inner, rest[1:]
    options = {
        name
        for parameter in command.params
        for name in (*parameter.opts, *parameter.secondary_opts)
    }
    for word in rest:
        assert word == "-" or not word.startswith("-") or word in options, (
            f"{words} has no option {word}"
        )
    for option, value in pairwise(rest):
        known = {"--fault": FAULTS, "--suite": suites()}.get(option)
        assert known is None or value in known, f"{value!r} is unknown to {option}"
        for kind, group in (("--runtime", "runtimes"), ("--scenario", "scenarios")):
            path = value.startswith("./")
            if option == kind == "--scenario" and ":" in value and not path:
                assert case(value)
                continue
            assert option != kind or path or value.partition("[")[0] in names(group)
    for word in rest:
        if word.startswith("results/") and word.endswith(".json"):  # what an earlier command made
            Path(word).parent.mkdir(exist_ok=True)
            Path(word).touch()
    if whole:
        command.make_context(words[0], list(rest))


@contextmanager
def lent_world(folder: Path) -> Iterator[tuple[dict[str, str], History]]:
    """Lend a world with an open cell, and the environment that a worker would have."""
    envelope = {"cell": "c", "run": "r", "guard": "keys", "armed": ["pay/after_ack", "finalize"]}
    with Loop() as loop, World(loop) as world, History(folder / "history.jsonl") as history:
        world.open("c", Cell.of(Tier.O, {"order": 25, "payments": []}), history)
        yield (
            {
                "BAKEOFF_WORLD": f"http://{world.address}",
                "BAKEOFF_INCARNATION": "worker-1",
                "ENVELOPE": json.dumps(envelope),
            },
            history,
        )


@pages
def test_examples_run(page, home):
    """The files of a page and its commands work in an empty folder, and print what is shown."""
    printed: dict[str, str] = {}
    with lent_world(home.sites) as (lent, _):
        environment = home.environment(**lent)
        environment["PATH"] = f"{Path(COMMAND).parent}{os.pathsep}{environment['PATH']}"
        for block in blocks(page):
            if block.kind == "file":
                (home.path / block.name).write_text(block.text, encoding="utf-8")
        for block in blocks(page):
            if block.kind == "seen":
                for line in block.text.splitlines():
                    if block.name in printed:
                        assert line in printed[block.name]
            if block.kind != "run" or ("node " in block.text and not shutil.which("node")):
                continue
            done = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", block.text],
                cwd=home.path,
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=PATIENCE_S,
                check=False,
            )
            printed[block.name] = done.stdout
            assert block.code == done.returncode, f"{page.name}:{block.line}\n{done}"


@pytest.mark.skipif(not shutil.which("node"), reason="node is not on the PATH")
def test_other_language_does_what_python_does(tmp_path):
    """The client for Node calls, keys its writes, and reports the phases that are armed."""
    (block,) = (b for b in blocks(ROOT / "docs" / "write-a-scenario.md") if b.name == "world.mjs")
    (tmp_path / block.name).write_text(block.text, encoding="utf-8")
    with lent_world(tmp_path) as (lent, history):
        subprocess.run(
            ["node", block.name, lent["ENVELOPE"]],
            cwd=tmp_path,
            env={**os.environ, **lent},
            capture_output=True,
            timeout=PATIENCE_S,
            check=True,
        )
        seen = [(event.kind, event.data.get("step")) for event in history]
        keys = [event.data["key"] for event in history if event.kind == "call"]
    assert [
        ("call", "read_order"),
        ("reply", "read_order"),
        ("call", "pay"),
        ("apply", "pay"),
        ("reply", "pay"),
        ("at", "pay"),
        ("reply", "pay"),
        ("at", ""),
        ("reply", ""),
    ] == seen
    assert ["", "r/pay"] == keys


@pages
def test_blocks_are_marked(page):
    """Every block of code is run, is a file, or says why it is not run."""
    assert [] == [
        f"{page.name}:{block.line}: a {block.language} block without a mark"
        for block in blocks(page)
        if block.language in LANGUAGES and not block.kind
    ]
    ran = {block.name for block in blocks(page) if block.kind == "run"}
    assert {block.name for block in blocks(page) if block.kind == "seen"} <= ran
    walked = {block.name for block in blocks(page) if block.kind in {"walk", "beside"}}
    assert {block.name for block in blocks(page) if block.kind == "prints"} <= walked


@pages
def test_commands_exist(page, tmp_path, monkeypatch):
    """Every ``bakeoff`` command, option, fault, suite and session that is named exists."""
    monkeypatch.chdir(tmp_path)
    tree = ast.parse((ROOT / "noxfile.py").read_text(encoding="utf-8"))
    sessions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    for whole, words in said(page):
        tool = Path(words[0]).name
        if tool == "bakeoff":
            understood(words, whole=whole)
        if tool == "nox":
            assert words[words.index("-s") + 1] in sessions


@pages
def test_links_resolve(page):
    """Every relative link leads to a file of the repository, and to a heading that it has."""
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert target.is_relative_to(ROOT), link
        if anchor:
            heads = re.findall(r"^#+ (.+)$", target.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", h).lower().replace(" ", "-") for h in heads}


@pages
def test_no_machine_is_named(page):
    """No path of somebody's machine and no host of a registry occurs."""
    assert [] == ELSEWHERE.findall(page.read_text(encoding="utf-8"))


@pages
def test_prose_is_wrapped(page):
    """Lines of prose are short enough to be read in an editor."""
    lines = prose(page).splitlines()
    assert [] == [line for line in lines if len(line) > WIDTH and not line.startswith("|")]


def test_exit_codes_are_those_of_the_command():
    """The README's table has the codes that the command's help has."""
    table = prose(ROOT / "README.md").partition("## Exit codes")[2].partition("\n## ")[0]
    codes = re.findall(r"^\| (\d+) \|", table, re.MULTILINE)
    assert codes == re.findall(r"\b\d+\b", str(cli.help).partition("Exit codes:")[2])


def test_faults_and_oracles_are_all_explained():
    """The page of concepts has a line for each fault and each oracle."""
    from harness.oracles import ORACLES  # noqa: PLC0415 - only here

    text = prose(ROOT / "docs" / "concepts.md")
    assert [] == [name for name in (*FAULTS, *ORACLES) if f"| `{name}` |" not in text]
