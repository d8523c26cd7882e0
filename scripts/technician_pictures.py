"""Takes the pictures of docs/technician.md: the test of the studio, with the simulated street.

python scripts/technician_pictures.py          runs the test, half a minute
python scripts/technician_pictures.py FOLDER   from screenshots that are there
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
NAMES = ("wider", "narrower", "countdown", "points", "test")


def main() -> None:
    """Write docs/images/studio-NAME.jpg."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(scratch)
        if len(sys.argv) == 1:
            test = [sys.executable, "-m", "pytest", "-q", str(ROOT / "tests/host/test_studio.py")]
            kept = {**os.environ, "ALPR_EDGE_ARTEFACTS": str(folder)}
            subprocess.run(test, check=True, cwd=ROOT, env=kept)
        for name in NAMES:
            image = cv2.imdecode(
                np.fromfile(folder / f"studio-{name}.png", np.uint8), cv2.IMREAD_COLOR
            )
            good, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 72])
            if not good:
                raise AssertionError("OpenCV could not write a JPEG")
            (ROOT / "docs" / "images" / f"studio-{name}.jpg").write_bytes(data.tobytes())


if __name__ == "__main__":
    main()
