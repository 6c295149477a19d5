"""Who is at the other end of a Unix socket, as the kernel has it."""

from __future__ import annotations

import socket
import struct

from aiohttp import web


CREDENTIALS = struct.Struct("3i")
NOBODY = "nobody"


def peer_of(request: web.Request) -> str:
    """Return the user and the group of the process that asks; nobody, where that is not known."""
    end = request.transport.get_extra_info("socket") if request.transport else None
    if end is None or end.family != socket.AF_UNIX:
        return NOBODY
    raw = end.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size)
    _, uid, gid = CREDENTIALS.unpack(raw)
    return peer(uid, gid)


def peer(uid: int, gid: int) -> str:
    """Return how a peer is called in an admission."""
    return f"uid:{uid}:{gid}"
