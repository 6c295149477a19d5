"""The way to a primary name server, and back: all signed."""

from __future__ import annotations

import socket

import dns.asyncbackend
import dns.asyncquery
import dns.exception
import dns.flags
import dns.inet
import dns.message
import dns.rcode
import dns.tsig
import dns.update

from dns.rcode import Rcode

from harness.process import Address
from runtimes.reference.upstreams.base import LostError, UnreachableError
from runtimes.reference.upstreams.credential import Credential
from runtimes.reference.upstreams.dns_sets import Named, Records


ANSWER_S, FUDGE_S = 10, 20
SIGNATURES = {
    dns.tsig.PeerBadKey: "BADKEY",
    dns.tsig.PeerBadSignature: "BADSIG",
    dns.tsig.PeerBadTime: "BADTIME",
}
BROKEN = (dns.exception.DNSException, OSError, EOFError)
UNSIGNED = {"FORMERR", "NOTIMP", "REFUSED", "NOTAUTH"}
"""What a server says that cannot sign: of who does not know the key, nothing is done."""


class Primary:
    """A server, and the TSIG key that it knows."""

    def __init__(self, address: Address, credential: Credential, algorithm: str) -> None:
        """Prepare; nobody is asked."""
        self._address, self._credential, self._algorithm = address, credential, algorithm

    async def seen(self, target: Named) -> Records:
        """Ask the primary server for an RRset.

        Raises:
            UnreachableError: it does not answer, or not for this zone.

        """
        question = dns.message.make_query(target.name, target.type, flags=0)
        question.use_tsig(self._key(), fudge=FUDGE_S)
        try:
            reply = await dns.asyncquery.tcp(
                question, self._address.host, ANSWER_S, self._address.port
            )
        except BROKEN as error:
            msg = f"{self._address} does not answer: {type(error).__name__}; nothing was done"
            raise UnreachableError(msg) from None
        known = reply.rcode() in {Rcode.NOERROR, Rcode.NXDOMAIN} and reply.flags & dns.flags.AA
        if not known or not reply.had_tsig:
            said = dns.rcode.to_text(reply.rcode())
            msg = f"{self._address} said {said}, and no more for sure; nothing was done"
            raise UnreachableError(msg)
        found = reply.get_rrset(reply.answer, target.name, target.rdclass, target.type)
        return Records(found.to_rdataset() if found else None)

    async def sent(self, update: dns.update.UpdateMessage) -> str:
        """Send an update and return what the server says.

        Raises:
            UnreachableError: it did not go out.
            LostError: no answer came back that is the server's for sure.

        """
        update.use_tsig(self._key(), fudge=FUDGE_S)
        try:
            way = await dns.asyncbackend.get_backend("asyncio").make_socket(  # type: ignore[no-untyped-call]
                dns.inet.af_for_address(self._address.host),
                socket.SOCK_STREAM,
                destination=(self._address.host, self._address.port),
                timeout=ANSWER_S,
            )
        except BROKEN as error:
            msg = f"{self._address} does not answer: {type(error).__name__}; nothing was done"
            raise UnreachableError(msg) from None
        async with way:
            try:
                reply = await dns.asyncquery.tcp(update, "", ANSWER_S, sock=way)
            except dns.tsig.PeerError as error:
                return SIGNATURES.get(type(error), "BADTRUNC")
            except BROKEN as error:
                msg = f"no answer of {self._address}: {type(error).__name__}"
                raise LostError(msg) from None
        said = dns.rcode.to_text(reply.rcode())
        if not reply.had_tsig and said not in UNSIGNED:
            msg = f"{self._address} said {said} without a signature"
            raise LostError(msg)
        return said

    def _key(self) -> dns.tsig.Key:
        return dns.tsig.Key(self._credential.name, self._credential.secret, self._algorithm)
