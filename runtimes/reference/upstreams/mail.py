"""Mail: once the final dot is out and no answer came back, nobody can say whether it went.

SMTP has no key, no query and no version.  What there is, is evidence: the Message-ID is derived
from the key, so that a human, or a mailbox, can be asked for that very message.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import smtplib
import ssl

from collections.abc import Sequence
from contextlib import closing
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate

from harness.effects import Effect, Json, Tier
from harness.process import Address
from runtimes.reference.effect_log.records import Outcome
from runtimes.reference.upstreams.base import (
    Answer,
    Contract,
    LostError,
    Order,
    Seen,
    UnknownOperationError,
    UnreachableError,
)
from runtimes.reference.upstreams.credential import Credential, sealed
from runtimes.reference.upstreams.refusal import Refusal, refused


ANSWER_S, VERDICT_S, DEADLINE_S = 5.0, 30.0, 90
"""For each answer, for the one to the message, and for the whole conversation."""
ACCEPTED, GO_ON = (250, 251), 354
POLICY = SMTP.clone(cte_type="7bit")
LATER = {421, 450, 451, 452}
MAILBOX = re.compile(r"[A-Za-z0-9._+-]{1,64}@[a-z0-9-]+(\.[a-z0-9-]+)*")
SEND = Contract(effect=Effect.IRREVERSIBLE, tier=Tier.O, deadline_s=DEADLINE_S)


class Mail:
    """A submission server; a target is the one mailbox that a message goes to.

    One order is one recipient: several could be refused in part.
    """

    def __init__(
        self, address: Address, sender: str, credential: Credential, *, tls: bool = True
    ) -> None:
        """Send as ``sender``; with ``tls``, nothing is said before STARTTLS."""
        self._address, self._sender = address, sender
        self._credential, self._tls = credential, tls

    def credentials(self) -> Sequence[Credential]:
        """Return what it connects with."""
        return (self._credential,)

    def contract(self, op: str, target: str) -> Contract:
        """Return what is promised: nothing."""
        if op != "mail.send" or not MAILBOX.fullmatch(target):
            msg = f"no {op!r} on {target!r}; there is mail.send on a mailbox like ann@example.test"
            raise UnknownOperationError(msg)
        return SEND

    async def call(self, order: Order) -> Answer:
        """Send one message to one mailbox."""
        self.contract(order.op, order.target)
        if not order.key or order.expect or order.premises:
            why = "mail needs a key for its Message-ID, and knows no versions"
            return refused(Refusal.REFUSED, why)
        try:
            message = self._message(order)
        except ValueError as error:
            return refused(Refusal.REFUSED, self._credential.hide(str(error)))
        with sealed():
            return await asyncio.to_thread(self._sent, order, message)

    async def query(self, order: Order) -> Answer | None:
        """Refuse: nobody can be asked; a Message-ID is evidence for a human."""
        msg = f"mail cannot be asked for; its Message-ID is {self.message_id(order.key)}"
        raise UnknownOperationError(msg)

    async def look(self, resource: str) -> Seen:
        """Refuse: there is nothing to see."""
        msg = f"nothing can be seen of {resource!r}"
        raise UnknownOperationError(msg)

    def desired(self, order: Order) -> str:  # noqa: ARG002 - the protocol's
        """Return that it cannot be told."""
        return ""

    async def fence(self, run: str, epoch: int) -> bool:  # noqa: ARG002 - the protocol's
        """Return that no epoch is known here."""
        return False

    def message_id(self, key: str) -> str:
        """Return the Message-ID of a key, the same for every attempt."""
        name = hashlib.sha256(key.encode()).hexdigest()[:32]
        return f"<{name}@{self._sender.rpartition('@')[2]}>"

    def _message(self, order: Order) -> EmailMessage:
        """Return the message.

        Raises:
            ValueError: the arguments are not ``subject``, one line, and ``text``.

        """
        subject, text = order.args.get("subject"), order.args.get("text")
        if set(order.args) != {"subject", "text"} or not (
            isinstance(subject, str) and isinstance(text, str)
        ):
            msg = f"mail.send takes the texts subject and text, not {sorted(order.args)}"
            raise ValueError(msg)
        message = EmailMessage(policy=POLICY)
        message["From"], message["To"] = self._sender, order.target
        message["Subject"] = subject
        message["Date"] = formatdate()
        message["Message-ID"] = self.message_id(order.key)
        message.set_content(text)
        return message

    def _sent(self, order: Order, message: EmailMessage) -> Answer:
        """Have the whole conversation; until the final dot, whatever fails has done nothing.

        Raises:
            LostError: the message is out, and nothing is known of it.
            UnreachableError: it is not out.

        """
        text = re.sub(rb"(?m)^\.", b"..", message.as_bytes().rstrip(b"\r\n"))
        name = self.message_id(order.key)
        try:
            with closing(self._greeted()) as server:
                self._offered(server, order.target)
                code, said = _given(server, text + b"\r\n.\r\n", name)
        except smtplib.SMTPResponseException as error:
            code, said = error.smtp_code, _raw(error.smtp_error)
        except (smtplib.SMTPException, OSError) as error:
            msg = f"{self._address}: {type(error).__name__} before the message; nothing was done"
            raise UnreachableError(msg) from None
        detail = self._credential.hide(said.decode("latin-1"))
        if code in ACCEPTED:
            response: Json = {"message_id": name, "said": detail}
            return Answer(outcome=Outcome.OK, response=response, resource=order.target, ref=name)
        why = Refusal.THROTTLED if code in LATER else Refusal.REFUSED
        return refused(why, f"{code} {detail}", status=code)

    def _greeted(self) -> smtplib.SMTP:
        """Return a connection; its own name is told, because asking for it may take long."""
        domain = self._sender.rpartition("@")[2]
        return smtplib.SMTP(self._address.host, self._address.port, domain, ANSWER_S)

    def _offered(self, server: smtplib.SMTP, recipient: str) -> None:
        """Come to where only the message is missing.

        Raises:
            SMTPResponseException: the server said no; that is certain.

        """
        if self._tls:
            server.starttls(context=ssl.create_default_context())
        server.login(self._credential.name, self._credential.secret)
        for (code, said), expected in (
            (server.mail(self._sender), ACCEPTED),
            (server.rcpt(recipient), ACCEPTED),
            (server.docmd("data"), (GO_ON,)),
        ):
            if code not in expected:
                raise smtplib.SMTPResponseException(code, said)


def _given(server: smtplib.SMTP, text: bytes, name: str) -> tuple[int, bytes]:
    """Send the message and return what is said of it.

    Raises:
        LostError: nothing that can be read.

    """
    try:
        if server.sock:
            server.sock.settimeout(VERDICT_S)
        server.send(text)
        code, said = server.getreply()
    except (smtplib.SMTPException, OSError) as error:
        msg = f"no answer to message {name}: {type(error).__name__}; it may have gone"
        raise LostError(msg) from None
    if code < ACCEPTED[0]:
        msg = f"message {name} was answered by {code}; it may have gone"
        raise LostError(msg)
    return code, said


def _raw(said: bytes | str) -> bytes:
    # What smtplib says itself is text, what the server says is not.
    return said.encode() if isinstance(said, str) else said
