"""The commands of the world: premises, placement, calibrate, commission."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from alpr_edge.cli import main
from alpr_edge.trust.key_files import save_private_key
from alpr_edge.trust.keys import PrivateKey

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    def call(*args: object, stdin: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
        status = main([str(a) for a in args])
        out, err = capsys.readouterr()
        return status, out, err

    return call


@pytest.fixture
def samples(repository: Path) -> Path:
    return repository / "configs" / "premises"


def test_the_sample_register_is_in_order_and_marked(run: Run, samples: Path) -> None:
    status, out, _ = run("premises", "check", "--json", samples / "sample.geojson")
    report = json.loads(out)
    assert status == 0
    assert report["sites"] == 4
    assert "made up" in (samples / "sample.geojson").read_text("utf-8")


def test_from_points_to_a_signed_record(run: Run, samples: Path, tmp_path: Path) -> None:
    city, anna = PrivateKey.generate(), PrivateKey.generate()
    for name, key in (("city", city), ("anna", anna)):
        save_private_key(tmp_path / f"{name}.key", key)
        (tmp_path / f"{name}.pub").write_text(f"{key.public}\n", "utf-8")
    camera, page, masks = (tmp_path / n for n in ("cam.json", "page.html", "masks.json"))
    status, out, err = run(
        "calibrate", "--from", samples / "sample-calibration.toml", "--out", camera
    )
    assert status == 0, err
    assert "root mean square" in out
    premises = tmp_path / "premises.json"
    assert run("premises", "sign", samples / "sample.geojson", "--key", tmp_path / "city.key",
               "--out", premises)[0] == 0  # fmt: skip
    status, out, err = run(
        "placement", "check", "--camera", camera, "--premises", premises, "--keys",
        tmp_path / "city.pub", "--html", page, "--masks", masks, "--json",
    )  # fmt: skip
    assert status == 0, err
    assert json.loads(out)["verdict"] == "fits_with_mask"
    assert "fits with this mask" in page.read_text("utf-8")
    about = ("--device", "unit-1", "--camera", camera, "--premises", premises,
             "--keys", tmp_path / "city.pub")  # fmt: skip
    record = tmp_path / "record.json"
    status, out, err = run("commission", "make", *about, "--masks", masks, "--key",
                           tmp_path / "anna.key", "--by", "Anna", "--out", record)  # fmt: skip
    assert status == 0, err
    check = ("commission", "check", *about, "--record", record, "--commissioner-keys",
             tmp_path / "anna.pub")  # fmt: skip
    assert run(*check, "--masks", masks)[0] == 0
    # Masks that cover the commissioned ones pass, any others do not (ADR 0025).
    masks.write_text('{"masks": [], "whole_frame": true}', "utf-8")
    assert run(*check, "--masks", masks)[0] == 0
    masks.write_text('{"masks": [], "nothing_protected": true}', "utf-8")
    status, _, err = run(*check, "--masks", masks)
    assert status == 3
    assert "another mask record" in err
    status, _, err = run("commission", "make", *about, "--masks", masks, "--key",
                         tmp_path / "anna.key", "--by", "Anna", "--out", record)  # fmt: skip
    assert status == 3
    assert "do not cover" in err


def test_a_camera_that_must_not_stand_is_status_3(run: Run, samples: Path, tmp_path: Path) -> None:
    camera = json.loads((samples / "sample-camera.json").read_text("utf-8"))
    camera["heading_deg"] = 325.0
    (tmp_path / "cam.json").write_text(json.dumps(camera), "utf-8")
    status, out, _ = run("placement", "check", "--camera", tmp_path / "cam.json", "--premises",
                         samples / "sample.geojson")  # fmt: skip
    assert status == 3
    assert "must not stand here" in out
    assert "better: turn by" in out


def test_a_fleet(run: Run, samples: Path, tmp_path: Path) -> None:
    status, out, _ = run(
        "placement", "check", "--fleet", samples / "sample-fleet.csv", "--premises",
        samples / "sample.geojson", "--html", tmp_path / "f.html", "--csv", tmp_path / "f.csv",
        "--jobs", 1,
    )  # fmt: skip
    assert status == 3
    assert "12 cameras" in out
    assert (tmp_path / "f.html").read_text("utf-8").count("<tr>") > 12
    assert len((tmp_path / "f.csv").read_text("utf-8").splitlines()) == 13


def test_calibrate_asks(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "cam.json"
    answers = "cam-1\nbig\n1920x1080\n?\n40\nback\n42 ±0.5\n-118 34 ±1\n5\nmeasured\n3\n-12\n\n"
    status, shown, err = run("calibrate", "--out", out, stdin=answers)
    assert status == 0, err
    assert "must be width x height" in err
    assert "maker's sheet" in err
    assert "heading   3.00 ±3.00°" in shown
    assert json.loads(out.read_text("utf-8"))["id"] == "cam-1"
    status, _, err = run("calibrate", "--out", tmp_path / "no.json", stdin="cam-1\n")
    assert status == 2
    assert "given up" in err
    assert not (tmp_path / "no.json").exists()


@pytest.mark.parametrize(
    "args",
    [
        ("premises", "check", "none.geojson"),
        ("placement", "check", "--camera", "none.json", "--premises", "none.geojson"),
        ("calibrate", "--from", "none.toml", "--out", "x"),
        ("premises", "import", "none.osm", "--title", "t", "--authority", "a", "--out", "x"),
        ("premises", "import", "none.osm", "--title", "t", "--authority", "a", "--out", "x",
         "--setback", "-1"),
    ],
)  # fmt: skip
def test_what_is_not_there_is_status_2(run: Run, args: tuple[str, ...]) -> None:
    status, _, err = run(*args)
    assert status == 2
    assert "[placement.file.missing]" in err or "[cli.usage]" in err


def test_an_import_is_told_what_was_guessed(run: Run, tmp_path: Path) -> None:
    export = {"elements": [{"type": "node", "id": 1, "lon": -123.4, "lat": -48.9,
                            "tags": {"office": "diplomatic", "name": "Made up"}}]}  # fmt: skip
    (tmp_path / "m.json").write_text(json.dumps(export), "utf-8")
    status, out, err = run("premises", "import", tmp_path / "m.json", "--title", "Made up",
                           "--authority", "Nobody", "--out", tmp_path / "p.geojson")  # fmt: skip
    assert status == 0
    assert "1 sites proposed, not signed" in out
    assert "look at: node/1: a point without a building" in err
    assert run("premises", "check", tmp_path / "p.geojson")[0] == 0
