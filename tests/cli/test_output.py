"""What the commands print: JSON that parses, plain lines in a pipe, help that teaches."""

from __future__ import annotations

import json
import tarfile

from pathlib import Path

import click
import pytest

from support.command import Home

from harness.cli.main import cli


SMALL = str(Path(__file__).parents[1] / "chaos" / "small.py")
SWEEP = ("--scenario", SMALL, "--fault", "kill(worker)")
KILL = "send/after_effect#1:kill(worker)"

# One worker, so that what is swept is swept once.
pytestmark = pytest.mark.xdist_group("swept")


def _commands(command: click.Command, path: tuple[str, ...] = ()):
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            yield from _commands(command.get_command(context, name), (*path, name))


COMMANDS = dict(_commands(cli))


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """Sweep the small scenario on the controls once, as JSON."""
    home = Home(tmp_path_factory.mktemp("swept"), tmp_path_factory.mktemp("sites"))
    done = home.run("run", "--runtime", "checkpoint", *SWEEP, "--json")
    assert 0 == done.code, done.text
    return home, done


@pytest.mark.parametrize("path", COMMANDS, ids=lambda path: " ".join(path) or "bakeoff")
def test_help_teaches(path, home):
    """--help of each command describes it, and each option and argument says what it is for."""
    command = COMMANDS[path]

    done = home.run(*path, "--help")

    assert 0 == done.code, done.text
    assert "" == done.err
    assert len(command.help or "") > 20
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{' '.join(path)} {parameter.opts[0]} has no help"
        else:
            assert parameter.human_readable_name.strip("[].") in done.out


def test_version_and_no_arguments(home):
    """--version prints it; no argument at all prints the help."""
    assert "bakeoff" in home.run("--version").out
    assert "Usage:" in home.run().text


def test_run_json_parses(swept):
    """Run --json prints one document and nothing else."""
    _, done = swept

    found = done.json()
    assert "" == done.err
    assert {"checkpoint", "naive"} == {cell["runtime"] for cell in found["cells"]}
    assert found["planned"] == found["judged"] == 20


@pytest.mark.parametrize(
    "argv",
    [
        ("list", "--json"),
        ("doctor", "--json"),
        ("engines", "list", "--json"),
        ("list", "--results", "results/latest", "--json"),
        ("analyze", "--json"),
    ],
    ids=" ".join,
)
def test_json_parses(argv, swept):
    """Each --json prints JSON and nothing else, with exit code 0."""
    home, _ = swept

    done = home.run(*argv)

    assert 0 == done.code, done.text
    assert done.json()


def test_list_names_everything(swept):
    """List names every runtime, scenario, fault and suite, each with what it is."""
    home, _ = swept

    out = home.run("list").out

    for word in ("reference", "temporal", "migration", "kill(worker)", "late(request)", "smoke"):
        assert word in out


def test_doctor_looks(swept):
    """Doctor says what can run here, and how to get what cannot."""
    home, _ = swept

    done = home.run("doctor", BAKEOFF_RESTATE_BIN="/nowhere/restate-server")

    assert 0 == done.code, done.text
    assert "ok    runtime reference" in done.out
    assert "/nowhere/restate-server" in done.out
    assert "Traceback" not in done.text


def test_doctor_survives_a_missing_sdk(swept):
    """Doctor says that a library is not installed, and goes on."""
    home, _ = swept
    hide = home.path / "hide"
    hide.mkdir(exist_ok=True)
    (hide / "sitecustomize.py").write_text(
        "import importlib.metadata as m\n"
        "real = m.version\n"
        "def version(name):\n"
        "    if name == 'dbos':\n"
        "        raise m.PackageNotFoundError(name)\n"
        "    return real(name)\n"
        "m.version = version\n"
    )

    done = home.run("doctor", PYTHONPATH=str(hide))

    assert "Traceback" not in done.text
    assert 0 == done.code, done.text
    assert "MISS  runtime dbos" in done.out


def test_plain_lines_in_a_pipe(home):
    """Without a terminal there is no colour and no cursor movement, and lines stay whole."""
    done = home.run("run", "--runtime", "checkpoint", "--no-controls", *SWEEP)

    assert 0 == done.code, done.text
    assert "\x1b" not in done.text
    assert "\r" not in done.text
    (line,) = [line for line in done.out.splitlines() if line.startswith("checkpoint")]
    assert "10 points" in line
    assert "1 violated as predicted" in line


def test_analyze_gives_identical_verdicts(swept):
    """An old result judged again gives the very same verdicts; raw files stay untouched."""
    home, _ = swept
    folder = home.path / "results" / "latest"

    def files(pattern):
        return {path: path.read_bytes() for path in folder.glob(pattern)}

    verdicts, raw = files("trials/**/verdicts.json"), files("trials/**/history.jsonl")
    stats = {path: path.stat().st_mtime_ns for path in raw}

    done = home.run("analyze", "--json")

    assert 0 == done.code, done.text
    assert 0 == done.json()["changed"]
    assert verdicts == files("trials/**/verdicts.json")
    assert raw == files("trials/**/history.jsonl")
    assert stats == {path: path.stat().st_mtime_ns for path in raw}


def test_replay_twice_is_the_same(swept):
    """A violation replayed twice gives the same verdicts, as predicted: exit 0."""
    home, _ = swept
    argv = ("replay", KILL, "--runtime", "checkpoint", "--scenario", SMALL, "--json")

    first, second = home.run(*argv), home.run(*argv)

    assert 0 == first.code == second.code, first.text + second.text
    one, two = first.json(), second.json()
    assert ["duplicate_effect", "parity"] == one["violated"]
    names = ("outcome", "end", "violated", "unpredicted", "absent")
    assert [one[name] for name in names] == [two[name] for name in names]
    assert (home.path / one["folder"] / "history.jsonl").is_file()


def test_replay_in_words(swept):
    """In words a replay names the violation, that it was predicted, and the evidence."""
    home, _ = swept

    done = home.run("replay", KILL, "--runtime", "checkpoint", "--scenario", SMALL)

    assert 0 == done.code, done.text
    assert "violated duplicate_effect (as predicted): send was applied twice" in done.out
    assert "evidence: " in done.out


def test_repro_packs_the_evidence(swept):
    """Repro packs history, facts, verdicts, logs and a README with the command to run."""
    home, _ = swept

    done = home.run("repro", KILL, "--runtime", "checkpoint", "--output", "case.tar.gz")

    assert 0 == done.code, done.text
    with tarfile.open(home.path / "case.tar.gz") as archive:
        names = {Path(name).name for name in archive.getnames()}
        readme = archive.extractfile("repro-checkpoint/README.md").read().decode()
    assert {"history.jsonl", "trial.json", "verdicts.json", "README.md"} <= names
    assert any(name.startswith("worker-1") for name in names)
    assert f"bakeoff replay '{KILL}' --runtime checkpoint" in readme
    assert "duplicate_effect" in readme


def test_repro_of_a_file_scenario_can_be_run(swept):
    """The command in the README of a repro runs, though the scenario is a file."""
    home, _ = swept
    home.run("repro", KILL, "--runtime", "checkpoint", "--output", "again.tar.gz")
    with tarfile.open(home.path / "again.tar.gz") as archive:
        readme = archive.extractfile("repro-checkpoint/README.md").read().decode()
    (command,) = [line for line in readme.splitlines() if line.startswith("    bakeoff ")]

    argv = [word.strip("'") for word in command.split()[1:]]
    done = home.run(*argv, "--json")

    assert 0 == done.code, done.text
    assert "violated" == done.json()["outcome"]


def test_repro_of_nothing_is_told(swept):
    """Repro of a schedule that the results do not have is one message."""
    home, _ = swept

    done = home.run("repro", "nothing/after_effect#1:kill(worker)", "--runtime", "checkpoint")

    assert done.code in {64, 70}
    assert 1 == len(done.err.strip().splitlines())
    assert "bakeoff list --results" in done.err


def test_index_has_a_line_for_each_judged_run(swept):
    """index.jsonl has one JSON line for each run, golden runs among them."""
    home, done = swept

    lines = (home.path / "results/latest/index.jsonl").read_text().splitlines()

    rows = [json.loads(line) for line in lines]
    assert {"golden", "batch", "single"} == {row["mode"] for row in rows}
    assert done.json()["judged"] == sum(row["mode"] == "batch" for row in rows)
