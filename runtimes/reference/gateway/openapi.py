"""The table of routes as a document of OpenAPI 3.1."""

from __future__ import annotations

from typing import Any

from runtimes.reference.gateway.fields import Kind
from runtimes.reference.gateway.request import PROVIDERS, Codec
from runtimes.reference.gateway.routes import FACES, JSON, TEXTS, Answer


VERSION = 1
"""Of what is told here; it changes when a request of before is refused."""


def openapi(face: str, codec: Codec = PROVIDERS) -> dict[str, Any]:
    """Return the OpenAPI document of a face, to which workers speak in these words."""
    paths = {
        route.path: {
            route.method.lower(): {
                "operationId": route.path.strip("/"),
                "summary": route.what,
                **({"requestBody": _body(route.body)} if route.body else {}),
                "responses": {str(code): _said(one) for code, one in route.answers.items()},
            }
        }
        for route in FACES[face](codec)
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": f"Bakeoff's gateway: {face}.sock", "version": str(VERSION)},
        "paths": paths,
    }


def _body(body: Kind) -> dict[str, Any]:
    return {"required": True, "content": {JSON: {"schema": body.schema}}}


def _said(answer: Answer) -> dict[str, Any]:
    schema = TEXTS if answer.schema is None else answer.schema
    return {"description": answer.what, "content": {answer.media: {"schema": schema}}}
