"""The example workflow is YAML of the right shape, and its commands are those that exist."""

from __future__ import annotations

import shlex

from pathlib import Path

import click
import pytest
import yaml

from harness.cli.main import cli


FILE = Path(__file__).parents[2] / "docs" / "github-actions.yml"
DOCUMENT = yaml.safe_load(FILE.read_text(encoding="utf-8"))
STEPS = DOCUMENT["jobs"]["bakeoff"]["steps"]


def test_each_step_does_one_thing():
    """A step uses an action of a fixed version or runs a script; steps that are asked for exist."""
    for step in STEPS:
        assert ("uses" in step) != ("run" in step), step
        if "uses" in step:
            assert "@v" in step["uses"]
    ids = {step["id"] for step in STEPS if "id" in step}
    for step in STEPS:
        for word in str(step.get("run", "")).split("steps.")[1:]:
            assert word.partition(".")[0] in ids


def test_evidence_is_kept_before_the_judgement():
    """What may fail is judged last, and the upload and the judgement happen always."""
    by_name = {step.get("name"): index for index, step in enumerate(STEPS)}
    keep, judge = by_name["Keep the evidence"], by_name["Judge"]
    assert keep < judge == len(STEPS) - 1
    assert "always()" == STEPS[keep]["if"] == STEPS[judge]["if"]
    assert {"cache", "upload-artifact"} <= {
        step["uses"].partition("@")[0].rpartition("/")[2] for step in STEPS if "uses" in step
    }


@pytest.mark.parametrize(
    "line",
    [
        line.strip()
        for step in STEPS
        for line in str(step.get("run", "")).splitlines()
        if line.strip().startswith("bakeoff ")
    ],
)
def test_commands_are_understood(line):
    """Every ``bakeoff`` command of the workflow is one, with the options that it has."""
    words = shlex.split(line.partition(">")[0])[1:]
    command: click.Command = cli
    while isinstance(command, click.Group):
        command = command.get_command(click.Context(command), words.pop(0))
    command.make_context("bakeoff", words)
