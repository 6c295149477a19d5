"""What counts as proven, and how it is kept."""

from __future__ import annotations

import json
import sys

from importlib import import_module
from pathlib import Path

import pytest

from conformance.ledger import Ledger, Proof, code_lines, proof, reason
from conformance.stand import RefusedError

from harness import worker
from harness.deadline import DeadlineError
from harness.process import ProcessError
from harness.rpc import RpcError
from harness.runtime import Support


LOADED = {"runtimes.some.emulated"}
FAILED = AssertionError("assert 2 == 6\n +  where")


def test_declared_and_seen() -> None:
    """What passes its check is what it is declared to be; what fails is missing, and why."""
    assert (Support.NATIVE, "") == proof(Support.NATIVE, None, set(), 9)
    assert (Support.EMULATED, "") == proof(Support.EMULATED, None, LOADED, 9)
    assert (Support.MISSING, "assert 2 == 6") == proof(Support.MISSING, FAILED, set(), 0)
    assert (Support.MISSING, "not declared; assert 2 == 6") == proof(None, FAILED, set(), 0)
    assert (Support.MISSING, "not declared; its check passes") == proof(None, None, set(), 0)


@pytest.mark.parametrize(
    ("failure", "said"),
    [
        (AssertionError("assert 2 == 6\n +  where"), "assert 2 == 6"),
        (ProcessError("it died, log /tmp/a/b.log:\nno /srv/x/y.py"), "no y.py"),
        (DeadlineError("waiting (/tmp/a/b.log, '/opt/c/d')"), "waiting (b.log, 'd')"),
        (RpcError("at http://127.0.0.1:80/a/b: 1/2 of a/b/c"), None),
        (RefusedError(), "RefusedError"),
    ],
)
def test_reasons_name_no_machine(failure, said) -> None:
    """A reason is one line without folders; addresses, fractions and relative paths stay."""
    assert (said or str(failure)) == reason(failure)


@pytest.mark.parametrize(
    ("declared", "failure", "loaded", "lines", "why"),
    [
        (Support.NATIVE, FAILED, set(), 0, "assert 2 == 6"),
        (Support.EMULATED, FAILED, LOADED, 9, "assert 2 == 6"),
        (Support.MISSING, None, set(), 0, "its check passes"),
        (Support.NATIVE, None, LOADED, 9, "has loaded .'runtimes.some.emulated'"),
        (Support.EMULATED, None, set(), 0, "no emulated.py"),
    ],
)
def test_declaration_that_is_not_true(declared, failure, loaded, lines, why) -> None:
    """A declaration that the check contradicts fails, in either direction."""
    with pytest.raises(AssertionError, match=why):
        proof(declared, failure, loaded, lines)


def test_emulation_is_announced(monkeypatch, capsys) -> None:
    """A worker says which emulations it has loaded, and can load none afterwards."""
    monkeypatch.setenv("BAKEOFF_INCARNATION", "worker-1")
    for name in [name for name in sys.modules if worker.EMULATION.fullmatch(name)]:
        monkeypatch.delitem(sys.modules, name)  # what other tests of this process have loaded
    monkeypatch.setitem(sys.modules, "runtimes.some.emulated", sys)
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path])
    worker.announce(port=7)
    told = json.loads(capsys.readouterr().out)
    assert (["runtimes.some.emulated"], 7) == (told["emulated"], told["port"])
    with pytest.raises(ImportError, match=r"runtimes.embedded.emulated must be imported before"):
        import_module("runtimes.embedded.emulated")


def test_ledger_is_merged(tmp_path: Path) -> None:
    """Runtimes and primitives are added to what others wrote; a new version begins anew."""
    ledger = Ledger(tmp_path / "out" / "conformance.json")
    cell = Proof(Support.EMULATED, "tests/x.py::test[a]", 12, "", "It rests.")
    ledger.begin("a", "1", "fast")
    ledger.add("a", "sleep", cell)
    Ledger(ledger.path).begin("b", "1", "fast")
    Ledger(ledger.path).add("b", "emit", cell)
    ledger.begin("a", "1", "fast")
    assert {"a": ["sleep"], "b": ["emit"]} == _kept(ledger)
    assert ["sleep", "emulated", "12"] == next(
        line for line in ledger.table() if line.startswith("sleep ")
    ).split()
    ledger.forget("b", "emit", "unknown: /home/someone/x.log was slow")
    assert {"emit": "unknown: x.log was slow"} == ledger.read()["runtimes"]["b"]["unmeasured"]
    ledger.begin("a", "2", "fast")
    assert {"a": [], "b": []} == _kept(ledger)
    ledger.add("b", "emit", cell)
    assert {} == ledger.read()["runtimes"]["b"]["unmeasured"]
    assert {"runtimes", "when", "host"} == set(ledger.read())


def _kept(ledger: Ledger) -> dict[str, list[str]]:
    return {name: [*found["primitives"]] for name, found in ledger.read()["runtimes"].items()}


def test_lines_of_an_emulation() -> None:
    """Code is counted, with every line of a statement; blanks, comments and docs are not."""
    text = '"""Doc.\n\nMore."""\n\n# why\nX = (\n    1,  # one\n\n    2,\n)\n\n\ndef f():\n    """Doc."""\n    return "text"\n'
    assert 6 == code_lines(text)
