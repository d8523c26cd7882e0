"""Writes shards of rendered plates, and contact sheets to look at.

Does: renders a number of plates from one seed and writes grey images, corners and labels.
Does not: shuffle, split or train.

Rules: plate number i of a seed is drawn from its own generator, so that it does not depend on how
many plates were asked for.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from .art import PlateArt, draw_plate
from .photo import PARTS, Shot, photograph

SIZE: Final = (80, 200)


def render(
    seed: int, index: int, region: str | None = None, parts: frozenset[str] = PARTS
) -> tuple[PlateArt, Shot]:
    """Render plate number `index` of a seed."""
    rng = np.random.default_rng((seed, index))
    art = draw_plate(rng, region)
    return art, photograph(art, rng, SIZE, parts)


def write_shard(
    out: Path,
    seed: int,
    count: int,
    region: str | None = None,
    parts: frozenset[str] = PARTS,
) -> None:
    """Write `grey-SEED.npy`, `corners-SEED.npy` and `labels-SEED.jsonl` into a folder."""
    out.mkdir(parents=True, exist_ok=True)
    grey = np.empty((count, *SIZE), np.uint8)
    corners = np.empty((count, 4, 2), np.float32)
    lines = []
    for i in _counted(count, f"seed {seed}"):
        art, shot = render(seed, i, region, parts)
        grey[i] = cv2.cvtColor(shot.image, cv2.COLOR_BGR2GRAY)
        corners[i] = shot.corners
        lines.append(json.dumps({"text": art.text, "region": art.region, "rows": art.rows}))
    np.save(out / f"grey-{seed}.npy", grey)
    np.save(out / f"corners-{seed}.npy", corners)
    (out / f"labels-{seed}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _counted(count: int, what: str) -> Iterable[int]:
    """Count up, with a progress bar where tqdm is installed."""
    try:
        from tqdm import tqdm  # type: ignore[import-untyped]
    except ImportError:
        return range(count)
    bar: Iterable[int] = tqdm(range(count), desc=what, unit="plate", mininterval=1.0)
    return bar


def _cell(art: PlateArt, shot: Shot, *, marks: bool) -> NDArray[np.uint8]:
    """A shot with its label below."""
    image = shot.image.copy()
    if marks:
        outline = np.round(shot.corners).astype(np.int32)
        cv2.polylines(image, [outline], True, (0, 255, 0), 1, cv2.LINE_AA)
    cell = np.full((SIZE[0] + 18, SIZE[1] + 4, 3), 40, np.uint8)
    cell[: SIZE[0], : SIZE[1]] = image
    text = f"{art.region} {art.text}" + (" 2" if art.rows == 2 else "")
    cv2.putText(cell, text, (2, SIZE[0] + 13), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (255, 255, 255), 1)
    return cell


def contact_sheet(seed: int, grid: tuple[int, int] = (10, 8), region: str | None = None, *,
                  marks: bool = False) -> NDArray[np.uint8]:  # fmt: skip
    """Return a picture of rows x columns shots with their labels."""
    cells = [_cell(*render(seed, i, region), marks=marks) for i in range(grid[0] * grid[1])]
    rows = [np.hstack(cells[k : k + grid[1]]) for k in range(0, len(cells), grid[1])]
    return np.vstack(rows)


def beside(
    sheet: NDArray[np.uint8], photos: Path, seed: int, region: str | None
) -> NDArray[np.uint8]:
    """Return the sheet with as many real crops from `photos/train/crops` to its right.

    Raises:
        ValueError: there is no real crop of the region.
    """
    folder = photos / "train" / "crops"
    with (folder / "world-scenes.csv").open(encoding="utf-8") as file:
        entries = [e for e in csv.DictReader(file) if region in (None, e["region"])]
    if not entries:
        raise ValueError(f"there is no real crop of region {region}")
    rows, columns = sheet.shape[0] // (SIZE[0] + 18), sheet.shape[1] // (SIZE[1] + 4)
    rng = np.random.default_rng(seed)
    cells = []
    for k in range(rows * columns):
        entry = entries[int(rng.integers(len(entries)))] if k >= len(entries) else entries[k]
        image = cv2.imread(str(folder / entry["file"]))
        cell = np.full((SIZE[0] + 18, SIZE[1] + 4, 3), 90, np.uint8)
        cell[: SIZE[0], : SIZE[1]] = cv2.resize(image, SIZE[::-1], interpolation=cv2.INTER_AREA)
        text = f"{entry['region']} {entry['text']}"
        at = (2, SIZE[0] + 13)
        cv2.putText(cell, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.4, (255, 255, 255), 1)
        cells.append(cell)
    lines = [np.hstack(cells[k : k + columns]) for k in range(0, len(cells), columns)]
    return np.hstack([sheet, np.vstack(lines)])
