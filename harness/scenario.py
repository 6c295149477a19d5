"""A scenario: the programs, the world they act on, and what happens to that world."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from harness.effects import Json, Op, Tier
from harness.policy import Policy
from harness.program import Body


class ScenarioError(Exception):
    """A scenario cannot be used; the message says what was expected and what was seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A body under a name; ``on`` lists the events that start it."""

    name: str
    body: Body
    on: tuple[str, ...] = ()
    policy: Policy = field(default_factory=Policy)


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """An event that the harness sends to a run that it sees waiting for it.

    ``approves`` is the step that it allows, where a human says so by it.
    """

    event: str
    key: str
    payload: Json = None
    approves: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An injected answer to the ``nth`` call of a step.

    ``status`` is ``throttled`` (429, with ``after_s``) or ``failed`` (500): the provider refuses
    to act, and nothing is applied or stored under the call's key.  ``lasting``: it stays that
    way, from the ``nth`` call on, and so the run should end as one that was refused.  With ``ok``
    a stranger's ``value`` is read in place of the resource's: the run should end as if it had
    not been.  With ``echo`` the provider acts, and repeats the credential of the call beside its
    answer.
    """

    step: str
    status: str
    after_s: float = 0.0
    nth: int = 1
    lasting: bool = False
    value: Json = None

    def fits(self, step: str, nth: int) -> bool:
        """Say whether this is the answer to the ``nth`` call of a step."""
        return step == self.step and (nth >= self.nth if self.lasting else nth == self.nth)

    @property
    def injects(self) -> bool:
        """Say whether a stranger's words are read."""
        return self.status == "ok"

    @property
    def echoes(self) -> bool:
        """Say whether the credential comes back."""
        return self.status == "echo"

    @property
    def reply(self) -> dict[str, Json]:
        """Return what is answered in the provider's place."""
        if self.injects:
            return {"status": "ok", "value": self.value, "etag": ""}
        return {"status": self.status, "after_s": self.after_s}


@dataclass(frozen=True, slots=True)
class Added:
    """What a stranger adds to a list, whatever it holds by then."""

    item: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """What stands behind the paths that begin with one word.

    ``tier`` is its own, else it is the case's.  ``by_content``: its versions are those of
    contents, so that to write what is there already changes nothing.  ``fenced``: it can be told
    to refuse calls of older epochs.  ``live`` names what starts a real one:
    ``module:attribute``, a ``harness.world.live.Starting``.
    """

    tier: Tier | None = None
    by_content: bool = False
    fenced: bool = True
    live: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One workflow and its world.

    ``world`` maps resource paths to their first values.  ``drift`` maps paths to what a
    stranger writes there while the worker is down, or adds.  ``variants`` are named worlds that
    answer differently.  ``providers`` maps first words of paths to what stands behind them; the
    rest is the world's own, with the case's tier.  ``lag_s`` is how long a provider of tier Q
    takes to know of an effect that it applied.  ``time_scale`` is real seconds per virtual
    second, for engines that sleep for real.  ``versions`` are later programs under the same
    names, for runs that began with ``programs``: they take other steps to the same world and
    output.  ``approvals`` are the operations of which a human must allow each.
    """

    name: str
    programs: tuple[Program, ...]
    world: Mapping[str, Json]
    arg: Json = None
    tiers: tuple[Tier, ...] = (Tier.O,)
    signals: tuple[Signal, ...] = ()
    drift: Mapping[str, Json | Added] = field(default_factory=dict)
    providers: Mapping[str, Provider] = field(default_factory=dict)
    variants: Mapping[str, tuple[Answer, ...]] = field(default_factory=dict)
    lag_s: float = 0.0
    time_scale: float = 1e-4
    versions: Mapping[str, tuple[Program, ...]] = field(default_factory=dict)
    approvals: tuple[Op, ...] = ()

    def at(self, version: str) -> Scenario:
        """Return the scenario with the programs of a version; an empty one is the first.

        Raises:
            ScenarioError: there is no such version.

        """
        if not version:
            return self
        if version not in self.versions:
            known = ", ".join(self.versions) or "none"
            msg = f"scenario {self.name!r} has no version {version!r}; it has {known}"
            raise ScenarioError(msg)
        return replace(self, programs=self.versions[version])

    @property
    def live(self) -> bool:
        """Say whether some of its providers are real."""
        return any(provider.live for provider in self.providers.values())

    def provider(self, path: str) -> Provider:
        """Return what stands behind a path."""
        return self.providers.get(path.partition("/")[0], Provider())

    @property
    def main(self) -> Program:
        """Return the program that a trial submits."""
        return self.programs[0]

    def program(self, name: str) -> Program:
        """Return the program of that name.

        Raises:
            ScenarioError: there is none.

        """
        for program in self.programs:
            if program.name == name:
                return program
        names = ", ".join(program.name for program in self.programs)
        msg = f"scenario {self.name!r} has no program {name!r}; it has {names}"
        raise ScenarioError(msg)

    def consumers(self, event: str) -> tuple[Program, ...]:
        """Return the programs that an event starts."""
        return tuple(program for program in self.programs if event in program.on)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A scenario in one of its worlds: ``migration[O]`` or ``migration[O,throttled]``."""

    scenario: Scenario
    ref: str
    """What a worker process loads the scenario by: ``module:attribute`` or a path."""
    tier: Tier
    variant: str = ""

    @property
    def id(self) -> str:
        """Return the printable name."""
        inner = f"{self.tier},{self.variant}" if self.variant else str(self.tier)
        return f"{self.scenario.name}[{inner}]"

    def at(self, version: str) -> Case:
        """Return the case with the programs of a version.

        Raises:
            ScenarioError: there is no such version.

        """
        return replace(self, scenario=self.scenario.at(version))

    @property
    def answers(self) -> tuple[Answer, ...]:
        """Return the injected answers of the variant."""
        return self.scenario.variants.get(self.variant, ())


def cases(scenario: Scenario, ref: str, inner: str = "") -> tuple[Case, ...]:
    """Return the cases that ``NAME[inner]`` asks for; without ``inner``, the first tier.

    Raises:
        ScenarioError: ``inner`` names neither a tier nor a variant of this scenario.

    """
    case = Case(scenario=scenario, ref=ref, tier=scenario.tiers[0])
    for word in filter(None, (part.strip() for part in inner.split(","))):
        if word in scenario.tiers:
            case = replace(case, tier=Tier(word))
        elif word in scenario.variants:
            case = replace(case, variant=word)
        else:
            known = ", ".join([*scenario.tiers, *scenario.variants])
            msg = f"{scenario.name}[{inner}] has no tier or variant {word!r}; it has {known}"
            raise ScenarioError(msg)
    return (case,)
