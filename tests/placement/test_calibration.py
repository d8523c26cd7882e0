"""Calibration: known cameras are found again, poor geometry is refused with its reason."""

from __future__ import annotations

import contextlib
from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alpr_edge.errors import ConfigError
from alpr_edge.exclusion.camera_model import SIGMAS, Lens, View, rotation
from alpr_edge.exclusion.local_plane import LocalPlane
from alpr_edge.placement.camera_file import camera_digest, camera_from, camera_values, parse_camera
from alpr_edge.placement.lens_fit import find_board, fit_lens
from alpr_edge.placement.pose_fit import Fit, Measured, SurveyPoint, fit_pose
from alpr_edge.placement.session import AnswerRefused, CalibrationSession

HOME = LocalPlane(-118.2437, 34.0522)
TRUE = {"height": 5.2, "heading": 31.0, "tilt": -12.0, "roll": 1.2}
LENS = Lens.from_hfov(1920, 1080, 42.0)
SPREAD = [
    (-3.0, 14.0), (3.5, 13.0), (-4.0, 24.0), (5.0, 27.0), (-6.0, 40.0), (7.0, 45.0), (0.5, 33.0),
    (1.0, 19.0),
]  # fmt: skip


def survey(
    places: list[tuple[float, float]],
    rng: np.random.Generator | None = None,
    *,
    lens: Lens = LENS,
    noise_px: float = 1.5,
    noise_m: float = 0.04,
) -> list[SurveyPoint]:
    """What a technician notes of points at `aside, ahead` metres of the true camera."""
    heading = np.radians(TRUE["heading"])
    turn = np.array([(np.cos(heading), -np.sin(heading)), (np.sin(heading), np.cos(heading))])
    view = View(
        np.array([0, 0, TRUE["height"]]), rotation(TRUE["heading"], TRUE["tilt"], TRUE["roll"]), 1.0
    )
    points = []
    for number, place in enumerate(places):
        flat = np.array(place) @ turn
        pixel = lens.to_frame(view.to_ideal(view.to_camera(np.array([[*flat, 0.0]])), lens))[0]
        if rng is not None:
            pixel = pixel + rng.normal(0, noise_px, 2)
            flat = flat + rng.normal(0, noise_m, 2)
        lon, lat = HOME.to_lonlat(flat)
        points.append(
            SurveyPoint(
                f"p{number}", (float(lon), float(lat)), 0.0, (float(pixel[0]), float(pixel[1]))
            )
        )
    return points


def off_from_truth(fit: Fit) -> np.ndarray:
    """The seven parameters, found minus true."""
    pose = fit.camera.pose
    east, north = HOME.to_plane(np.array(pose.place))
    return np.array(
        [
            east, north, pose.height_m - TRUE["height"],
            (pose.heading_deg - TRUE["heading"] + 180) % 360 - 180,
            pose.tilt_deg - TRUE["tilt"], pose.roll_deg - TRUE["roll"],
            np.log(fit.camera.lens.fx_px / LENS.fx_px),
        ]
    )  # fmt: skip


def test_perfect_points_give_the_true_camera() -> None:
    fit = fit_pose("cam", survey(SPREAD), LENS)
    assert np.abs(off_from_truth(fit)[:3]).max() < 0.01
    assert np.abs(off_from_truth(fit)[3:]).max() < 0.01
    assert fit.rms_px < 0.05
    assert fit.camera.problems() == []


@settings(max_examples=12)
@given(st.integers(0, 2**32 - 1))
def test_the_true_camera_lies_within_the_stated_uncertainty(seed: int) -> None:
    points = survey(SPREAD, np.random.default_rng(seed))
    fit = fit_pose("cam", points, LENS, Measured(focal_share=0.002))
    off = off_from_truth(fit)
    covariance = np.array(fit.camera.covariance)
    distance = float(np.sqrt(off @ np.linalg.pinv(covariance, hermitian=True) @ off))
    assert distance < SIGMAS + 1.5
    assert fit.rms_px < 8


def test_a_tape_makes_it_better() -> None:
    points = survey(SPREAD[:5], np.random.default_rng(3))
    bare = fit_pose("cam", points, LENS)
    taped = fit_pose("cam", points, LENS, Measured(height=(5.2, 0.02)))
    assert taped.camera.covariance[2][2] < bare.camera.covariance[2][2]


def test_one_mistaken_point_is_found_and_told() -> None:
    points = survey(SPREAD, np.random.default_rng(1))
    x, y = points[2].pixel
    points[2] = replace(points[2], pixel=(x + 300, y - 120))
    fit = fit_pose("cam", points, LENS)
    assert [r.name for r in fit.residuals if not r.is_used] == ["p2"]
    assert "p2 was left out" in fit.warnings[0]
    assert np.abs(off_from_truth(fit)[3:6]).max() < 1.0


def test_an_unknown_lens_is_found_from_many_points() -> None:
    points = survey([*SPREAD, (-2, 60), (8, 30)], np.random.default_rng(2), noise_px=0.5)
    start = Lens.from_hfov(1920, 1080, 40.0 + 25.0)
    fit = fit_pose("cam", points, start, Measured(height=(5.2, 0.05), focal_share=None))
    assert abs(fit.camera.lens.hfov_deg - 42.0) < 3.0


def test_a_bent_lens() -> None:
    bent = replace(LENS, distortion=(-0.2, 0.05, 0.0, 0.0, 0.0))
    fit = fit_pose("cam", survey(SPREAD, lens=bent), bent)
    assert np.abs(off_from_truth(fit)).max() < 0.02


def refused(points: list[SurveyPoint], measured: Measured | None = None) -> str:
    with pytest.raises(ConfigError) as caught:
        fit_pose("cam", points, LENS, measured)
    assert caught.value.code == "placement.calibration.refused"
    return "\n".join(caught.value.problems)


def test_poor_geometry_is_refused_with_the_reason() -> None:
    assert "3 points: 4 are needed" in refused(survey(SPREAD[:3]))
    line = [(0.0, 12.0 + 5 * n) for n in range(6)]
    assert "on one line" in refused(survey(line))
    close = [(0.2 * n, 20.0 + 0.3 * (n % 2)) for n in range(6)]
    assert "less than 2 %" in refused(survey(close)) or "on one line" in refused(survey(close))
    twice = survey(SPREAD)
    twice[1] = replace(twice[1], name="p0")
    assert "the same name" in refused(twice)
    outside = survey(SPREAD)
    outside[0] = replace(outside[0], pixel=(-5.0, 10.0))
    assert "outside the frame: p0" in refused(outside)
    polar = [replace(p, place=(p.place[0], 89.0)) for p in survey(SPREAD)]
    assert "pole" in refused(polar)


def test_points_that_contradict_each_other_are_refused() -> None:
    rng = np.random.default_rng(5)
    points = [
        replace(p, pixel=(float(rng.uniform(0, 1920)), float(rng.uniform(0, 1080))))
        for p in survey(SPREAD)
    ]
    assert refused(points)


@given(
    st.lists(
        st.tuples(
            st.floats(-60, 60), st.floats(-60, 60), st.floats(0, 1920), st.floats(0, 1080)
        ),
        min_size=4, max_size=8,
    )
)  # fmt: skip
@settings(max_examples=30)
def test_any_points_give_a_camera_or_a_refusal(rows: list[tuple[float, ...]]) -> None:
    points = []
    for number, (east, north, x, y) in enumerate(rows):
        lon, lat = HOME.to_lonlat(np.array([east, north]))
        points.append(SurveyPoint(f"p{number}", (float(lon), float(lat)), 0.0, (x, y)))
    try:
        fit = fit_pose("cam", points, LENS)
    except ConfigError as err:
        is_right = bool(err.problems)
    else:
        is_right = fit.camera.problems() == []
    assert is_right


# --- the lens --------------------------------------------------------------------------------


def board_corners(lens: Lens, rng: np.random.Generator, *, tilt: float = 35.0) -> np.ndarray:
    """Corners of a 9 × 6 board of 3 cm held somewhere before a lens."""
    grid = np.zeros((54, 3))
    grid[:, :2] = (np.mgrid[0:9, 0:6].T.reshape(-1, 2) - (4, 2.5)) * 0.03
    turned = cv2.Rodrigues(np.radians(rng.uniform(-tilt, tilt, 3)))[0]
    share = rng.uniform(-0.75, 0.75, 2)
    depth = float(rng.uniform(0.35, 0.6))
    half = np.array([lens.width_px, lens.height_px]) / 2 / lens.fx_px * depth
    world = grid @ turned.T + np.array([*(share * half), depth])
    view = View(np.zeros(3), np.eye(3), 1.0)
    return np.asarray(lens.to_frame(view.to_ideal(world, lens)), np.float32)


def test_a_checkerboard_gives_the_lens() -> None:
    true = replace(Lens.from_hfov(1280, 720, 60.0), distortion=(-0.15, 0.03, 0.0, 0.0, 0.0))
    rng = np.random.default_rng(4)
    # Corners as OpenCV counts them: from the middle of the first pixel.
    boards = [board_corners(true, rng) - 0.5 for _ in range(16)]
    fit = fit_lens([*boards, None], inner=(9, 6), size_px=(1280, 720))
    assert abs(fit.lens.fx_px / true.fx_px - 1) < 0.01
    border = true.border
    assert np.abs(fit.lens.to_ideal(border) - true.to_ideal(border)).max() < 12
    assert fit.without_board == (16,)
    assert fit.focal_share < 0.01


def test_poor_boards_are_refused() -> None:
    true, rng = Lens.from_hfov(1280, 720, 60.0), np.random.default_rng(4)
    boards = [board_corners(true, rng) for _ in range(12)]
    for few in (boards[:3], [boards[0]] * 12, [None] * 12):
        with pytest.raises(ConfigError) as caught:
            fit_lens(few, inner=(9, 6), size_px=(1280, 720))
        assert caught.value.code == "placement.calibration.refused"


def test_a_drawn_board_is_found() -> None:
    squares = (np.indices((7, 10)).sum(axis=0) % 2 * 255).astype(np.uint8)
    picture = cv2.copyMakeBorder(
        np.kron(squares, np.ones((40, 40), np.uint8)), 60, 60, 60, 60, cv2.BORDER_CONSTANT,
        value=[255],
    )  # fmt: skip
    corners = find_board(cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR), (9, 6))
    assert corners is not None
    assert corners.shape == (54, 2)
    assert find_board(np.zeros((100, 100, 3), np.uint8), (9, 6)) is None


# --- questions and answers -------------------------------------------------------------------


def walk(session: CalibrationSession, *answers: str) -> CalibrationSession:
    for answer in answers:
        session = session.answer(answer)
    return session


MEASURED = ("cam-1", "1920x1080", "42 ±0.5", "-118.2437 34.0522 ±0.5", "5.2 ±0.05", "measured",
            "31 +-2", "-12 ±0.5", "")  # fmt: skip


def test_a_measured_camera() -> None:
    session = walk(CalibrationSession(), *MEASURED)
    assert session.question is None
    camera = session.fit().camera
    assert camera.pose.heading_deg == 31.0
    assert 1.96 * camera.covariance[3][3] ** 0.5 == pytest.approx(2.0)
    assert camera.lens.hfov_deg == pytest.approx(42.0)


def test_a_camera_from_points_by_answers() -> None:
    session = walk(
        CalibrationSession(), "cam-1", "1920 x 1080", "42 ±0.3", "unknown", "unknown", ""
    )
    for p in survey(SPREAD):
        session = session.answer(
            f"{p.name} {p.place[0]:.8f} {p.place[1]:.8f} 0 {p.pixel[0]:.1f} {p.pixel[1]:.1f} ±0.1"
        )
        assert session.question is not None
    session = session.answer("done")
    assert session.question is None
    assert np.abs(off_from_truth(session.fit())[3:6]).max() < 0.3
    again = CalibrationSession(session.answers)
    assert again.fit() == session.fit()


def test_wrong_answers_are_told_and_the_question_stands() -> None:
    session = CalibrationSession()
    for answer, wrong in (
        ("cam-1", ""), ("1920x1080", "big"), ("42", "200"), ("-118 34", "34 -118"),
        ("5 ±0.1", "5 ±x"), ("measured", "maybe"), ("31", "nan"), ("-12", "-85"), ("0", "1 2"),
    ):  # fmt: skip
        question = session.question
        with pytest.raises(AnswerRefused):
            session.answer(wrong)
        assert session.question == question
        session = session.answer(answer)
    assert session.question is None
    assert session.back().question is not None
    with pytest.raises(ValueError):
        session.answer("more")
    with pytest.raises(ValueError):
        session.back().fit()


def test_points_are_judged_one_by_one() -> None:
    session = walk(CalibrationSession(), "c", "1920x1080", "42", "unknown", "5", "points")
    with pytest.raises(AnswerRefused, match="4 more"):
        session.answer("done")
    session = session.answer("a -118 34 0 10 10")
    for wrong in ("a -118 34 0 20 20", "b -118 34 0 20", "b -118 94 0 2 2", "b x 34 0 2 2"):
        with pytest.raises(AnswerRefused):
            session.answer(wrong)
    assert [p.name for p in session.points] == ["a"]


def test_without_points_nothing_may_be_unknown() -> None:
    session = walk(CalibrationSession(), "c", "1920x1080", "unknown", "unknown", "5")
    with pytest.raises(AnswerRefused, match="lens, position"):
        session.answer("measured")


def test_a_file_answers_and_tells_all_its_problems() -> None:
    values = {"camera": "c", "frame": "1920x1080", "lens": "42", "position": "-118 34 ±1",
              "height": "5", "method": "measured", "heading": "3", "tilt": "-9"}  # fmt: skip
    assert CalibrationSession.from_answers(values).fit().camera.id == "c"
    for wrong in ({"colour": "red"}, {"height": 5}, {"method": "points"}, {"frame": "?"}):
        with pytest.raises(ConfigError):
            CalibrationSession.from_answers({**values, **wrong})


@given(st.lists(st.text(max_size=20), max_size=12))
def test_any_answers_are_taken_or_refused(answers: list[str]) -> None:
    session = CalibrationSession()
    for answer in answers:
        if session.question is None:
            break
        with contextlib.suppress(AnswerRefused):
            session = session.answer(answer)
    assert len(session.answers) <= len(answers)


# --- the camera's file -----------------------------------------------------------------------


def test_a_camera_there_and_back() -> None:
    camera = fit_pose("cam", survey(SPREAD), LENS).camera
    again = camera_from(camera_values(camera), source="x")
    assert camera_digest(again) == camera_digest(camera)
    assert again == camera


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "not JSON"),
        ("[]", "must be an object"),
        ("[" * 60_000, "nested too deeply"),
        ('{"id": 3}', "id: must be"),
        ('{"id": "c", "colour": 1}', "unknown key"),
        ('{"id": "c", "position": [1, 89]}', "height_m: must be a number"),
    ],
)
def test_a_wrong_camera_is_told(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_camera(text, source="x")
    assert said in str(caught.value)


@given(
    st.dictionaries(
        st.sampled_from(["id", "position", "height_m", "lens", "hfov_deg", "covariance", "ground",
                         "tolerance", "width_px", "tilt_deg"]),
        st.none() | st.floats() | st.integers() | st.text(max_size=3) | st.lists(st.floats())
        | st.dictionaries(st.sampled_from(["fx_px", "height_m", "distortion"]), st.floats()),
    )
)  # fmt: skip
def test_any_object_is_a_camera_or_told(changes: dict[str, object]) -> None:
    values = {"id": "c", "position": [0.0, 0.0], "height_m": 5.0, "heading_deg": 0.0,
              "tilt_deg": -9.0, "width_px": 640, "height_px": 480, "hfov_deg": 40.0}  # fmt: skip
    try:
        camera = camera_from({**values, **changes}, source="x")
    except ConfigError as err:
        is_right = bool(err.problems)
    else:
        is_right = camera.problems() == []
    assert is_right
