"""The mail server's own process."""

from __future__ import annotations

import asyncio
import hmac

from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from runtimes.reference.live.child import address, say, told


class Keeper:
    """Keeps each message that it accepts in a file of its own, before it says so."""

    def __init__(self, part: dict[str, Any]) -> None:
        """Keep in the part's folder; what was there before comes first."""
        self._folder, self._replies = Path(part["folder"]), dict(part["replies"])
        self._count = len([*self._folder.glob("*.eml")])

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self,
        server: SMTP,  # noqa: ARG002 - aiosmtpd's
        session: Session,  # noqa: ARG002 - aiosmtpd's
        envelope: Envelope,
        recipient: str,
        options: list[str],  # noqa: ARG002 - aiosmtpd's
    ) -> str:
        """Take a recipient, or not."""
        if recipient in self._replies:
            return str(self._replies[recipient])
        envelope.rcpt_tos.append(recipient)
        return "250 OK"

    async def handle_DATA(  # noqa: N802 - aiosmtpd's name
        self,
        server: SMTP,  # noqa: ARG002 - aiosmtpd's
        session: Session,  # noqa: ARG002 - aiosmtpd's
        envelope: Envelope,
    ) -> str:
        """Take a message, or not."""
        for recipient in envelope.rcpt_tos:
            if f"data:{recipient}" in self._replies:
                return str(self._replies[f"data:{recipient}"])
        self._count += 1
        content = envelope.content or b""
        assert isinstance(content, bytes)  # noqa: S101 - it decodes nothing
        (self._folder / f"{self._count:06}.eml").write_bytes(content)
        return f"250 {self._count} accepted"


async def serve() -> None:
    """Listen until killed."""
    part = told()
    keeper, expected = Keeper(part), (part["name"].encode(), part["secret"].encode())

    def admits(
        _server: SMTP, _session: Session, _envelope: Envelope, _how: str, data: object
    ) -> AuthResult:
        said = data if isinstance(data, LoginPassword) else LoginPassword(b"", b"")
        same = all(map(hmac.compare_digest, (said.login, said.password), expected))
        return AuthResult(success=same, handled=False)

    def made() -> SMTP:
        return SMTP(
            keeper,
            hostname="mail.test",
            authenticator=admits,
            auth_required=True,
            auth_require_tls=False,
            loop=asyncio.get_running_loop(),
        )

    where = address(part)
    server = await asyncio.get_running_loop().create_server(made, where.host, where.port)
    async with server:
        say()
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve())
