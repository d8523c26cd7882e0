"""The detector for compilers that want one input size: same weights, same outputs, same audit."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import onnx
import pytest

from alpr_edge.vision.audit import audit
from alpr_edge.vision.onnx_file import read_graph

SCRIPT = Path(__file__).parents[2] / "scripts" / "train" / "fixed_size.py"


def run(*args: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPT), *map(str, args)], capture_output=True, text=True, check=False
    )


def test_the_sizes_of_the_issue_give_what_the_shipped_model_gives(tmp_path: Path) -> None:
    done = run("--size", "960x544", "--size", "416x256", "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    for width, height in ((960, 544), (416, 256)):
        path = tmp_path / f"detector-{width}x{height}.onnx"
        (given,) = onnx.load(path).graph.input
        sides = [d.dim_value for d in given.type.tensor_type.shape.dim]
        assert sides == [1, height, width, 3]
        audited = audit(read_graph(path.read_bytes()))
        assert (audited.kind, audited.problems) == ("plate-detector", ())


@pytest.mark.parametrize("size", ["100x100", "960", "0x32", "-32x32", "960x544x3"])
def test_a_size_that_the_net_cannot_take_is_refused(tmp_path: Path, size: str) -> None:
    done = run(f"--size={size}", "--out", tmp_path)
    assert done.returncode == 2
    assert "multiples of 32" in done.stderr
    assert list(tmp_path.iterdir()) == []
