"""One run's world, without IO: versioned resources, providers by tier, a ledger, a clock.

The HTTP face and the in-memory model drive this same class, so that the expectation and
the observation differ in the runtime only.

Verbs (``args``): ``read {path}`` (a trailing ``*`` reads all below), ``ask {options}`` (the
planner: it answers differently each time), ``create {path, value}`` (left alone where it
exists), ``set {path, value}``, ``append {path, value}``, ``copy {path, to}``,
``clear {path}`` (a trailing ``*`` empties all below), ``query {step}`` (tier Q: was the
effect of this step applied?).
"""

from __future__ import annotations

import copy
import json

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

from harness.effects import Effect, Json, Tier
from harness.scenario import Added, Answer, Case, Provider


STRANGER = "stranger"
"""The author of what no program wrote."""
FENCED = "another one holds the run"
MOVED_ON = "the version has moved on"
"""Why a call is rejected, whatever it asks for."""
RETENTION_S = 24 * 3600.0
"""How long tier K remembers a key, in virtual seconds (Stripe prunes after 24 h)."""


NEEDS = {
    "read": ("path",),
    "ask": ("options",),
    "create": ("path", "value"),
    "set": ("path", "value"),
    "append": ("path", "value"),
    "copy": ("path", "to"),
    "clear": ("path",),
    "query": ("step",),
}
"""The arguments that each verb needs."""
KINDS: Mapping[str, tuple[type, ...]] = {
    **dict.fromkeys(("run", "step", "op", "key", "incarnation"), (str,)),
    "args": (dict,),
    "premises": (list, tuple),
    "slept_s": (int, float),
    "seq": (int,),
    "epoch": (int,),
}


def resources(verb: str, args: Mapping[str, Json]) -> tuple[str, ...]:
    """Return all that a verb acts on, what it changes first.

    What has no place of its own is called by the verb.
    """
    places = [name for name in ("to", "path") if name in NEEDS.get(verb, ())]
    named = [args[name] for name in places if name in args]  # what is missing is refused later
    return tuple(str(each) for each in named) or (verb,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request to ``perform``; ``slept_s`` is the virtual time its body has slept.

    ``epoch`` is that of the lease under which a gateway sends it; 0 says that there is none.
    """

    run: str
    step: str
    op: str
    effect: Effect
    args: Mapping[str, Json]
    key: str = ""
    premises: Sequence[Mapping[str, str]] = ()
    slept_s: float = 0.0
    incarnation: str = ""
    seq: int = 0
    epoch: int = 0

    @classmethod
    def from_json(cls, data: Mapping[str, Json]) -> Call:
        """Read the body of a request.

        Raises:
            ValueError: a field is missing, unknown or of the wrong type.

        """
        try:
            call = cls(**{**data, "effect": Effect(str(data["effect"]))})  # type: ignore[arg-type]
        except (TypeError, KeyError) as error:
            msg = f"a call needs run, step, op, effect, args; seen {sorted(data)} ({error})"
            raise ValueError(msg) from error
        for name, kinds in KINDS.items():
            value = getattr(call, name)
            if not isinstance(value, kinds) or isinstance(value, bool):
                msg = f"{name} of a call is of the wrong type: {value!r}"
                raise ValueError(msg)  # noqa: TRY004 - one error for all that is malformed
        for premise in call.premises:
            if not isinstance(premise, dict) or {"path", "etag"} - set(premise):
                msg = f"a premise is an object with path and etag, seen {premise!r}"
                raise ValueError(msg)
        if missing := [name for name in NEEDS.get(call.op, ()) if name not in call.args]:
            msg = f"{call.op} needs the arguments {', '.join(NEEDS[call.op])}; missing {missing}"
            raise ValueError(msg)
        return call

    def to_json(self) -> dict[str, Json]:
        """Return the call as it stands in a history, beside its run."""
        data = asdict(self)
        del data["run"]
        if not self.epoch:
            del data["epoch"]
        return {**data, "effect": str(self.effect)}

    @property
    def fingerprint(self) -> str:
        """Return what identifies the request's content."""
        return json.dumps([self.op, self.args], sort_keys=True)


@dataclass(slots=True)
class Resource:
    """A value with a version; ``author`` is the run and step that wrote it last."""

    value: Json
    version: int = 1
    author: str = ""

    @property
    def etag(self) -> str:
        """Return the version as an ETag."""
        return f"v{self.version}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a call did: the reply, whether the world changed, how often, on what false premises."""

    reply: dict[str, Json]
    applied: bool
    premise_broken: tuple[str, ...] = ()
    times: int = 1


@dataclass(slots=True)
class Cell:
    """The world of one run and its children."""

    tier: Tier
    resources: dict[str, Resource]
    answers: tuple[Answer, ...] = ()
    lag_s: float = 0.0
    clock_s: float = 0.0
    aged_s: float = 0.0
    asked: int = 0
    seen: dict[str, int] = field(default_factory=dict)
    applied_at: dict[str, float] = field(default_factory=dict)
    keys: dict[str, tuple[str, dict[str, Json], float]] = field(default_factory=dict)
    fences: dict[str, int] = field(default_factory=dict)
    providers: Mapping[str, Provider] = field(default_factory=dict)
    additions: dict[str, list[Json]] = field(default_factory=dict)
    """What strangers have added to lists."""

    @classmethod
    def of(
        cls,
        tier: Tier,
        world: Mapping[str, Json],
        answers: tuple[Answer, ...] = (),
        lag_s: float = 0.0,
    ) -> Cell:
        """Return a new cell with its first values."""
        values = copy.deepcopy(dict(world))
        return cls(tier, {path: Resource(value) for path, value in values.items()}, answers, lag_s)

    @classmethod
    def in_case(cls, case: Case, answers: tuple[Answer, ...] | None = None) -> Cell:
        """Return a new cell of a case, with other answers than its own if they are given."""
        scenario = case.scenario
        cell = cls.of(
            case.tier, scenario.world, case.answers if answers is None else answers, scenario.lag_s
        )
        cell.providers = scenario.providers
        return cell

    def provider(self, path: str) -> Provider:
        """Return what stands behind a path."""
        return self.providers.get(path.partition("/")[0], Provider())

    def tier_of(self, path: str) -> Tier:
        """Return what is offered behind a path."""
        return self.provider(path).tier or self.tier

    def age(self, for_s: float) -> None:
        """Let time pass while nobody is there (virtual seconds)."""
        self.aged_s += for_s
        self.clock_s += for_s

    def values(self) -> dict[str, Json]:
        """Return the values of all resources."""
        return {path: self.resources[path].value for path in sorted(self.resources)}

    def strange(self) -> list[str]:
        """Return the paths whose last word was a stranger's."""
        return sorted(path for path, found in self.resources.items() if found.author == STRANGER)

    def state(self) -> dict[str, Json]:
        """Return how it is at the end: what a history has under ``world``."""
        return {
            "values": self.values(),
            "strange": [*self.strange()],
            "added": {path: [*items] for path, items in self.additions.items()},
        }

    def write(self, path: str, value: Json | Added, author: str) -> None:
        """Write a resource as ``author`` (a stranger's drift, or a step)."""
        resource = self.resources.setdefault(path, Resource(None, 0))
        if isinstance(value, Added):
            self.additions.setdefault(path, []).append(value.item)
            held = resource.value if isinstance(resource.value, list) else []
            value = [*held, value.item]
        resource.value = copy.deepcopy(value)
        resource.version += 1
        resource.author = author

    def matching(self, path: str) -> list[str]:
        """Return the paths that ``path`` names; a trailing ``*`` names all below."""
        if path.endswith("*"):
            return sorted(name for name in self.resources if name.startswith(path[:-1]))
        return [path] if path in self.resources else []

    def authors(self, path: str) -> set[str]:
        """Return who wrote last what ``path`` names."""
        return {self.resources[name].author for name in self.matching(path)}

    def etag(self, path: str) -> str:
        """Return the ETag of one resource, or of all that a pattern names."""
        return ",".join(self.resources[name].etag for name in self.matching(path))

    def moved(self, path: str, etag: str, author: str) -> bool:
        """Say whether what ``path`` names was changed by anyone but ``author`` since ``etag``."""
        names, before = self.matching(path), etag.split(",") if etag else []
        if len(names) != len(before):
            return any(self.resources[name].author != author for name in names) or not names
        return any(
            self.resources[name].etag != old and self.resources[name].author != author
            for name, old in zip(names, before, strict=True)
        )

    def fence(self, run: str, epoch: int) -> None:
        """Refuse calls for a run from older epochs, and from those that have none."""
        self.fences[run] = max(epoch, self.fences.get(run, 0))

    def applied(self, run: str, step: str) -> bool:
        """Say whether the effect of a step was applied, as far as the provider knows by now."""
        at_s = self.applied_at.get(f"{run}/{step}")
        return at_s is not None and self.clock_s >= at_s + self.lag_s

    def look(self, path: str) -> tuple[Json, str]:
        """Return the value and the ETag of a resource, or of all that a pattern names."""
        names = self.matching(path)
        if path.endswith("*"):
            found: Json = {name: self.resources[name].value for name in names}
        else:
            found = self.resources[path].value if names else None
        return copy.deepcopy(found), self.etag(path)

    def apply(self, call: Call, credential: str = "") -> Outcome:
        """Carry out a call that came with a credential, in one uninterrupted block."""
        if call.epoch < self.fences.get(call.run, 0):
            return Outcome({"status": "rejected", "value": FENCED}, applied=False)
        self.clock_s = max(self.clock_s, self.aged_s + call.slept_s)
        author = f"{call.run}/{call.step}"
        self.seen[author] = nth = self.seen.get(author, 0) + 1
        given = [a for a in self.answers if a.fits(call.step, nth) and "." not in call.run]
        for answer in given:
            if not answer.echoes:
                return Outcome(answer.reply, applied=False)
        path = str(call.args.get("path", ""))
        tier = self.tier_of(path)
        if tier is Tier.K and call.key and call.effect.writes:
            stored = self.keys.get(call.key)
            if stored and self.clock_s - stored[2] < RETENTION_S:
                if stored[0] != call.fingerprint:
                    why = "this key was used with another request"
                    return Outcome({"status": "rejected", "value": why}, applied=False)
                return Outcome(dict(stored[1]), applied=False)
        broken = tuple(
            premise["path"]
            for premise in call.premises
            if self.moved(premise["path"], premise["etag"], author)
        )
        if tier is Tier.V and any(
            self.etag(premise["path"]) != premise["etag"] for premise in call.premises
        ):
            return Outcome({"status": "rejected", "value": MOVED_ON}, applied=False)
        if self._there(call, path):
            reply: dict[str, Json] = {"status": "ok", "value": None, "etag": self.etag(path)}
            return Outcome(reply, applied=False)
        reply = self._verb(call, author)
        if given and credential:
            reply["sent"] = {"Authorization": credential}
        if call.effect.writes and reply["status"] == "ok":
            self.applied_at[author] = self.clock_s
            if tier is Tier.K and call.key:
                self.keys[call.key] = (call.fingerprint, dict(reply), self.clock_s)
            return Outcome(reply, applied=True, premise_broken=broken)
        return Outcome(reply, applied=False)

    def _there(self, call: Call, path: str) -> bool:
        """Say whether a call asks for the content that its provider has."""
        same = path in self.resources and self.resources[path].value == call.args.get("value")
        return call.op == "set" and same and self.provider(path).by_content

    def _verb(self, call: Call, author: str) -> dict[str, Json]:
        path = str(call.args.get("path", ""))
        value = call.args.get("value")
        match call.op:
            case "read":
                found, etag = self.look(path)
                return {"status": "ok", "value": found, "etag": etag}
            case "ask":
                given = call.args["options"]
                options = list(given) if isinstance(given, list) else []
                turn = self.asked % len(options) if options else 0
                self.asked += 1
                return {"status": "ok", "value": options[turn:] + options[:turn]}
            case "query":
                seen = self.applied(call.run, str(call.args["step"]))
                return {"status": "ok" if self.tier is Tier.Q else "rejected", "value": seen}
            case "create":
                if path not in self.resources:
                    self.write(path, value, author)
            case "set":
                self.write(path, value, author)
            case "append":
                held = self.resources[path].value if path in self.resources else []
                self.write(path, [*held, value] if isinstance(held, list) else [value], author)
            case "copy":
                source = self.resources.get(path)
                self.write(str(call.args["to"]), source.value if source else None, author)
            case "clear":
                for name in self.matching(path):
                    self.write(name, [], author)
            case _:
                return {"status": "rejected", "value": f"the world has no verb {call.op!r}"}
        return {"status": "ok", "value": None, "etag": self.etag(path)}
