"""What all pages share: one template environment, escaping always on, one style sheet."""

from __future__ import annotations

import functools
import re

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from reports.palette import variables
from reports.svg import seconds
from reports.words import STATES, count, found_in, state_of


@functools.cache
def environment() -> Environment:
    """Return the environment of the templates."""
    made = Environment(
        loader=PackageLoader("reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    loader = made.loader
    assert loader is not None  # noqa: S101 - given above
    style = loader.get_source(made, "style.css")[0]
    made.globals.update(
        style=Markup(variables() + style),  # noqa: S704 - ours
        states=STATES,
        state_of=state_of,
        found_in=found_in,
        count=count,
        page_of=page_of,
    )
    made.filters["seconds"] = seconds
    return made


def page_of(runtime: str) -> str:
    """Return the file name of a runtime's page."""
    return f"runtime-{re.sub(r'[^A-Za-z0-9]+', '-', runtime).strip('-')}.html"


def render(template: str, **values: Any) -> str:  # noqa: ANN401 - what a template takes
    """Return a page."""
    return environment().get_template(template).render(**values)
