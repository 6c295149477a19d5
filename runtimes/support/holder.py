"""Keeps a network alive, and makes sockets that belong to it.

A socket belongs to the network that its maker was in, whoever uses it afterwards.  So the one
process that is inside hands out sockets, and the harness need not enter: it may not, where the
network came with a user namespace.  Ends when the harness does.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import struct
import sys


SET_FLAGS = 0x8914  # SIOCSIFFLAGS of linux/sockios.h
UP = 0x1  # IFF_UP of linux/if.h


def main() -> None:
    """Bring the loopback up, and send a socket for each byte that comes in over a Unix socket."""
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, SET_FLAGS, struct.pack("16sh14x", b"lo", UP))
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(sys.argv[1])
        door.listen()
        sys.stdout.write(json.dumps({"incarnation": os.environ["BAKEOFF_INCARNATION"]}) + "\n")
        sys.stdout.flush()
        harness, _ = door.accept()
    with harness:
        while harness.recv(1):
            with socket.socket() as made:
                socket.send_fds(harness, [b"."], [made.fileno()])


if __name__ == "__main__":
    main()
