"""N2: which drives are measured. Fixed before they were run; results never change this file.

Every frame rate meets every engine, with no frame lost and with every tenth lost, once past the
usual camera (48 drives); and every second of these again past a camera whose premises lie at the
edge of its picture (24 drives, one in four of them with the gate at the upper edge, where the only
way in leads out of the view and a band lies along the whole edge). The seeds were used for nothing
before. The order is shuffled once, so that a part of the run is a fair part of the whole.
"""

from __future__ import annotations

from itertools import product
from random import Random

from evidence.street_drive import ALL_SEEING, BLINKING, HONEST, Drive

RATES = (2.0, 3.0, 5.0, 8.0, 10.0, 15.0, 25.0, 30.0)
ENGINES = (ALL_SEEING, HONEST, BLINKING)
LOST = (0.0, 0.1)
FIRST_SEED = 7_320_000


def drives() -> list[Drive]:
    """The 72 drives, in the order in which they are run."""
    found: list[Drive] = []
    for number, (fps, lost, engine) in enumerate(product(RATES, LOST, ENGINES)):
        cameras = ["usual"]
        if number % 2:
            edge = "upper" if number % 8 == 5 else "left"
            cameras.append(f"gate at the {edge} edge")
        for camera in cameras:
            seed = FIRST_SEED + len(found)
            found.append(Drive(seed, camera, fps, engine, lost))
    Random(41).shuffle(found)
    return found
