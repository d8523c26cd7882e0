"""Has the camera moved? The live view against the commissioned one, for one glance.

How: distinctive patches of the reference are sought again in the live field, each within
`SEARCH_CELLS`; RANSAC finds the turn, zoom and shift that most of them agree on. People, cars and
shadows are outvoted: their patches are not found, or not where the others are. Where too few are
found, the whole field is correlated, and the patches are sought round its peak.

The model has four degrees of freedom (shift, roll, zoom). A full homography, measured on the
simulated day, errs at the picture's corners by up to 3 % of its width where this one errs 0.4 %;
what it would add, the keystone of a large turn, only matters beyond any margin (ADR 0013).

It remembers nothing from one glance to the next (`view_watch` does) and sees no pixel, only fields.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from alpr_edge.exclusion.view_field import Field, Glance
from alpr_edge.exclusion.view_reference import Reference

PATCH_CELLS = 16
SEARCH_CELLS = 6
MAX_PATCHES = 40
MIN_PATCHES = 12
"""Fewer distinctive patches are no view that can be known again."""

FOUND = 0.45
"""Least correlation of a patch that counts as found. Source: simulated street; patches that are in
place have 0.6 to 0.95 by day, 0.5 to 0.8 by night, those of another view 0.2 to 0.4."""

AGREE_CELLS = 0.8
"""How far a patch may lie from where the consensus puts it."""

_AMBIGUOUS = 0.8
"""A patch that looks so much like its own surroundings is of no use."""
_LEAST_ENERGY = 0.04
"""Mean square of the field in a patch, below which there is nothing to find."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """What one glance says.

    Attributes:
        patches: that could have been found.
        found: that were.
        agreeing: that agree on one shift, roll and zoom.
        in_place: that were found where the reference has them.
        shift: how far the consensus moves the corner that moves most, as a share of the frame's
            width; None without a consensus.
        rival: patches that agree on another shift than the consensus, beyond its own reach: what
            is burned into the picture stays while the view moves.
        detail, sharpness: as a share of the reference's; sharpness None where either has none.
        contrast: see `Glance`.
    """

    patches: int
    found: int
    agreeing: int
    in_place: int
    shift: float | None
    rival: int
    detail: float
    contrast: float
    sharpness: float | None


@dataclass(frozen=True, slots=True, eq=False)
class _Fit:
    matrix: NDArray[np.float64]
    agreeing: NDArray[np.bool_]
    shift: float


class Comparer:
    """Compares glances with one reference, under the mask that is in force now.

    Args:
        free: `view_field.free_cells` of the zones in force: a wider mask takes patches away.
    """

    def __init__(self, reference: Reference, free: NDArray[np.bool_]) -> None:
        self._field = reference.field * free[..., None]
        self._reference = reference
        self._places = _distinctive(self._field, free)
        self._detail = float(np.square(self._field).sum()) / max(int(free.sum()), 1)
        self._spectrum = np.fft.fft2(_as_complex(self._field))

    @property
    def patches(self) -> int:
        """How many patches can be sought; below `MIN_PATCHES` the view is too plain."""
        return len(self._places)

    def compare(self, glance: Glance) -> Comparison:
        """Look for the reference in a glance."""
        origin = (0, 0)
        found, moved = self._seek(glance.field, origin)
        fit = self._fit(found, moved)
        if fit is None or fit.agreeing.sum() < max(6, len(self._places) // 4):
            origin = self._whole_shift(glance.field)
            if max(abs(v) for v in origin) > SEARCH_CELLS // 2:
                again = self._seek(glance.field, origin)
                far = self._fit(*again)
                if far is not None and (fit is None or far.agreeing.sum() > fit.agreeing.sum()):
                    (found, moved), fit = again, far
        return self._comparison(glance, found, moved, fit)

    def _comparison(
        self,
        glance: Glance,
        found: NDArray[np.bool_],
        moved: NDArray[np.float64],
        fit: _Fit | None,
    ) -> Comparison:
        sharpness = None
        if glance.sharpness is not None and self._reference.sharpness:
            sharpness = glance.sharpness / self._reference.sharpness
        at_home = found & (np.hypot(moved[:, 0], moved[:, 1]) <= AGREE_CELLS)
        return Comparison(
            patches=len(self._places),
            found=int(found.sum()),
            agreeing=0 if fit is None else int(fit.agreeing.sum()),
            in_place=int(at_home.sum()),
            shift=None if fit is None else fit.shift,
            rival=0 if fit is None else self._rival(found & ~fit.agreeing, moved),
            detail=glance.detail / max(self._detail, 1e-9),
            contrast=glance.contrast,
            sharpness=sharpness,
        )

    def _seek(
        self, live: Field, origin: tuple[int, int]
    ) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
        """Which patches are found near `origin` off their place, and how far off `(N, 2)`."""
        room = SEARCH_CELLS + max(abs(origin[0]), abs(origin[1]))
        padded = cv2.copyMakeBorder(live, room, room, room, room, cv2.BORDER_CONSTANT)
        side = PATCH_CELLS + 2 * SEARCH_CELLS
        found = np.zeros(len(self._places), np.bool_)
        moved = np.zeros((len(self._places), 2), np.float64)
        for i, (x, y) in enumerate(self._places):
            left = x + origin[0] + room - SEARCH_CELLS
            top = y + origin[1] + room - SEARCH_CELLS
            window = padded[top : top + side, left : left + side]
            patch = self._field[y : y + PATCH_CELLS, x : x + PATCH_CELLS]
            if window.shape[:2] != (side, side) or not window.any():
                continue
            scores = np.asarray(cv2.matchTemplate(window, patch, cv2.TM_CCORR_NORMED), np.float32)
            _, best, _, (px, py) = cv2.minMaxLoc(scores)
            found[i] = best >= FOUND
            moved[i] = (
                px - SEARCH_CELLS + origin[0] + _between(scores[py, :], px),
                py - SEARCH_CELLS + origin[1] + _between(scores[:, px], py),
            )
        return found, moved

    def _fit(self, found: NDArray[np.bool_], moved: NDArray[np.float64]) -> _Fit | None:
        """The turn, zoom and shift on which most found patches agree."""
        if found.sum() < 4:
            return None
        places = np.array(self._places, np.float64) + PATCH_CELLS / 2
        source = places[found]
        raw, inliers = cv2.estimateAffinePartial2D(
            source, source + moved[found], method=cv2.RANSAC, ransacReprojThreshold=AGREE_CELLS
        )
        # None where no two patches agree, whatever its type says.
        matrix = np.asarray(raw, np.float64)
        if matrix.shape != (2, 3) or not np.isfinite(matrix).all():
            return None
        agreeing = np.zeros(len(found), np.bool_)
        agreeing[np.flatnonzero(found)[inliers.ravel() > 0]] = True
        rows, columns = self._field.shape[:2]
        corners = np.array([[0, 0], [columns, 0], [columns, rows], [0, rows]], np.float64)
        away = corners @ matrix[:, :2].T + matrix[:, 2] - corners
        return _Fit(matrix, agreeing, float(np.hypot(away[:, 0], away[:, 1]).max() / columns))

    def _rival(self, others: NDArray[np.bool_], moved: NDArray[np.float64]) -> int:
        """How many of the other found patches agree on one shift among themselves."""
        spots = moved[others]
        if len(spots) < 3:
            return 0
        away = np.hypot(*(spots[:, None] - spots[None]).transpose(2, 0, 1))
        return int((away <= AGREE_CELLS).sum(1).max())

    def _whole_shift(self, live: Field) -> tuple[int, int]:
        """The shift in whole cells at which the two fields correlate best."""
        spectrum = np.fft.fft2(_as_complex(live)) * np.conj(self._spectrum)
        peak = np.real(np.fft.ifft2(spectrum))
        rows, columns = peak.shape
        y, x = np.unravel_index(int(peak.argmax()), peak.shape)
        dx = int(x) - (columns if x > columns // 2 else 0)
        dy = int(y) - (rows if y > rows // 2 else 0)
        return dx, dy


def _distinctive(field: Field, free: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Left and top of the patches that can be told from their surroundings, best first kept."""
    rows, columns = field.shape[:2]
    side, away = PATCH_CELLS, 4
    graded = []
    for y in range(1, rows - side, side // 2):
        for x in range(1, columns - side, side // 2):
            patch = field[y : y + side, x : x + side]
            energy = float(np.square(patch).mean())
            if energy < _LEAST_ENERGY or not free[y : y + side, x : x + side].all():
                continue
            top, left = max(0, y - away), max(0, x - away)
            around = field[top : y + side + away, left : x + side + away]
            scores = cv2.matchTemplate(around, patch, cv2.TM_CCORR_NORMED)
            cy, cx = y - top, x - left
            scores[max(0, cy - 1) : cy + 2, max(0, cx - 1) : cx + 2] = 0
            likest = float(scores.max())
            if likest < _AMBIGUOUS:
                graded.append((energy * (1 - likest), x, y))
    graded.sort(reverse=True)
    return [(x, y) for _, x, y in graded[:MAX_PATCHES]]


def _between(line: NDArray[np.float32], peak: int) -> float:
    """Where between the cells a peak lies, from its two neighbours: -0.5 to 0.5."""
    if not 0 < peak < len(line) - 1:
        return 0.0
    before, at, after = (float(v) for v in line[peak - 1 : peak + 2])
    bend = before - 2 * at + after
    return 0.5 * (before - after) / bend if bend < -1e-9 else 0.0


def _as_complex(field: Field) -> NDArray[np.complex64]:
    return np.asarray(field[..., 0] + 1j * field[..., 1], np.complex64)
