"""Calibrating a camera as questions and answers. Pure: a terminal, a file or a console drives it.

    session = CalibrationSession()
    while (question := session.question) is not None:
        show(question.text, question.example, question.default)
        session = session.answer(read())          # AnswerRefused: say why, ask again
    fit = session.fit()                           # ConfigError: refused, with every reason

A session is a frozen value: `back()` takes the last answer away, `answers` can be stored and given
to `from_answers` again. The keys of the questions are those of a calibration file:

    camera = "cam-1"                        # name
    frame = "1920x1080"                     # the frame that `run` sees
    lens = "23 ±0.5"                        # field of view, degrees; or "unknown"
    position = "-118.2437 34.0522 ±0.5"     # longitude latitude, metres; or "unknown" with points
    height = "4.6 ±0.05"                    # metres; or "unknown" with points
    method = "points"                       # or "measured": heading, tilt, roll
    points = ["kerb -118.24361 34.05252 0 612 388 ±0.05", …]   # name lon lat up x y ±metres
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite
from typing import Final

from alpr_edge.errors import ConfigError
from alpr_edge.exclusion.camera_model import Lens, PlacedCamera, Pose, measured_covariance
from alpr_edge.exclusion.local_plane import place_problem
from alpr_edge.placement.camera_file import LOOSE
from alpr_edge.placement.lens_fit import LensFit
from alpr_edge.placement.pose_fit import (
    FEWEST_POINTS,
    SURVEY_M,
    Fit,
    Measured,
    SurveyPoint,
    fit_pose,
    refused,
)

MOST_POINTS: Final = 60
UNKNOWN: Final = "unknown"
DONE: Final = "done"
_NOMINAL_DEG: Final = 40.0


class AnswerRefused(ConfigError):
    """An answer that does not answer the question; the question stands."""

    code = "placement.calibration.answer"


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked next.

    Attributes:
        key: of the answer, as in a calibration file.
        help: how to measure it.
        default: what an empty answer means; None: an answer is needed.
    """

    key: str
    text: str
    help: str
    example: str
    default: str | None = None


_QUESTIONS: Final = {
    "camera": Question("camera", "Name of the camera", "As in the configuration.", "cam-1"),
    "frame": Question(
        "frame", "Size of the frame in pixels", "As `run` sees it: cropped and scaled.", "1920x1080"
    ),
    "lens": Question(
        "lens",
        "Horizontal field of view in degrees, ± how much",
        "From the maker's sheet at the zoom that is set; `unknown` needs five points or more. A "
        "checkerboard is better: --board.",
        "23 ±0.5",
    ),
    "position": Question(
        "position",
        "Longitude and latitude of the pole, ± metres",
        "From a survey, a GNSS receiver or an aerial map; `unknown` only with points.",
        "-118.2437 34.0522 ±0.5",
    ),
    "height": Question(
        "height",
        "Height of the lens above the ground at its foot in metres, ± how much",
        "With a tape or a laser; `unknown` only with points.",
        "4.6 ±0.05",
    ),
    "method": Question(
        "method",
        "How is the direction known: points or measured",
        "Points on the ground that are known on the map and seen in the picture are far better "
        "than a compass.",
        "points",
        "points",
    ),
    "heading": Question(
        "heading",
        "Direction of view, degrees clockwise from true north, ± how much",
        "A compass near steel is off by ten degrees; mind the declination. Better: sight along a "
        "line of the map.",
        "355.7 ±3",
    ),
    "tilt": Question(
        "tilt",
        "Tilt, degrees up from the horizon (down is negative), ± how much",
        "With a digital level on the housing.",
        "-12.7 ±1",
    ),
    "roll": Question(
        "roll", "Roll, degrees clockwise seen from behind, ± how much", "With the same level.",
        "0 ±1", "0 ±1",
    ),
    "points": Question(
        "points",
        "A point: name longitude latitude up x y ±metres; `done` after the last",
        "Corners of markings, covers, kerbs: near and far, left and right, six or more. `up` is "
        "its height above the ground at the pole; x y are pixels of the frame.",
        "kerb -118.24361 34.05252 0 612 388 ±0.05",
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class CalibrationSession:
    """Where a calibration stands.

    Attributes:
        answers: what was answered, in order; points each on their own.
        board: the lens from a checkerboard, instead of the question after it.
    """

    answers: tuple[tuple[str, str], ...] = ()
    board: LensFit | None = None

    @classmethod
    def from_answers(
        cls, values: Mapping[str, object], board: LensFit | None = None
    ) -> CalibrationSession:
        """A session that was answered by a file.

        Raises:
            ConfigError: `placement.calibration.file`: with every problem of the file.
        """
        problems = [f"{key!r:.60}: unknown key" for key in values if key not in _QUESTIONS]
        session = cls(board=board)
        while (question := session.question) is not None and not problems:
            given = values.get(question.key, question.default)
            if question.key == "points":
                given = given if given is not None else []
                lines = [*given, DONE] if isinstance(given, list) else [None]
            else:
                lines = [given]
            for line in lines:
                if not isinstance(line, str):
                    problems.append(f"{question.key}: must be text, such as {question.example!r}")
                    break
                try:
                    session = session.answer(line)
                except AnswerRefused as err:
                    problems.append(f"{question.key}: {err.message}")
                    break
        if problems:
            raise ConfigError(
                "the calibration file cannot be used",
                code="placement.calibration.file",
                hint="see docs/placement.md",
                problems=tuple(problems),
            )
        return session

    @property
    def question(self) -> Question | None:
        """What is asked next; None when all is answered."""
        known = {key for key, _ in self.answers}
        order = ["camera", "frame"] + ([] if self.board else ["lens"])
        order += ["position", "height", "method"]
        for key in order:
            if key not in known:
                return _QUESTIONS[key]
        if self._get("method") == "points":
            return None if ("points", DONE) in self.answers else _QUESTIONS["points"]
        for key in ("heading", "tilt", "roll"):
            if key not in known:
                return _QUESTIONS[key]
        return None

    def answer(self, text: str) -> CalibrationSession:
        """The session after an answer to `question`.

        Raises:
            AnswerRefused: why the answer cannot be taken.
            ValueError: nothing is asked.
        """
        question = self.question
        if question is None:
            raise ValueError("every question is answered")
        text = text.strip() or (question.default or "")
        after = replace(self, answers=(*self.answers, (question.key, text)))
        problem = after._problem(question.key, text)
        if problem:
            raise AnswerRefused(problem, hint=f"such as: {question.example}")
        return after

    def back(self) -> CalibrationSession:
        """The session without its last answer."""
        return replace(self, answers=self.answers[:-1])

    @property
    def points(self) -> tuple[SurveyPoint, ...]:
        """The points so far."""
        given = [text for key, text in self.answers if key == "points" and text != DONE]
        return tuple(_point(text) for text in given)

    def fit(self) -> Fit:
        """The calibrated camera.

        Raises:
            ConfigError: `placement.calibration.refused`, with every reason.
            ValueError: something is still asked.
        """
        if self.question is not None:
            raise ValueError(f"not answered yet: {self.question.key}")
        name = self._get("camera")
        lens, share = self._lens()
        position, height = self._get("position"), self._get("height")
        if self._get("method") == "points":
            measured = Measured(
                None if position == UNKNOWN else _place(position),
                None if height == UNKNOWN else _sigma(_number(height, LOOSE["height_m"])),
                share,
            )
            return fit_pose(name, self.points, lens, measured)
        camera = self._measured(name, lens, share)
        problems = camera.problems()
        if problems:
            raise refused(problems)
        return Fit(camera, (), 0.0, ())

    def _measured(self, name: str, lens: Lens, share: float | None) -> PlacedCamera:
        place, loose = _place(self._get("position"))
        high, heading, tilt, roll = (
            _number(self._get(key), LOOSE[f"{key}_{unit}"])
            for key, unit in (("height", "m"), ("heading", "deg"), ("tilt", "deg"), ("roll", "deg"))
        )
        covariance = measured_covariance(
            position_m=loose * 1.96,
            height_m=high[1],
            heading_deg=heading[1],
            tilt_deg=tilt[1],
            roll_deg=roll[1],
            focal_share=(share or 0.0) * 1.96,
        )
        return PlacedCamera(
            name, lens, Pose(place, high[0], heading[0], tilt[0], roll[0]), covariance
        )

    def _get(self, key: str) -> str:
        return next((text for k, text in self.answers if k == key), "")

    def _lens(self) -> tuple[Lens, float | None]:
        """The lens, and the standard deviation of its focal length; None: not known."""
        width, height = _frame(self._get("frame"))
        if self.board is not None:
            return self.board.lens, max(self.board.focal_share, 0.002)
        text = self._get("lens")
        if text == UNKNOWN:
            return Lens.from_hfov(width, height, _NOMINAL_DEG), None
        hfov, loose = _number(text, LOOSE["hfov_deg"])
        return Lens.from_hfov(width, height, hfov), loose / hfov / 1.96 * 1.2

    def _problem(self, key: str, text: str) -> str | None:
        """Why an answer cannot be taken; judged in the session that already holds it."""
        try:
            return self._judge(key, text)
        except ValueError as err:
            return str(err)

    def _judge(self, key: str, text: str) -> str | None:
        if key == "camera":
            fits = 0 < len(text) <= 64 and text.isprintable()
            return None if fits else "a name has 1 to 64 printable characters"
        if key == "frame":
            size = _frame(text)
            if self.board is not None and size != (
                self.board.lens.width_px,
                self.board.lens.height_px,
            ):
                return "the checkerboard's pictures have another size"
            return None
        if key == "method":
            if text not in ("points", "measured"):
                return "must be points or measured"
            missing = [k for k in ("lens", "position", "height") if self._get(k) == UNKNOWN]
            if text == "measured" and missing:
                return f"without points these must be known: {', '.join(missing)}"
            return None
        if key == "points":
            return self._judge_point(text)
        if text == UNKNOWN and key in ("lens", "position", "height"):
            return None
        if key == "position":
            _place(text)
            return None
        low, high = _RANGES[key]
        value, loose = _number(text, 0.0)
        return (
            None if low <= value <= high and loose >= 0 else f"must be within {low:g} to {high:g}"
        )

    def _judge_point(self, text: str) -> str | None:
        given = self.points
        if text == DONE:
            short = FEWEST_POINTS - len(given)
            return f"{short} more are needed" if short > 0 else None
        if len(given) > MOST_POINTS:
            return f"{MOST_POINTS} are enough"
        names = [p.name for p in given]
        return f"there is a point {names[-1]} already" if names[-1] in names[:-1] else None


_RANGES: Final = {
    "lens": (0.5, 120.0),
    "height": (0.5, 60.0),
    "heading": (-360.0, 360.0),
    "tilt": (-80.0, 30.0),
    "roll": (-45.0, 45.0),
}


def _floats(parts: Sequence[str]) -> list[float]:
    values = []
    for part in parts:
        try:
            values.append(float(part))
        except ValueError:
            raise ValueError(f"{part!r:.40} is not a number") from None
    if not all(isfinite(v) and abs(v) < 1e9 for v in values):
        raise ValueError("numbers must be finite")
    return values


def _split(text: str) -> tuple[list[str], float | None]:
    """Words, and the number after ± (or +-), if there is one."""
    head, mark, tail = re.sub(r"\+/?-", "±", text).replace(",", " ").partition("±")
    if not mark:
        return head.split(), None
    loose = _floats(tail.split())
    if len(loose) != 1 or loose[0] < 0:
        raise ValueError("after ± comes one number, 0 or more")
    return head.split(), loose[0]


def _number(text: str, default: float) -> tuple[float, float]:
    """A value and its ±."""
    words, loose = _split(text)
    values = _floats(words)
    if len(values) != 1:
        raise ValueError("must be one number, and ± another")
    return values[0], default if loose is None else loose


def _sigma(value: tuple[float, float]) -> tuple[float, float]:
    return value[0], value[1] / 1.96


def _place(text: str) -> tuple[tuple[float, float], float]:
    """Longitude and latitude, and a standard deviation in metres."""
    words, loose = _split(text)
    values = _floats(words)
    if len(values) != 2:
        raise ValueError("must be longitude and latitude")
    place = (values[0], values[1])
    problem = place_problem(place)
    if problem:
        raise ValueError(problem)
    return place, (LOOSE["position_m"] if loose is None else loose) / 1.96


def _frame(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d{1,5})\s*[x×X]\s*(\d{1,5})", text)
    if not found:
        raise ValueError("must be width x height")
    width, height = int(found[1]), int(found[2])
    if not (8 <= width <= 16_384 and 8 <= height <= 16_384):
        raise ValueError("must be within 8x8 and 16384x16384")
    return width, height


def _point(text: str) -> SurveyPoint:
    words, loose = _split(text)
    if len(words) != 6:
        raise ValueError("a point is: name longitude latitude up x y, and ± metres")
    lon, lat, up, x, y = _floats(words[1:])
    problem = place_problem((lon, lat))
    if problem:
        raise ValueError(problem)
    sigma = SURVEY_M if loose is None else max(loose / 1.96, 0.005)
    return SurveyPoint(words[0], (lon, lat), up, (x, y), sigma)
