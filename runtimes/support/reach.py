"""Whether anybody answers at a worker's address, seen from where `bakeoff diagnose` runs."""

from __future__ import annotations

import socket

from typing import Literal
from urllib.parse import urlsplit


PATIENCE_S = 2.0
# A client that speaks HTTP/2 at once.  A server of HTTP/2 answers with its settings, one of
# HTTP/1 or of TLS with its refusal: any byte shows that somebody is there.
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\x04\0\0\0\0\0"
PORTS = {"http": 80, "https": 443}


def reach(uri: str) -> Literal["alive", "gone", "unknown"]:
    """Say whether anybody answers: an open port is not enough, a proxy may stand there.

    Silence, and a name that means nothing here, tell nothing.
    """
    parts = urlsplit(uri)
    place = str(parts.hostname), parts.port or PORTS.get(parts.scheme, 80)
    try:
        with socket.create_connection(place, PATIENCE_S) as door:
            door.sendall(PREFACE)
            return "alive" if door.recv(1) else "gone"
    except (TimeoutError, socket.gaierror):
        return "unknown"
    except OSError:
        return "gone"
