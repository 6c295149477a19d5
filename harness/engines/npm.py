"""A binary out of an npm package, fetched by the machine's own `npm`.

Some vendors publish their server as one npm package per platform.  Installing it the npm way
needs a project and runs scripts; all that is wanted is one file out of the tarball.  `npm pack`
knows the machine's registry, proxy and certificates, so it fetches; the checksum recorded beside
the pinned version, not the registry, decides whether what came is what was reviewed.
"""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import tarfile

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from harness.engines.child import EngineError, Tool, run
from harness.engines.engine import Progress, host_platform
from harness.engines.measure import MB, bytes_in


_CHUNK = 4 * MB


@dataclass(frozen=True, slots=True, kw_only=True)
class NpmBinary:
    """One member of a tarball on the npm registry.

    ``package`` holds ``{platform}`` where the platform goes; ``integrity`` is the `sha512-...` of
    each platform's tarball; ``download_mb`` is about how large it is.
    """

    package: str
    version: str
    integrity: Mapping[str, str]
    member: str
    download_mb: float | None = None

    def __str__(self) -> str:
        """Return what is fetched on this machine, for the receipt."""
        package = self.package.format(platform=host_platform())
        return f"npm pack {package}@{self.version} ({self.integrity.get(host_platform())})"

    def obstacle(self) -> str | None:
        """Return why it cannot be had on this machine, or None."""
        platform = host_platform()
        if platform not in self.integrity:
            return f"there is no package for {platform}, only for {', '.join(self.integrity)}"
        if shutil.which("npm") is None:
            return (
                "npm is not on the PATH; install Node.js, for example with "
                "`apt-get install npm` or `brew install node`"
            )
        return None

    def make(self, work: Path, say: Progress) -> Sequence[Path]:
        """Fetch the tarball unless a good one is there, and take the binary out of it."""
        package = self.package.format(platform=host_platform())
        wanted = self.integrity[host_platform()]
        tarball = work / f"{package.strip('@').replace('/', '-')}-{self.version}.tgz"
        if tarball.exists() and _integrity(tarball) == wanted:
            say.note(f"{tarball.name} is here already, with the right checksum")
        else:
            self._fetch(f"{package}@{self.version}", wanted, tarball, say)
        return [self._take_out(tarball, work / "binary", say)]

    def _fetch(self, spec: str, wanted: str, tarball: Path, say: Progress) -> None:
        """Bring ``tarball`` into place, or nothing."""
        folder = tarball.parent / "download"
        shutil.rmtree(folder, ignore_errors=True)
        try:
            came = self._pack(spec, folder, tarball.parent / "npm.log", say)
            seen = _integrity(came)
            if seen != wanted:
                raise EngineError(
                    expected=f"{spec} with the checksum {wanted}",
                    seen=f"{seen} (deleted)",
                    do="run the same command again; if it stays, the registry serves another "
                    "file than the one that was reviewed: do not use it",
                )
            os.replace(came, tarball)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _pack(self, spec: str, folder: Path, log: Path, say: Progress) -> Path:
        """Let npm fetch the tarball into ``folder``."""
        # A cache of its own: the bytes in it are the progress, and 100 MB that nobody asks for
        # a second time do not stay in the user's.
        cache, packed = folder / "cache", folder / "packed"
        packed.mkdir(parents=True)
        argv = ["npm", "pack", "--ignore-scripts", "--loglevel=error", "--logs-max=0"]
        argv += [f"--cache={cache}", f"--pack-destination={packed}", spec]
        say.stage("downloading", unit="MB", total=self.download_mb)
        tool = Tool(what=f"npm pack {spec}", argv=argv, cwd=folder)
        run(tool, log, lambda: say.reached(bytes_in(cache) / MB))
        came = list(packed.iterdir())
        if len(came) != 1:
            raise EngineError(
                expected=f"`npm pack {spec}` to leave one tarball",
                seen=f"{sorted(path.name for path in came)}",
                do="try another version of npm",
            )
        return came[0]

    def _take_out(self, tarball: Path, binary: Path, say: Progress) -> Path:
        """Write the member, and nothing else of the tarball."""
        with tarfile.open(tarball, "r:gz") as archive:
            member = next((each for each in archive if each.name == self.member), None)
            source = archive.extractfile(member) if member else None
            if member is None or source is None:
                raise EngineError(
                    expected=f"a file {self.member} in {tarball.name}",
                    seen="none of that name",
                    do="correct the recipe's member",
                )
            say.stage("unpacking", unit="MB", total=member.size / MB)
            try:
                with source, binary.open("wb") as out:
                    _copy(source, out, say)
            except BaseException:
                binary.unlink(
                    missing_ok=True
                )  # A part of it is worth nothing, on a full disk less.
                raise
            return binary


def _copy(source: IO[bytes], out: IO[bytes], say: Progress) -> None:
    """Copy to the end, saying how far it is."""
    done = 0
    while chunk := source.read(_CHUNK):
        out.write(chunk)
        done += len(chunk)
        say.reached(done / MB)


def _integrity(path: Path) -> str:
    """Return a file's checksum as npm writes it."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha512").digest()
    return f"sha512-{base64.b64encode(digest).decode()}"
