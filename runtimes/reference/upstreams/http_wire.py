"""The way to an HTTP API: the credential goes to its authority, and to no other."""

from __future__ import annotations

import asyncio
import ssl

import httpx

from harness.deadline import Deadline
from runtimes.reference.upstreams.base import Answer, LostError, UnreachableError
from runtimes.reference.upstreams.credential import Credential
from runtimes.reference.upstreams.http_words import GONE
from runtimes.reference.upstreams.refusal import Refusal, refused


CONNECT_S = 5.0
MOST_REDIRECTS = 3
UNSENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.UnsupportedProtocol,
    httpx.InvalidURL,
)


class Wire:
    """An authority, and the token that it asks for."""

    def __init__(self, base: str, credential: Credential) -> None:
        """Prepare; nobody is asked.

        Raises:
            ValueError: the URL has a credential of its own, which would stand in messages.

        """
        self.base = httpx.URL(base.rstrip("/") + "/")
        if self.base.userinfo:
            msg = f"the URL of {self.base.host} has a credential; give it apart"
            raise ValueError(msg)
        self._credential = credential
        self._trust = ssl.create_default_context()

    async def followed(self, request: httpx.Request, deadline: Deadline) -> httpx.Response | Answer:
        """Send a request, and again where it is led within the same authority.

        Raises:
            LostError: it was led on in a way that leaves open what was done.

        """
        for _ in range(MOST_REDIRECTS):
            response = await self._sent(request, deadline)
            if not response.has_redirect_location:
                return response
            reads = request.method == "GET"
            if response.status_code not in {307, 308} and not reads:
                msg = f"{self._authority} answered by {response.status_code}: what was done is open"
                raise LostError(msg)
            url = self._within(request.url, response.headers["Location"])
            if url is None:
                return refused(Refusal.REFUSED, f"{self._authority} leads to another authority")
            headers = {
                name: value
                for name, value in request.headers.items()
                if name not in {"host", "content-length"}
            }
            request = httpx.Request(request.method, url, headers=headers, content=request.content)
        return refused(Refusal.REFUSED, f"{self._authority} leads in circles")

    def _within(self, url: httpx.URL, leads: str) -> httpx.URL | None:
        """Return where a redirect leads, if that is of the same authority."""
        try:
            there = url.join(leads)
        except httpx.InvalidURL:
            return None
        same = (there.scheme, there.netloc, there.userinfo)
        return there if same == (self.base.scheme, self.base.netloc, b"") else None

    async def _sent(self, request: httpx.Request, deadline: Deadline) -> httpx.Response:
        request.headers["Authorization"] = f"Bearer {self._credential.secret}"
        limits = httpx.Timeout(deadline.left_s, connect=min(CONNECT_S, deadline.left_s))
        try:
            # No settings of the environment: a proxy would be told the credential.
            async with (
                asyncio.timeout(deadline.left_s),
                httpx.AsyncClient(verify=self._trust, trust_env=False, timeout=limits) as client,
            ):
                return await client.send(request)
        except UNSENT as error:
            msg = f"{self._authority}: {type(error).__name__}; nothing was done"
            raise UnreachableError(msg) from None
        except (httpx.HTTPError, TimeoutError) as error:
            msg = f"no answer of {self._authority}: {type(error).__name__}"
            raise LostError(msg) from None

    async def got(self, path: str, deadline: Deadline) -> httpx.Response | None:
        """Return what is at a path, ``None`` if nothing is.

        Raises:
            UnreachableError: it cannot be told.

        """
        request = httpx.Request("GET", self.base.join(path))
        try:
            response = await self.followed(request, deadline)
        except LostError as error:
            raise UnreachableError(str(error)) from None
        if isinstance(response, httpx.Response) and response.status_code in GONE:
            return None
        if isinstance(response, httpx.Response) and response.is_success:
            return response
        msg = f"{self._authority} does not say what is at {path}"
        raise UnreachableError(msg)

    @property
    def _authority(self) -> str:
        return self.base.netloc.decode()
