"""The inference library sends nothing and leaves nothing behind (docs/adr/0005)."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path

UPLOADER = (b"OneCollector", b"events.data.microsoft", b"DeveloperTools/.onnxruntime")


def test_onnxruntime_holds_no_uploader() -> None:
    files = distribution("onnxruntime").files or []
    libraries = [Path(str(f.locate())) for f in files if ".so" in f.name]
    assert libraries
    for library in libraries:
        content = library.read_bytes()
        assert not [word for word in UPLOADER if word in content], library.name


def test_loading_the_models_writes_nothing_into_an_empty_home(tmp_path: Path) -> None:
    # Without CI's variables: a library that keeps quiet only in CI must not pass.
    code = (
        "from alpr_edge.vision.models import load_model\n"
        "load_model('detector.onnx'), load_model('recogniser.onnx')\n"
    )
    subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"HOME": str(tmp_path), "PATH": os.environ.get("PATH", "")},
        check=True,
        timeout=100,
    )
    assert not list(tmp_path.rglob("*"))
