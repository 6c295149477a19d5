"""What an adapter needs before it can start: a server, and the packages of its SDK."""

from __future__ import annotations

from importlib import metadata

from harness.engines import Engine, EngineError, Found, locate
from harness.runtime import RuntimeUnavailableError


def present(engine: Engine, *packages: str) -> tuple[Found, str]:
    """Return the server to use, and the version of the first package; none is imported.

    Raises:
        RuntimeUnavailableError: something is missing; with the command that would change it.

    """
    try:
        found, versions = locate(engine), [metadata.version(name) for name in packages]
    except EngineError as error:
        msg = f"{engine.name}: {error}"
        raise RuntimeUnavailableError(msg) from error
    except metadata.PackageNotFoundError as error:
        msg = f"{engine.name}: {error}; run: pip install 'bakeoff[{engine.name}]'"
        raise RuntimeUnavailableError(msg) from error
    if found is None:
        way = f"run: bakeoff engines install {engine.name}; or set {engine.env_binary}"
        msg = f"{engine.name}: there is no server binary on this machine; {way}"
        raise RuntimeUnavailableError(msg)
    return found, versions[0]
