"""All that outlives a process, to be copied, compared and put back."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

from harness.effects import Tier
from runtimes.reference.effect_log.records import Record
from runtimes.reference.enumeration.agent import THINGS, Given
from runtimes.reference.enumeration.disk import Disk
from runtimes.reference.enumeration.world import Thing, Time, World


@dataclass(slots=True)
class State:
    """All that outlives a process: the disk and the world.

    What comes next depends on nothing else: two states are equal only if all of it is.
    ``records`` are those of the disk's rows, ``given`` is what agents were given so far: both are
    for the oracles only.  ``text`` is what the agent writes to people.
    """

    disk: Disk
    world: World
    records: list[Record] = field(default_factory=list)
    given: list[Given] = field(default_factory=list)
    text: str = "moved"
    program: str = ""
    """Which version of the program is deployed."""
    given_up: bool = False

    @classmethod
    def fresh(cls, tier: Tier, *, fences: bool, careless: bool = False) -> State:
        """Return a world before the first process."""
        things = {path: Thing(value, 1, "") for path, value in THINGS.items()}
        return cls(Disk(careless=careless), World(tier, fences, Time(), things))

    def copy(self) -> State:
        """Return the same state."""
        return self._with(self.disk.copy(), [*self.records])

    def cut(self, kept: int) -> State:
        """Return what the power leaves, if it leaves that many rows."""
        return self._with(self.disk.cut(kept), self.records[:kept])

    def become(self, other: State) -> None:
        """Be as another state is, for whoever has hold of this one."""
        now, held = other.copy(), (self.disk, self.world, self.world.time, self.given)
        _fill(self.disk, now.disk)
        _fill(self.world.time, now.world.time)
        _fill(self.world, now.world)
        _fill(self, now)
        self.disk, self.world, self.world.time, self.given = held
        self.given[:] = now.given

    def _with(self, disk: Disk, records: list[Record]) -> State:
        return State(
            disk,
            self.world.copy(),
            records,
            [*self.given],
            self.text,
            self.program,
            self.given_up,
        )


def _fill(part: Disk | World | Time | State, other: Disk | World | Time | State) -> None:
    """Have a part hold what another one holds."""
    for each in fields(other):
        setattr(part, each.name, getattr(other, each.name))
