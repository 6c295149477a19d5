"""Finding runtimes and scenarios, and the errors that say where to look."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.load import LoadError, load, load_scenario, names, resolve
from scenarios.migration import SCENARIO


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return a place for a file of one's own."""
    return tmp_path / "mine.py"


def test_names() -> None:
    """Entry points map names to references."""
    assert "scenarios.migration:SCENARIO" == names("scenarios")["migration"]
    assert {} == names("nothing")


def test_resolve_a_name() -> None:
    """An entry point's name is its reference."""
    assert "scenarios.fan_out:SCENARIO" == resolve("scenarios", "fan_out")


def test_resolve_a_reference() -> None:
    """A full reference is left as it is."""
    assert "some.module:THING" == resolve("runtimes", "some.module:THING")


@pytest.mark.parametrize("attribute", ["", "THING"])
def test_resolve_a_path(file: Path, monkeypatch: pytest.MonkeyPatch, attribute: str) -> None:
    """A path is made absolute, with or without an attribute."""
    file.write_text("")
    monkeypatch.chdir(file.parent)
    asked = f"./mine.py:{attribute}" if attribute else "./mine.py"
    assert f"{file}:{attribute}" == resolve("scenarios", asked)


def test_unknown_name() -> None:
    """An unknown name is refused, with those there are and the other ways to ask."""
    with pytest.raises(LoadError) as caught:
        resolve("runtimes", "nonsense")
    message = str(caught.value)
    assert message.startswith("unknown runtime 'nonsense'; known: ")
    assert "naive" in message
    assert message.endswith("or module:attribute, or ./file.py")


def test_missing_file() -> None:
    """A file that is not there is said to be missing."""
    with pytest.raises(LoadError, match=r"\./nowhere\.py:X: there is no file \./nowhere\.py"):
        resolve("runtimes", "./nowhere.py:X")


def test_load_a_module() -> None:
    """A reference gives the object itself."""
    assert SCENARIO is load("scenarios.migration:SCENARIO", "OTHER")
    assert SCENARIO is load_scenario("scenarios.migration:SCENARIO")


def test_load_a_file(file: Path) -> None:
    """A file gives its attribute, or the default one; it is run once."""
    file.write_text("from scenarios.migration import SCENARIO\nLIST = []\n")
    assert SCENARIO is load(f"{file}:", "SCENARIO")
    assert load(f"{file}:LIST", "SCENARIO") is load(f"{file}:LIST", "SCENARIO")


def test_missing_module() -> None:
    """A module that cannot be imported is named, with Python's reason."""
    with pytest.raises(LoadError) as caught:
        load("no.such.module:X", "X")
    assert "no.such.module cannot be imported: No module named 'no'" == str(caught.value)


def test_import_error_within(file: Path) -> None:
    """A file whose own import fails is named too."""
    file.write_text("import no_such_sdk\n")
    with pytest.raises(
        LoadError, match=f"{file} cannot be imported: No module named 'no_such_sdk'"
    ):
        load(f"{file}:", "X")


def test_syntax_error(file: Path) -> None:
    """A syntax error is shown with its file and line."""
    file.write_text("A = 1\nB = = 2\n")
    with pytest.raises(LoadError) as caught:
        load(f"{file}:A", "X")
    assert f"{file}, line 2: invalid syntax" == str(caught.value)


def test_a_mended_file_loads(file: Path) -> None:
    """What failed to load is not remembered."""
    file.write_text("1 +\n")
    with pytest.raises(LoadError):
        load(f"{file}:A", "X")
    file.write_text("A = 'mended'\n")
    assert load(f"{file}:A", "X") == "mended"


@pytest.mark.parametrize(
    ("text", "seen"),
    [("SCENARIOS = OTHER = 1\n", "SCENARIOS, OTHER"), ("", "none in capitals")],
)
def test_missing_attribute(file: Path, text: str, seen: str) -> None:
    """A missing attribute is named, with those there are."""
    file.write_text(text)
    with pytest.raises(LoadError) as caught:
        load_scenario(f"{file}:")
    assert f"{file} has no attribute 'SCENARIO' (it has {seen})" == str(caught.value)


def test_wrong_type(file: Path) -> None:
    """What is no scenario is refused, with what it is."""
    file.write_text("SCENARIO = {}\n")
    with pytest.raises(LoadError) as caught:
        load_scenario(f"{file}:")
    assert f"{file}:: expected a harness.scenario.Scenario, seen dict" == str(caught.value)
