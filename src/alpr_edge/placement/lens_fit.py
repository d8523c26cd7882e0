"""A lens's focal length and distortion from pictures of a checkerboard. Pure: pictures are given.

Source: Zhang, "A flexible new technique for camera calibration", PAMI 2000, as OpenCV has it.

Rules: pictures in which the board is not found are told and left out. Refused are too few pictures,
boards that were always held alike (focal length and distance then look the same), boards that leave
the corners of the frame empty (distortion there would be a guess), and a poor fit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from alpr_edge.exclusion.camera_model import Lens
from alpr_edge.placement.pose_fit import refused
from alpr_edge.types import Image

FEWEST_PICTURES: Final = 6
LEAST_COVER: Final = 0.5
LEAST_TILT_DEG: Final = 10.0
MOST_RMS_PX: Final = 1.5


@dataclass(frozen=True, slots=True)
class LensFit:
    """A fitted lens.

    Attributes:
        focal_share: standard deviation of the focal length as a part of it.
        rms_px: how far corners are from where the lens sees them.
        without_board: numbers of pictures in which no board was found.
    """

    lens: Lens
    focal_share: float
    rms_px: float
    without_board: tuple[int, ...]


def find_board(picture: Image, inner: tuple[int, int]) -> NDArray[np.float32] | None:
    """The board's inner corners `(N, 2)` in pixels, None where it is not seen whole."""
    grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY) if picture.ndim == 3 else picture
    flags = cv2.CALIB_CB_ADAPTIVE_THRESH | cv2.CALIB_CB_NORMALIZE_IMAGE
    found, corners = cv2.findChessboardCorners(grey, inner, flags=flags)
    if not found or corners is None:
        return None
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 40, 1e-3)
    fine = cv2.cornerSubPix(grey, corners, (5, 5), (-1, -1), criteria)
    return np.asarray(fine, np.float32).reshape(-1, 2)


def fit_lens(
    boards: Sequence[NDArray[np.float32] | None],
    *,
    inner: tuple[int, int],
    size_px: tuple[int, int],
) -> LensFit:
    """The lens that saw these boards.

    Args:
        boards: corners of each picture, from `find_board`.
        inner: inner corners of the board, across and down.
        size_px: width and height of the pictures.

    Raises:
        ConfigError: `placement.calibration.refused`, with every reason.
    """
    seen = [board for board in boards if board is not None]
    without = tuple(n for n, board in enumerate(boards) if board is None)
    if len(seen) < FEWEST_PICTURES:
        raise refused([f"the board is seen in {len(seen)} pictures; {FEWEST_PICTURES} are needed"])
    cover = _cover(seen, size_px)
    grid = np.zeros((inner[0] * inner[1], 3), np.float32)
    grid[:, :2] = np.mgrid[0 : inner[0], 0 : inner[1]].T.reshape(-1, 2)
    start = np.array(
        [(size_px[0], 0, size_px[0] / 2), (0, size_px[0], size_px[1] / 2), (0, 0, 1)], np.float64
    )
    rms, matrix, bent, turns, _, spread, _, _ = cv2.calibrateCameraExtended(
        [grid] * len(seen),
        list(seen),
        size_px,
        start,
        np.zeros(5),
        flags=cv2.CALIB_USE_INTRINSIC_GUESS,
    )
    k1, k2, p1, p2, k3 = (float(v) for v in np.asarray(bent).ravel()[:5])
    focal = float(matrix[0, 0])
    lens = Lens(
        *size_px, focal, float(matrix[1, 1]), float(matrix[0, 2]) + 0.5, float(matrix[1, 2]) + 0.5,
        (k1, k2, p1, p2, k3), error_px=max(1.0, 3.0 * float(rms)),
    )  # fmt: skip
    share = float(np.asarray(spread).ravel()[0]) / focal
    problems = lens.problems()
    if cover < LEAST_COVER:
        problems.append(
            f"the boards reach {cover:.0%} of the picture: hold some into each of its corners"
        )
    if _tilt(turns) < LEAST_TILT_DEG:
        problems.append("the board was always held alike: turn it by 30° to each side")
    if not rms < MOST_RMS_PX:
        problems.append(f"corners are {rms:.1f} px off on average: is the board flat and sharp?")
    if not share < 0.05:
        problems.append(f"the focal length would be known to {share:.0%} only")
    if problems:
        raise refused(problems)
    return LensFit(lens, share, float(rms), without)


def _cover(boards: Sequence[NDArray[np.float32]], size_px: tuple[int, int]) -> float:
    """Part of an 8 × 6 grid over the picture in which corners were seen or lie between."""
    cells = np.zeros((6, 8), np.uint8)
    scale = np.array([8, 6]) / size_px
    for board in boards:
        hull = cv2.convexHull((board * scale).astype(np.float32)).reshape(-1, 2)
        for row in range(6):
            for column in range(8):
                middle = (column + 0.5, row + 0.5)
                if cv2.pointPolygonTest(hull, middle, True) > -0.5:
                    cells[row, column] = 1
    return float(cells.mean())


def _tilt(turns: Sequence[Any]) -> float:
    """Largest angle between two boards, degrees."""
    ways = np.stack([np.asarray(cv2.Rodrigues(t)[0])[:, 2] for t in turns])
    return float(np.degrees(np.arccos(np.clip(ways @ ways.T, -1, 1))).max())
