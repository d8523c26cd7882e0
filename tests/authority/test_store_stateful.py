"""N6 as a machine: whatever happens, in any order, no pixel is freed without the authority for it.

Commits by all kinds of signers, confirmations in and out of time, power cuts at every write,
restarts, single files put back from a backup or damaged, old records committed again, and records
that were signed in stock, one against the other, before the city's polygons came.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from numpy.typing import NDArray
from tests.authority.samples import (
    ANNA,
    ANNA_2,
    BEN,
    CARL,
    CITY,
    DEVICE,
    EVE,
    FRAME,
    HOUR,
    NOW,
    RING,
    UNIT,
    box,
    ordered,
    signed,
    zones,
)

from alpr_edge.authority.rules import State
from alpr_edge.authority.store import MaskStore
from alpr_edge.errors import AlprEdgeError
from alpr_edge.exclusion.zones import rasterise
from alpr_edge.trust.documents import DocumentType
from alpr_edge.trust.envelope import read_unverified
from alpr_edge.trust.keys import PrivateKey
from alpr_edge.zone_set import ZoneSet

Raster = NDArray[np.bool_]
signers = st.sampled_from(
    [(ANNA,), (BEN,), (ANNA, ANNA_2), (ANNA, CARL), (EVE,), (ANNA, BEN), (CITY,), (ANNA, EVE)]
)
STRONG = ((ANNA, BEN), (CITY,))
"""Who may free a pixel: written down here once more, on purpose."""


@st.composite
def zone_sets(draw: st.DrawFn) -> ZoneSet:
    rings = []
    for _ in range(draw(st.integers(0, 2))):
        x, y = draw(st.integers(0, 6)), draw(st.integers(0, 6))
        w, h = draw(st.integers(1, 4)), draw(st.integers(1, 4))
        rings.append(box(x / 8, y / 8, min(x + w, 8) / 8, min(y + h, 8) / 8))
    return zones(*rings)


def core(wanted: ZoneSet) -> Raster:
    return rasterise(wanted, size_px=FRAME, digest="").core > 0


class Disk:
    """Writes without fsync, and stops at the write it is told."""

    def __init__(self) -> None:
        self.left = -1

    def write(self, path: Path, data: bytes) -> None:
        if self.left == 0:
            raise OSError("power cut")
        self.left -= 1
        path.write_bytes(data)


class Masks(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="masks-"))
        self.disk = Disk()
        self.store = MaskStore(self.folder / "m", DEVICE, write=self.disk.write)
        self.backups: list[tuple[Path, bytes]] = []
        self.old: list[bytes] = []
        # Every pixel is protected before the first record.
        self.protected: Raster = np.ones(FRAME[::-1], bool)
        self.pending: Raster | None = None
        # The city's polygons that no record that stands alone has named, by digest.
        self.ordered: dict[str, Raster] = {}
        self.number = 1_764_000_000_000
        self.stock: list[bytes] = []

    def teardown(self) -> None:
        shutil.rmtree(self.folder)

    @initialize(masks=st.booleans())
    def begin(self, masks: bool) -> None:
        assert self.store.load().state.zones is None
        if masks:
            self.commit(wanted=zones(box(0.5, 0.5, 0.75, 0.75)), keys=(CITY,), cut=-1, names=False)

    def in_force(self) -> Raster:
        found = self.store.load().state.zones
        if found is None:
            return np.ones(FRAME[::-1], bool)
        return rasterise(found, size_px=FRAME, digest="").core > 0

    def settle(self, before: State) -> bool:
        """Whether another record is the newest than before; then notes what that means."""
        state = self.store.load().state
        if state.newest is None or (before.newest and before.newest.digest == state.newest.digest):
            return False
        if state.confirm_before is not None:
            self.pending = core(state.newest.record.zones)
        else:
            # Alone in force at once: what it names goes, nothing else.
            self.pending = None
            self.forget(state)
        return True

    def forget(self, state: State) -> None:
        assert state.newest is not None
        for digest in state.newest.record.lets_go:
            self.ordered.pop(digest, None)

    @rule(
        wanted=zone_sets(),
        keys=signers,
        cut=st.sampled_from([-1, -1, 0, 1, 2]),
        names=st.booleans(),
    )
    def commit(self, wanted: ZoneSet, keys: tuple, cut: int, names: bool) -> None:  # type: ignore[type-arg]
        state = self.store.load().state
        first = not state.records
        previous = state.follows
        named = tuple(one.digest for one in state.additions) if names else ()
        data = signed(
            *keys, number=state.highest + 1, previous=previous, zones=wanted, lets_go=named
        )
        self.old.append(data)
        before, raster = self.in_force(), core(wanted)
        self.disk.left = cut
        try:
            self.store.commit(data, RING, UNIT, confirm_before=NOW + HOUR, now=NOW)
        except (AlprEdgeError, OSError):
            pass
        finally:
            self.disk.left = -1
        after = self.in_force()
        if (before & ~after).any():
            # Only the first record frees anything at once, and only with authority.
            assert first
            assert keys in STRONG
            assert not (raster & ~after).any()
        if self.settle(state) and self.store.load().state.confirm_before is not None:
            assert keys in STRONG
        self.protected = after

    @rule(
        x=st.integers(0, 6),
        y=st.integers(0, 6),
        key=st.sampled_from([CITY, CITY, ANNA, EVE]),
        cut=st.sampled_from([-1, -1, 0, 1, 2]),
    )
    def add(self, x: int, y: int, key: PrivateKey, cut: int) -> None:
        self.number += 1
        ring = box(x / 8, y / 8, (x + 2) / 8, (y + 2) / 8)
        before, had_masks = self.in_force(), bool(self.store.load().state.records)
        self.disk.left = cut
        try:
            self.store.add(ordered(self.number, ring, key), RING.city)
        except (AlprEdgeError, OSError):
            done = False
        else:
            done = True
        finally:
            self.disk.left = -1
        after = self.in_force()
        assert not (before & ~after).any()
        if done:
            assert key is CITY
            assert had_masks
            assert after[y * 36 // 8 + 1, x * 64 // 8 + 1]
        for one in self.store.load().state.additions:
            if one.number == self.number:  # also where the power went after it was in force
                self.ordered[one.digest] = core(zones(ring))
        self.protected = after

    @rule(late=st.booleans())
    def confirm(self, late: bool) -> None:
        try:
            self.store.confirm(NOW + 2 * HOUR if late else NOW)
        except AlprEdgeError:
            return
        assert not late
        assert self.pending is not None
        self.forget(self.store.load().state)
        # Of the city's only what was named went.
        after, expected = self.in_force(), self.pending.copy()
        for one in self.ordered.values():
            expected |= one
        assert (after == expected).all()
        self.protected, self.pending = after, None

    @rule()
    def restart(self) -> None:
        self.store = MaskStore(self.folder / "m", DEVICE, write=self.disk.write)

    @rule(data=st.data())
    def replay(self, data: st.DataObject) -> None:
        if not self.old:
            return
        one = data.draw(st.sampled_from(self.old))
        state = self.store.load().state
        numbers = [number for number, _ in self.store.history()]
        try:
            self.store.commit(one, RING, UNIT, confirm_before=NOW + HOUR, now=NOW)
        except (AlprEdgeError, OSError):
            return
        # Taken only if that number had never been here: then it is a first commit, judged as one.
        assert state.highest + 1 not in numbers
        after = self.in_force()
        assert not (self.protected & ~after).any() or not state.records
        self.settle(state)
        self.protected = after

    @rule(
        wider=st.just(zones(box(0.0, 0.0, 1.0, 1.0))) | zone_sets(),
        narrower=zone_sets(),
        keys=st.sampled_from(STRONG),
        then=st.booleans(),
    )
    def sign_in_stock(
        self,
        wider: ZoneSet,
        narrower: ZoneSet,
        keys: tuple,  # type: ignore[type-arg]
        then: bool,
    ) -> None:
        """Two records, the second against the first; `use_stock` commits them, however late."""
        state = self.store.load().state
        first = signed(*keys, number=state.highest + 1, previous=state.follows, zones=wider)
        digest = read_unverified(first, DocumentType.MASK_RECORD).digest
        second = signed(*keys, number=state.highest + 2, previous=digest, zones=narrower)
        self.stock = [first, second]
        if then:
            self.add(x=0, y=6, key=CITY, cut=-1)
            self.use_stock()

    @rule()
    def use_stock(self) -> None:
        """Whatever was signed before a polygon came lets go of none."""
        for one in self.stock:
            state = self.store.load().state
            try:
                self.store.commit(one, RING, UNIT, confirm_before=NOW + HOUR, now=NOW)
                self.settle(state)
                self.protected = self.in_force()
                if self.store.load().state.confirm_before is not None:
                    self.confirm(late=False)
            except AlprEdgeError:
                break
        self.stock = []

    @rule(where=st.floats(0, 1), to=st.integers(0, 255), cut=st.booleans())
    def damage(self, where: float, to: int, cut: bool) -> None:
        """The state, at any byte. Until two people or the city commit again nothing is read."""
        path = self.folder / "m" / "state.json"
        if not path.exists():
            return
        data = path.read_bytes()
        place = int(where * (len(data) - 1))
        path.write_bytes(data[:place] + (b"" if cut else bytes([to]) + data[place + 1 :]))
        if self.store.load().state.zones is None:
            self.protected, self.pending = np.ones(FRAME[::-1], bool), None
        else:
            self.protected = self.in_force()

    @rule()
    def back_up(self) -> None:
        for path in (self.folder / "m").rglob("*"):
            if path.is_file():
                self.backups.append((path, path.read_bytes()))

    @rule(data=st.data())
    def put_one_file_back(self, data: st.DataObject) -> None:
        if not self.backups:
            return
        path, content = data.draw(st.sampled_from(self.backups))
        if path.name in ("highest", "added"):
            return  # with the counter gone as well, an old state is as good as new: see store.py
        path.write_bytes(content)

    @invariant()
    def nothing_is_freed(self) -> None:
        in_force = self.in_force()
        assert not (self.protected & ~in_force).any()
        for one in self.ordered.values():
            assert not (one & ~in_force).any()


TestMasks = Masks.TestCase
# A tenth of the profile's examples, for each has many steps: HYPOTHESIS_PROFILE=deep runs 500.
TestMasks.settings = settings(
    max_examples=max(12, settings().max_examples // 10), stateful_step_count=25
)
