"""Programs of Debian packages for tests, without root: from PATH, else a package fetched once into the user's cache.

apt fetches where there is one: it checks what it gets by its own signed lists and knows which version the mirrors
still hold. Elsewhere pinned packages of two Debian releases are tried, each checked by its SHA-256.
"""

from __future__ import annotations

import hashlib
import io
import lzma
import platform
import shutil
import subprocess
import tarfile
import tempfile
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
import zstandard

from tests.shared_cache import cache_home, only_one

MIRROR: Final = "http://deb.debian.org/debian/"

FETCH_SECONDS: Final = 120


class NotToBeHadError(Exception):
    """Neither installed nor to be fetched; the message says why."""


@dataclass(frozen=True)
class Pin:
    """One version of a package: its place below the mirror, and the SHA-256 of its file."""

    path: str
    sha256: str


@dataclass(frozen=True)
class Tool:
    """A program's Debian package, and pinned versions of that by machine, the older release first.

    Debian's program looks for its ``data`` at an absolute place. One that is unpacked elsewhere is made to look in its
    working directory instead; run it in `data_directory`.
    """

    package: str
    data: str
    pins: dict[str, tuple[Pin, ...]]


_ALERTMANAGER: Final = Tool(
    "prometheus-alertmanager",
    "/usr/share/prometheus/alertmanager",
    {
        "x86_64": (
            Pin(
                "pool/main/p/prometheus-alertmanager/prometheus-alertmanager_0.25.0-1+b4_amd64.deb",
                "4fb9aed15cfe8e0c32408e643ab32a1e41ee87d2cc26f18aeba928b1b0b98ae7",
            ),
            Pin(
                "pool/main/p/prometheus-alertmanager/prometheus-alertmanager_0.28.1+ds-1_amd64.deb",
                "76ee08c2bf686fa32ca243d099b6bfc6cb00074e9337c18ef73154b60c5830a9",
            ),
        ),
        "aarch64": (
            Pin(
                "pool/main/p/prometheus-alertmanager/prometheus-alertmanager_0.25.0-1+b4_arm64.deb",
                "c8d60025df09a6525a4ce29d6a656d244e2626fa597ad22d6e4d466979e95937",
            ),
            Pin(
                "pool/main/p/prometheus-alertmanager/prometheus-alertmanager_0.28.1+ds-1_arm64.deb",
                "abd779fb3877d7749527a9028dae6f3c5b0e21853267b7a183f7835d6079a92b",
            ),
        ),
    },
)

_PROMETHEUS: Final = Tool(
    "prometheus",
    "/usr/share/prometheus/web",
    {
        "x86_64": (
            Pin(
                "pool/main/p/prometheus/prometheus_2.42.0+ds-5+deb12u1_amd64.deb",
                "81d59a24fce84f7fbe97a45a4f2914b6a5881b5cd1db2a6a0e129e515e1a5f55",
            ),
            Pin(
                "pool/main/p/prometheus/prometheus_2.53.3+ds1-2_amd64.deb",
                "58c3e6a86c56cb3bfd71032fa48d65945d526441a212f5815dfe5ed9cb787ecc",
            ),
        ),
        "aarch64": (
            Pin(
                "pool/main/p/prometheus/prometheus_2.42.0+ds-5+deb12u1_arm64.deb",
                "ca131aa102390083398afbc80be9c8dd1dda78f9f92154fc00df8f7f1f4556e9",
            ),
            Pin(
                "pool/main/p/prometheus/prometheus_2.53.3+ds1-2_arm64.deb",
                "59b459dee0ceef9c645a98166ea00f0d10946391a5d486505360e2d21cd1ddec",
            ),
        ),
    },
)

TOOLS: Final = {
    "prometheus-alertmanager": _ALERTMANAGER,
    "amtool": _ALERTMANAGER,
    "prometheus": _PROMETHEUS,
    "promtool": _PROMETHEUS,
}
"""By the program's name."""


def debian_tool(program: str) -> Path:
    """The program, or a skip of the test that says why there is none; pytest lists what was skipped at its end."""
    try:
        return find_tool(program)
    except NotToBeHadError as error:
        pytest.skip(str(error))


def find_tool(program: str) -> Path:
    """The program, installed or fetched. Raises `NotToBeHadError`."""
    installed = shutil.which(program)
    if installed is not None:
        return Path(installed)
    tool = TOOLS[program]
    home = cache_directory()
    with only_one(home / f"{tool.package}.lock"):
        directory = home / tool.package
        found = directory / "usr" / "bin" / program
        if not found.is_file():
            _fetch(tool, directory, program)
    return found


def data_directory(program: Path, tool: str) -> Path:
    """Where the files lie that come with a program that was found; its working directory."""
    return program.parents[2] / TOOLS[tool].data.lstrip("/")


def cache_directory() -> Path:
    """Where fetched packages are unpacked."""
    return cache_home() / "debian"


def _fetch(tool: Tool, directory: Path, program: str) -> None:
    """Unpack the first package that is to be had and holds the program; whole or not at all."""
    refused: list[str] = []
    for source in (_by_apt, _by_pins):
        for unpack in source(tool, refused):
            with tempfile.TemporaryDirectory(prefix=f"{tool.package}.", dir=directory.parent) as scratch:
                root = Path(scratch) / "root"
                unpack(root)
                if not (root / "usr" / "bin" / program).is_file():
                    refused.append(f"the package {tool.package} found holds no {program}")
                    continue
                for one in (root / "usr" / "bin").iterdir():
                    _relocate(one, tool.data)
                shutil.rmtree(directory, ignore_errors=True)
                root.rename(directory)
                return
    raise NotToBeHadError(
        f"{program} is not installed and its package cannot be fetched ({'; '.join(refused)}); "
        f"Debian, Ubuntu: apt install {tool.package}"
    )


def _relocate(program: Path, data: str) -> None:
    """Let it look in its working directory: a path of the same length, since Go's strings know theirs."""
    here = b"." + b"/" * (len(data) - 1)
    program.write_bytes(program.read_bytes().replace(data.encode(), here))


def _by_apt(tool: Tool, refused: list[str]) -> Iterator[Callable[[Path], None]]:
    if shutil.which("apt-get") is None:
        refused.append("there is no apt-get")
        return
    with tempfile.TemporaryDirectory() as scratch:
        try:
            # As the user that runs this: apt's own could not write here, and warns.
            run = subprocess.run(
                ["apt-get", "download", "-q", "-o", "APT::Sandbox::User=", tool.package],
                cwd=scratch, capture_output=True, text=True, timeout=FETCH_SECONDS, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            refused.append(f"apt-get did not answer within {FETCH_SECONDS} s")
            return
        fetched = sorted(Path(scratch).glob("*.deb"))
        if run.returncode != 0 or not fetched:
            said = (run.stderr or run.stdout).strip().splitlines() or ["nothing"]
            refused.append(f"apt-get said: {said[-1]}")
            return
        package = fetched[0].read_bytes()
    yield lambda root: unpack_deb(package, root)


def _by_pins(tool: Tool, refused: list[str]) -> Iterator[Callable[[Path], None]]:
    pins = tool.pins.get(platform.machine(), ())
    if not pins:
        refused.append(f"no package is pinned for {platform.machine()}")
    for pin in pins:
        try:
            package = fetch_pinned(pin, MIRROR)
        except (OSError, ValueError) as error:
            refused.append(f"{MIRROR}{pin.path}: {error}")
        else:
            yield lambda root, package=package: unpack_deb(package, root)  # type: ignore[misc]


def fetch_pinned(pin: Pin, mirror: str) -> bytes:
    """The package's bytes. Raises OSError, or ValueError when they are not those that were pinned."""
    with urllib.request.urlopen(mirror + pin.path, timeout=FETCH_SECONDS) as answer:
        package: bytes = answer.read()
    found = hashlib.sha256(package).hexdigest()
    if found != pin.sha256:
        raise ValueError(f"its SHA-256 is {found}, not {pin.sha256}")
    return package


def unpack_deb(package: bytes, root: Path) -> None:
    """Unpack the files of a .deb, which is an ar archive with a tar in it. Raises ValueError for what is none."""
    for name, content in ar_members(package):
        if name.startswith("data.tar"):
            with tarfile.open(fileobj=io.BytesIO(_decompressed(name, content))) as archive:
                archive.extractall(root, filter="data")
            return
    raise ValueError("no .deb: it has no data.tar")


def ar_members(archive: bytes) -> Iterator[tuple[str, bytes]]:
    """Names and contents. Raises ValueError for what is no ar archive."""
    if not archive.startswith(b"!<arch>\n"):
        raise ValueError("no ar archive")
    at = 8
    while at + 60 <= len(archive):
        header = archive[at : at + 60]
        size = int(header[48:58])
        yield header[:16].decode().rstrip().rstrip("/"), archive[at + 60 : at + 60 + size]
        at += 60 + size + size % 2  # each begins at an even place


def _decompressed(name: str, content: bytes) -> bytes:
    suffix = Path(name).suffix
    if suffix == ".xz":
        return lzma.decompress(content)
    if suffix == ".zst":  # Ubuntu
        return zstandard.ZstdDecompressor().decompressobj().decompress(content)
    return content  # tarfile knows gzip and bzip2 itself
