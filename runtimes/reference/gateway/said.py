"""Each way in which a request is not answered: its name, and its HTTP status.

A refusal is for good, as the request stands.  Trouble is 503: the same request may be sent again.
"""

from __future__ import annotations

from runtimes.reference.effect_log.canonical import CanonicalError
from runtimes.reference.effect_log.errors import ConflictError, DamagedError
from runtimes.reference.gateway.admissions import AdmissionError
from runtimes.reference.gateway.errors import (
    AwaitingError,
    RefusedError,
    TroubleError,
    UnjudgedError,
)
from runtimes.reference.gateway.gate import BarredError
from runtimes.reference.gateway.strict import BadRequestError
from runtimes.reference.resume.errors import DriftError, EscalatedError, PlanError, ResumeError
from runtimes.reference.upstreams.base import UnknownOperationError


BAD_REQUEST = "bad_request"
FORBIDDEN, CONFLICT, UNPROCESSABLE, UNAVAILABLE = 403, 409, 422, 503
WAYS: tuple[tuple[type[Exception], str, int], ...] = (
    (RefusedError, "", FORBIDDEN),
    (BarredError, "", FORBIDDEN),
    (AdmissionError, "not_admitted", FORBIDDEN),
    (AwaitingError, "awaiting_approval", FORBIDDEN),
    (ConflictError, "conflict", UNPROCESSABLE),
    (CanonicalError, "not_canonical", UNPROCESSABLE),
    (UnknownOperationError, "unknown_operation", UNPROCESSABLE),
    (DriftError, "drift", CONFLICT),
    (EscalatedError, "escalated", CONFLICT),
    (PlanError, "other_program", CONFLICT),
    (ResumeError, "not_now", CONFLICT),
    (DamagedError, "log_damaged", CONFLICT),
    (TroubleError, "trouble", UNAVAILABLE),
    (UnjudgedError, "unjudged", UNAVAILABLE),
)
"""The first that fits; one without a name has its own reason."""
ERRORS = tuple(kind for kind, _, _ in WAYS)


def reason(error: Exception) -> str:
    """Return the name of an error."""
    if isinstance(error, BadRequestError):
        return BAD_REQUEST
    name = next((name for kind, name, _ in WAYS if isinstance(error, kind)), "trouble")
    return name or str(getattr(error, "reason", "refused"))


def status(error: Exception) -> int:
    """Return how HTTP says it."""
    if isinstance(error, BadRequestError):
        return error.status
    return next((code for kind, _, code in WAYS if isinstance(error, kind)), UNAVAILABLE)
