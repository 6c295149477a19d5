"""Whose a token of Hatchet is."""

from __future__ import annotations

import base64
import json


def tenant_of(token: str) -> str:
    """Return the tenant of a token: the subject that it carries.

    Raises:
        ValueError: it is no token.

    """
    parts = token.split(".")
    if len(parts) != 3:  # noqa: PLR2004 - head, claims, signature
        msg = "expected a token of three parts with dots between"
        raise ValueError(msg)
    padded = parts[1] + "=" * (-len(parts[1]) % 4)
    return str(json.loads(base64.urlsafe_b64decode(padded))["sub"])
