"""From files and names to items: one for each case, runtime and fault."""

from __future__ import annotations

import ast

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from harness.cli.bench import runtimes
from harness.effects import Guard
from harness.faults import FaultError, fault
from harness.load import LoadError
from harness.runtime import Runtime
from harness.scenario import Case, ScenarioError
from harness.suite import DEFAULT_FAULTS, case
from harness.sweep import Target
from runners.plugin.lab import Lab


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the options ask for, looked up."""

    runtimes: Mapping[str, Runtime]
    cases: tuple[Case, ...]
    faults: tuple[str, ...]
    guard: Guard
    profile: str
    accept_predicted: bool
    results: Path

    @classmethod
    def of(cls, config: pytest.Config) -> Asked:
        """Return what the options ask for.

        Raises:
            pytest.UsageError: something of it does not exist.

        """
        profile = config.getoption("bakeoff_profile")
        try:
            found = runtimes(config.getoption("bakeoff_runtime"), controls=False)
            faults = tuple(config.getoption("bakeoff_fault")) or DEFAULT_FAULTS
            for name in faults:
                fault(name)
            named = tuple(case(text) for text in config.getoption("bakeoff_scenario"))
        except (LoadError, FaultError, ScenarioError) as error:
            raise pytest.UsageError(str(error)) from error
        for runtime in found.values():
            if profile not in runtime.profiles:
                known = ", ".join(runtime.profiles)
                msg = f"{runtime.name} has no profile {profile!r}; it has {known}"
                raise pytest.UsageError(msg)
        return cls(
            runtimes=found,
            cases=named,
            faults=faults,
            guard=Guard(config.getoption("bakeoff_guard")),
            profile=profile,
            accept_predicted=config.getoption("bakeoff_accept_predicted"),
            results=config.invocation_params.dir / config.getoption("bakeoff_results"),
        )


class CellItem(pytest.Item):
    """One case on one runtime under one fault: measured by its set-up, judged by its call.

    So what cannot be told is an error of the set-up, and never a pass.
    """

    def __init__(
        self, *, target: Target, reference: str, runtime: Runtime, lab: Lab, **more: object
    ) -> None:
        """Group the items of a runtime, so that they share its servers."""
        super().__init__(**more)  # type: ignore[arg-type]
        self.target, self.reference, self.lab = target, reference, lab
        self.add_marker(pytest.mark.xdist_group(runtime.name))

    def setup(self) -> None:
        """Run the cell; skip it with the reason where it cannot be measured."""
        self.found = self.lab.measure(self.reference, self.target)
        if self.found.skipped:
            pytest.skip(f"not measured: {self.found.skipped}")
        if self.found.unclear and not self.found.violated:
            pytest.fail(self.found.unknown_text(), pytrace=False)

    def runtest(self) -> None:
        """Fail with the violated schedules and how to see each again."""
        if self.found.violated:
            pytest.fail(self.found.violated_text(), pytrace=False)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Return where the item comes from."""
        return self.path, None, self.name


class ScenarioFile(pytest.File):
    """A file with a ``SCENARIO``, in the first of its tiers."""

    collection: Collection

    def collect(self) -> Iterator[CellItem]:
        """Yield the items of the file.

        Raises:
            CollectError: it has no usable scenario.

        """
        try:
            found = case(str(self.path))
        except (LoadError, ScenarioError) as error:
            raise self.CollectError(str(error)) from error
        yield from self.collection.items(self, found, "")


def declares_scenario(file: Path) -> bool:
    """Say whether a Python file gives ``SCENARIO`` a value; it is not imported for that."""
    text = file.read_text(encoding="utf-8", errors="replace")
    if "SCENARIO" not in text:
        return False
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return False  # pytest itself tells
    targets = [
        target
        for node in tree.body
        if isinstance(node, ast.Assign | ast.AnnAssign)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
    ]
    return any(isinstance(target, ast.Name) and target.id == "SCENARIO" for target in targets)


@dataclass(slots=True)
class Collection:
    """The hooks of a session in which runtimes are named."""

    asked: Asked
    lab: Lab = field(init=False)

    def __post_init__(self) -> None:
        """Prepare the lab; nothing is started before the first item."""
        asked = self.asked
        self.lab = Lab(
            asked.runtimes, asked.profile, asked.results, accept_predicted=asked.accept_predicted
        )

    def items(self, parent: pytest.Session | ScenarioFile, of: Case, prefix: str) -> list[CellItem]:
        """Return the items of a case."""
        found = []
        for reference, runtime in self.asked.runtimes.items():
            for name in self.asked.faults:
                label = f"{of.id}-{runtime.name}-{name}"
                target = Target(case=of, guard=self.asked.guard, faults=(name,))
                ident = {"nodeid": f"{prefix}::{label}"} if prefix else {}
                item: CellItem = CellItem.from_parent(
                    parent,
                    name=label,
                    target=target,
                    reference=reference,
                    runtime=runtime,
                    lab=self.lab,
                    **ident,
                )
                found.append(item)
        return found

    def pytest_collect_file(self, file_path: Path, parent: pytest.Collector) -> ScenarioFile | None:
        """Take files with a scenario."""
        if file_path.suffix != ".py" or not declares_scenario(file_path):
            return None
        file: ScenarioFile = ScenarioFile.from_parent(parent, path=file_path)
        file.collection = self
        return file

    @pytest.hookimpl(tryfirst=True)  # before xdist writes the groups into the ids
    def pytest_collection_modifyitems(
        self, session: pytest.Session, items: list[pytest.Item]
    ) -> None:
        """Add the named cases; items of one runtime follow one another, and share its servers."""
        for of in self.asked.cases:
            items += self.items(session, of, "bakeoff")
        order = list(self.asked.runtimes)
        own = [item for item in items if isinstance(item, CellItem)]
        own.sort(key=lambda item: order.index(item.reference))
        others = [item for item in items if not isinstance(item, CellItem)]
        items[:] = [*others, *own]

    def pytest_sessionfinish(self) -> None:
        """Stop what was started, and write down how much was measured."""
        self.lab.close()
