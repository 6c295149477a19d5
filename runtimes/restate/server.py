"""The Restate server: one binary, published as an npm package for each platform.

The package's licence is not ours (its package.json says BSL), so the binary is fetched on the
user's machine and never kept in the repository.
"""

from __future__ import annotations

from harness.engines import Engine, NpmBinary


VERSION = "1.7.12"

ENGINE = Engine(
    name="restate",
    version=VERSION,
    executable="restate-server",
    env_binary="BAKEOFF_RESTATE_BIN",
    env_address="BAKEOFF_RESTATE_ADDRESS",
    version_argv=("--version",),
    recipe=NpmBinary(
        package="@restatedev/restate-server-{platform}",
        version=VERSION,
        # From `npm view PACKAGE@VERSION dist.integrity`.
        integrity={
            "linux-x64": "sha512-URotJ1AIqaSCDkRMl4OrQfTLH+NYuOZb3ZsP7wxxiuAB6pncgPhTUYSvegTF5PTr"
            "AShnNyHNpju9kjf2O3QxoA==",
            "linux-arm64": "sha512-aV7YxWvPhp88MjQtObGDhDCTwCBa68wwZOAMmJqDreO0auHYuSfOqabEx4I9"
            "0coZsx3zShNusppbTPKprOa+dw==",
            "darwin-x64": "sha512-ZRS1kk3S4pzIiup2IRRQ3eHoKJSZ43FG4rDe7UbGFWwZ/Yz0xSDa4/3/kiuwaMHX"
            "Ws/CsKtJe0shx8JCR0DO1g==",
            "darwin-arm64": "sha512-pHrZMaaeBJxXTgI19WG/aJvxuUDQ2nhSDEEJVseTZQiTEdJ7hboPlhvYacgX"
            "IE2iMnLMmWkN5XIlXqosHK8Byg==",
        },
        member="package/bin/restate-server",
        download_mb=81,
    ),
)
