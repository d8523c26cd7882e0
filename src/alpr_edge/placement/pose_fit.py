"""A camera's pose from surveyed points: who is where in the picture and on the map. Pure.

Four points or more, with their places on the map, heights above the ground and pixels. Steps:

1. Wrong points are found by consensus: poses of many small sets of points (OpenCV's SQPnP; Terzakis
   and Lourakis, ECCV 2020), the one that most points agree with.
2. The pose, and the focal length where it is not known, is fitted to those by least squares, each
   point with its own weight, together with what was measured by hand (height, position).
3. The covariance is that of the fit, widened where the points agree less than they should.

Rules:
- What cannot be known well from these points is refused, with the reason: `ConfigError`
  `placement.calibration.refused`, every reason at once.
- No random numbers: the same points give the same pose.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations, islice
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from alpr_edge.errors import ConfigError
from alpr_edge.exclusion.camera_model import GroundError, Lens, PlacedCamera, Pose, View, rotation
from alpr_edge.exclusion.local_plane import LocalPlane, LonLat, Points, mean_place

CLICK_PX: Final = 2.0
"""How well a person hits a point in the picture, one standard deviation."""
SURVEY_M: Final = 0.05
"""How well points are surveyed where nothing else is said, one standard deviation. Source: a tape
or an RTK receiver."""
MOST_TRIALS: Final = 300
FEWEST_POINTS: Final = 4
THINNEST: Final = 0.03
"""Points whose spread across is less than this part of the one along count as on one line."""
SMALLEST_SHARE: Final = 0.02
MOST_HEADING_DEG: Final = 3.0
MOST_GROUND_M: Final = 4.0
_AHEAD_M: Final = 30.0


@dataclass(frozen=True, slots=True)
class SurveyPoint:
    """One point that is known on the map and seen in the picture.

    Attributes:
        up_m: height above the ground at the camera's foot.
        pixel: x, y in the frame.
        survey_m: standard deviation of its place.
    """

    name: str
    place: LonLat
    up_m: float
    pixel: tuple[float, float]
    survey_m: float = SURVEY_M


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured by hand, each with its standard deviation; None was not.

    Attributes:
        position: longitude, latitude, standard deviation in metres.
        height: metres, standard deviation.
        focal_share: standard deviation of the lens's focal length as a part of it; None: not known
            at all, and the lens's is only a frame size.
    """

    position: tuple[LonLat, float] | None = None
    height: tuple[float, float] | None = None
    focal_share: float | None = 0.01


@dataclass(frozen=True, slots=True)
class Residual:
    """How far from its pixel a point is seen by the fitted camera.

    Attributes:
        off_px: x, y: seen minus expected.
        is_used: whether it took part in the fit.
    """

    name: str
    off_px: tuple[float, float]
    is_used: bool

    @property
    def length_px(self) -> float:
        """Distance in pixels."""
        return float(np.hypot(*self.off_px))


@dataclass(frozen=True, slots=True)
class Fit:
    """A calibrated camera and how good it is.

    Attributes:
        rms_px: of the points used.
        warnings: what should be looked at.
    """

    camera: PlacedCamera
    residuals: tuple[Residual, ...]
    rms_px: float
    warnings: tuple[str, ...]


def fit_pose(
    name: str, points: Sequence[SurveyPoint], lens: Lens, measured: Measured | None = None
) -> Fit:
    """The camera that sees these points.

    Raises:
        ConfigError: `placement.calibration.refused`: too few, or in a poor arrangement, or they
            contradict each other.
    """
    measured = measured or Measured()
    problems = _arrangement(points, lens)
    if problems:
        raise refused(problems)
    plane = LocalPlane(*mean_place([p.place for p in points]))
    world = np.column_stack(
        [plane.to_plane(np.array([p.place for p in points])), [p.up_m for p in points]]
    )
    ideal = lens.to_ideal(np.array([p.pixel for p in points], np.float64))
    task = _Task(world, ideal, np.array([p.survey_m for p in points]), lens, measured, plane)
    start, used = task.consensus()
    if start is None or used.sum() < FEWEST_POINTS or used.sum() * 3 < len(points) * 2:
        worst = ", ".join(p.name for p, ok in zip(points, used, strict=True) if not ok)
        raise refused(
            [f"the points contradict each other: no pose fits two thirds of them (check {worst})"]
        )
    best, covariance, misfit = task.refine(start, used)
    off = task.seen(best) - ideal
    rms = float(np.sqrt((off[used] ** 2).sum(axis=1).mean()))
    camera = _placed(name, best, covariance, lens, plane)
    residuals = tuple(
        Residual(p.name, (float(o[0]), float(o[1])), bool(ok))
        for p, o, ok in zip(points, off, used, strict=True)
    )
    problems = _quality(camera, misfit)
    if problems:
        raise refused(problems, residuals)
    warnings = [
        f"{r.name} was left out: {r.length_px:.0f} px off" for r in residuals if not r.is_used
    ]
    if used.sum() == FEWEST_POINTS:
        warnings.append("with four points a mistake in one can hardly be seen: take six or more")
    return Fit(camera, residuals, rms, tuple(warnings))


def refused(problems: Sequence[str], residuals: Sequence[Residual] = ()) -> ConfigError:
    """The error for a calibration that may not be used; shows the residuals with the reasons."""
    shown = [f"{r.name}: {r.off_px[0]:+.1f} {r.off_px[1]:+.1f} px" for r in residuals]
    return ConfigError(
        "this calibration is refused",
        code="placement.calibration.refused",
        hint="measure points near and far, left and right in the picture, six or more",
        problems=(*problems, *shown),
    )


def _arrangement(points: Sequence[SurveyPoint], lens: Lens) -> list[str]:
    """What is wrong with where the points are, before anything is computed."""
    if len(points) < FEWEST_POINTS:
        return [f"{len(points)} points: {FEWEST_POINTS} are needed, six or more are better"]
    found = []
    names = [p.name for p in points]
    if len(set(names)) < len(names):
        found.append("two points have the same name")
    size = (lens.width_px, lens.height_px)
    outside = [
        p.name for p in points if not all(0 <= v <= s for v, s in zip(p.pixel, size, strict=True))
    ]
    if outside:
        found.append(f"outside the frame: {', '.join(outside)}")
    try:
        plane = LocalPlane(*mean_place([p.place for p in points]))
        flat = plane.to_plane(np.array([p.place for p in points]))
    except ValueError as err:
        return [*found, f"positions: {err}"]
    up = np.array([p.up_m for p in points])
    if not np.isfinite(up).all() or np.abs(up).max() > 30:
        return [*found, "heights must be within 30 m of the ground"]
    pixels = np.array([p.pixel for p in points], np.float64)
    if not np.isfinite(pixels).all():
        return [*found, "pixels must be finite numbers"]
    if _thinness(np.column_stack([flat, up])) < THINNEST:
        found.append("on the map the points lie on one line: take some to the side of it")
    elif _thinness(pixels) < THINNEST:
        found.append("in the picture the points lie on one line: take some nearer or farther")
    elif (
        cv2.contourArea(cv2.convexHull(pixels.astype(np.float32)))
        < SMALLEST_SHARE * size[0] * (size[1])
    ):
        found.append("the points cover less than 2 % of the picture: spread them out")
    return found


def _thinness(points: Points) -> float:
    """Second largest spread as a part of the largest."""
    spread = np.linalg.svd(points - points.mean(axis=0), compute_uv=False)
    return float(spread[1] / max(float(spread[0]), 1e-12))


def _quality(camera: PlacedCamera, misfit: float) -> list[str]:
    found = camera.problems()
    if found:
        return found
    if misfit > 4.0:
        found.append(
            f"the points fit {misfit:.0f} times worse than they should: is one mistaken, is the "
            "lens the right one, is the ground very uneven?"
        )
    heading = 1.96 * float(np.sqrt(camera.covariance[3][3]))
    if heading > MOST_HEADING_DEG:
        found.append(
            f"the direction would be known to ±{heading:.1f}° only: spread the points left and "
            "right, near and far"
        )
    aside, along = _ground_error(camera)
    if max(aside, along) > MOST_GROUND_M:
        found.append(
            f"a place {_AHEAD_M:.0f} m ahead would be known to ±{max(aside, along):.1f} m only: "
            "take points farther away, or measure height and position as well"
        )
    return found


def _ground_error(camera: PlacedCamera) -> tuple[float, float]:
    """95 % half widths of a place 30 m ahead on the ground, across and along the view."""
    heading = np.radians(camera.pose.heading_deg)
    ahead = np.array([np.sin(heading), np.cos(heading)])
    there = np.array([*(ahead * _AHEAD_M), 0.0])
    drift = []
    for view in camera.extreme_views[::2]:
        ideal = view.to_ideal(view.to_camera(there), camera.lens)
        ray = camera.view.rays(ideal[None], camera.lens)[0]
        if ray[2] > -1e-3:
            return 99.0, 99.0
        drift.append(ray[:2] * (camera.pose.height_m / -ray[2]) - there[:2])
    if not drift:
        return 0.0, 0.0
    # The extreme views are out by `SIGMAS`; here 1.96 standard deviations are asked for.
    off = np.array(drift) * 1.96 / 4.932
    across = off @ np.array([ahead[1], -ahead[0]])
    return float(np.sqrt((across**2).sum())), float(np.sqrt(((off @ ahead) ** 2).sum()))


@dataclass(slots=True)
class _Task:
    """The points in metres and ideal pixels; parameters as `camera_model.PARAMETERS`."""

    world: Points
    ideal: Points
    survey_m: NDArray[np.float64]
    lens: Lens
    measured: Measured
    plane: LocalPlane

    def consensus(self) -> tuple[NDArray[np.float64] | None, NDArray[np.bool_]]:
        """The pose that most points agree with, and which they are."""
        best: NDArray[np.float64] | None = None
        best_key: tuple[int, float] = (0, 0.0)
        used = np.zeros(len(self.world), np.bool_)
        for log_focal in self._focals():
            for start in self._trials(log_focal):
                off = (self.seen(start) - self.ideal) / self._sigma(start)[:, None]
                good = (off**2).sum(axis=1) < 6.0**2
                key = (int(good.sum()), -float(np.minimum((off**2).sum(axis=1), 36.0).sum()))
                if key > best_key:
                    best, best_key, used = start, key, good
        if best is not None:
            # Once refined, points that were only just out may be in.
            refined, _, _ = self.refine(best, used)
            off = (self.seen(refined) - self.ideal) / self._sigma(refined)[:, None]
            good = (off**2).sum(axis=1) < 4.5**2
            if good.sum() >= used.sum():
                best, used = refined, good
        return best, used

    def _focals(self) -> list[float]:
        """Logarithms of the focal lengths to begin with, against the lens's own."""
        if self.measured.focal_share is not None:
            return [0.0]
        width = self.lens.width_px
        fields = np.radians(np.geomspace(6.0, 100.0, 24))
        return [float(np.log(width / 2 / np.tan(f / 2) / self.lens.fx_px)) for f in fields]

    def _trials(self, log_focal: float) -> list[NDArray[np.float64]]:
        matrix = self.lens.matrix.copy()
        matrix[0, 0] *= np.exp(log_focal)
        matrix[1, 1] *= np.exp(log_focal)
        count = len(self.world)
        sets = [tuple(range(count)), *islice(combinations(range(count), 4), MOST_TRIALS)]
        if count > 8:  # the first sets all hold the first points: take them from all over
            every = list(combinations(range(count), 4))
            sets = [sets[0], *every[:: max(1, len(every) // MOST_TRIALS)]]
        if self.measured.focal_share is None:
            sets = sets[:1] if count < 6 else sets[::6]
        found = []
        for chosen in sets:
            index = list(chosen)
            try:
                ok, turns, shift = cv2.solvePnP(
                    self.world[index], self.ideal[index], matrix, None, flags=cv2.SOLVEPNP_SQPNP
                )
            except cv2.error:
                continue  # a degenerate set of points
            if ok:
                pose = _pose_of(np.asarray(turns, np.float64), np.asarray(shift, np.float64))
                if pose is not None:
                    found.append(np.append(pose, log_focal))
        return found

    def seen(self, p: NDArray[np.float64]) -> Points:
        """Ideal pixels of the points; far away where one is behind the lens."""
        view = View(p[:3], rotation(p[3], p[4], p[5]), float(np.exp(p[6])))
        in_camera = view.to_camera(self.world)
        in_camera[:, 2] = np.where(in_camera[:, 2] > 0.1, in_camera[:, 2], 1e-3)
        return view.to_ideal(in_camera, self.lens)

    def _sigma(self, p: NDArray[np.float64]) -> NDArray[np.float64]:
        """Standard deviation of each point in the picture."""
        view = View(p[:3], rotation(p[3], p[4], p[5]), 1.0)
        depth = np.maximum(view.to_camera(self.world)[:, 2], 1.0)
        survey_px = self.survey_m / depth * self.lens.fx_px * np.exp(p[6])
        return np.asarray(np.sqrt(CLICK_PX**2 + self.lens.error_px**2 / 4 + survey_px**2))

    def _off(
        self, p: NDArray[np.float64], used: NDArray[np.bool_], sigma: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """All that should be zero, each in its own standard deviations."""
        off = [((self.seen(p) - self.ideal) / sigma[:, None])[used].ravel()]
        if self.measured.position is not None:
            place, loose = self.measured.position
            there = self.plane.to_plane(np.array(place))
            off.append((p[:2] - there) / max(loose, 1e-3))
        if self.measured.height is not None:
            height, loose = self.measured.height
            off.append(np.array([(p[2] - height) / max(loose, 1e-3)]))
        # Without any knowledge of the lens a factor of e is still one in a thousand.
        focal = 0.35 if self.measured.focal_share is None else self.measured.focal_share
        off.append(np.array([p[6] / max(focal, 1e-4)]))
        return np.concatenate(off)

    def refine(
        self, start: NDArray[np.float64], used: NDArray[np.bool_]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
        """Least squares from `start` (Levenberg and Marquardt).

        Returns:
            Parameters, their covariance, and how many times too large the residuals are.
        """
        p, damping = start.copy(), 1e-3
        sigma = self._sigma(p)
        off = self._off(p, used, sigma)
        for _ in range(60):
            slope = self._slope(p, used, sigma)
            normal = slope.T @ slope
            step = np.linalg.lstsq(
                normal + damping * np.diag(np.diag(normal)), -slope.T @ off, rcond=None
            )[0]
            after = self._off(p + step, used, sigma)
            if float(after @ after) < float(off @ off):
                p, off, damping = p + step, after, max(damping / 5, 1e-9)
                if np.abs(step).max() < 1e-8:
                    break
            else:
                damping *= 8
                if damping > 1e8:
                    break
        slope = self._slope(p, used, sigma)
        freedom = max(len(off) - 7, 1)
        misfit = float(np.sqrt(off @ off / freedom))
        covariance = np.linalg.pinv(slope.T @ slope, rcond=1e-12, hermitian=True)
        return p, np.asarray(covariance * max(1.0, misfit**2), np.float64), misfit

    def _slope(
        self, p: NDArray[np.float64], used: NDArray[np.bool_], sigma: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        steps = np.array([1e-4, 1e-4, 1e-4, 1e-4, 1e-4, 1e-4, 1e-6])
        columns = []
        for axis in range(7):
            step = np.zeros(7)
            step[axis] = steps[axis]
            up, down = self._off(p + step, used, sigma), self._off(p - step, used, sigma)
            columns.append((up - down) / (2 * steps[axis]))
        return np.stack(columns, axis=1)


def _pose_of(turns: NDArray[np.float64], shift: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """OpenCV's pose as six of our parameters; None for a camera below the ground."""
    turned = np.asarray(cv2.Rodrigues(turns)[0], np.float64)
    position = -turned.T @ shift.ravel()
    if not np.isfinite(position).all() or position[2] <= 0.2:
        return None
    right, forward = turned[0], turned[2]
    heading = float(np.arctan2(forward[0], forward[1]))
    tilt = float(np.arcsin(np.clip(forward[2], -1, 1)))
    level = np.array([np.cos(heading), -np.sin(heading), 0.0])
    roll = float(np.arctan2(right @ np.cross(forward, level), right @ level))
    return np.array([*position, *np.degrees([heading, tilt, roll])])


def _placed(
    name: str,
    p: NDArray[np.float64],
    covariance: NDArray[np.float64],
    lens: Lens,
    plane: LocalPlane,
) -> PlacedCamera:
    """Fitted parameters as a camera whose origin is its own foot."""
    lon, lat = plane.to_lonlat(p[:2])
    factor = float(np.exp(p[6]))
    even = (covariance + covariance.T) / 2
    return PlacedCamera(
        name,
        replace(lens, fx_px=lens.fx_px * factor, fy_px=lens.fy_px * factor),
        Pose((float(lon), float(lat)), float(p[2]), float(p[3]) % 360.0, float(p[4]), float(p[5])),
        tuple(map(tuple, even.tolist())),
        GroundError(),
    )
