"""The way to a gateway that runs: its sockets, and what an operator says there.

It imports nothing that the gateway itself needs, so that the command is light.
"""

from __future__ import annotations

import json
import socket

from contextlib import closing
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any


WORKERS, OPERATORS = "workers.sock", "operators.sock"
ASK_S = 10.0
DAY_S = 86_400


class OperatorError(Exception):
    """The gateway did not do what an operator said; the message says why, and what holds."""


class Wire(HTTPConnection):
    """HTTP on a Unix socket."""

    def __init__(self, path: Path, patience_s: float) -> None:
        """Prepare; nothing is opened yet."""
        super().__init__("gateway", timeout=patience_s)
        self._path, self._patience_s = path, patience_s

    def connect(self) -> None:
        """Open the socket."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self._patience_s)
        self.sock.connect(str(self._path))


def ask(folder: Path, path: str, body: object = None) -> Any:  # noqa: ANN401 - JSON
    """Say something to the gateway of a folder, and return what it answers.

    Raises:
        OperatorError: it refuses, or nobody answers there.

    """
    try:
        with closing(Wire(folder / OPERATORS, ASK_S)) as wire:
            wire.request("GET" if body is None else "POST", path, json.dumps(body))
            answer = wire.getresponse()
            text = answer.read().decode()
    except (OSError, HTTPException) as error:
        msg = f"no gateway answers in {folder}: {error}; is it running there?"
        raise OperatorError(msg) from error
    if answer.status != HTTPStatus.OK:
        msg = f"the gateway says {answer.status}: {text}"
        raise OperatorError(msg)
    return text if path == "/metrics" else json.loads(text)
