"""What a disk can do to the mask store: nothing that was protected is forgotten by it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.authority.samples import (
    ANNA,
    BEN,
    CITY,
    DEVICE,
    FRAME,
    HOUR,
    LARGE,
    NOTHING,
    NOW,
    RING,
    SMALL,
    UNIT,
    box,
    ordered,
    signed,
    zones,
)

from alpr_edge.authority.addition import open_addition
from alpr_edge.authority.counter import MemoryCounter
from alpr_edge.authority.store import Anchors, MaskStore, Newest
from alpr_edge.errors import AlprEdgeError, KeyUnusable
from alpr_edge.exclusion.compare import compare
from alpr_edge.trust.keys import PrivateKey

CORNER = box(0.75, 0.75, 1.0, 1.0)
OTHER = box(0.0, 0.75, 0.125, 1.0)


class Bench:
    """Masks of two people and two polygons of the city, then harm."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = MaskStore(folder, DEVICE)
        self.commit(CITY)
        self.orders = [ordered(7, CORNER), ordered(8, OTHER)]
        for order in self.orders:
            self.store.add(order, [CITY.public])
        self.digests = [open_addition(one, [CITY.public]).digest for one in self.orders]

    def commit(self, *keys: PrivateKey, **changes: Any) -> None:
        state = self.store.load().state
        about = {"number": state.highest + 1, "previous": state.follows, **changes}
        data = signed(*keys, **about)
        self.store.commit(data, RING, UNIT, confirm_before=NOW + HOUR, now=NOW)

    def protects(self, ring: tuple[tuple[float, float], ...]) -> bool:
        """Whether all of it is blanked, or nothing is read, after a restart."""
        found = MaskStore(self.folder, DEVICE).load().state.zones
        return found is None or compare(zones(ring), found, size_px=FRAME).core_removed_px == 0


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "masks")


def code_of(call: Callable[[], object]) -> str:
    with pytest.raises(AlprEdgeError) as caught:
        call()
    return caught.value.code


def cut_at(part: float) -> Callable[[bytes], bytes | None]:
    return lambda data: data[: int(len(data) * part)]


def flip_at(part: float, bit: int) -> Callable[[bytes], bytes | None]:
    def flip(data: bytes) -> bytes:
        changed = bytearray(data)
        changed[min(int(len(data) * part), len(data) - 1)] ^= 1 << bit
        return bytes(changed)

    return flip


HARMS: dict[str, Callable[[bytes], bytes | None]] = {
    "missing": lambda _: None,
    "emptied": lambda _: b"",
    "zeros": lambda data: bytes(len(data)),
    "first byte left": cut_at(0.001),
    "half": cut_at(0.5),
    "last byte gone": lambda data: data[:-2],
    "flipped in the payload": flip_at(0.2, 0),
    "flipped in the type": lambda data: data.replace(b"payloadType", b"payloadTypf"),
    "flipped in the signature": flip_at(0.97, 1),
    "something else": lambda _: b"no state at all",
    "no text": lambda data: b"\xff\xfe" + data,
    "twice": lambda data: data + data,
}


def harm(path: Path, how: Callable[[bytes], bytes | None]) -> None:
    left = how(path.read_bytes())
    path.unlink()
    if left is not None:
        path.write_bytes(left)


@pytest.mark.parametrize("how", HARMS.values(), ids=HARMS)
def test_a_damaged_state_forgets_no_polygon(bench: Bench, how: Any) -> None:
    harm(bench.folder / "state.json", how)
    loaded = bench.store.load()
    assert loaded.trouble
    assert loaded.state.zones is None
    assert [one.number for one in loaded.state.additions] == [7, 8]
    assert (loaded.state.highest, loaded.state.added) == (1, 8)
    assert code_of(lambda: bench.commit(ANNA, zones=LARGE)) == "authority.too_few"
    # Two people who do not speak of the city's polygons let go of none.
    bench.commit(ANNA, BEN, zones=NOTHING)
    assert not bench.store.load().trouble
    assert bench.protects(CORNER)
    assert bench.protects(OTHER)
    bench.commit(ANNA, BEN, zones=NOTHING, lets_go=bench.digests[:1])
    bench.store.confirm(NOW)
    assert not bench.protects(CORNER)
    assert bench.protects(OTHER)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_any_byte_of_the_state_may_change(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    kept = _kept(tmp_path_factory)
    state = (kept / "state.json").read_bytes()
    place = data.draw(st.integers(0, len(state) - 1))
    to = data.draw(st.integers(0, 255))
    folder = kept.with_name("harmed")
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(kept, folder)
    (folder / "state.json").write_bytes(state[:place] + bytes([to]) + state[place + 1 :])
    loaded = MaskStore(folder, DEVICE).load()
    # Either what it says is the same (white space, key id), or nothing is read; never less.
    assert [one.number for one in loaded.state.additions] == [7, 8]
    assert (loaded.state.zones is None) == bool(loaded.trouble)
    if not loaded.trouble:
        assert loaded.state.zones == MaskStore(kept, DEVICE).load().state.zones


_KEPT: list[Path] = []


def _kept(factory: pytest.TempPathFactory) -> Path:
    if not _KEPT:
        _KEPT.append(Bench(factory.mktemp("state") / "masks").folder)
    return _KEPT[0]


@pytest.mark.parametrize("how", HARMS.values(), ids=HARMS)
@pytest.mark.parametrize("which", ["highest", "added"])
def test_damaged_counts_read_nothing_and_forget_nothing(bench: Bench, which: str, how: Any) -> None:
    data = (bench.folder / which).read_bytes()
    harm(bench.folder / which, how)
    path = bench.folder / which
    missing = not path.exists()
    loaded = bench.store.load()
    assert [one.number for one in loaded.state.additions] == [7, 8]
    if missing:
        # As after a power cut: it is written again.
        assert not loaded.trouble
        assert path.read_bytes() == data
        return
    if loaded.trouble:
        assert loaded.state.zones is None
        bench.commit(ANNA, BEN, zones=NOTHING)
    assert not bench.store.load().trouble
    assert bench.protects(CORNER)
    assert bench.protects(OTHER)


PAYLOAD_HARMS = {name: how for name, how in HARMS.items() if name != "flipped in the signature"}
"""A polygon is known by its digest: who signed it was judged when it came."""


@pytest.mark.parametrize("how", PAYLOAD_HARMS.values(), ids=PAYLOAD_HARMS)
def test_a_polygon_that_cannot_be_read_must_be_named(bench: Bench, how: Any) -> None:
    file = min((bench.folder / "additions").iterdir())
    whole = file.read_bytes()
    harm(file, how)
    assert bench.store.load().state.zones is None
    (bench.folder / "state.json").unlink()
    state = bench.store.load().state
    assert [one.number for one in state.additions] == [8]
    if file.exists():
        assert [one.number for one in state.lost] == [7]
        assert code_of(lambda: bench.commit(ANNA, BEN)) == "authority.polygon_lost"
        assert code_of(lambda: bench.commit(CITY, lets_go=("ab" * 32,))) == "authority.polygon_lost"
    # The city sends its command once more: the file is put back, and all is as it was.
    file.write_bytes(whole)
    assert not bench.store.load().state.lost
    file.write_bytes(b"")
    bench.commit(ANNA, BEN, lets_go=(bench.digests[0],))
    assert not bench.store.load().trouble
    assert bench.protects(OTHER)


NEAR = box(0.0, 0.0, 0.125, 0.125)


def _put_back_before_the_third_polygon(bench: Bench) -> Path:
    """State and both counts as they were before it; its own file lies there."""
    names = ("state.json", "highest", "added")
    kept = {name: (bench.folder / name).read_bytes() for name in names}
    bench.store.add(ordered(9, NEAR), [CITY.public])
    for name, data in kept.items():
        (bench.folder / name).write_bytes(data)
    return max((bench.folder / "additions").iterdir())


def test_a_polygon_newer_than_the_state_is_in_force(bench: Bench) -> None:
    """Also where the power failed between its file and the state."""
    _put_back_before_the_third_polygon(bench)
    bench.store = store = MaskStore(bench.folder, DEVICE)
    loaded = store.load()
    assert not loaded.trouble
    assert [one.number for one in loaded.state.additions] == [7, 8, 9]
    assert bench.protects(NEAR)
    # It stays so when the masks change.
    bench.commit(ANNA, zones=zones(box(0.0, 0.0, 1.0, 1.0)))
    assert [one.number for one in store.load().state.additions] == [7, 8, 9]


def test_a_newer_polygon_that_cannot_be_read_stops_reading(bench: Bench) -> None:
    _put_back_before_the_third_polygon(bench).write_bytes(b"")
    loaded = MaskStore(bench.folder, DEVICE).load()
    assert "cannot be read" in loaded.trouble
    assert [one.number for one in loaded.state.lost] == [9]


@pytest.mark.parametrize("gone", [(0,), (1,), (0, 1)], ids=["older", "newest", "both"])
@pytest.mark.parametrize("state", ["whole", "gone"])
def test_polygons_whose_files_are_gone_must_be_named(
    bench: Bench, gone: tuple[int, ...], state: str
) -> None:
    files = sorted((bench.folder / "additions").iterdir())
    for k in gone:
        files[k].unlink()
    if state == "gone":
        (bench.folder / "state.json").unlink()
    loaded = bench.store.load()
    assert loaded.trouble
    assert loaded.state.zones is None
    lost = {(one.number, one.digest) for one in loaded.state.lost}
    assert lost == {(7 + k, bench.digests[k]) for k in gone}
    assert code_of(lambda: bench.commit(ANNA, BEN)) == "authority.polygon_lost"
    bench.commit(ANNA, BEN, lets_go=tuple(bench.digests[k] for k in gone))
    assert not bench.store.load().trouble
    for k in {0, 1} - set(gone):
        assert bench.protects((CORNER, OTHER)[k])
    # What was named is not asked for again.
    assert not MaskStore(bench.folder, DEVICE).load().state.lost


def test_a_store_of_an_earlier_version_goes_on(bench: Bench) -> None:
    for path in (bench.folder / "additions").iterdir():
        number, digest = path.stem.split("-")
        path.rename(path.with_name(f"{number}-{digest[:12]}.json"))
    (bench.folder / "added").write_bytes(b"8\n")
    loaded = bench.store.load()
    assert not loaded.trouble
    assert [one.number for one in loaded.state.additions] == [7, 8]
    (bench.folder / "state.json").write_bytes(b"")
    assert [one.number for one in bench.store.load().state.additions] == [7, 8]


def test_what_was_signed_in_stock_is_not_taken_after_a_damage(bench: Bench) -> None:
    # At commissioning two people signed a second first record, for the drawer.
    spare = signed(ANNA, BEN, number=50, previous=None, zones=NOTHING)
    bench.commit(ANNA, zones=zones(box(0.0, 0.0, 1.0, 1.0)))
    (bench.folder / "state.json").write_bytes(b"")
    judge = {"confirm_before": NOW + HOUR, "now": NOW}
    again = lambda: bench.store.commit(spare, RING, UNIT, **judge)  # noqa: E731
    assert code_of(again) == "authority.previous"
    assert bench.store.load().state.zones is None
    bench.commit(ANNA, BEN, zones=SMALL)
    assert not bench.store.load().trouble


def test_a_folder_instead_of_files_reads_nothing(bench: Bench) -> None:
    (bench.folder / "added").unlink()
    (bench.folder / "added").mkdir()
    loaded = bench.store.load()
    assert "added" in loaded.trouble
    assert [one.number for one in loaded.state.additions] == [7, 8]


class _Cut(MemoryCounter):
    """The power fails, or the TPM does, at the n-th raising."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.left = at

    def raise_count(self) -> int:
        self.left -= 1
        if self.left == 0:
            raise KeyUnusable("power cut", code="trust.tpm", hint="")
        return super().raise_count()


@pytest.mark.parametrize("at", range(1, 9))
@pytest.mark.parametrize("between", ["load", "add", "damage"])
def test_no_two_changes_share_a_count(tmp_path: Path, at: int, between: str) -> None:
    """Every state that was ever written, put back after the next change, is refused."""
    counter = _Cut(at)
    kept: list[Path] = []
    folder = tmp_path / "masks"

    def store() -> MaskStore:
        # Each time as after a start, and without a ledger: only the counter remembers.
        return MaskStore(folder, DEVICE, anchors=Anchors(counter))

    def change(number: int) -> None:
        # With "add" nobody looks between the cut and the next change.
        look = store() if between == "load" else MaskStore(folder, DEVICE)
        state = look.load().state
        before = (folder / "state.json").read_bytes() if state.records else b""
        try:
            if between == "add" and state.records:
                store().add(ordered(number, CORNER), [CITY.public])
            else:
                data = signed(CITY, number=number, previous=state.follows, zones=LARGE)
                judge = {"confirm_before": NOW + HOUR, "now": NOW}
                store().commit(data, RING, UNIT, **judge)
        except KeyUnusable:
            pass
        path = folder / "state.json"
        if path.exists() and path.read_bytes() != before:
            kept.append(shutil.copytree(folder, tmp_path / f"kept-{len(kept)}"))
            if between == "damage":
                path.write_bytes(b"")

    for number in range(1, 6):
        change(number)
    if between != "damage":
        assert not store().load().trouble
    counts = counter.count()
    assert len(kept) >= 3
    for old in kept[:-1]:
        shutil.rmtree(folder)
        shutil.copytree(old, folder)
        assert store().load().trouble
    assert counter.count() == counts
    shutil.rmtree(folder)
    shutil.copytree(kept[-1], folder)
    if between != "damage":
        assert not store().load().trouble


def test_the_ledger_misses_a_polygon_that_was_put_back(tmp_path: Path) -> None:
    known = Newest()
    folder = tmp_path / "masks"
    store = MaskStore(folder, DEVICE)
    store.commit(signed(CITY), RING, UNIT, confirm_before=NOW + HOUR, now=NOW)
    before = shutil.copytree(folder, tmp_path / "kept")
    state = store.add(ordered(7, CORNER), [CITY.public])
    known = Newest(state.highest, state.added)
    shutil.rmtree(folder)
    shutil.copytree(before, folder)
    # This process remembers; another one asks the ledger.
    assert "the city has added a polygon" in store.load().trouble
    other = MaskStore(folder, DEVICE, anchors=Anchors(least=lambda: known))
    assert "the city has added a polygon" in other.load().trouble
    lost = other.load().state.lost
    assert [one.number for one in lost] == [7]
    assert not lost[0].is_named_by(("ab" * 32,))
