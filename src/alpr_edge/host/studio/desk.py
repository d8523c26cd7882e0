"""Edge: one unit at one cable, for the page: connection, login, picture, masks, progress.

Rules:
- One thing at a time goes over the cable; the rest waits its turn.
- While nobody asks anything the unit is asked now and then, so that the channel stays open and an
  unplugged cable is seen; that does not keep the unit's door open (`auto`).
- After a break the cable is tried again by itself; who was logged in is out, as the unit has it.
- Passwords and codes are passed on and not kept.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from alpr_edge.config.mask_file import parse_masks
from alpr_edge.errors import AlprEdgeError, ConsoleError
from alpr_edge.exclusion.premises import Site
from alpr_edge.exclusion.register_file import parse_register
from alpr_edge.host.link import UnitError
from alpr_edge.host.moving import Left, fetch
from alpr_edge.host.studio.ground import ground, masks_from_map, placement
from alpr_edge.host.unit import Person, RemoteUnit
from alpr_edge.host.visit import Visit, open_link
from alpr_edge.host.wire import LinkLost
from alpr_edge.trust.documents import DocumentType
from alpr_edge.trust.envelope import canonical, read_unverified
from alpr_edge.zone_set import ZoneSet

_POLL_S: Final = 4.0
_AGAIN_S: Final = 1.0
STILL_WIDTH: Final = 640
NOT_HERE: Final = "console.not_available"
"""Source: `console.device.NOT_HERE`, what a unit says that has no such thing."""


@dataclass(slots=True)
class Moving:
    """What is on its way over the cable."""

    what: str
    left: Left
    done: int = 0
    total: int = 0

    def values(self) -> dict[str, Any]:
        """For the progress bar; seconds left at the real rate of the line."""
        left = self.left.seconds(self.done, self.total) if self.total else None
        return {
            "what": self.what,
            "done": self.done,
            "total": self.total,
            "left_s": None if left is None else round(left, 1),
        }


@dataclass(slots=True)
class Known:
    """What the unit said last."""

    about: dict[str, Any] = field(default_factory=dict)
    status: dict[str, Any] = field(default_factory=dict)
    masks: dict[str, Any] | None = None
    still: bytes = b""
    still_about: dict[str, Any] = field(default_factory=dict)
    sites: tuple[Site, ...] = ()


class StudioDesk:
    """See the module's docstring. Safe from several threads.

    Args:
        sites: of a register on the laptop; without it the unit's own is fetched on demand.
    """

    def __init__(self, visit: Visit, sites: tuple[Site, ...] = ()) -> None:
        self._visit = visit
        self._line = threading.RLock()
        self._unit: RemoteUnit | None = None
        self._person: Person | None = None
        self._moving: Moving | None = None
        self._known = Known(sites=sites)
        self._deadline_s: float | None = None
        self._trouble = "not connected yet"
        self._over = threading.Event()
        self._keeper = threading.Thread(target=self._keep, name="studio", daemon=True)
        self._keeper.start()

    def close(self) -> None:
        """End, and give the wire back to the text."""
        self._over.set()
        self._keeper.join()
        with self._line:
            if self._unit is not None:
                self._unit.link.bye()
                self._unit.link.close()
                self._unit = None

    # --- what the page asks ------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """Everything that is shown all the time. Does not wait for the cable."""
        person, moving, deadline = self._person, self._moving, self._deadline_s
        return {
            "connected": self._unit is not None,
            "trouble": self._trouble,
            "port": self._visit.port,
            "baud": self._visit.baud,
            "person": None if person is None else {"name": person.name, "level": person.level},
            "moving": None if moving is None else moving.values(),
            "about": self._known.about,
            "status": self._known.status,
            "masks": self._known.masks,
            "still": self._known.still_about,
            "confirm_left_s": None if deadline is None else max(0.0, deadline - time.monotonic()),
        }

    def login(self, name: str, password: str, code: str) -> dict[str, Any]:
        """Log in on the unit, and look round."""
        with self._use() as unit:
            self._person = None
            self._person = unit.login(name, password, code)
            self._known.about = unit.call("about")
            self._known.status = unit.call("status")
            self._load_masks(unit)
        return self.state()

    def logout(self) -> dict[str, Any]:
        """Leave the unit's seat; what was shown is let go."""
        with self._use() as unit:
            unit.logout()
            self._forget()
        return self.state()

    def take_still(self) -> dict[str, Any]:
        """Fetch the masked picture."""
        with self._use() as unit:
            picture = unit.still(STILL_WIDTH, progress=self._progress("picture"))
            self._known.still, self._known.still_about = picture.jpeg, picture.about
        return self.state()

    def still(self) -> bytes:
        """The picture that was fetched last."""
        return self._known.still

    def in_force(self) -> tuple[ZoneSet | None, tuple[int, int]]:
        """Zones and frame that drawings are compared with."""
        masks = self._known.masks or {}
        values, frame = masks.get("zones"), masks.get("frame") or (1920, 1080)
        zones = None if values is None else parse_masks(json.dumps(values), source="the unit")
        return zones, (int(frame[0]), int(frame[1]))

    def commit(self, args: dict[str, Any]) -> dict[str, Any]:
        """Commit what was drawn, or an order of the city."""
        with self._use() as unit:
            done: dict[str, Any] = unit.call(
                "commit_order" if "order" in args else "commit", **args
            )
            self._deadline_s = None
            self._load_masks(unit)
        return done

    def confirm(self) -> dict[str, Any]:
        """Let go of the older masks."""
        with self._use() as unit:
            unit.call("confirm")
            self._load_masks(unit)
        return self.state()

    def call(self, what: str, **args: Any) -> Any:
        """One call of the unit."""
        with self._use() as unit:
            return unit.call(what, **args)

    def map(self) -> dict[str, Any]:
        """The ground: calibration of the unit, and a register."""
        with self._use() as unit:
            self._load_sites(unit)
            return ground(self._camera(unit), self._known.sites)

    def map_masks(self) -> dict[str, Any]:
        """Masks that the map asks for, to begin a drawing with: no picture is needed for them."""
        with self._use() as unit:
            self._load_sites(unit)
            return masks_from_map(self._camera(unit), self._known.sites)

    def placement(self) -> dict[str, Any]:
        """The unit's verdict; of a unit that keeps no register, the laptop's with the one here."""
        with self._use() as unit:
            try:
                found: dict[str, Any] = unit.call("placement")
            except UnitError as err:
                if err.code != NOT_HERE:
                    raise
                self._load_sites(unit)
                found = placement(self._camera(unit), self._known.sites)
        return found

    # --- the cable ---------------------------------------------------------------------------

    @contextlib.contextmanager
    def _use(self) -> Iterator[RemoteUnit]:
        with self._line:
            if self._unit is None:
                raise LinkLost(
                    self._trouble, hint="plug the cable in; the studio goes on by itself"
                )
            try:
                yield self._unit
            except LinkLost as err:
                self._drop(err.message)
                raise
            except ConsoleError as err:
                if err.code == "console.login.needed":
                    self._forget()
                raise
            finally:
                self._moving = None

    def _progress(self, what: str) -> Callable[[int, int], None]:
        self._moving = moving = Moving(what, Left(self._visit.baud))

        def tell(done: int, total: int) -> None:
            moving.done, moving.total = done, total

        return tell

    def _camera(self, unit: RemoteUnit) -> Any:
        found = unit.call("calibration")
        return found.get("calibration", found) if isinstance(found, dict) else None

    def _load_sites(self, unit: RemoteUnit) -> None:
        if self._known.sites:
            return
        try:
            data = fetch(unit.link, unit.pull("register"), progress=self._progress("register"))
        except UnitError as err:
            if err.code != NOT_HERE:
                raise
            raise ConsoleError(
                "this unit keeps no register of premises",
                code="host.studio.register",
                hint="begin the studio with --register FILE",
            ) from err
        self._known.sites = sites_of(data)

    def _load_masks(self, unit: RemoteUnit) -> None:
        self._known.masks = masks = unit.call("masks")
        if masks.get("confirm_before") is None:
            self._deadline_s = None
        elif self._deadline_s is None:
            # Somebody else's, or from before a break: by the unit's clock, not by this one's.
            left_s = seconds_between(unit.call("about").get("time"), masks["confirm_before"])
            self._deadline_s = None if left_s is None else time.monotonic() + left_s

    def _keep(self) -> None:
        while not self._over.wait(_POLL_S if self._unit is not None else _AGAIN_S):
            if not self._line.acquire(blocking=False):
                continue
            try:
                self._look()
            finally:
                self._line.release()

    def _look(self) -> None:
        if self._unit is None:
            try:
                self._unit = RemoteUnit(open_link(self._visit))
                self._trouble = ""
            except ConsoleError as err:
                self._trouble = err.message
            return
        try:
            who = self._unit.link.hello()
            if who.get("name") is None:
                self._forget()
            else:
                self._known.status = self._unit.call("status", auto=True)
        except LinkLost as err:
            self._drop(err.message)
        except AlprEdgeError:
            self._forget()

    def _drop(self, why: str) -> None:
        unit, self._unit = self._unit, None
        self._trouble = why
        self._forget()
        if unit is not None:
            unit.link.close()

    def _forget(self) -> None:
        """Nobody is logged in: the picture is let go, the drawing stays with the page."""
        self._person = None
        self._known = Known(sites=self._known.sites)


def sites_of(data: bytes) -> tuple[Site, ...]:
    """The sites of a register, for drawing only: whether it is signed, the unit has judged."""
    if b'"payloadType"' in data:
        data = canonical(read_unverified(data, DocumentType.REGISTER).payload)
    return parse_register(data, source="the register").sites


def load_sites(path: Path) -> tuple[Site, ...]:
    """The sites of a register on the laptop.

    Raises:
        ConsoleError: `host.file.unreadable`.
        ConfigError: it is none.
    """
    try:
        return sites_of(path.read_bytes())
    except OSError as err:
        raise ConsoleError(
            f"{path} cannot be read: {err.strerror}",
            code="host.file.unreadable",
            hint="check the name",
        ) from err


def seconds_between(now: object, then: object) -> float | None:
    """From one time of the unit's to another; None where it does not say one: an earlier version.

    The page then counts by the laptop's clock.
    """
    try:
        return (
            datetime.fromisoformat(str(then)) - datetime.fromisoformat(str(now))
        ).total_seconds()
    except (ValueError, TypeError):
        return None
