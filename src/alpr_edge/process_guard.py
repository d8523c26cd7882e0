"""Edge: what the operating system must not keep of this process's memory.

Does: turns core dumps off for good, keeps other users' debuggers out, and locks memory into RAM so
that it is never written to a swap partition.
Does not: know what the memory holds, and cannot stop root.

Linux only; elsewhere the functions say that they did nothing.
"""

from __future__ import annotations

import ctypes
import logging
import resource
import sys
from typing import Final

_log = logging.getLogger(__name__)
_PR_SET_DUMPABLE: Final = 4
"""Source: linux/prctl.h. Not dumpable: no core file whatever the limits, no ptrace by others."""


def forbid_core_dumps() -> bool:
    """No core file from now on, not even by a limit that is raised again.

    Returns:
        Whether the system agreed to both.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform != "linux":
        return False
    done = bool(ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) == 0)
    if not done:
        _log.warning("core dumps are limited to nothing, but not forbidden")
    return done


def lock_memory(block: memoryview) -> bool:
    """Keep a writable block out of swap.

    Returns:
        Whether the system allowed it (`LimitMEMLOCK` of the unit, CAP_IPC_LOCK).
    """
    if sys.platform != "linux" or not block.nbytes:
        return False
    address = ctypes.addressof(ctypes.c_char.from_buffer(block))
    libc = ctypes.CDLL(None, use_errno=True)
    done = bool(libc.mlock(ctypes.c_void_p(address), ctypes.c_size_t(block.nbytes)) == 0)
    if not done:
        _log.warning("held reads cannot be locked into RAM: raise LimitMEMLOCK")
    return done
