"""Memory in pages of 2 MiB: a processor finds its way in a gigabyte of small pages only by reading their tables.

An event of one of a million live cascades touches a dozen places that nobody touched for minutes; with small pages much
of its time goes into such tables. Python asks the system for no other, so large mappings are collapsed now and then,
where Linux can (6.1 and later); elsewhere nothing happens.
"""

from __future__ import annotations

import ctypes
import mmap
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

EVERY_SECONDS: Final = 60.0
"""Looking for what has grown takes milliseconds."""

MINIMUM_BYTES: Final = 32 * 1024 * 1024
"""A processor keeps the way to a few thousand small pages in mind: a smaller mapping gains nothing."""

_PAGE_BYTES: Final = 2 * 1024 * 1024
_POPULATED_SHARE: Final = 0.95
"""A large page is there as a whole: what is reserved and not used, as most of a thread's stack, must stay so."""

_MADV_COLLAPSE: Final = 25
_SMAPS: Final = Path("/proc/self/smaps")
_MAPPING: Final = re.compile(r"([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ (\d+)")


@dataclass(slots=True)
class Mapping:
    """A private mapping of memory that no file lies behind, and how much of it is there; all in bytes."""

    start: int
    end: int
    anonymous: int = 0
    huge: int = 0

    @property
    def is_worth_it(self) -> bool:
        """Whether it is large, in use throughout, and not in large pages already."""
        size = self.end - self.start
        return size >= MINIMUM_BYTES and self.anonymous >= _POPULATED_SHARE * size and self.huge < self._whole_pages()

    def _whole_pages(self) -> int:
        start, end = self.pages()
        return end - start

    def pages(self) -> tuple[int, int]:
        """The first and the last address of the large pages that fit into it."""
        return -(-self.start // _PAGE_BYTES) * _PAGE_BYTES, self.end // _PAGE_BYTES * _PAGE_BYTES


def mappings(smaps: Iterable[str]) -> Iterator[Mapping]:
    """Those of a process, from the lines of its ``/proc/<pid>/smaps``."""
    found: Mapping | None = None
    for line in smaps:
        if head := _MAPPING.match(line):
            if found is not None:
                yield found
            start, end, rights, inode = head.groups()
            found = Mapping(int(start, 16), int(end, 16)) if rights == "rw-p" and inode == "0" else None
        elif found is not None and line.startswith("Anonymous:"):
            found.anonymous = _bytes(line)
        elif found is not None and line.startswith("AnonHugePages:"):
            found.huge = _bytes(line)
    if found is not None:
        yield found


def _bytes(line: str) -> int:
    return int(line.split()[1]) * 1024


def collapse() -> int:
    """Let this process's large mappings lie in large pages; the bytes of those where the system did so.

    It may take a second a gigabyte, most of it in the kernel; other threads go on meanwhile.
    """
    if not _SMAPS.exists() or mmap.PAGESIZE >= _PAGE_BYTES:
        return 0
    with _SMAPS.open() as smaps:
        chosen = [mapping for mapping in mappings(smaps) if mapping.is_worth_it]
    advise = ctypes.CDLL(None).madvise
    advise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    collapsed = 0
    for mapping in chosen:
        start, end = mapping.pages()
        if advise(start, end - start, _MADV_COLLAPSE) == 0:
            collapsed += end - start
    return collapsed
