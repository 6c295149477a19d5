"""What the gateway decides, written down and counted."""

from __future__ import annotations

import dataclasses

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from runtimes.reference.gateway.audit import Audit, Decision, Line
from runtimes.reference.gateway.metrics import Metrics
from runtimes.reference.gateway.said import ERRORS, reason


@dataclass(frozen=True, slots=True)
class Journal:
    """The audit and the figures, which say the same."""

    audit: Audit
    metrics: Metrics

    def note(self, line: Line) -> None:
        """Write a decision down.

        Raises:
            UnjudgedError: it cannot be written, and does not count.

        """
        named = line.decision in {Decision.REFUSAL, Decision.APPROVAL}
        self.metrics.decisions.labels(line.decision, line.reason if named else "").inc()
        self.audit.write(line)

    @contextmanager
    def judged(self, line: Line) -> Iterator[None]:
        """Write down why it was refused, if it was."""
        try:
            yield
        except ERRORS as error:
            self.note(dataclasses.replace(line, decision=Decision.REFUSAL, reason=reason(error)))
            raise
