"""Port: what the unit behind the console can do. Pure; `unit.Unit` is real, `memory_unit` the fake.

Text and machine channel both use it, after `access.check(user, "name_of_the_method")`.

Rules:
- Documents are JSON: text, numbers, booleans, lists, objects. None of them holds a plate or a
  picture, save `reads` and `still`.
- Every method may raise `AlprEdgeError`; `NOT_HERE` is the code of what this unit cannot do.
- Masks go in force by `commit_record` and `confirm_masks` only: `authority`, and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Protocol

from alpr_edge.console.settings import LinkSettings
from alpr_edge.zone_set import ZoneSet

Document = dict[str, Any]
NOT_HERE: Final = "console.not_available"
KEPT: Final = ""
NO_VIEW: Final = "none"
"""A record names the reference view that the last one named; or none; else it is a digest."""


class Parcel(StrEnum):
    """What the machine channel carries to and from a unit as a whole file."""

    MASKS = "masks"
    """Pull: the newest signed record. Push: a signed record, committed as `commit_record`."""
    REGISTER = "register"
    """The register of protected premises, signed by the city."""
    CONFIG = "config"
    """The configuration; a push needs the city's signature where the unit asks for one."""
    LOG = "log"
    """Pull only: the ledger, as `alpr-edge ledger export` writes it. Holds no plate."""
    UPDATE = "update"
    """Push only: other software."""


REASONED: Final = frozenset(
    {
        ("pull", Parcel.LOG),
        ("push", Parcel.REGISTER),
        ("push", Parcel.CONFIG),
        ("push", Parcel.UPDATE),
    }
)
"""What takes a reason, for the ledger. A mask record has its own."""
LEAST_REASON: Final = 8


@dataclass(frozen=True, slots=True)
class MasksInForce:
    """What is protected now.

    Attributes:
        zones: the union of all records in force; None: everything is protected, nothing is read.
        frame_px: width and height that the newest record was made for.
        number, digest: of the newest record in force; 0 and "" without one.
        highest: the highest number that was ever here; the next record has one more.
        records: how many are in force together.
        confirm_before: the newest waits for confirmation until then.
        trouble: why the store cannot be used.
    """

    zones: ZoneSet | None
    frame_px: tuple[int, int] | None = None
    reference: str | None = None
    number: int = 0
    digest: str = ""
    highest: int = 0
    records: int = 0
    confirm_before: datetime | None = None
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class Preview:
    """What putting a set of masks in force would do.

    Attributes:
        narrowings: what would no longer be protected, one phrase each; empty: one person is enough.
        core_share, band_share: parts of the frame that are blanked, and that taint (0..1).
    """

    narrowings: tuple[str, ...]
    core_added_px: int
    core_removed_px: int
    band_added_px: int
    band_removed_px: int
    core_share: float
    band_share: float


@dataclass(frozen=True, slots=True)
class Committed:
    """What a commit did.

    Attributes:
        authority: `one_person`, `two_people` or `city`.
        confirm_before: old and new protect together until it is confirmed, by then; None: the new
            one alone is in force.
    """

    number: int
    digest: str
    authority: str
    narrowings: tuple[str, ...]
    confirm_before: datetime | None


@dataclass(frozen=True, slots=True)
class Still:
    """A picture that may leave the unit: masked before anything else.

    Attributes:
        jpeg: its file.
        mask_digest: names the masks that blanked it.
        plates_blurred: False only where a supervisor gave a reason.
    """

    jpeg: bytes
    width_px: int
    height_px: int
    taken_at: str
    mask_digest: str
    plates_blurred: bool


class DeviceAccess(Protocol):
    """What a unit can do for a person who is logged in."""

    # --- looking -----------------------------------------------------------------------------

    def about(self) -> Document:
        """Unit, site, camera, software, digests of configuration and models."""
        ...

    def status(self) -> Document:
        """Whether it reads, and why not."""
        ...

    def health(self) -> Document:
        """As on the state topic: queue, disk, temperature, link."""
        ...

    def masks(self) -> MasksInForce:
        """What is protected now."""
        ...

    def mask_history(self) -> list[Document]:
        """Every record that was ever committed, oldest first."""
        ...

    def record_zones(self, number: int) -> ZoneSet:
        """The zones of an earlier record."""
        ...

    def reference(self, columns: int = 0) -> Document:
        """The reference view, and whether the view still is the one.

        Args:
            columns: width of a drawing of its edges; 0: without one.
        """
        ...

    def calibration(self) -> Document:
        """The calibration: position, height, direction and how well each is known."""
        ...

    def premises(self) -> Document:
        """The register, and the protected premises that are near."""
        ...

    def placement(self) -> Document:
        """The verdict of the placement check."""
        ...

    def network(self) -> Document:
        """Addresses and links of the unit."""
        ...

    def mqtt(self) -> Document:
        """Where reads go, and whether it is reached. No secret."""
        ...

    def certificates(self) -> Document:
        """Certificates of the broker link: subject, issuer, validity, digest."""
        ...

    def models(self) -> Document:
        """The models that are loaded, and whether they are the listed ones."""
        ...

    def self_test(self) -> Document:
        """The latest result."""
        ...

    def ledger_head(self) -> Document:
        """The ledger's latest signed checkpoint."""
        ...

    # --- masks -------------------------------------------------------------------------------

    def preview(self, zones: ZoneSet, view: str = KEPT) -> Preview:
        """What putting these in force would do to what is in force.

        Args:
            view: the reference view that the record would name: `KEPT`, `NO_VIEW`, or a digest.
        """
        ...

    def draft(
        self, zones: ZoneSet, authors: Sequence[str], reason: str, view: str = KEPT
    ) -> Document:
        """The payload of the next mask record, to be signed as `DocumentType.MASK_RECORD`."""
        ...

    def commit_record(self, envelope: bytes, minutes: float) -> Committed:
        """Put a signed record in force as the rules of `authority` allow.

        Args:
            minutes: how long a record that narrows may wait for its confirmation.

        Raises:
            TrustError: nothing has changed.
        """
        ...

    def confirm_masks(self) -> MasksInForce:
        """Confirm the pending record: it alone is in force."""
        ...

    # --- acts --------------------------------------------------------------------------------

    def run_self_test(self) -> Document:
        """Have one run with the next frames."""
        ...

    def test_mqtt(
        self, signed: Mapping[str, str | int] | None = None, *, who: str = ""
    ) -> Document:
        """Reach the broker now: name, connection, certificate, login.

        Args:
            signed: the one that a request with these settings names, instead. On the ledger; it
                gets no name and password unless it is the broker in force.
        """
        ...

    def link_settings(self) -> LinkSettings | None:
        """What was set for the network link here; None: nothing."""
        ...

    def set_link(self, settings: LinkSettings, *, who: str) -> Document:
        """Set the network link.

        Raises:
            ConsoleError: `console.network.not_allowed` or `.invalid`.
        """
        ...

    def requested(self, signed: Mapping[str, str | int], *, who: str = "") -> bytes:
        """The configuration with some keys (`table.key`) changed, for the city to sign.

        Args:
            who: gets it, which goes to the ledger; empty: nobody, it is only judged.

        Raises:
            ConfigError: it would not be sound.
        """
        ...

    def take_reference(self, seconds: float = 60.0) -> Document:
        """Begin to take a reference view; `reference` tells how it goes, and its digest.

        It counts when a mask record that names it is in force, from the next start on.
        """
        ...

    def save_calibration(self, answers: Sequence[tuple[str, str]]) -> Document:
        """Fit the camera to the answers of a `CalibrationSession` and keep it."""
        ...

    def still(self, width_px: int, *, clear_plates: bool, reason: str, who: str) -> Still:
        """The view now: masked, at most so wide, plates blurred unless a reason is given.

        That it was given out, or asked for in vain, is on the ledger.

        Raises:
            ExclusionError: no masks are in force, or no frame has come.
        """
        ...

    def reads(self, count: int, *, reason: str, who: str) -> list[Document]:
        """Released reads that wait on the unit, newest last. On the ledger before they show."""
        ...

    def pull(self, what: Parcel, *, who: str = "", reason: str = "") -> bytes:
        """A whole file of the unit. On the ledger; `REASONED` says what takes a reason."""
        ...

    def push(
        self,
        what: Parcel,
        data: bytes,
        signature: bytes | None = None,
        *,
        who: str = "",
        reason: str = "",
    ) -> Document:
        """Take a whole file, if it is signed as it must be. On the ledger, also if it is not."""
        ...

    def reboot(self) -> Document:
        """Switch the unit off and on."""
        ...

    def factory_reset(self, who: str) -> Document:
        """Erase every key, user and read; nothing is read until it is set up again."""
        ...

    # --- the record --------------------------------------------------------------------------

    def note_login(self, who: str, outcome: str, factors: int, code: str = "") -> None:
        """A login on the ledger. `outcome`: `granted`, `refused`, `locked` or `ended`."""
        ...
