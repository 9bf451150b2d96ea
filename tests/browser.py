"""A headless Chromium for tests of pages: the one on this machine, else one from the npm registry."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import platform
import shutil
import tarfile
import tempfile
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import cramjam
import pytest
from playwright.async_api import Browser, async_playwright

from tests.shared_cache import cache_home, only_one

NAMES = ("chromium", "chromium-browser", "chrome", "google-chrome")

URL = "https://registry.npmjs.org/@sparticuz/chromium/-/chromium-147.0.0.tgz"
"""A build of Chromium with the libraries it needs, for machines on which nothing can be installed."""

SHA512 = "4ZKeAQQa8up2mt675qSitztLdbQrlf8BKdC5naeap+5Mv1OV1OlJdPoU+EJC/p5sQUJUQmN4r+q5+EhaaOUHpQ=="

DOWNLOAD_SECONDS = 60.0


@dataclass(frozen=True)
class Chromium:
    """An executable and what it needs around it."""

    path: str
    environment: dict[str, str] = field(default_factory=dict)


def chromium() -> Chromium:
    """Find or download it; skips the test, saying why, where there is none."""
    for name in NAMES:
        if (found := shutil.which(name)) is not None:
            return Chromium(found)
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        pytest.skip(f"no Chromium on PATH ({', '.join(NAMES)}), and none to download for this machine")
    place = cache_home() / "chromium-147.0.0"
    with only_one(place.with_suffix(".lock")):
        if not place.exists():
            try:
                _unpack(_download(), place)
            except (OSError, urllib.error.URLError) as error:
                pytest.skip(f"no Chromium on PATH ({', '.join(NAMES)}), and {URL} cannot be had: {error}")
    environment = {"LD_LIBRARY_PATH": str(place / "al2023" / "lib"), "FONTCONFIG_FILE": str(place / "fonts.conf")}
    return Chromium(str(place / "chromium"), environment)


def _download() -> bytes:
    with urllib.request.urlopen(URL, timeout=DOWNLOAD_SECONDS) as answer:
        package: bytes = answer.read()
    found = base64.b64encode(hashlib.sha512(package).digest()).decode()
    assert found == SHA512, f"{URL} is not what it was: {found}"
    return package


def _unpack(package: bytes, place: Path) -> None:
    with tempfile.TemporaryDirectory(dir=place.parent) as folder:
        new = Path(folder) / "new"
        new.mkdir()
        with tarfile.open(fileobj=io.BytesIO(package)) as archive:
            for name in ("chromium", "al2023.tar", "fonts.tar"):
                packed = archive.extractfile(f"package/bin/{name}.br")
                assert packed is not None
                content = bytes(cramjam.brotli.decompress(packed.read()))
                if name.endswith(".tar"):
                    with tarfile.open(fileobj=io.BytesIO(content)) as part:
                        part.extractall(new / name.removesuffix(".tar"), filter="data")
                else:
                    (new / name).write_bytes(content)
                    (new / name).chmod(0o755)
        # Without a font that it can find, this Chromium ends at the first letter.
        (new / "fonts.conf").write_text(
            '<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd"><fontconfig>'
            f"<dir>{place}/fonts/fonts</dir><cachedir>{place}/cache</cachedir></fontconfig>"
        )
        new.rename(place)


@asynccontextmanager
async def browser() -> AsyncIterator[Browser]:
    """A running browser, ended with the context."""
    found = chromium()
    async with async_playwright() as playwright:
        # The sandbox needs rights that containers do not have; the pages are our own.
        launched = await playwright.chromium.launch(
            executable_path=found.path,
            args=["--no-sandbox", "--no-zygote", "--disable-gpu", "--disable-dev-shm-usage"],
            env={**os.environ, **found.environment},
        )
        try:
            yield launched
        finally:
            await launched.close()
