"""What every `DeviceAccess` must do with masks: the shipped fake, and the real unit on a disk."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.console.console_samples import CITY
from tests.console.line_client import make_unit

from alpr_edge.config.store import load
from alpr_edge.console.accounts import Accounts
from alpr_edge.console.device import DeviceAccess
from alpr_edge.console.memory_unit import MemoryUnit
from alpr_edge.console.unit import Place, RealUnit
from alpr_edge.delivery.clocks import SystemClocks
from alpr_edge.errors import AlprEdgeError
from alpr_edge.trust.documents import DocumentType
from alpr_edge.trust.envelope import sign
from alpr_edge.trust.keyring import Keyring, Person, Role, persons_payload
from alpr_edge.trust.keys import PrivateKey
from alpr_edge.wiring.guard import make_mask_store
from alpr_edge.zone_set import ZonePolygon, ZoneSet

ANNA, BEN = PrivateKey.generate(), PrivateKey.generate()
RING = Keyring(
    (CITY.public,),
    (
        Person("Anna", Role.TECHNICIAN, (ANNA.public,)),
        Person("Ben", Role.SUPERVISOR, (BEN.public,)),
    ),
    1,
)


def box(low: float, high: float) -> ZoneSet:
    corners = ((low, low), (high, low), (high, high), (low, high))
    return ZoneSet((ZonePolygon("door", corners),))


def real_unit(folder: Path) -> RealUnit:
    files = make_unit(folder)
    persons = sign(DocumentType.PERSONS, persons_payload(1, RING.persons), CITY)
    (folder / "persons.json").write_bytes(persons)
    config, clocks = load(files.config), SystemClocks()
    place = Place(files.config, folder / "city-keys", make_mask_store(config), "alpr-edge x", {})
    accounts = Accounts(folder / "console", clocks)
    return RealUnit(config, place, clocks, tells=None, accounts=accounts)


@pytest.fixture(params=["memory", "real"])
def unit(request: pytest.FixtureRequest, tmp_path: Path) -> DeviceAccess:
    if request.param == "memory":
        return MemoryUnit(SystemClocks(), RING)
    return real_unit(tmp_path)


def signed(unit: DeviceAccess, zones: ZoneSet, *keys: PrivateKey) -> bytes:
    payload = unit.draft(zones, ["Anna"], "test")
    return sign(DocumentType.MASK_RECORD, payload, *keys)


def test_masks_go_in_force_by_the_rules_and_by_nothing_else(unit: DeviceAccess) -> None:
    assert unit.masks().zones is None
    assert unit.preview(box(0.2, 0.6)).narrowings == (
        "there is no record in force: everything is protected",
    )
    with pytest.raises(AlprEdgeError) as told:
        unit.commit_record(signed(unit, box(0.2, 0.6), ANNA), 5)
    assert told.value.code == "authority.too_few"
    with pytest.raises(AlprEdgeError) as told:
        unit.commit_record(signed(unit, box(0.2, 0.6), PrivateKey.generate()), 5)
    assert told.value.code == "trust.signature.missing"
    assert unit.masks().zones is None
    first = unit.commit_record(signed(unit, box(0.2, 0.6), ANNA, BEN), 5)
    assert (first.number, first.authority, first.confirm_before) == (1, "two_people", None)
    # Wider: one person, at once.
    preview = unit.preview(box(0.1, 0.7))
    assert preview.narrowings == ()
    assert preview.core_added_px > 0
    assert 0 < preview.core_share <= preview.band_share < 1
    wider = unit.commit_record(signed(unit, box(0.1, 0.7), ANNA), 5)
    assert (wider.authority, wider.confirm_before) == ("one_person", None)
    # Narrower: both protect until it is confirmed.
    done = unit.commit_record(signed(unit, box(0.3, 0.5), CITY), 5)
    assert done.authority == "city"
    assert done.confirm_before is not None
    found = unit.masks()
    assert (found.records, found.number, found.confirm_before) == (2, 3, done.confirm_before)
    assert found.zones is not None
    assert len(found.zones.masks) == 2
    assert unit.confirm_masks().zones == box(0.3, 0.5)
    assert unit.masks().records == 1
    with pytest.raises(AlprEdgeError):
        unit.confirm_masks()
    # What was is kept, and can be looked at.
    assert [one["number"] for one in unit.mask_history()] == [1, 2, 3]
    assert [one["mark"] for one in unit.mask_history()] == ["", "", "in force"]
    assert unit.record_zones(2) == box(0.1, 0.7)
    with pytest.raises(AlprEdgeError):
        unit.record_zones(9)


def test_a_record_that_was_overtaken_is_refused(unit: DeviceAccess) -> None:
    late = signed(unit, box(0.3, 0.5), ANNA, BEN)
    unit.commit_record(signed(unit, box(0.2, 0.6), ANNA, BEN), 5)
    for again in (late, b"", b"{}", b"\xff" * 50):
        with pytest.raises(AlprEdgeError):
            unit.commit_record(again, 5)
    assert unit.masks().zones == box(0.2, 0.6)


def test_looking_gives_documents(unit: DeviceAccess) -> None:
    assert unit.about()["unit"] == "unit-1"
    for look in (unit.status, unit.network, unit.mqtt, unit.certificates, unit.ledger_head):
        assert isinstance(look(), dict)
