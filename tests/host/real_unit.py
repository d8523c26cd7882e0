"""A real `alpr-edge run` at the end of a serial line: the street as camera, everything signed."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.console.console_samples import PASSWORD, Login, ring_of, users_of_all_roles
from tests.service.site_samples import SiteUnit, street_premises

from alpr_edge.delivery.clocks import SetClocks
from alpr_edge.ledger.entry import Entry
from alpr_edge.ledger.files import LedgerFolder
from alpr_edge.ledger.setup import device_ledger_identity
from alpr_edge.ledger.verify import Question, verify
from alpr_edge.trust.documents import DocumentType
from alpr_edge.trust.envelope import sign, sign_file
from alpr_edge.trust.keyring import Keyring, persons_payload

WITHIN_S = 120.0


class RealUnit:
    """A provisioned unit's folder: signed configuration, register, record, masks and persons."""

    def __init__(self, folder: Path, port: Path) -> None:
        self.folder = folder
        self.site = SiteUnit(
            folder,
            port=1,
            on_stop="idle",
            duration_s=900.0,
            realtime=True,
            site='premises = "premises.json"\ncommissioning = "record.json"\n'
            'camera = "camera.json"\n'
            f'[console]\nport = "{port}"\nbaud = 230400\nfolder = "console"\n',
        )
        logins = users_of_all_roles(folder / "console", SetClocks())
        self.logins = {name: Login(**vars(login)) for name, login in logins.items()}
        people = ring_of(logins).persons
        persons = sign(DocumentType.PERSONS, persons_payload(1, people), self.site.city)
        (folder / "persons.json").write_bytes(persons)
        register = self.site.register(street_premises())
        self.site.calibrated()
        self.site.masks()
        self.site.commission(register)
        self.config = self._config()

    def _config(self) -> Path:
        path = self.site.config
        text = path.read_text()
        for old, new in (
            ("fps = 8.0", "fps = 4.0\n            vehicles = 12"),
            ('city_keys = "city-keys"', 'city_keys = "city-keys"\npersons = "persons.json"'),
            ('on_stop = "idle"', 'on_stop = "idle"\nthreads = 1'),
        ):
            assert old in text
            text = text.replace(old, new)
        path.write_text(text)
        signature = sign_file(DocumentType.CONFIG, text.encode(), self.site.city, number=1)
        Path(f"{path}.sig").write_bytes(signature)
        return path

    def code(self, name: str) -> str:
        """A second factor that was not used: recovery codes are each good once."""
        login = self.logins[name]
        first, *rest = login.recovery
        login.recovery = tuple(rest)
        return first

    def status(self) -> dict[str, Any]:
        """As the service tells it on disk; empty before it does."""
        with contextlib.suppress(OSError, ValueError):
            return dict(json.loads((self.folder / "status.json").read_text()))
        return {}

    def until_phase(self, phase: str) -> None:
        self._until(lambda: self.status().get("phase") == phase)

    def until_tested(self) -> None:
        """Until the first self-test has passed: frames have come."""
        self._until(lambda: self.status().get("guards", {}).get("self_test") == "passed")

    def _until(self, holds: Callable[[], bool]) -> None:
        end = time.monotonic() + WITHIN_S
        while not holds():
            assert time.monotonic() < end, self.status()
            time.sleep(0.1)

    def entries(self) -> list[Entry]:
        """The ledger, verified; after the service has ended."""
        found: list[Entry] = []
        identity = device_ledger_identity("unit-1", self.folder / "identity", "file")
        log = LedgerFolder(self.folder / "ledger")
        assert verify(log, Question(identity.keys), visit=found.append).holds
        return found

    @contextlib.contextmanager
    def running(self) -> Iterator[subprocess.Popen[bytes]]:
        """The service; ended in order."""
        with (self.folder / "run.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "alpr_edge", "run", "--config", str(self.config)],
                stdout=log,
                stderr=log,
                env={**os.environ, "PYTHONWARNINGS": "error::ResourceWarning"},
            )
            try:
                yield process
                process.terminate()
                assert process.wait(60) == 0, (
                    process.returncode,
                    (self.folder / "run.log").read_text()[-2000:],
                )
            finally:
                process.kill()
                process.wait()


__all__ = ["PASSWORD", "Keyring", "RealUnit"]
