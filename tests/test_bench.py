"""What the bench counts as right, and that its films show what they say."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from bench import compare, labels
from bench.clips import pan_and_zoom
from bench.passes import overlap


def test_labels_and_photos(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"")
    plate = {"box": [10, 20, 100, 30], "text": "7abc-O1I"}
    row = {"file": "a.jpg", "plates": [plate, {"box": [0, 0, 9, 9], "text": None}]}
    (tmp_path / "l.jsonl").write_text(json.dumps(row) + "\n\n")
    (photo,) = labels.load(tmp_path / "l.jsonl", tmp_path)
    assert [p.text for p in photo.plates] == ["7ABCO1I", ""]
    assert labels.folded("7abc-o1i") == "7ABC011"
    assert photo.plates[0].holds(60, 35)
    assert not photo.plates[0].holds(60, 100)


@pytest.mark.parametrize("text", ["{", "[]", '{"file": "none.jpg", "plates": []}', '{"file": 3}'])
def test_a_label_file_that_cannot_be_used_is_said(tmp_path: Path, text: str) -> None:
    (tmp_path / "l.jsonl").write_text(text)
    with pytest.raises(SystemExit, match=r"l\.jsonl"):
        labels.load(tmp_path / "l.jsonl", tmp_path)


def test_engines_are_scored_alike(tmp_path: Path) -> None:
    """Run on a stand-in for the peer's Python: it prints what an engine would."""
    photo = labels.Photo(tmp_path / "a.jpg", (labels.Label((0, 0, 100, 40), "7ABC0I1"),))
    lines = [
        {
            "file": "a.jpg",
            "ms": 12.0,
            "cpu_ms": 9.0,
            "texts": [["7ABC", 0.95, 25, 20], ["011", 0.8, 75, 20], ["STOP", 0.9, 900, 20]],
        },
        {"first_s": 0.5, "peak_mib": 100.0, "model_bytes": 3_000_000},
    ]
    peer = tmp_path / "python"
    peer.write_text(
        "#!/bin/sh\ncat >/dev/null\n" + "".join(f"echo '{json.dumps(r)}'\n" for r in lines)
    )
    peer.chmod(0o755)
    (score,) = [s for s in compare.compare([photo], [1], peer, engines=("rapidocr",)) if s.plates]
    assert (score.right, score.folded, score.false) == (0, 1, None)
    assert (score.sure, score.sure_right) == (1, 0)
    assert "| rapidocr | 1 | 0.0 % | 100.0 % (21 to 100) | – | – |" in compare.table([score])


def test_an_engine_that_fails_is_not_scored(tmp_path: Path) -> None:
    peer = tmp_path / "python"
    peer.write_text("#!/bin/sh\ncat >/dev/null\nexit 7\n")
    peer.chmod(0o755)
    photo = labels.Photo(tmp_path / "a.jpg", ())
    with pytest.raises(SystemExit, match="status 7"):
        compare.compare([photo], [1], peer, engines=("rapidocr",))


def test_a_film_pans_and_zooms_over_the_plate() -> None:
    photo = np.full((600, 800, 3), 90, np.uint8)
    photo[300:330, 400:480] = 255
    shots = list(pan_and_zoom(photo, (400, 300, 80, 30), seed=3, frames=6))
    widths = [float(np.ptp(s.quad[:, 0])) for s in shots]
    assert all(a < b for a, b in pairwise(widths))
    for shot in shots:
        low, high = shot.quad.min(0).astype(int), shot.quad.max(0).astype(int)
        inside = shot.image[low[1] + 3 : high[1] - 3, low[0] + 4 : high[0] - 4]
        assert inside.mean() > 180
    again = list(pan_and_zoom(photo, (400, 300, 80, 30), seed=3, frames=6))
    assert all((a.image == b.image).all() for a, b in zip(shots, again, strict=True))
    assert overlap(shots[0].quad, shots[0].quad) == pytest.approx(1.0)
