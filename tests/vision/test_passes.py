"""On video: one read per pass, right at least as often as the best single frame.

Short films, so that it stays fast; `python -m bench.passes` plays more of them.
"""

from __future__ import annotations

import pytest
from bench.labels import load
from bench.passes import Tally, photo_film, play, street_film

from alpr_edge.vision.detector import Detector
from alpr_edge.vision.models import load_model
from alpr_edge.vision.recogniser import Recogniser


@pytest.fixture(scope="module")
def engines() -> tuple[Detector, Recogniser]:
    return (
        Detector(load_model("detector.onnx"), min_score=0.4),
        Recogniser(load_model("recogniser.onnx")),
    )


def assert_one_read_each(tally: Tally) -> None:
    # Of a few films one may fail: the models are small, and a film is blurred and noisy.
    assert tally.reads.get(1, 0) >= tally.passes - 1, tally
    assert tally.voted_right >= tally.best_right - 1, tally
    assert tally.mixed == 0, tally


@pytest.mark.timeout(600)
def test_one_read_per_vehicle_of_the_street(engines):
    tally = Tally()
    play(street_film(11, fps=5.0, duration_s=20.0), engines, tally)
    assert tally.passes >= 2
    assert_one_read_each(tally)
    assert tally.voted_right >= tally.passes - 1


@pytest.mark.photos
@pytest.mark.timeout(600)
def test_one_read_per_film_of_a_photo(engines, photos):
    tally = Tally()
    for name in ("us", "eu"):
        folder = photos / "measure" / "photos"
        for number, photo in enumerate(load(folder / f"{name}.jsonl", folder)[:4]):
            play(photo_film(photo, seed=number, frames=6), engines, tally)
    assert tally.passes >= 6
    assert_one_read_each(tally)
