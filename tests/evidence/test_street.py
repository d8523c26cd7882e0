"""N2 in short: a few clips of the battery, and the report of them."""

from __future__ import annotations

import base64
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from evidence import mix, report
from evidence.street_battery import Battery
from evidence.street_drive import ALL_SEEING, CAMERAS, HONEST, Drive, row_of

SHORT = Drive(seed=31, duration_s=90.0, vehicles=40)


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("drive", "least"),
    [
        (replace(SHORT, engine=ALL_SEEING, fps=10.0), 0.85),
        (replace(SHORT, seed=32, engine=HONEST, fps=15.0, camera="gate at the left edge"), 0.5),
        (replace(SHORT, seed=33, engine=ALL_SEEING, fps=2.0, lost_frames=0.1), 0.4),
    ],
    ids=lambda value: getattr(value, "engine", value) and str(value)[:24],
)
def test_nothing_leaks_and_most_others_are_read(drive: Drive, least: float) -> None:
    row = row_of(drive)
    assert row["leaked"] == 0, row["leaks"]
    assert row["touching"] >= 8
    assert row["kept"] >= least * row["readable"]


def test_a_vehicle_seen_only_at_the_border_has_not_left() -> None:
    """What once leaked: a truck hides a car as soon as it comes in, and the car turns in."""
    row = row_of(Drive(seed=34, duration_s=60.0, vehicles=30, fps=30.0, engine=HONEST))
    assert row["leaked"] == 0, row["leaks"]


def test_the_mix_is_fixed_and_holds_every_rate_with_every_engine() -> None:
    drives = mix.drives()
    assert drives == mix.drives()
    assert len({drive.seed for drive in drives}) == len(drives) == 72
    usual = {(d.fps, d.engine.name, d.lost_frames) for d in drives if d.camera == "usual"}
    assert len(usual) == 48
    assert min(d.fps for d in drives) == 2
    assert max(d.fps for d in drives) == 30
    assert {d.camera for d in drives} == set(CAMERAS)


def test_sums() -> None:
    battery = Battery()
    row = {
        "engine": "e", "camera": "c", "fps": 5.0, "lost_frames": 0.1,
        "touching": 3, "leaked": 0, "readable": 4,
        "kept": 3, "parked": 1, "parked_kept": 0, "beside": 0, "beside_kept": 0,
        "patterns": {"pass, free": [4, 3]}, "leaks": [],
    }  # fmt: skip
    battery.add(row)
    battery.add(row)
    assert (battery.whole.touching, battery.whole.kept) == (6, 6)
    assert battery.by["engine and frames a second"]["e,    5"].drives == 2
    assert battery.by["engine and lost frames"]["e, 10% lost"].kept == 6
    assert battery.patterns == {"e: pass, free": [8, 6]}


def test_the_report_is_signed_and_holds_its_pictures(tmp_path: Path) -> None:
    picture = np.full((20, 30, 3), 90, np.uint8)
    section = report.Section("N2", "leaks = 0 of <9>", holds=True, pictures=[("a view", picture)])
    section.tables.append((("engine", "kept"), [("e", 3)]))
    path = tmp_path / "report.html"
    path.write_text(report.as_html("Evidence", [("commit", "abc")], [section]), "utf-8")
    fingerprint = report.sign(path, None)
    text = path.read_text("utf-8")
    assert "leaks = 0 of &lt;9&gt;" in text
    assert "data:image/jpeg;base64," in text
    assert "http" not in text
    key = load_pem_public_key(report.beside(path, ".pub").read_bytes())
    assert isinstance(key, Ed25519PublicKey)
    assert key.public_bytes_raw().hex() == fingerprint
    signature = base64.b64decode(report.beside(path, ".sig").read_bytes())
    key.verify(signature, path.read_bytes())
    with pytest.raises(InvalidSignature):
        key.verify(signature, path.read_bytes() + b" ")
