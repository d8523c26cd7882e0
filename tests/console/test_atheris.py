from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.timeout(300)
def test_bytes_guided_by_coverage_neither_crash_nor_log_in(
    repository: Path, tmp_path: Path
) -> None:
    pytest.importorskip("atheris", reason="needs atheris: there are wheels for x86-64 Linux only")
    script = repository / "scripts" / "fuzz_console.py"
    done = subprocess.run(
        [sys.executable, str(script), "-runs=200", "-seed=1", "-max_len=512", "-timeout=30"],
        cwd=tmp_path,
        capture_output=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode("utf-8", "replace")[-4000:]
    assert b"Done 200 runs" in done.stderr
