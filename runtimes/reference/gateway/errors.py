"""What the gateway says instead of yes: a refusal has its reason, and no verdict is no refusal."""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Why a request is refused, in the order in which it is looked at."""

    MALFORMED = "malformed"
    """It is no token, or has a block that no `attenuate` wrote."""
    FOREIGN_KEY = "foreign_key"
    """It names a root key that the keyring does not have, or no longer."""
    UNSIGNED = "unsigned"
    """Its signatures do not fit the root key that it names."""
    REVOKED = "revoked"
    WRONG_RUN = "wrong_run"
    WRONG_PEER = "wrong_peer"
    FENCED = "fenced"
    """Its epoch is older than that of the run."""
    CLOCK_STEPPED_BACK = "clock_stepped_back"
    """The wall clock is behind what it has shown, and only it could tell the age."""
    NOT_YET_VALID = "not_yet_valid"
    """It is from the future."""
    EXPIRED = "expired"
    OUT_OF_SCOPE = "out_of_scope"
    """Another operation, or another target."""
    OUT_OF_BOUNDS = "out_of_bounds"
    """The operation on that target, but not with these arguments."""
    RETIRED = "retired"
    """Its root key was retired while the request waited."""
    LEAK = "leak"
    """A credential stands in the arguments."""
    WITHDRAWN = "withdrawn"
    """What the run may do was ended while the request waited."""
    UNAPPROVED = "unapproved"
    """A human must allow it, and has not, or has said no."""
    REUSED = "reused"
    """A human has allowed it once, for another effect: the log is not what it was."""


class GatewayError(Exception):
    """The gateway does not let something happen; nothing was sent."""


class RefusedError(GatewayError):
    """The token does not allow the request, and never will as it stands.

    Attributes:
        reason: which rule refuses.

    """

    def __init__(self, reason: Reason, why: str) -> None:
        """Say which rule refuses, what it expected, what it saw, and what to do."""
        super().__init__(f"{reason}: {why}")
        self.reason = reason


class UnjudgedError(GatewayError):
    """There is no verdict: nothing is known to be wrong with the token, and nothing was allowed."""


class GrantError(GatewayError, ValueError):
    """What shall be granted cannot be said safely; nothing was signed."""


class KeysError(GatewayError):
    """The root keys cannot be had, or not changed so."""


class ForeignKeyError(KeysError):
    """Nobody here has a root key with such an id."""


class Known(StrEnum):
    """What is known of an effect when its answer is an error."""

    NOT_DONE = "not done"
    DONE = "done"
    IN_DOUBT = "in doubt"


class TroubleError(GatewayError):
    """The log or the provider failed.

    Attributes:
        known: what is known of the effect.

    """

    def __init__(self, slot: str, known: Known, error: Exception) -> None:
        """Say which effect, what is known of it, and what failed."""
        super().__init__(f"{slot} is {known}: {type(error).__name__}: {error}")
        self.known = known


class AwaitingError(GatewayError):
    """A human must allow the request first; it is to be asked again when that was done.

    Attributes:
        approval: the id under which it is decided.

    """

    def __init__(self, slot: str, approval: str) -> None:
        """Say which approval."""
        super().__init__(
            f"awaiting approval {approval}: {slot} waits for a human; "
            f"run: bakeoff gateway approvals approve {approval}"
        )
        self.approval = approval
