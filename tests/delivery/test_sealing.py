"""Sealed rows open only by their key, in their place; keys rotate, and are kept from others."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest
from delivery_samples import PLATE, sample_event
from hypothesis import given
from hypothesis import strategies as st

from alpr_edge.delivery.clocks import SetClocks
from alpr_edge.delivery.key_store import (
    FileKeyStore,
    KeyStore,
    MemoryKeyStore,
    TpmKeyStore,
    open_key_store,
)
from alpr_edge.delivery.outbox import Outbox
from alpr_edge.delivery.sealing import (
    OVERHEAD_BYTES,
    AesGcmSealer,
    Key,
    KeyRing,
    Unsealable,
    key_number,
)
from alpr_edge.delivery.vault import ROTATE_S, Vault
from alpr_edge.errors import PublishError

RING = KeyRing((Key(1, 0, bytes(range(32))), Key(2, 5, bytes(range(1, 33)))))
SEALER = AesGcmSealer(RING, os.urandom)

# --- one row ---------------------------------------------------------------------------------


@given(st.text(), st.text(), st.binary(max_size=3000))
def test_what_was_sealed_opens_in_its_place(event_id: str, schema: str, payload: bytes) -> None:
    if any("\ud800" <= c <= "\udfff" for c in event_id + schema):
        return
    sealed = SEALER.seal(event_id, schema, payload)
    assert len(sealed) == len(payload) + OVERHEAD_BYTES
    assert key_number(sealed) == 2
    assert SEALER.open(event_id, schema, sealed) == payload


@given(st.data())
def test_any_changed_byte_is_refused(data: st.DataObject) -> None:
    sealed = bytearray(SEALER.seal("id", "schema", b"payload"))
    at = data.draw(st.integers(0, len(sealed) - 1))
    sealed[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(Unsealable):
        SEALER.open("id", "schema", bytes(sealed))


@given(st.binary(max_size=200))
def test_garbage_is_refused(sealed: bytes) -> None:
    with pytest.raises(Unsealable):
        SEALER.open("id", "schema", sealed)


@pytest.mark.parametrize("place", [("other", "schema"), ("id", "other"), ("idschema", "")])
def test_another_row_or_schema_is_refused(place: tuple[str, str]) -> None:
    with pytest.raises(Unsealable):
        SEALER.open(*place, SEALER.seal("id", "schema", b"payload"))


def test_an_old_key_opens_and_an_unknown_one_does_not() -> None:
    old = AesGcmSealer(KeyRing(RING.keys[:1]), os.urandom)
    sealed = old.seal("id", "schema", b"payload")
    assert SEALER.open("id", "schema", sealed) == b"payload"
    with pytest.raises(Unsealable):
        old.open("id", "schema", SEALER.seal("id", "schema", b"payload"))


def test_no_nonce_comes_twice_and_no_text_shows_a_key() -> None:
    assert len({SEALER.seal("id", "s", b"")[5:17] for _ in range(1000)}) == 1000
    assert "secret" not in repr(RING)
    assert "\\x01\\x02" not in repr(RING)


# --- rings and where they lie ----------------------------------------------------------------


class StoreContract:
    """What every key store must do; a subclass gives one."""

    def test_at_first_there_is_none(self, store: KeyStore) -> None:
        assert store.load() is None

    def test_the_last_ring_is_kept(self, store: KeyStore) -> None:
        store.save(KeyRing(RING.keys[:1]))
        store.save(RING)
        assert store.load() == RING


class TestMemoryKeyStore(StoreContract):
    @pytest.fixture
    def store(self) -> KeyStore:
        return MemoryKeyStore()


class TestFileKeyStore(StoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> KeyStore:
        return FileKeyStore(tmp_path / "deep" / "outbox.key")


class TestTpmKeyStore(StoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path, tpm: str) -> KeyStore:
        return TpmKeyStore(tmp_path / "outbox.key", tpm)

    def test_another_process_unseals_it_and_the_disk_alone_does_not(
        self, store: KeyStore, tmp_path: Path, tpm: str
    ) -> None:
        path = tmp_path / "outbox.key"
        store.save(RING)
        on_disk = path.read_bytes()
        assert all(key.secret not in on_disk for key in RING.keys)
        assert b"secret" not in on_disk
        assert open_key_store(path, "auto", tpm).load() == RING
        with pytest.raises(PublishError) as caught:
            FileKeyStore(path).load()
        assert caught.value.code == "delivery.key.tpm_missing"

    def test_a_plain_ring_is_taken_over_by_the_tpm(self, tmp_path: Path, tpm: str) -> None:
        path = tmp_path / "outbox.key"
        FileKeyStore(path).save(RING)
        assert TpmKeyStore(path, tpm).load() == RING
        assert b'"tpm"' in path.read_bytes()
        assert RING.keys[0].secret not in path.read_bytes()


def test_no_tpm_is_an_own_error(tmp_path: Path) -> None:
    with pytest.raises(PublishError) as caught:
        TpmKeyStore(tmp_path / "k", "device:/nonexistent").save(RING)
    assert caught.value.code == "delivery.key.tpm"
    assert caught.value.hint
    assert isinstance(open_key_store(tmp_path / "k", "file"), FileKeyStore)


def test_the_key_file_is_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "outbox.key"
    FileKeyStore(path).save(RING)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [file.name for file in tmp_path.iterdir()] == ["outbox.key"]
    path.chmod(0o640)
    with pytest.raises(PublishError) as caught:
        FileKeyStore(path).load()
    assert caught.value.code == "delivery.key.exposed"


def test_a_linked_key_file_is_refused(tmp_path: Path) -> None:
    FileKeyStore(tmp_path / "real").save(RING)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(PublishError) as caught:
        FileKeyStore(tmp_path / "link").load()
    assert caught.value.code == "delivery.key.unreadable"


def test_a_key_file_that_cannot_be_written_is_an_own_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PublishError) as caught:
        FileKeyStore(tmp_path / "file" / "outbox.key").save(RING)
    assert caught.value.code == "delivery.key.unwritable"


@given(st.binary(max_size=200) | st.sampled_from([b"{}", b"[]", b'{"version":1}', b"[" * 9999]))
def test_a_damaged_key_file_is_an_own_error(raw: bytes) -> None:
    path = Path(os.environ.get("TMPDIR", "/tmp")) / f"alpr-edge-key-{os.getpid()}"
    path.touch(0o600)
    path.chmod(0o600)
    path.write_bytes(raw)
    try:
        with pytest.raises(PublishError) as caught:
            FileKeyStore(path).load()
        assert caught.value.code == "delivery.key.damaged"
    finally:
        path.unlink()


@pytest.mark.parametrize(
    "keys",
    [
        [],
        [{"number": 1, "made_at": 0, "secret": "AA=="}],
        [{"number": 0, "made_at": 0, "secret": "A" * 43 + "="}],
        [{"number": 1, "made_at": 0, "secret": "A" * 43 + "="}] * 2,
        [{"number": "x", "made_at": 0, "secret": "A" * 43 + "="}],
        [7],
        None,
    ],
)
def test_rings_that_are_no_rings_are_refused(tmp_path: Path, keys: object) -> None:
    path = tmp_path / "k"
    path.touch(0o600)
    path.write_text(json.dumps({"version": 1, "keys": keys}))
    with pytest.raises(PublishError) as caught:
        FileKeyStore(path).load()
    assert caught.value.code == "delivery.key.damaged"


# --- keys of an outbox -----------------------------------------------------------------------


def test_a_key_is_made_once_and_rotates_when_it_is_old() -> None:
    store = MemoryKeyStore()
    assert Vault(store, 1000.0).numbers == (1,)
    vault = Vault(store, 2000.0)
    assert vault.numbers == (1,)
    assert not vault.rotate_if_due(1000.0 + ROTATE_S - 1)
    assert vault.rotate_if_due(1000.0 + ROTATE_S)
    assert vault.numbers == (1, 2)
    assert store.load() == vault._sealer.ring
    assert vault.keep_only({1, 2}) == 0
    assert vault.keep_only(set()) == 1
    assert Vault(store, 0.0).numbers == (2,)


def test_rows_of_an_old_key_are_sent_and_then_it_is_forgotten(tmp_path: Path) -> None:
    clocks = SetClocks()
    store = MemoryKeyStore()
    with Outbox(tmp_path / "o.db", vault=Vault(store, clocks.wall_s()), clocks=clocks) as outbox:
        old, new = sample_event(), sample_event()
        outbox.put(old)
        clocks.pass_s(ROTATE_S / 2)
        outbox.renew_keys()
        assert outbox.vault.numbers == (1,)
        outbox.renew_keys(now=True)
        outbox.put(new)
        outbox.renew_keys()
        assert outbox.vault.numbers == (1, 2)
        assert [row.payload for row in outbox.pending(9)] == [old.to_json(), new.to_json()]
        outbox.settle([old.event_id])
        outbox.renew_keys()
        assert outbox.vault.numbers == (2,)
        assert outbox.pending(9)[0].payload == new.to_json()


def test_a_clock_that_is_not_believed_rotates_nothing(tmp_path: Path) -> None:
    clocks = SetClocks()
    with Outbox(tmp_path / "o.db", clocks=clocks) as outbox:
        clocks.wall += 10 * ROTATE_S
        clocks.trusted = False
        outbox.renew_keys()
        assert outbox.vault.numbers == (1,)
        clocks.trusted = True
        outbox.renew_keys()
        assert outbox.vault.numbers == (2,)


def test_a_row_that_was_changed_or_moved_is_deleted_counted_and_never_sent(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    events = [sample_event() for _ in range(4)]
    with Outbox(tmp_path / "o.db") as outbox:
        outbox.put_all(events)
        rows = [sealed for (sealed,) in outbox._db.execute("SELECT sealed FROM events")]
        outbox._db.execute("UPDATE events SET sealed = ? WHERE seq = 1", (rows[1],))
        outbox._db.execute("UPDATE events SET sealed = ? WHERE seq = 2", (rows[1][:-1] + b"x",))
        outbox._db.execute("UPDATE events SET schema = 'other' WHERE seq = 3")
    # In a new process: the old one has the newest rows in memory, and does not read them back.
    with Outbox(tmp_path / "o.db") as outbox:
        assert [row.event_id for row in outbox.pending(2)] == [events[3].event_id]
        assert outbox.counts.unreadable == 3
        assert outbox.counts.rows == 1
    assert PLATE not in caplog.text
    assert "delivery.outbox.unreadable" in {getattr(r, "code", "") for r in caplog.records}


def test_without_its_key_an_outbox_gives_nothing(tmp_path: Path) -> None:
    with Outbox(tmp_path / "o.db") as outbox:
        outbox.put_all([sample_event() for _ in range(3)])
    (tmp_path / "o.db.key").unlink()
    with Outbox(tmp_path / "o.db") as outbox:
        assert outbox.counts.rows == 3
        assert outbox.pending(9) == []
        assert outbox.counts.unreadable == 3


def test_a_copied_disk_shows_no_plate(tmp_path: Path) -> None:
    with Outbox(tmp_path / "o.db") as outbox:
        outbox.put_all([sample_event("COPY123") for _ in range(50)])
        copied = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert b"COPY123" not in copied
    assert b"confidence" not in copied
