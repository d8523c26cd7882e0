"""The place, through the whole device as `wiring` makes it: real models, real files, no broker."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.exclusion.world_samples import HOME, box_site
from tests.service.site_samples import SiteUnit, street_premises

from alpr_edge.capture.still import StillSource
from alpr_edge.errors import ExclusionError
from alpr_edge.exclusion.interlock import StopReason
from alpr_edge.service import Service
from alpr_edge.watch import LEAST_FREE_BYTES, storage_trouble
from alpr_edge.wiring.device import make_service
from alpr_edge.wiring.signed_config import load_config
from alpr_edge.zone_set import ZonePolygon

NO_ANCHOR = "no-such-file"
FAR = box_site(HOME, (3_000, 0), (4, 4), name="far")


def service_of(unit: SiteUnit, frames: int = 2) -> Service:
    config, check = load_config(unit.config, anchor=unit.folder / NO_ANCHOR)
    pictures = [np.full((720, 1280, 3), 90, np.uint8)] * frames
    return make_service(config, check, source=StillSource(pictures))


def status(unit: SiteUnit) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((unit.folder / "status.json").read_text())
    return loaded


def codes(unit: SiteUnit) -> set[str]:
    return {stop["code"] for stop in status(unit)["stops"]}


def test_premises_in_view_without_a_record_refuse_the_start(tmp_path: Path) -> None:
    for number, signed in enumerate((True, False)):
        folder = tmp_path / str(number)
        folder.mkdir()
        site = 'premises = "premises.json"\ncommissioning = "record.json"\ncamera = "camera.json"'
        unit = SiteUnit(folder, signed=signed, site=site)
        unit.register(street_premises())
        unit.calibrated()
        unit.masks()
        with pytest.raises(ExclusionError) as caught:
            service_of(unit)
        assert caught.value.code == StopReason.SITE_NOT_COMMISSIONED
        assert caught.value.exit_status == 3
        assert codes(unit) == {StopReason.SITE_NOT_COMMISSIONED}
        assert not (folder / "outbox.sqlite3").exists()


def test_a_unit_that_was_told_no_register_reads_only_on_a_bench(tmp_path: Path) -> None:
    for number, (signed, required) in enumerate(((True, True), (False, True), (True, False))):
        folder = tmp_path / str(number)
        folder.mkdir()
        site = "" if required else "required = false"
        unit = SiteUnit(folder, signed=signed, site=site)
        if required:
            unit.masks()
            text = unit.config.read_text().replace("[site]", "")
            path = folder / "device.toml"
            from alpr_edge.trust.documents import DocumentType
            from alpr_edge.trust.envelope import sign_file

            path.write_text(text)
            signature = sign_file(DocumentType.CONFIG, text.encode(), unit.city, number=1)
            Path(f"{path}.sig").write_bytes(signature)
            config, check = load_config(path, anchor=folder / NO_ANCHOR)
        else:
            unit.masks()
            config, check = load_config(unit.config, anchor=folder / NO_ANCHOR)
        if signed and required:
            with pytest.raises(ExclusionError) as caught:
                make_service(config, check, source=StillSource([]))
            assert caught.value.code == StopReason.SITE_NOT_COMMISSIONED
            continue
        make_service(config, check, source=StillSource([])).run()
        assert StopReason.SITE_NOT_COMMISSIONED in {one["code"] for one in status(unit)["waived"]}


def test_an_idle_unit_tells_and_goes_on_once_it_is_commissioned(tmp_path: Path) -> None:
    unit = SiteUnit(tmp_path, on_stop="idle")
    register = unit.register(street_premises())
    unit.masks()
    service = service_of(unit, frames=3)
    told: list[tuple[str, ...]] = []
    judge = service._guard.judge

    def watched(size: tuple[int, int] | None) -> Any:
        verdict = judge(size)
        told.append(tuple(str(reason) for reason in verdict.reasons))
        if len(told) == 1:
            unit.commission(register)
        return verdict

    service._guard.judge = watched  # type: ignore[method-assign]
    health = service._courier.health_document
    assert health()["reading"]["stops"] == [StopReason.SITE_NOT_COMMISSIONED]
    service.run()
    assert told == [("exclusion.site.not_commissioned",), (), ()]
    document = status(unit)
    assert document["phase"] == "reading"
    assert document["place"]["register"] == register.digest
    assert len(document["place"]["commissioning"]) == 64


def test_wider_masks_after_commissioning_read_on_and_narrower_ones_stop(tmp_path: Path) -> None:
    unit = SiteUnit(tmp_path)
    register = unit.register(street_premises())
    unit.commission(register)
    corner = ZonePolygon("more", ((0.8, 0.8), (1.0, 0.8), (1.0, 1.0), (0.8, 1.0)))
    wider = replace(unit.zones, masks=(*unit.zones.masks, corner))
    unit.masks(wider)
    service_of(unit).run()
    assert status(unit)["phase"] == "reading"
    # The masks that were commissioned protect more than those in force.
    unit.commission(register, zones=replace(wider, band=0.03))
    with pytest.raises(ExclusionError) as caught:
        service_of(unit)
    assert caught.value.code == StopReason.SITE_NOT_COMMISSIONED


def test_the_reference_view_must_be_the_one_of_masks_and_record(tmp_path: Path) -> None:
    unit = SiteUnit(tmp_path, on_stop="idle")
    unit.masks(reference="a" * 64)
    unit.commission(unit.register(street_premises()), reference="a" * 64)
    service_of(unit).run()
    assert codes(unit) == {StopReason.MASK_REFERENCE, StopReason.SITE_NOT_COMMISSIONED}


def test_the_ground_goes_into_the_pipeline(tmp_path: Path) -> None:
    unit = SiteUnit(tmp_path)
    unit.commission(unit.register(street_premises()))
    unit.masks()
    service = service_of(unit)
    service.run()
    guard: Any = service._guard
    ground = guard.ground()
    assert ground is not None
    pipeline = service._make_pipeline((1280, 720))
    assert pipeline._ground is not None


def test_a_disk_that_takes_nothing_is_told(tmp_path: Path) -> None:
    assert storage_trouble([tmp_path, tmp_path / "not" / "yet"]) == ""
    (tmp_path / "file").write_text("")
    assert storage_trouble([tmp_path / "file"]) == ""
    assert "cannot be written" in storage_trouble([Path("/proc/self")])
    assert LEAST_FREE_BYTES > 0
