"""From off to running, the way a unit goes in the city.

off → booted → provisioned → commissioned → running. A state that could not be reached breaks the
strategy: it stays broken, and every test after it says so, instead of going on with a unit of which
nobody knows how it is.
"""

from __future__ import annotations

import enum
import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import attr
from hil_tests.bench.city import Broker, City, Places
from hil_tests.bench.dialogue import Person
from hil_tests.bench.drivers import AlprConsoleDriver, BrokerLink, MaintenanceProtocol
from hil_tests.bench.verdict import BenchError, wrong_device
from labgrid import target_factory
from labgrid.protocol import PowerProtocol
from labgrid.strategy import Strategy
from labgrid.strategy.common import never_retry


class Status(enum.Enum):
    """How far the unit is; in this order."""

    unknown = 0
    off = 1
    booted = 2
    provisioned = 3
    commissioned = 4
    running = 5


@target_factory.reg_driver
@attr.s(eq=False)
class AlprUnitStrategy(Strategy):
    """See the module's docstring.

    Args:
        unit: the id that the unit gets and must then answer to.
        patience: how many times longer than a real unit this one may take.
    """

    bindings: ClassVar[dict[str, Any]] = {
        "power": PowerProtocol,
        "maintenance": MaintenanceProtocol,
        "alpr": AlprConsoleDriver,
        "link": BrokerLink,
    }
    unit = attr.ib(default="bench-0001", validator=attr.validators.instance_of(str))
    patience = attr.ib(default=1.0, validator=attr.validators.instance_of(float))
    run_folder = attr.ib(default="out/hil", validator=attr.validators.instance_of(str))

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        self.status = Status.unknown
        self.city: City | None = None
        self.broker: Broker | None = None
        self.timings: dict[str, float] = {}
        self.people = {
            "sam": Person("sam", "correct horse battery"),
            "anna": Person("anna", "staple granite willow"),
        }
        self._is_provisioned = self._is_commissioned = False
        self._number = 1

    # --- what the tests use ------------------------------------------------------------------

    @property
    def folder(self) -> Path:
        """The run's."""
        return Path(self.run_folder)

    @property
    def street(self) -> Path:
        """Where the scenario's picture and truth lie."""
        return self.folder / "street"

    @property
    def places(self) -> Places:
        """Where things lie on the unit, the link's port included."""
        assert self.link.link is not None
        return replace(self.maintenance.places(), port=self.link.link.port)

    @property
    def config(self) -> str:
        """The unit's configuration file."""
        return f"{self.maintenance.places().etc}/device.toml"

    def status_now(self) -> dict[str, Any]:
        """What the service last told of itself; empty: nothing yet."""
        found = self.maintenance.run(f"cat {self.maintenance.places().run}/status.json")
        try:
            return dict(json.loads(found.text)) if found.status == 0 else {}
        except ValueError:
            return {}

    def reconfigure(self, **changes: str) -> None:
        """Another configuration of the city (fields of `Places`), and a new start with it."""
        assert self.city is not None
        self._number += 1
        files = self.city.configure(replace(self.places, **changes), self._number)
        self.maintenance.service("stop")
        for name in sorted(files, reverse=True):
            self.maintenance.put(f"{self.maintenance.places().etc}/{name}", files[name])
        self.maintenance.service("start")

    def wait_for(self, what: str | Callable[[], str], is_so: Any, timeout_s: float) -> float:
        """Poll until it is so.

        Args:
            what: is waited for; a function: asked when it did not come, to say how far it is.

        Returns:
            Seconds waited.

        Raises:
            BenchError: `bench.late`: it is not, within the time times the unit's patience.
        """
        began = time.monotonic()
        while time.monotonic() - began < timeout_s * self.patience:
            if is_so():
                return time.monotonic() - began
            time.sleep(0.25 * min(4.0, self.patience))
        what = what() if callable(what) else what
        told = {k: v for k, v in self.status_now().items() if k in ("phase", "stops", "guards")}
        raise BenchError(
            f"{what}: not within {timeout_s * self.patience:.0f} s; the unit says {told}"[:500],
            code="bench.late",
            hint="the unit's log says more",
        )

    def alpr_says(self, line: str) -> str:
        """What a technician reads on the console."""
        self.alpr.dialogue.be(self.people["anna"])
        return str(self.alpr.dialogue.command(line))

    def reads_now(self) -> bool:
        """Whether the service looks at frames and may read."""
        state = self.status_now()
        return state.get("phase") == "reading" and bool(state.get("guards", {}).get("may_read"))

    # --- states ------------------------------------------------------------------------------

    @never_retry
    def transition(self, status: Status | str) -> None:
        """Bring the unit there.

        Raises:
            StrategyError: it could not be brought there, now or earlier.
        """
        goal = status if isinstance(status, Status) else Status[status]
        if goal is Status.unknown:
            raise BenchError("no way leads to unknown", code="bench.state", hint="off, …, running")
        if goal is Status.off or self.status is Status.unknown:
            self._to_off()
        steps = (self._to_booted, self._to_provisioned, self._to_commissioned, self._to_running)
        for reached, step in zip(list(Status)[2:], steps, strict=True):
            if self.status.value < reached.value <= goal.value:
                began = time.monotonic()
                step()
                self.timings.setdefault(reached.name, time.monotonic() - began)
                self.status = reached

    def _to_off(self) -> None:
        for driver in (self.power, self.maintenance, self.link):
            self.target.activate(driver)
        self.power.off()
        self.status = Status.off

    def _to_booted(self) -> None:
        self.power.on()
        self.target.activate(self.alpr)
        self.maintenance.wait_ready(60 * self.patience)

    def _to_provisioned(self) -> None:
        if self._is_provisioned:
            return
        assert self.city is not None
        assert self.broker is not None
        if self.link.link is None:
            self.link.open(self.broker.port)
        tar = self.folder / "provision.tar"
        videos = [self.street / name for name in ("street.avi", "moved.avi")]
        self.city.provision(self.places, videos, tar)
        self.maintenance.unpack(tar)
        self.maintenance.service("restart")
        self._is_provisioned = True

    def _to_commissioned(self) -> None:
        """As in the field: over the serial line, by two persons whose keys the unit made."""
        if self._is_commissioned:
            return
        assert self.city is not None
        talk = self.alpr.dialogue
        talk.wake(timeout_s=60 * self.patience)
        if talk.identity() != self.unit:
            raise wrong_device(self.unit, talk.identity())
        sam, anna = self.people["sam"], self.people["anna"]
        talk.make_first_user(sam)
        word = talk.command("user add anna technician").rsplit(" ", 1)[-1].strip()
        talk.command("user add lou viewer")  # whom the tests lock out
        talk.first_login(anna, word)
        persons = self.city.list_console_users(
            {"anna": ("technician", anna.key), "sam": ("supervisor", sam.key)}
        )
        self.maintenance.put(f"{self.maintenance.places().etc}/persons.json", persons)
        # Raw lines: the prompt of configure mode is one of the two that `command` waits for.
        talk.command("configure")
        masks = json.loads((self.street / "masks.json").read_text())["masks"]
        for mask in masks:
            points = " ".join(f"{x:.5f},{y:.5f}" for x, y in mask["polygon"])
            said = talk.command(f"add mask {mask['name']} points {points}")
            if "console." in said:
                raise BenchError(f"a mask was refused: {said}", code="bench.masks", hint="")
        said = self.commit("first", second=sam)
        if "in force" not in said:
            raise BenchError(f"the masks were refused: {said}", code="bench.masks", hint="")
        talk.command("exit")
        self._is_commissioned = True

    def commit(self, reason: str, *, second: Person | None = None) -> str:
        """In configure mode, as anna: sign the candidate and put it in force."""
        from hil_tests.bench.dialogue import any_code

        answers = [self.people["anna"].password]
        if second is not None:
            answers = [second.name, *answers, second.password, any_code(second)]
        return str(self.alpr.dialogue.answers(f"commit reason {reason}", answers))

    def _to_running(self) -> None:
        self.wait_for("reading", self.reads_now, 60)
