"""Trigger.dev: the adapter of a deployment that the environment names.

Written from the published API and never run: the platform needs container images, which are not
to be had where this was written.  Without a deployment it is unavailable, and says so.
"""

from __future__ import annotations

import os

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

import httpx

from harness.compat import Claim, read_claims
from harness.effects import Json
from harness.process import Site
from harness.program import AFTER_ACK, FINALIZE
from harness.runtime import Dial, Guarantee, Kind, RuntimeUnavailableError, Support, Witness
from runtimes.trigger_dev.backend import TriggerBackend


URL, KEY, PROJECT = "TRIGGER_API_URL", "TRIGGER_SECRET_KEY", "TRIGGER_PROJECT_DIR"
PATIENCE_S = 30.0
# What the task project must do (README.md); none of it is proven.
PROMISED = {
    **dict.fromkeys(("sleep", "sleep_until", "invoke", "wait_for", "gather"), Support.NATIVE),
    **dict.fromkeys(("step", "decide", "emit", "now", "draw"), Support.EMULATED),
    "cancel": Support.NATIVE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """Where the platform is, the key of an environment, and the folder of the task project."""

    url: str
    key: str = field(repr=False)
    project: Path

    @classmethod
    def named(cls, environment: Mapping[str, str]) -> Deployment:
        """Read the deployment from environment variables.

        Raises:
            RuntimeUnavailableError: one of them is missing.

        """
        missing = [name for name in (URL, KEY, PROJECT) if not environment.get(name)]
        if missing:
            msg = (
                f"trigger-dev: no deployment is named: set {', '.join(missing)} "
                f"(its server needs container images, so that none can be installed here; "
                f"runtimes/trigger_dev/README.md)"
            )
            raise RuntimeUnavailableError(msg)
        project = Path(environment[PROJECT])
        if not project.is_dir():
            msg = f"trigger-dev: {PROJECT} must be the folder of the task project: {project}"
            raise RuntimeUnavailableError(msg)
        return cls(url=environment[URL].rstrip("/"), key=environment[KEY], project=project)


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerDev:
    """What Trigger.dev is and promises, by its documentation.

    A worker of the kind that can be killed here serves a whole environment, hence one run at a
    time; whether a phase was reached, nobody but the world can say.
    """

    name: str = "trigger-dev"
    kind: Kind = Kind.SERVER
    dial: Dial = Dial.WORKER
    guarantee: Guarantee = Guarantee.AT_LEAST_ONCE
    batch: int = 1
    profiles: Sequence[str] = ("default", "fast")
    witness: Mapping[str, Witness] = field(
        default_factory=lambda: {
            "before_effect": Witness.WORLD,
            "after_effect": Witness.WORLD,
            AFTER_ACK: Witness.NONE,
            FINALIZE: Witness.NONE,
            "waiting": Witness.NONE,
        }
    )
    capabilities: Mapping[str, Support] = field(default_factory=lambda: PROMISED)

    @property
    def mapping(self) -> Mapping[str, Claim]:
        """Return what the documentation says of each primitive, with its pages."""
        text = files("runtimes.trigger_dev").joinpath("mapping.toml").read_text("utf-8")
        return read_claims(text)

    def version(self) -> str:
        """Return where the deployment is; its API names no version."""
        return f"trigger.dev at {Deployment.named(os.environ).url} (this adapter was never run)"

    def settings(self, profile: str) -> Mapping[str, Json]:
        """Return the vendor's timers of v4.5; a deployment sets its own, in every profile."""
        return {
            "profile": profile,
            "never_run": True,
            "pending_executing_timeout_s": 60.0,
            "executing_timeout_s": 300.0,
            "hang_timer_s": 300.0,
            "settle_s": 900.0,
        }

    @contextmanager
    def start(self, site: Site, profile: str) -> Iterator[TriggerBackend]:
        """Use the deployment that the environment names.

        Raises:
            RuntimeUnavailableError: none is named, or it does not answer.

        """
        del site, profile
        place = Deployment.named(os.environ)
        headers = {"Authorization": f"Bearer {place.key}"}
        with httpx.Client(base_url=place.url, headers=headers, timeout=PATIENCE_S) as http:
            try:
                http.get("/healthcheck").raise_for_status()
            except httpx.HTTPError as error:
                msg = f"trigger-dev: {place.url} does not answer /healthcheck ({error}); see {URL}"
                raise RuntimeUnavailableError(msg) from error
            yield TriggerBackend(http, place.project)


RUNTIME = TriggerDev()
