"""Run one command and end it when the process that asked for it is gone, however it went.

Started as a file with ``python -I -S``, standard library only: ``guardian.py PARENT_PID SCRATCH_DIRECTORY
COMMAND...``. Prints the child's pid, then waits. The child is ended when standard input closes, on SIGTERM,
or when the parent is no longer PARENT_PID: a pipe alone can be held open by a fork of the parent. If the
guardian itself is SIGKILLed, the kernel kills the child (Linux). The parent cannot set that death signal
itself: the kernel ties it to the thread that forked, and a broker started from a short-lived thread would
die with that thread. A parent that died leaves its scratch directory, if it named one, for the guardian to
remove.
"""

from __future__ import annotations

import ctypes
import os
import select
import shutil
import signal
import subprocess
import sys
from types import FrameType
from typing import Final

PATIENCE_SECONDS: Final = 20.0
"""A clean stop of Kafka takes half a second; a busy machine may need more."""

_POLL_SECONDS: Final = 1.0
_PR_SET_PDEATHSIG: Final = 1  # <linux/prctl.h>


def guard(parent: int, scratch: str, command: list[str]) -> int:
    """Run the command until it or the parent ends; its exit status (128 + signal when a signal ended it)."""
    wake, waker = os.pipe()
    os.set_blocking(waker, False)
    signal.set_wakeup_fd(waker)
    terminated: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        if number == signal.SIGTERM:
            terminated.append(number)

    for number in (signal.SIGTERM, signal.SIGCHLD):
        signal.signal(number, note)
    libc = ctypes.CDLL(None)

    def die_with_guardian() -> None:
        if hasattr(libc, "prctl"):
            libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)

    child = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=sys.stderr, stderr=sys.stderr, preexec_fn=die_with_guardian
    )
    print(child.pid, flush=True)
    while child.poll() is None:
        ready, _, _ = select.select([0, wake], [], [], _POLL_SECONDS)
        if wake in ready:
            os.read(wake, 64)
        if terminated or 0 in ready or os.getppid() != parent:  # nobody writes to us: readable means closed
            _end(child)
    if scratch and os.getppid() != parent:
        shutil.rmtree(scratch, ignore_errors=True)
    return child.returncode if child.returncode >= 0 else 128 - child.returncode


def _end(child: subprocess.Popen[bytes]) -> None:
    child.terminate()
    try:
        child.wait(PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


if __name__ == "__main__":
    sys.exit(guard(int(sys.argv[1]), sys.argv[2], sys.argv[3:]))
