"""What the operating system may not keep: asked of the kernel, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys

from alpr_edge.process_guard import lock_memory

_CHILD = """
import ctypes, json, resource
from alpr_edge.process_guard import forbid_core_dumps, lock_memory
block = bytearray(65536)
done = forbid_core_dumps()
locked = lock_memory(memoryview(block))
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(json.dumps([
    done, resource.getrlimit(resource.RLIMIT_CORE), ctypes.CDLL(None).prctl(3, 0, 0, 0, 0),
    locked, int(status["VmLck"].split()[0]),
]))
"""
"""PR_GET_DUMPABLE is 3."""


def test_no_core_dump_and_locked_memory() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _CHILD], capture_output=True, text=True, check=True, timeout=60
    )
    forbidden, limits, dumpable, locked, locked_kib = json.loads(done.stdout)
    assert forbidden
    assert limits == [0, 0]
    assert dumpable == 0
    # 64 KiB are within every usual LimitMEMLOCK.
    assert locked
    assert locked_kib >= 64


def test_nothing_to_lock() -> None:
    assert not lock_memory(memoryview(bytearray()))
