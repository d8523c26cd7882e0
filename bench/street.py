"""Time to draw the simulated street: `python -m bench.street`.

One thread, processor time, every fifth frame of the default clip; the first frame (it draws the
backdrop) is listed apart.
"""

from __future__ import annotations

import time

import cv2
import numpy as np

from alpr_edge.simulator.light import Light
from alpr_edge.simulator.street import Street, StreetConfig

SIZES = ((1280, 720), (1920, 1080))


def timed_ms(street: Street, number: int) -> float:
    """Processor milliseconds of one frame."""
    began = time.process_time()
    street.frame(number)
    return (time.process_time() - began) * 1e3


def main() -> None:
    """Print the table."""
    cv2.setNumThreads(1)
    print("size       light  first ms   mean    p95    max")
    for width, height in SIZES:
        for light in Light:
            street = Street(StreetConfig(width_px=width, height_px=height, light=light))
            first = timed_ms(street, 0)
            rest = [timed_ms(street, n) for n in range(5, street.config.frame_count, 5)]
            print(
                f"{width}x{height:<5} {light.value:<6} {first:8.0f} {np.mean(rest):6.1f}"
                f" {np.percentile(rest, 95):6.1f} {max(rest):6.1f}"
            )


if __name__ == "__main__":
    main()
