"""Which server a sweep is going to use.

A user may have a binary of their own, a deployment that runs already, a server on the PATH, or
what we installed.  What was asked for by name comes first and is never passed over in silence:
an environment variable that points at nothing is an error, not a reason to look elsewhere.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import logging
import os
import re
import shutil

from dataclasses import dataclass
from pathlib import Path

from harness.engines.cache import cached
from harness.engines.child import EngineError
from harness.engines.engine import DamagedError, Engine, Found
from harness.process import Address


_log = logging.getLogger(__name__)
_HOST = re.compile(r"(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?")
_ADDRESS = re.compile(r"(?:\[(?P<v6>[^\]]+)\]|(?P<host>[^:]+)):(?P<port>\d{1,5})")
_PORTS = range(1, 65536)


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """The outcome of looking for an engine; ``passed_over`` says what was there and not used."""

    found: Found | None
    passed_over: tuple[str, ...] = ()


def locate(engine: Engine) -> Found | None:
    """Return the server to use, or None; what is passed over goes to the log as a warning.

    Raises:
        EngineError: an environment variable names a binary or an address that cannot be used.

    """
    outcome = search(engine)
    for line in outcome.passed_over:
        _log.warning("%s", line)
    return outcome.found


def search(engine: Engine) -> Search:
    """Look in the environment, on the PATH and in the cache, in this order.

    Raises:
        EngineError: an environment variable names a binary or an address that cannot be used.

    """
    asked = _binary_asked_for(engine) or _address_asked_for(engine)
    if asked:
        return Search(found=asked)
    passed_over = []
    try:
        on_path = _on_path(engine)
    except EngineError as error:
        on_path = None
        passed_over.append(f"not used: {error}")
    if on_path:
        return Search(found=on_path)
    try:
        found = cached(engine)
    except DamagedError as error:
        found = None
        passed_over.append(f"not used: {error}")
    return Search(found=found, passed_over=tuple(passed_over))


def _binary_asked_for(engine: Engine) -> Found | None:
    """Return the binary that the environment names."""
    value = os.environ.get(engine.env_binary)
    if not value:
        return None
    path = Path(value).expanduser().absolute()
    if not path.is_file() or not os.access(path, os.X_OK):
        raise EngineError(
            expected=f"{engine.env_binary} to name an executable file",
            seen=f"{path}, which {'is not executable' if path.is_file() else 'is no file'}",
            do=f"correct or unset {engine.env_binary}",
        )
    return _whole(Found(engine=engine, source="environment", path=path), path)


def _address_asked_for(engine: Engine) -> Found | None:
    """Return the running deployment that the environment names; it is not ours to break."""
    value = os.environ.get(engine.env_address)
    if not value:
        return None
    address = _address(value)
    if address is None:
        raise EngineError(
            expected=f"{engine.env_address} to be host:port, such as 127.0.0.1:7000",
            seen=f"{value!r}",
            do=f"correct or unset {engine.env_address}",
        )
    return Found(engine=engine, source="address", address=address, owned=False)


def _address(value: str) -> Address | None:
    match = _ADDRESS.fullmatch(value)
    if match is None or int(match["port"]) not in _PORTS:
        return None
    host = match["v6"] or match["host"]
    if match["v6"]:
        try:
            ipaddress.IPv6Address(host)
        except ValueError:
            return None
    elif not _HOST.fullmatch(host):
        return None
    return Address(host, int(match["port"]))


def _on_path(engine: Engine) -> Found | None:
    """Return the binary of that name on the PATH, once it has said which version it is."""
    name = shutil.which(engine.executable)
    if name is None:
        return None
    path = Path(name).absolute()
    return _whole(Found(engine=engine, source="path", path=path), path)


def _whole(found: Found, path: Path) -> Found:
    """Return what was found with its version, once its companions are known to be there."""
    needed = [found.companion(name) for name in found.engine.companions]
    missing = [each.name for each in needed if not os.access(each, os.X_OK)]
    if missing:
        raise EngineError(
            expected=f"{' and '.join(found.engine.companions)} beside {path}",
            seen=f"no executable {' and no '.join(missing)}",
            do="put them into the same folder",
        )
    return dataclasses.replace(found, version=found.engine.version_of(path))
