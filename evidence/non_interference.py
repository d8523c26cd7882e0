"""N1: what lies under the mask changes nothing, over random masks, photos and contents.

Does: takes a picture, draws random masks on it (several, with holes and margins), puts something
else under them (noise, black, white, plates of the simulator, a piece of another picture) and
compares all that the real models and the still judge make of both, byte by byte.
Does not: compare files, logs and messages of whole programs; `whole_run` does that.

Rules: everything comes from the case's number, so that a case can be repeated.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np

from alpr_edge.exclusion.zones import Zones, rasterise
from alpr_edge.sight import FindsPlates, ReadsPlates, read_still
from alpr_edge.simulator.plate_art import draw_plates, paint_plate
from alpr_edge.simulator.street import Street, StreetConfig
from alpr_edge.types import Frame, Image
from alpr_edge.vision.detector import Detector
from alpr_edge.vision.models import load_model
from alpr_edge.vision.recogniser import Recogniser
from alpr_edge.zone_set import ZonePolygon, ZoneSet

LONGEST_PX = 640
"""Pictures are made no larger: that changes nothing in what is compared, and costs less."""
_NOW = datetime(2026, 1, 1, tzinfo=UTC)
_PICTURES = (".jpg", ".jpeg", ".png")
CONTENTS = ("noise", "black", "white", "plates", "another picture")


@dataclass
class Found:
    """What the cases gave.

    Attributes:
        cases: by content.
        pixels: masked pixels that were changed.
        reads: reads outside the masks, over all cases: a mask over everything would show nothing.
        different: numbers of the cases whose outputs differed.
    """

    cases: Counter[str] = field(default_factory=Counter)
    pixels: int = 0
    reads: int = 0
    different: list[int] = field(default_factory=list)


def photo_files(photos: Path) -> list[Path]:
    """Whole photos first, then every twelfth of the crops: plates that fill the picture."""
    whole = [p for name in ("photos", "scenes") for p in (photos / name).rglob("*")]
    crops = sorted(p for p in (photos / "crops").rglob("*") if p.suffix.lower() in _PICTURES)
    return sorted(p for p in whole if p.suffix.lower() in _PICTURES) + crops[::12]


def pictures(photos: Path | None, *, most: int) -> list[Image]:
    """Photos of the folder, if there is one, and frames of the street."""
    found: list[Image] = []
    if photos is not None:
        paths = photo_files(photos)
        for path in paths[:: max(1, len(paths) // most)]:
            picture = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR)
            if picture is not None and min(picture.shape[:2]) >= 120:
                found.append(_small(np.asarray(picture, np.uint8)))
    street = Street(StreetConfig(seed=5, fps=1.0, duration_s=30.0))
    found += [_small(street.frame(number).image) for number in (9, 17, 25)]
    return found


def engines() -> tuple[FindsPlates, ReadsPlates]:
    """The shipped models."""
    return Detector(load_model("detector.onnx")), Recogniser(load_model("recogniser.onnx"))


def shown() -> tuple[str, Image]:
    """One case as a picture: a street frame with plates put under two masks, then blanked."""
    image = pictures(None, most=0)[1]
    rng = np.random.default_rng(7)
    zones = rasterise(random_zone_set(rng), size_px=(image.shape[1], image.shape[0]), digest="s")
    other = image.copy()
    put(other, zones, "plates", rng, image)
    blanked = other.copy()
    blanked[zones.core > 0] = 0
    return "a case: plates under the masks, and what the models get", np.hstack([other, blanked])


def check(
    cases: Sequence[int],
    images: Sequence[Image],
    detector: FindsPlates,
    recogniser: ReadsPlates,
    say: Callable[[int], object] = lambda number: None,
) -> Found:
    """Compare the outputs of every case."""
    found = Found()
    for number in cases:
        rng = np.random.default_rng([number, 61])
        image = images[number % len(images)]
        size = (image.shape[1], image.shape[0])
        zones = rasterise(random_zone_set(rng), size_px=size, digest="case")
        content = CONTENTS[number // len(images) % len(CONTENTS)]
        other = image.copy()
        put(other, zones, content, rng, images[int(rng.integers(len(images)))])
        found.cases[content] += 1
        found.pixels += int((other != image).any(axis=2).sum())
        one, two = (
            outputs(picture, zones, detector, recogniser) for picture in (image.copy(), other)
        )
        found.reads += len(one[1])
        if one != two:
            found.different.append(number)
        say(number)
    return found


def outputs(
    image: Image, zones: Zones, detector: FindsPlates, recogniser: ReadsPlates
) -> tuple[bytes, list[object], object]:
    """Everything that comes of a picture: the masked pixels, the sightings, the drops."""
    frame = Frame(image, "case", 0, _NOW, 0)
    shown, drops = read_still(frame, zones, detector, recogniser, min_confidence=0.0)
    seen: list[object] = [
        (s.detection.quad.tobytes(), s.detection.score, s.read, s.sharpness) for s in shown
    ]
    return image.tobytes(), seen, drops


def random_zone_set(rng: np.random.Generator) -> ZoneSet:
    """One to three masks: blobs of 3 to 8 corners, some with a hole, some with a margin."""
    masks = []
    for i in range(int(rng.integers(1, 4))):
        centre, radius = rng.uniform(0, 1, 2), float(rng.uniform(0.03, 0.3))
        polygon = _blob(rng, centre, radius)
        holes = (_blob(rng, centre, radius * 0.4),) if rng.random() < 0.3 else ()
        masks.append(ZonePolygon(str(i), polygon, holes))
    margin = float(rng.choice([0.0, 0.0, 0.004, 0.02]))
    return ZoneSet(tuple(masks), margin=margin, band=0.01)


def _blob(
    rng: np.random.Generator, centre: np.ndarray, radius: float
) -> tuple[tuple[float, float], ...]:
    angles = np.sort(rng.uniform(0, 2 * np.pi, int(rng.integers(3, 9))))
    lengths = radius * rng.uniform(0.4, 1.0, len(angles))
    points = centre + np.column_stack([np.cos(angles), np.sin(angles)]) * lengths[:, None]
    return tuple((float(x), float(y)) for x, y in np.clip(points, 0.0, 1.0))


def put(image: Image, zones: Zones, content: str, rng: np.random.Generator, another: Image) -> None:
    """Replace what lies under the core mask, in place."""
    height, width = image.shape[:2]
    hidden = zones.core > 0
    if content in ("black", "white"):
        image[hidden] = 255 * (content == "white")
        return
    if content == "noise":
        cover = rng.integers(0, 256, image.shape, dtype=np.uint8)
    elif content == "plates":
        cover = _wallpaper(rng, (width, height))
    else:
        cover = np.asarray(cv2.resize(another, (width, height)), np.uint8)
    image[hidden] = cover[hidden]


def _wallpaper(rng: np.random.Generator, size: tuple[int, int]) -> Image:
    """Plates side by side all over."""
    width, height = size
    tiles: Iterator[Image] = (
        np.asarray(cv2.resize(paint_plate(plate), (150, 75)), np.uint8)
        for plate in draw_plates(rng, 6)
    )
    row = np.concatenate(list(tiles), axis=1)
    repeats = (height // row.shape[0] + 1, width // row.shape[1] + 1, 1)
    return np.asarray(np.tile(row, repeats)[:height, :width], np.uint8)


def _small(image: Image) -> Image:
    scale = LONGEST_PX / max(image.shape[:2])
    if scale >= 1:
        return image
    return np.asarray(cv2.resize(image, None, fx=scale, fy=scale), np.uint8)
