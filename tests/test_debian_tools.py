"""Programs for tests: unpacked from packages without root, and only from the packages that were meant."""

from __future__ import annotations

import hashlib
import io
import lzma
import tarfile
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import zstandard

from tests import debian_tools
from tests.debian_tools import NotToBeHadError, Pin, Tool, fetch_pinned, find_tool, unpack_deb


def tar(content: bytes, path: str = "./usr/bin/tool") -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        entry = tarfile.TarInfo(path)
        entry.size, entry.mode = len(content), 0o755
        archive.addfile(entry, io.BytesIO(content))
    return file.getvalue()


def deb(*members: tuple[str, bytes]) -> bytes:
    archive = b"!<arch>\n"
    for name, content in members:
        archive += f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(content):<10}`\n".encode() + content
        archive += b"\n" * (len(content) % 2)
    return archive


@pytest.mark.parametrize(
    ("suffix", "compress"),
    [(".xz", lzma.compress), (".zst", zstandard.ZstdCompressor().compress), ("", bytes)],
)
def test_a_package_is_unpacked(tmp_path: Path, suffix: str, compress: Callable[[bytes], bytes]) -> None:
    data = compress(tar(b"run me"))
    package = deb(("debian-binary", b"2.0"), ("control.tar.xz/", b"odd"), (f"data.tar{suffix}", data))
    unpack_deb(package, tmp_path)
    program = tmp_path / "usr" / "bin" / "tool"
    assert program.read_bytes() == b"run me"
    assert program.stat().st_mode & 0o111


def test_nothing_is_unpacked_outside(tmp_path: Path) -> None:
    with pytest.raises(tarfile.OutsideDestinationError):
        unpack_deb(deb(("data.tar", tar(b"x", "../evil"))), tmp_path / "root")
    assert not (tmp_path / "evil").exists()


@pytest.mark.parametrize("package", [b"", b"PK", deb(("debian-binary", b"2.0\n"))])
def test_what_is_no_package_is_refused(tmp_path: Path, package: bytes) -> None:
    with pytest.raises(ValueError, match="no "):
        unpack_deb(package, tmp_path)


@pytest.fixture
def without_apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with nothing on its PATH and an empty cache."""
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


@pytest.fixture
def mirror(without_apt: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory that a server of this machine shows as Debian's mirror."""
    directory = without_apt / "mirror"
    directory.mkdir()

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(directory)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setattr(debian_tools, "MIRROR", f"http://127.0.0.1:{server.server_port}/")
    yield directory
    server.shutdown()
    thread.join()
    server.server_close()


def test_of_the_pinned_packages_the_first_that_is_still_there_and_right_is_taken(
    mirror: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It looks for its data where it is run, by a path of the same length."""
    package = deb(("data.tar", tar(b"looks in /usr/share/tool/data")))
    (mirror / "changed.deb").write_bytes(package + b"\n")
    (mirror / "right.deb").write_bytes(package)
    pins = tuple(Pin(f"{name}.deb", hashlib.sha256(package).hexdigest()) for name in ("gone", "changed", "right"))
    monkeypatch.setitem(debian_tools.TOOLS, "tool", Tool("a-package", "/usr/share/tool", {"x": pins}))
    monkeypatch.setattr(debian_tools.platform, "machine", lambda: "x")
    found = find_tool("tool")
    assert found.read_bytes() == b"looks in ." + b"/" * 14 + b"/data"
    (mirror / "right.deb").unlink()
    assert find_tool("tool") == found, "fetched once"


def test_a_package_that_is_not_the_pinned_one_is_refused(mirror: Path) -> None:
    (mirror / "a.deb").write_bytes(b"another")
    with pytest.raises(ValueError, match="its SHA-256 is"):
        fetch_pinned(Pin("a.deb", "0" * 64), debian_tools.MIRROR)


def test_what_cannot_be_had_is_said_with_the_mend(without_apt: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debian_tools.platform, "machine", lambda: "pdp11")
    with pytest.raises(
        NotToBeHadError, match=r"no apt-get; no package is pinned for pdp11\); .*apt install prometheus$"
    ):
        find_tool("promtool")


def test_a_test_that_needs_it_is_skipped_with_the_reason(without_apt: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debian_tools.platform, "machine", lambda: "pdp11")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.skip.Exception, match="apt install prometheus"):
        debian_tools.debian_tool("promtool")
