"""Child processes that end with their parent, however it ends."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


def end_with_parent(number: signal.Signals = signal.SIGTERM) -> Callable[[], None]:
    """Return a `preexec_fn` with which the kernel sends the child a signal when its parent dies (prctl(2)).

    The parent is the thread that starts the child. The setting is lost when the child changes its user.
    """
    parent = os.getpid()

    def set_death_signal() -> None:
        if _LIBC is None:
            return
        _LIBC.prctl(_PR_SET_PDEATHSIG, number)
        if os.getppid() != parent:  # the parent has died in the meantime
            os.kill(os.getpid(), number)

    return set_death_signal
