"""What a technician's laptop does to get a still: run by the Python that has alpr-edge.

    python hil_tests/bench/fetch_still.py --port DEV --masks masks.json --out still.jpg < answers

Standard input: name, password and code, a line each. Prints JSON: size, seconds, what the unit says
of the picture, and how bright the brightest pixel well inside a mask is (0 to 255).
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import cv2
import numpy as np

from alpr_edge.host.unit import RemoteUnit
from alpr_edge.host.visit import Visit, open_link

INSIDE_PX = 12
"""JPEG smears that far beyond an edge, a block and a half."""


def main() -> None:
    """Fetch it and look at it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--port", required=True)
    parser.add_argument("--width", type=int, default=640)
    parser.add_argument("--masks", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    name, password, code = sys.stdin.read().split("\n")[:3]
    link = open_link(Visit(args.port, 115_200, name))
    try:
        unit = RemoteUnit(link)
        unit.login(name, password, code)
        began = time.monotonic()
        picture = unit.still(args.width)
        took_s = time.monotonic() - began
        unit.logout()
        link.bye()
    finally:
        link.close()
    args.out.write_bytes(picture.jpeg)
    image = cv2.imdecode(np.frombuffer(picture.jpeg, np.uint8), cv2.IMREAD_GRAYSCALE)
    masks = [one["polygon"] for one in json.loads(args.masks.read_text())["masks"]]
    print(
        json.dumps(
            {
                "bytes": len(picture.jpeg),
                "size_px": [image.shape[1], image.shape[0]],
                "seconds": round(took_s, 1),
                "brightest_inside": brightest_inside(image, masks),
                "mean": round(float(image.mean()), 1),
                "about": picture.about,
            }
        )
    )


def brightest_inside(image: np.ndarray, masks: list[list[list[float]]]) -> int:
    """The brightest pixel in the masks, their edges left out.

    Args:
        image: (H, W) grey.
        masks: polygons in parts of the frame.
    """
    inside = np.zeros(image.shape, np.uint8)
    size = np.array(image.shape[::-1])
    for polygon in masks:
        cv2.fillPoly(inside, [np.int32(np.array(polygon) * size)], 1)
    inside = cv2.erode(inside, np.ones((2 * INSIDE_PX + 1,) * 2, np.uint8))
    return int(image[inside > 0].max(initial=0))


if __name__ == "__main__":
    main()
