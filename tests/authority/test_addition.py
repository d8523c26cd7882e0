"""A polygon of the city beside the mask records: it only widens; only authority ends it."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.authority.samples import (
    ANNA,
    BEN,
    CITY,
    DEVICE,
    EVE,
    FRAME,
    HOUR,
    LARGE,
    NOTHING,
    NOW,
    RECORD,
    RING,
    SMALL,
    UNIT,
    box,
    ordered,
    signed,
    zones,
)

from alpr_edge.authority.addition import open_addition, parse_addition
from alpr_edge.authority.record import parse_record, record_payload
from alpr_edge.authority.rules import MAX_ADDITIONS
from alpr_edge.authority.store import MaskMove, MaskStore
from alpr_edge.errors import AlprEdgeError, BadSignature, TrustError
from alpr_edge.exclusion.compare import compare
from alpr_edge.exclusion.zones import rasterise
from alpr_edge.trust.documents import DocumentType
from alpr_edge.trust.envelope import read_unverified
from alpr_edge.trust.keys import PrivateKey
from alpr_edge.zone_set import ZoneSet

CORNER = box(0.75, 0.75, 1.0, 1.0)


class Bench:
    def __init__(self, folder: Path) -> None:
        self.moves: list[MaskMove] = []
        self.folder = folder
        self.store = MaskStore(folder, DEVICE, changed=self.moves.append)

    def commit(self, *keys: PrivateKey, **changes: Any) -> None:
        state = self.store.load().state
        previous = state.follows
        data = signed(*keys, number=state.highest + 1, previous=previous, **changes)
        self.store.commit(data, RING, UNIT, confirm_before=NOW + HOUR, now=NOW)

    def protects(self, ring: tuple[tuple[float, float], ...]) -> bool:
        """Whether all of it is blanked after a restart."""
        found = MaskStore(self.folder, DEVICE).load().state.zones
        return found is not None and compare(zones(ring), found, size_px=FRAME).core_removed_px == 0


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    one = Bench(tmp_path / "masks")
    one.commit(CITY)
    return one


def code_of(call: Any) -> str:
    with pytest.raises(AlprEdgeError) as caught:
        call()
    return caught.value.code


def test_it_joins_what_is_in_force_and_outlives_a_restart(bench: Bench) -> None:
    assert not bench.protects(CORNER)
    bench.store.add(ordered(7, CORNER, name="clinic", reason="order 7"), [CITY.public])
    assert bench.protects(CORNER)
    state = MaskStore(bench.folder, DEVICE).load().state
    assert state.zones is not None
    assert {one.name for one in state.zones.masks} >= {"clinic"}
    assert compare(SMALL, state.zones, size_px=FRAME).covers
    move = bench.moves[-1]
    assert (move.by_city, move.record.record.reason) == (True, "order 7")
    assert move.record.digest == state.additions[0].digest


def test_only_the_city_adds_and_only_once(bench: Bench) -> None:
    for stranger in (ANNA, BEN, EVE):
        with pytest.raises(BadSignature):
            bench.store.add(ordered(7, CORNER, stranger), [CITY.public])
    bench.store.add(ordered(7, CORNER), [CITY.public])
    assert code_of(lambda: bench.store.add(ordered(7, CORNER), [CITY.public])) == "trust.rollback"
    assert code_of(lambda: bench.store.add(ordered(6, CORNER), [CITY.public])) == "trust.rollback"


def test_without_a_record_there_is_nothing_to_add_to(tmp_path: Path) -> None:
    empty = Bench(tmp_path / "m")
    assert (
        code_of(lambda: empty.store.add(ordered(7, CORNER), [CITY.public]))
        == "authority.nothing_in_force"
    )
    assert empty.store.load().state.zones is None


def test_one_person_cannot_let_go_of_it_but_may_cover_it(bench: Bench) -> None:
    bench.store.add(ordered(7, CORNER), [CITY.public])
    # The same masks as before, without the city's: less than is in force.
    assert code_of(lambda: bench.commit(ANNA, zones=SMALL)) == "authority.too_few"
    wider = zones(box(0.125, 0.125, 1.0, 1.0))
    bench.commit(ANNA, zones=wider)
    state = bench.store.load().state
    # It is covered, and stands beside all the same: nobody has said that they know of it.
    assert (len(state.records), [one.number for one in state.additions], state.added) == (1, [7], 7)
    bench.commit(ANNA, zones=wider, lets_go=(state.additions[0].digest,))
    state = bench.store.load().state
    assert (len(state.records), state.additions, state.added) == (1, (), 7)
    assert bench.protects(CORNER)
    assert code_of(lambda: bench.store.add(ordered(7, CORNER), [CITY.public])) == "trust.rollback"


LATER = box(0.0, 0.75, 0.125, 1.0)


@pytest.mark.parametrize("keys", [(ANNA, BEN), (CITY,)])
def test_who_names_it_lets_go_of_it_only_by_confirming(bench: Bench, keys: Any) -> None:
    (one,) = bench.store.add(ordered(7, CORNER), [CITY.public]).additions
    bench.commit(*keys, zones=SMALL, lets_go=(one.digest,))
    assert bench.protects(CORNER)
    bench.store.add(ordered(8, LATER), [CITY.public])
    bench.store.confirm(NOW)
    assert not bench.protects(CORNER)
    # This one they did not name.
    assert bench.protects(LATER)


def test_one_person_who_names_it_lets_go_of_nothing(bench: Bench) -> None:
    (one,) = bench.store.add(ordered(7, CORNER), [CITY.public]).additions
    again = lambda: bench.commit(ANNA, zones=SMALL, lets_go=(one.digest,))  # noqa: E731
    assert code_of(again) == "authority.too_few"
    assert bench.protects(CORNER)


@pytest.mark.parametrize("keys", [(ANNA, BEN), (CITY,)])
def test_signatures_that_are_older_do_not_let_go_of_it(bench: Bench, keys: Any) -> None:
    newest = bench.store.load().state.newest
    assert newest is not None
    monday = signed(*keys, number=2, previous=newest.digest, zones=NOTHING)
    bench.store.add(ordered(7, CORNER), [CITY.public])  # on Tuesday
    bench.store.commit(monday, RING, UNIT, confirm_before=NOW + HOUR, now=NOW)
    bench.store.confirm(NOW)
    assert bench.protects(CORNER)
    state = bench.store.load().state
    assert [one.number for one in state.additions] == [7]
    assert state.zones is not None
    # What they did sign is done.
    assert not compare(SMALL, state.zones, size_px=FRAME).covers
    # It goes on like this, until somebody names it.
    bench.commit(ANNA, BEN, zones=SMALL, lets_go=("00" * 32,))
    assert bench.protects(CORNER)
    bench.commit(ANNA, BEN, zones=NOTHING)
    bench.store.confirm(NOW)
    assert bench.protects(CORNER)
    bench.commit(ANNA, BEN, zones=NOTHING, lets_go=(state.additions[0].digest,))
    bench.store.confirm(NOW)
    assert not bench.protects(CORNER)


@pytest.mark.parametrize("keys", [(ANNA, BEN), (CITY,)])
@pytest.mark.parametrize("first", [(ANNA,), (CITY,)])
def test_a_wider_record_and_a_narrower_one_signed_before_do_not_end_it(
    bench: Bench, keys: Any, first: Any
) -> None:
    newest = bench.store.load().state.newest
    assert newest is not None
    # On Monday two records are signed, the second against the first.
    wider = signed(*first, number=2, previous=newest.digest, zones=zones(box(0.1, 0.1, 1.0, 1.0)))
    digest = read_unverified(wider, DocumentType.MASK_RECORD).digest
    narrower = signed(*keys, number=3, previous=digest, zones=SMALL)
    bench.store.add(ordered(7, CORNER), [CITY.public])  # on Tuesday
    for data in (wider, narrower):
        bench.store.commit(data, RING, UNIT, confirm_before=NOW + HOUR, now=NOW)
    bench.store.confirm(NOW)
    assert bench.protects(CORNER)
    state = bench.store.load().state
    assert [one.number for one in state.additions] == [7]
    assert [one.record.number for one in state.records] == [3]


def test_a_confirmed_record_that_covers_it_does_not_end_it_either(bench: Bench) -> None:
    bench.store.add(ordered(7, CORNER), [CITY.public])
    bench.commit(ANNA, BEN, zones=zones(CORNER))
    bench.store.confirm(NOW)
    bench.commit(ANNA, BEN, zones=SMALL)
    bench.store.confirm(NOW)
    assert bench.protects(CORNER)


@pytest.mark.parametrize("value", [[], None, "00" * 32, [None], ["00"], ["00" * 32] * 2, [7]])
def test_what_names_no_polygons_is_refused(value: Any) -> None:
    with pytest.raises(TrustError) as caught:
        parse_record(record_payload(RECORD) | {"lets_go": value})
    assert caught.value.code == "authority.record.invalid"


def test_a_record_that_names_is_read_as_it_was_written() -> None:
    named = replace(RECORD, lets_go=("00" * 32, "ab" * 32))
    assert parse_record(record_payload(named)) == named
    assert "lets_go" not in record_payload(RECORD)


def test_a_polygon_on_a_statement_of_nothing_protects(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "m")
    bench.commit(CITY, zones=zones())
    bench.store.add(ordered(7, CORNER), [CITY.public])
    found = bench.store.load().state.zones
    assert found is not None
    assert not found.nothing_protected
    assert bench.protects(CORNER)


@pytest.mark.parametrize("harm", ["delete", "change", "old state"])
def test_what_is_missing_or_put_back_stops_reading(bench: Bench, harm: str) -> None:
    before = (bench.folder / "state.json").read_bytes()
    bench.store.add(order := ordered(7, CORNER), [CITY.public])
    (file,) = (bench.folder / "additions").iterdir()
    if harm == "delete":
        file.unlink()
    elif harm == "change":
        file.write_bytes(ordered(7, box(0.0, 0.0, 0.1, 0.1)))
    else:
        (bench.folder / "state.json").write_bytes(before)
    loaded = bench.store.load()
    assert loaded.state.zones is None
    assert loaded.trouble
    # The city commits anew, and the number of the old order stays used.
    digest = open_addition(order, [CITY.public]).digest
    if harm != "old state":
        assert code_of(lambda: bench.commit(CITY, zones=LARGE)) == "authority.polygon_lost"
        bench.commit(CITY, zones=LARGE, lets_go=(digest,))
        assert bench.store.load().state.zones == LARGE
    else:
        bench.commit(CITY, zones=LARGE)
        assert bench.protects(CORNER)
    assert code_of(lambda: bench.store.add(ordered(7, CORNER), [CITY.public])) == "trust.rollback"


def test_a_power_cut_leaves_the_old_or_the_new(bench: Bench) -> None:
    for left in range(3):
        writes = iter(range(left))

        def write(path: Path, data: bytes, writes: Any = writes) -> None:
            if next(writes, None) is None:
                raise OSError("power cut")
            path.write_bytes(data)

        cut = MaskStore(bench.folder, DEVICE, write=write)
        with pytest.raises(OSError, match="power cut"):
            cut.add(ordered(10 + left, CORNER), [CITY.public])
        assert not bench.store.load().trouble
    bench.store.add(ordered(20, CORNER), [CITY.public])
    assert bench.protects(CORNER)


def test_there_is_an_end_to_it(bench: Bench) -> None:
    bench.store = MaskStore(bench.folder, DEVICE, write=Path.write_bytes)
    for number in range(1, MAX_ADDITIONS + 1):
        bench.store.add(ordered(number, CORNER), [CITY.public])
    full = lambda: bench.store.add(ordered(999, CORNER), [CITY.public])  # noqa: E731
    assert code_of(full) == "authority.too_many_additions"
    assert bench.protects(CORNER)


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"polygon": []},
        {"polygon": [[0, 0], [1, 1]]},
        {"polygon": [[0, 0], [1, 1], [0, 1], [1, 0]]},
        {"polygon": [[0, 0], [2, 0], [2, 2]]},
        {"polygon": [[0, 0], [float("nan"), 0], [1, 1]]},
        {"polygon": "all"},
        {"polygon": [[0, 0], [1, 0], [1, 1]], "name": ""},
        {"polygon": [[0, 0], [1, 0], [1, 1]], "reason": "a\nb"},
        {"polygon": [[0, 0], [1, 0], [1, 1]], "holes": []},
        "polygon",
    ],
)
def test_what_is_no_polygon_is_refused(arguments: Any) -> None:
    payload = {"number": 7, "arguments": arguments}
    with pytest.raises(TrustError) as caught:
        parse_addition(payload, "00" * 32, b"")
    assert caught.value.code == "authority.addition.invalid"


@given(
    st.dictionaries(
        st.sampled_from(["polygon", "name", "reason", "other"]),
        st.recursive(
            st.none() | st.booleans() | st.floats() | st.text(max_size=9) | st.integers(),
            lambda inner: st.lists(inner, max_size=4),
            max_leaves=12,
        ),
    ),
    st.none() | st.integers() | st.text(max_size=3),
)
def test_any_arguments_are_taken_or_refused(arguments: dict[str, Any], number: Any) -> None:
    try:
        found = parse_addition({"number": number, "arguments": arguments}, "00" * 32, b"")
    except TrustError:
        return
    assert isinstance(found.zones, ZoneSet)
    assert len(found.zones.masks) == 1


def test_the_command_is_kept_as_it_came(bench: Bench) -> None:
    data = ordered(7, CORNER)
    bench.store.add(data, [CITY.public])
    (file,) = (bench.folder / "additions").iterdir()
    assert file.read_bytes() == data
    assert os.stat(file).st_mode & 0o077 in (0, 0o044)
    again = open_addition(file.read_bytes(), [CITY.public])
    core = rasterise(again.zones, size_px=FRAME, digest="").core
    assert core[-1, -1]
    assert not core[0, 0]


@pytest.mark.parametrize("done", [2, 3])
def test_a_state_from_before_does_not_come_back_after_a_power_cut(bench: Bench, done: int) -> None:
    state = bench.folder / "state.json"
    before = state.read_bytes()
    writes = iter(range(done))

    def write(path: Path, data: bytes) -> None:
        if next(writes, None) is None:
            raise OSError("power cut")
        path.write_bytes(data)

    cut = MaskStore(bench.folder, DEVICE, write=write)
    with pytest.raises(OSError, match="power cut"):
        cut.add(ordered(9, CORNER), [CITY.public])
    assert bench.protects(CORNER)  # the polygon and the state were written: it is in force
    state.write_bytes(before)
    assert "older than what has been here" in MaskStore(bench.folder, DEVICE).load().trouble
