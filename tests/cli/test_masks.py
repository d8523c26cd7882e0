"""`alpr-edge keys`, `masks`, `config sign`, `status`: a unit commissioned by commands only."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from alpr_edge.cli import main
from alpr_edge.config.store import load as load_config
from alpr_edge.errors import AlprEdgeError
from alpr_edge.trust.key_files import load_public_keys
from alpr_edge.wiring.guard import make_mask_store

SMALL = [[0.2, 0.2], [0.5, 0.2], [0.5, 0.6], [0.2, 0.6]]
LARGE = [[0.1, 0.1], [0.8, 0.1], [0.8, 0.8], [0.1, 0.8]]


class Bench:
    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self._capsys = folder, capsys
        self.config = folder / "device.toml"
        self.config.write_text(
            '[device]\nid = "unit-1"\nsite = "s"\n[source]\nkind = "street"\nduration_s = 1.0\n'
            'width = 320\nheight = 192\n[exclusion]\nmask_store = "masks"\n[mqtt]\n'
            'host = "127.0.0.1"\nport = 1\n[trust]\ncity_keys = "city-keys"\n'
            'persons = "persons.json"\n[clock]\naccept = "assumed"\n'
            '[run]\nstatus_file = "status.json"\n'
        )
        self.public = {}
        for name in ("city", "anna", "ben"):
            assert self.run("keys", "new", "--out", f"{name}.key") == 0
            self.public[name] = self.out.strip()
        (folder / "city-keys").write_text(self.public["city"])
        people = [
            f"{n}:{r}:{self.public[n.lower()]}"
            for n, r in (("Anna", "technician"), ("Ben", "supervisor"))
        ]
        assert (
            self.run(
                "keys",
                "persons",
                "--number",
                "1",
                "--key",
                "city.key",
                "--out",
                "persons.json",
                "--person",
                people[0],
                "--person",
                people[1],
            )
            == 0
        )

    def run(self, *args: str) -> int:
        named = [
            str(self.folder / a)
            if a.endswith((".key", ".json", ".toml", ".png", ".xml", ".txt"))
            else a
            for a in args
        ]
        status = main(named)
        captured = self._capsys.readouterr()
        self.out, self.err = captured.out, captured.err
        return status

    def masks(self, polygon: list[list[float]], name: str = "masks.json") -> str:
        data = {"masks": [{"name": "door", "polygon": polygon}], "band": 0.02}
        (self.folder / name).write_text(json.dumps(data))
        return name

    def sign(self, key: str) -> int:
        return self.run(
            "masks",
            "sign",
            "masks.json",
            "--config",
            "device.toml",
            "--frame",
            "320x192",
            "--author",
            "Anna",
            "--key",
            f"{key}.key",
            "--out",
            "record.json",
        )

    def do(self, action: str, *more: str) -> int:
        return self.run("masks", action, *more, "--config", "device.toml")


@pytest.fixture
def bench(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Bench:
    return Bench(tmp_path, capsys)


def test_two_people_set_masks_and_one_widens_them(bench: Bench) -> None:
    bench.masks(SMALL)
    assert bench.sign("anna") == 0
    assert bench.do("commit", "record.json") == 3
    assert "authority.too_few" in bench.err
    assert bench.do("countersign", "record.json", "--key", "ben.key") == 0
    assert bench.do("plan", "record.json") == 0
    assert "two people" in bench.out
    assert bench.do("commit", "record.json") == 0
    assert "in force" in bench.out
    bench.masks(LARGE)
    assert bench.sign("anna") == 0
    assert bench.do("commit", "record.json") == 0
    assert "one person" in bench.out
    bench.masks(SMALL)
    assert bench.sign("city") == 0
    assert bench.do("commit", "record.json") == 0
    assert "protect together" in bench.out
    assert bench.do("history") == 0
    assert bench.out.count("in force") == 2
    assert bench.do("confirm") == 0
    assert bench.do("confirm") == 3
    assert bench.do("history") == 0
    assert bench.out.count("in force") == 1


def test_an_unsigned_or_changed_configuration_is_refused(bench: Bench) -> None:
    assert bench.run("run", "--config", "device.toml") == 3
    assert "exclusion.config.unsigned" in bench.err
    assert bench.run("status", "--config", "device.toml") == 3
    assert "exclusion.mask.missing" in bench.out
    assert bench.run("config", "sign", "device.toml", "--number", "1", "--key", "city.key") == 0
    assert bench.run("config", "check", "device.toml") == 0
    assert "signed by the city" in bench.out
    bench.config.write_text(bench.config.read_text() + "# changed\n")
    assert bench.run("config", "check", "device.toml") == 3
    assert bench.run("run", "--config", "device.toml") == 3
    assert "exclusion.config.changed" in bench.err


def test_check_says_what_a_change_adds_and_removes(bench: Bench) -> None:
    bench.masks(SMALL, "old.json")
    bench.masks(LARGE, "new.json")
    assert bench.run("masks", "check", "new.json", "--against", "old.json") == 0
    assert "covers all" in bench.out
    assert bench.run("masks", "check", "old.json", "--against", "new.json") == 1
    assert "not covered" in bench.out


def test_render_draws_mask_band_and_gate(bench: Bench) -> None:
    data = {
        "masks": [{"name": "m", "polygon": SMALL}],
        "band": 0.05,
        "gates": [{"name": "g", "line": [[0.6, 0.1], [0.9, 0.1]], "taints": "left_to_right"}],
    }
    (bench.folder / "masks.json").write_text(json.dumps(data))
    cv2.imwrite(str(bench.folder / "photo.png"), np.full((180, 320, 3), 200, np.uint8))
    assert (
        bench.run("masks", "render", "masks.json", "--picture", "photo.png", "--out", "drawn.png")
        == 0
    )
    drawn = cv2.imread(str(bench.folder / "drawn.png"))
    assert drawn.shape == (180, 320, 3)
    assert not drawn[70, 110].any()
    assert drawn[70, 165].tolist() != [200, 200, 200]
    assert (drawn[170, 310] == 200).all()


def test_import_and_export(bench: Bench) -> None:
    bench.masks(SMALL)
    for name, file in (("onvif", "o.xml"), ("frigate", "f.txt")):
        assert bench.run("masks", "export", "masks.json", "--format", name, "--out", file) == 0
        assert "only masks" in bench.out
        assert bench.run("masks", "import", file, "--format", name, "--out", "back.json") == 0
        assert bench.run("masks", "check", "back.json") == 0


def test_no_status_yet(bench: Bench) -> None:
    assert bench.run("status", "--config", "device.toml") == 1
    assert "not running" in bench.out


CLINIC = [[0.8, 0.8], [0.95, 0.8], [0.95, 0.95], [0.8, 0.95]]


class Released:
    """A unit with masks of two people and a polygon of the city beside them."""

    def __init__(self, bench: Bench) -> None:
        self.bench, self.folder = bench, bench.folder
        bench.masks(SMALL)
        assert bench.sign("city") == 0
        assert bench.do("commit", "record.json") == 0
        (bench.folder / "record.json").rename(bench.folder / "in-force.json")
        corners = [f"{x},{y}" for x, y in CLINIC]
        order = bench.folder / "order.json"
        made = bench.run(
            "command", "make", "add-mask", "--device", "unit-1", "--key", "city.key", "--name",
            "clinic", "--polygon", *corners, "--out", "order.json",
        )  # fmt: skip
        assert made == 0
        self.digest = bench.err.split()[1].rstrip(":")
        self.order = order.read_bytes()
        self.add()

    def add(self) -> None:
        """As the service does when the command comes."""
        make_mask_store(load_config(self.bench.config)).add(
            self.order, load_public_keys(self.folder / "city-keys")
        )

    def release(self, *more: str, order: str = "order.json", key: str = "city") -> int:
        return self.bench.run(
            "masks", "release", order, "--record", "in-force.json", "--author", "Clerk",
            "--reason", "clinic moved", "--key", f"{key}.key", "--out", "out.json", *more,
        )  # fmt: skip


@pytest.fixture
def released(bench: Bench) -> Released:
    return Released(bench)


def test_the_city_lets_go_of_its_polygon(released: Released) -> None:
    bench = released.bench
    assert bench.do("history") == 0
    assert f"{released.digest}  clinic" in bench.out
    assert released.release() == 0
    assert "number 2 for unit-1" in bench.out
    assert released.digest in bench.out
    assert bench.do("plan", "out.json") == 0
    assert "ends when the record is confirmed" in bench.out
    assert bench.do("commit", "out.json") == 0
    assert "on the word of: city" in bench.out
    assert bench.do("history") == 0
    assert released.digest in bench.out
    assert bench.do("confirm") == 0
    assert bench.do("history") == 0
    assert released.digest not in bench.out
    # Its number stays used: the same command does not bring the polygon back.
    with pytest.raises(AlprEdgeError, match="number"):
        released.add()


def test_a_digest_is_as_good_as_the_file_and_two_people_as_the_city(released: Released) -> None:
    bench = released.bench
    assert released.release(order=released.digest, key="anna") == 0
    assert bench.do("commit", "out.json") == 3
    assert "authority.too_few" in bench.err
    assert bench.do("countersign", "out.json", "--key", "ben.key") == 0
    assert bench.do("commit", "out.json") == 0
    assert bench.do("confirm") == 0
    assert "stays in force" not in bench.out


def test_who_does_not_name_it_is_told_that_it_stays(released: Released) -> None:
    bench = released.bench
    bench.masks(LARGE)
    assert bench.sign("city") == 0
    assert bench.do("commit", "record.json") == 0
    assert "clinic: stays in force beside the record" in bench.out
    assert bench.do("confirm") == 0
    assert "clinic: stays in force beside it" in bench.out
    # On the unit the first digits are enough.
    bench.masks(SMALL)
    sign = ("sign", "masks.json", "--frame", "320x192", "--author", "Anna", "--out", "record.json")
    city = ("--key", "city.key")
    assert bench.do(*sign, *city, "--lets-go", released.digest[:12]) == 0
    assert bench.do("commit", "record.json") == 0
    assert "clinic: ends when" in bench.out
    assert bench.do(*sign, *city, "--lets-go", "0" * 12) == 2
    assert "all 64 digits" in bench.err


def test_a_release_that_makes_no_sense_is_refused(released: Released) -> None:
    bench = released.bench
    assert released.release(order="missing.json") == 2
    assert "cli.usage" in bench.err
    assert released.release(order="in-force.json") != 0
    assert "trust.signature.type" in bench.err
    assert bench.run(
        "command", "make", "add-mask", "--device", "unit-2", "--key", "city.key", "--polygon",
        "0.1,0.1", "0.2,0.1", "0.2,0.2", "--out", "order-2.json",
    ) == 0  # fmt: skip
    assert released.release(order="order-2.json") == 2
    assert "'unit-2'" in bench.err
    assert bench.run(
        "command", "make", "status", "--device", "unit-1", "--key", "city.key", "--out", "s.json"
    ) == 0  # fmt: skip
    assert released.release(order="s.json") == 3
    assert "authority.addition.invalid" in bench.err
    assert released.release("--number", "0") == 3
    assert not (bench.folder / "out.json").exists()


def test_the_release_is_in_help_and_completion(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["masks", "release", "--help"])
    assert caught.value.code == 0
    assert "masks release order.json --record in-force.json" in capsys.readouterr().out
    assert main(["completion", "bash"]) == 0
    completion = capsys.readouterr().out
    for word in ("release", "--lets-go", "--keep"):
        assert word in completion
