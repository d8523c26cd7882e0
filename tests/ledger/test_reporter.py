"""What other processes of the unit tell the ledger: through the spool, or by a visit."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ledger_samples import DIGEST, EVENT, TestSigner, boot

from alpr_edge.errors import AuditError
from alpr_edge.ledger.entry import Entry, decode
from alpr_edge.ledger.files import LedgerFolder
from alpr_edge.ledger.key_changes import tell_city_keys
from alpr_edge.ledger.kinds import (
    KINDS,
    Access,
    Body,
    Boot,
    Egress,
    Hour,
    KeyChange,
    Login,
    MaskChange,
    SelfTest,
    StartFailed,
    Stop,
    StorageFault,
    Trigger,
    Update,
    Visit,
)
from alpr_edge.ledger.plate_mac import plate_mac
from alpr_edge.ledger.recorder import Recorder
from alpr_edge.ledger.reporter import Reporter
from alpr_edge.ledger.spool import MAY_TELL, Notice, Spool, parse_notice
from alpr_edge.ledger.store import Identity, Ledger
from alpr_edge.ledger.telling import Asked, By, MasksChanged, Tells
from alpr_edge.ledger.verify import Question, verify
from alpr_edge.trust.keys import PrivateKey

ASKED = Asked("anna", "Police", "stolen vehicle 7ABC123", "plate", plate_mac=DIGEST)


class Unit:
    """A ledger's place, its key, and a reporter beside it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "ledger"
        self.identity = Identity("cam-0001", (TestSigner(),))
        self.spool = Spool(self.path)
        self.reporter = Reporter(self.spool, self.open, who="console", longest_s=0.5)

    def open(self) -> Ledger:
        return Ledger(self.path, self.identity)

    def entries(self) -> list[Entry]:
        found: list[Entry] = []
        verdict = verify(LedgerFolder(self.path), Question(self.identity.keys), visit=found.append)
        assert verdict.holds
        assert not verdict.findings
        return found

    def bodies(self) -> list[Body]:
        return [entry.body for entry in self.entries()]


@pytest.fixture
def unit(tmp_path: Path) -> Unit:
    return Unit(tmp_path)


def tell_everything(tells: Tells) -> None:
    """Every method once."""
    now = datetime.now(UTC)
    tells.login("anna", way="serial", factors=2)
    tells.login_failed("anna", way="serial", code="console.login.refused")
    tells.login_failed("anna", way="serial", code="console.login.locked", locked=True)
    tells.logged_out("anna", way="serial")
    tells.shown(ASKED, 3, EVENT, EVENT)
    tells.exported(ASKED, 3, EVENT, EVENT)
    tells.reported("report", "anna")
    tells.file_moved("refused", "register", DIGEST, By("anna"), code="trust.rollback")
    tells.mask_changed(MasksChanged(DIGEST, DIGEST[::-1]), By("anna", "ben", "new driveway"))
    tells.config_changed(DIGEST, DIGEST[::-1], By("city"), settings=("mqtt.host",))
    tells.commissioned(DIGEST, DIGEST, By("anna"))
    tells.updated("refused", bundle=DIGEST, code="trust.signature")
    tells.key_changed("city", "revoked", DIGEST, by="city")
    tells.self_tested(passed=False, checks=4, failed=("exclusion.self_test.passed_on_the_band",))
    tells.drift_stopped("exclusion.scene.moved")
    tells.drift_resumed(by="anna")
    tells.time_corrected(now, now + timedelta(hours=1), "manual")
    tells.storage_failed("config", "config.unreadable")


def test_while_the_service_is_down_the_ledger_is_visited(unit: Unit) -> None:
    tell_everything(unit.reporter)
    bodies = unit.bodies()
    assert sum(isinstance(b, Visit) for b in bodies) == 18
    assert {type(b) for b in bodies} - {Visit} == set(MAY_TELL) - {Trigger, StartFailed}
    shown = next(b for b in bodies if isinstance(b, Access))
    assert shown.purpose == "stolen vehicle [withheld]"
    assert not unit.spool.waiting()


def test_while_the_service_runs_it_takes_what_is_told(unit: Unit) -> None:
    ledger = unit.open()
    recorder = Recorder(ledger)
    recorder.begin(boot())
    done = threading.Event()

    def take() -> None:
        while not done.wait(0.01):
            unit.spool.take(recorder.take, ledger.make_durable)

    thread = threading.Thread(target=take)
    thread.start()
    try:
        reporter = Reporter(unit.spool, unit.open)
        reporter.exported(ASKED, 3, EVENT, EVENT)
        # It came back: so it is on disk already, in the ledger of the other.
        assert any(isinstance(decode(e).body, Access) for e in LedgerFolder(unit.path).tail(0))
        tell_everything(reporter)
    finally:
        done.set()
        thread.join()
    unit.spool.take(recorder.take, ledger.make_durable)
    recorder.end(Stop(reason="asked"))
    bodies = unit.bodies()
    assert {type(b) for b in bodies} == {Boot, Hour, Stop, *MAY_TELL} - {Trigger, StartFailed}
    assert sum(isinstance(b, Access) for b in bodies) == 3


def test_what_nobody_takes_is_not_shown_but_waits(unit: Unit) -> None:
    ledger = unit.open()
    with pytest.raises(AuditError) as refused:
        unit.reporter.shown(ASKED, 3)
    assert refused.value.code == "ledger.reporter.not_taken"
    unit.reporter.login("anna", way="serial", factors=2)
    assert len(unit.spool.waiting()) == 2
    ledger.close()
    unit.reporter.login("ben", way="serial", factors=2)
    kinds = [b.kind for b in unit.bodies()]
    assert kinds == ["visit", "access", "login", "login"]


def test_a_visit_is_no_start_and_hides_no_crash(unit: Unit) -> None:
    ledger = unit.open()
    recorder = Recorder(ledger)
    recorder.begin(boot())
    ledger.sync()
    os.close(ledger._one_process)  # as a kill -9 leaves it
    unit.reporter.login("anna", way="local", factors=1)
    after = unit.open()
    assert not after.ended_in_order
    assert after.last_boot() == boot()
    after.close(Stop(reason="asked"))
    unit.reporter.login("anna", way="local", factors=1)
    last = unit.open()
    assert last.ended_in_order
    last.close()
    os.close(ledger._journal)


def test_a_late_notice_has_both_times(unit: Unit) -> None:
    ledger = unit.open()
    ledger.append(boot())
    ledger.take(Notice("n", "2026-11-01T08:00:00.000Z", Login(**LOGIN)))
    ledger.take(Notice("n", ledger._clock.now().isoformat(), Login(**LOGIN)))
    ledger.close(Stop(reason="asked"))
    assert [e.told for e in unit.entries()] == [None, "2026-11-01T08:00:00.000Z", None, None]


LOGIN = {"who": "anna", "outcome": "granted", "way": "serial"}


def test_only_what_others_may_tell_is_taken(unit: Unit) -> None:
    with pytest.raises(TypeError):
        unit.spool.put(Stop(reason="asked"))
    unit.spool.put(Login(**LOGIN))
    forged = Egress(count=1, first=EVENT, last=EVENT, destination="a.example", port=1)
    text = {"at": "2026-11-02T08:00:00.000Z", "body": forged.model_dump(mode="json")}
    for name, mode, data in (
        ("1-egress.json", 0o600, json.dumps(text)),
        ("2-open.json", 0o644, json.dumps({**text, "body": LOGIN | {"kind": "login"}})),
        ("3-garbage.json", 0o600, "{"),
    ):
        (unit.spool.path / name).write_text(data)
        (unit.spool.path / name).chmod(mode)
    (unit.spool.path / "4-pipe.json").unlink(missing_ok=True)
    os.mkfifo(unit.spool.path / "4-pipe.json", 0o600)
    (unit.spool.path / "5-link.json").symlink_to("/etc/passwd")
    taken: list[Notice] = []
    assert unit.spool.take(taken.append, lambda: None) == 6
    faults = [n.body for n in taken if isinstance(n.body, StorageFault)]
    assert [f.code for f in faults] == ["ledger.spool.refused"] * 5
    assert [n.body for n in taken if isinstance(n.body, Login)] == [Login(**LOGIN)]
    assert not unit.spool.waiting()
    assert len(list(unit.spool.path.glob("*.refused"))) == 5
    assert unit.spool.path.stat().st_mode & 0o777 == 0o700


def test_every_kind_is_either_the_service_s_or_may_be_told() -> None:
    own = {k for k in KINDS if k not in MAY_TELL}
    assert {"boot", "stop", "egress", "hour", "restarted", "visit"} <= {
        k.model_fields["kind"].default for k in own
    }


@given(st.binary(max_size=200))
def test_a_strange_notice_is_refused(data: bytes) -> None:
    notice, why = parse_notice("n", data)
    assert notice is None
    assert why


def test_a_kill_while_taking_loses_nothing(unit: Unit) -> None:
    unit.spool.put(Login(**LOGIN))

    def killed() -> None:
        raise AuditError("as if", code="ledger.file.full_disk")

    with pytest.raises(AuditError):
        unit.spool.take(lambda _: None, killed)
    assert len(unit.spool.waiting()) == 1


_TELLER = """
import sys
from pathlib import Path
from alpr_edge.errors import AuditError
from alpr_edge.ledger.reporter import Reporter
from alpr_edge.ledger.spool import Spool

def in_use():
    raise AuditError("in use", code="ledger.in_use")

reporter = Reporter(Spool(Path(sys.argv[1])), in_use)
number = 0
while True:
    reporter.login_failed("anna", way="serial", code="console.login.refused")
    number += 1
    print(number, flush=True)
"""


def test_a_teller_that_is_killed_leaves_only_whole_notices(unit: Unit) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _TELLER, str(unit.path)], stdout=subprocess.PIPE, text=True
    ) as teller:
        assert teller.stdout is not None
        told = 0
        while told < 20:
            told = int(teller.stdout.readline())
        teller.send_signal(signal.SIGKILL)
        told = max([told, *map(int, teller.stdout.read().split())])
    ledger = unit.open()
    recorder = Recorder(ledger)
    taken = unit.spool.take(recorder.take, ledger.make_durable)
    ledger.close()
    assert told <= taken <= told + 1
    bodies = [decode(e).body for e in LedgerFolder(unit.path).tail(0)]
    assert sum(isinstance(b, Login) for b in bodies) == taken
    assert [b.what for b in bodies if isinstance(b, Trigger)][:1] == ["repeated_logins"]


def test_a_full_disk_keeps_nobody_out_and_is_counted(unit: Unit) -> None:
    unit.spool.path.parent.mkdir(exist_ok=True)
    unit.spool.path.write_text("in the way")
    unit.reporter.login("anna", way="serial", factors=2)
    with pytest.raises(AuditError):
        unit.reporter.shown(ASKED, 1)
    unit.spool.path.unlink()
    unit.reporter.login("anna", way="serial", factors=2)
    tail = [decode(e).body for e in LedgerFolder(unit.path).tail(0)]
    assert [b.lost for b in tail if isinstance(b, StorageFault)] == [2]
    verdict = verify(LedgerFolder(unit.path), Question(unit.identity.keys))
    assert [f.code for f in verdict.findings] == ["ledger.lost"]


def test_masks_that_nobody_put_in_force_are_an_alarm(unit: Unit) -> None:
    alarms: list[Trigger] = []
    ledger = unit.open()
    recorder = Recorder(ledger, alarm=alarms.append)
    recorder.begin(boot())
    recorder.masks_in_force(DIGEST)
    other = DIGEST[::-1]
    recorder.mask_changed(MasksChanged(DIGEST, other, 1, 0, narrowed=False), By("anna"))
    recorder.masks_in_force(other)
    recorder.tick()
    assert not alarms
    recorder.masks_in_force("")
    assert recorder._unexplained is not None
    recorder._unexplained = (recorder._unexplained[0], time.monotonic() - 60)
    recorder.tick()
    recorder.tick()
    assert [a.file for a in alarms] == ["masks"]
    recorder.end(Stop(reason="asked"))
    changes = [b for b in unit.bodies() if isinstance(b, MaskChange)]
    assert [(c.by, c.new[:4]) for c in changes] == [("anna", other[:4]), ("nobody", "0000")]


def test_views_and_self_tests_are_told_once_each(unit: Unit) -> None:
    ledger = unit.open()
    recorder = Recorder(ledger)
    recorder.begin(boot())
    for view, test, finding in (
        ("unchecked", "pending ", ""),
        ("confirmed", "passed 1", ""),
        ("confirmed", "passed 1", ""),
        ("moved", "passed 1", ""),
        ("moved", "passed 2", ""),
        ("confirmed", "failed 3", "read_behind_the_mask"),
    ):
        recorder.guarded(view=view, self_test=test, finding=finding)
    recorder.end(Stop(reason="asked"))
    bodies = unit.bodies()
    assert [b.state for b in bodies if b.kind == "drift"] == ["stopped", "resumed"]
    tests = [b for b in bodies if isinstance(b, SelfTest)]
    assert [b.passed for b in tests] == [True, True, False]
    assert tests[2].failed == ("exclusion.self_test.read_behind_the_mask",)


def test_other_software_than_at_the_start_before_is_an_update(unit: Unit) -> None:
    first = unit.open()
    Recorder(first).begin(boot())
    first.close(Stop(reason="asked"))
    second = unit.open()
    Recorder(second).begin(boot(2).model_copy(update={"software": "alpr-edge 0.2.0"}))
    second.close(Stop(reason="asked"))
    updates = [b for b in unit.bodies() if isinstance(b, Update)]
    assert [(u.outcome, u.old, u.new) for u in updates] == [
        ("installed", "alpr-edge 0.1.0", "alpr-edge 0.2.0")
    ]


def test_the_mac_of_a_plate_tells_nobody_else_anything() -> None:
    key, other = PrivateKey.generate(), PrivateKey.generate()
    assert plate_mac(key, "7abc 123") == plate_mac(key, "7ABC123")
    assert plate_mac(key, "7ABC123") != plate_mac(key, "7ABC124")
    assert plate_mac(key, "7ABC123") != plate_mac(other, "7ABC123")


def test_keys_of_the_city_that_come_and_go_are_on_record(unit: Unit, tmp_path: Path) -> None:
    old, new = PrivateKey.generate().public, PrivateKey.generate().public
    names = {
        hashlib.sha256(key.raw).hexdigest(): name for key, name in ((old, "old"), (new, "new"))
    }
    for keys in ((old,), (old,), (old, new), (new,), (new,)):
        tell_city_keys(keys, unit.path, unit.reporter)
    changes = [b for b in unit.bodies() if isinstance(b, KeyChange)]
    assert [(b.act, names[b.digest]) for b in changes] == [
        ("added", "old"),
        ("added", "new"),
        ("revoked", "old"),
    ]
    assert {b.key for b in changes} == {"city"}
