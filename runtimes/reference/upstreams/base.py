"""The words that the gateway and a provider have in common.

Whether a lost call may be repeated does not follow from the call but from what its provider
promises: that is the contract, and each upstream declares one for each of its operations.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from harness.effects import Effect, Json, Tier
from runtimes.reference.effect_log.records import Outcome


if TYPE_CHECKING:  # that module needs these words
    from runtimes.reference.upstreams.credential import Credential


class UpstreamError(Exception):
    """The provider could not be had; the message says what is known of the effect."""


class LostError(UpstreamError):
    """The order went out and no answer came back: it may be carried out, now or later."""


class UnreachableError(UpstreamError):
    """The order certainly did not go out: nothing was done."""


class UnknownOperationError(UpstreamError):
    """The provider has no such operation, or none on such a target; nothing was done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """What a provider promises of an operation; times are seconds.

    ``retention_s`` is how long tier K honours a key, ``lag_s`` how late a query or a look may
    show an effect, ``deadline_s`` after how long no call is on its way any more.  ``fenced`` says
    that calls of an older epoch are refused once ``fence`` has said so.  ``decides`` is for a
    model: its answer is a decision, never asked for again.
    """

    effect: Effect
    tier: Tier
    retention_s: int = 0
    lag_s: int = 0
    deadline_s: int = 30
    fenced: bool = False
    decides: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One call of a provider.

    ``slot`` is the plan's name of the effect, ``key`` the same for every attempt of it, ``epoch``
    that of the lease under which it is sent.  ``expect`` is the version that the target must have
    (empty: any), ``premises`` are versions by resource that must hold too.  ``context`` is what
    the caller's protocol carries along and no provider judges by.
    """

    run: str
    slot: str
    op: str
    target: str
    args: Mapping[str, Json]
    epoch: int = 0
    key: str = ""
    expect: str = ""
    premises: Mapping[str, str] = field(default_factory=dict)
    context: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """How a provider answered; ``response`` is what the agent is given.

    ``before`` and ``after`` are the versions of ``resource``, ``value_hash`` that of what a read
    saw, as ``look`` has it; ``ref`` is the provider's own name of what it did.  ``replayed`` says
    that a repeated key brought its first answer back.
    """

    outcome: Outcome
    response: Json
    resource: str = ""
    value_hash: str = ""
    before: str = ""
    after: str = ""
    ref: str = ""
    replayed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A resource as it is now; ``value_hash`` is that of its canonical text."""

    resource: str
    version: str
    value_hash: str
    value: Json = None


class Upstream(Protocol):
    """A provider, with the credential that it asks for: nobody else has that."""

    def contract(self, op: str, target: str) -> Contract:
        """Return what is promised of an operation.

        Raises:
            UnknownOperationError: there is no such operation, or none on such a target.

        """
        ...

    async def call(self, order: Order) -> Answer:
        """Carry out an order, once.

        Raises:
            LostError: no answer came back.
            UnreachableError: it did not go out.

        """
        ...

    async def query(self, order: Order) -> Answer | None:
        """Return how an order was answered, if it was carried out, else ``None`` (tier Q).

        Raises:
            UnreachableError: nobody answers.
            UnknownOperationError: the provider cannot be asked for it; nothing follows.

        """
        ...

    async def look(self, resource: str) -> Seen:
        """Return a resource as it is now; its version is empty where it has none.

        Raises:
            UnreachableError: nobody answers.
            UnknownOperationError: there is no such resource, or it cannot be seen.

        """
        ...

    def desired(self, order: Order) -> str:
        """Return the hash of what the target holds once the order is carried out (tier V).

        Empty where that cannot be told.
        """
        ...

    async def fence(self, run: str, epoch: int) -> bool:
        """Have calls of older epochs of a run refused; say whether they are from now on.

        Raises:
            UnreachableError: nobody answers.

        """
        ...


class Provider(Upstream, Protocol):
    """A connector: an upstream that has its provider's credential itself."""

    def credentials(self) -> Sequence[Credential]:
        """Return what nobody else may see; each has a name of its own."""
        ...
