"""The closed list of what a ledger may say. Pure.

One frozen model a kind; unknown kinds and fields are refused, nothing is converted. Every field has
a type of `fields`, none of which can hold a plate. A kind or field once shipped keeps its meaning;
new ones are added at the end of a model with a default.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from alpr_edge.ledger.fields import (
    NOBODY,
    Code,
    Count,
    Digest,
    EventId,
    Host,
    Milliseconds,
    Person,
    Prose,
    Reasons,
    Setting,
    Time,
    Version,
)


class Body(BaseModel):
    """What all kinds share."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)


Settings = Annotated[tuple[Setting, ...], Field(max_length=64, strict=False)]
Digests = Annotated[tuple[Digest, ...], Field(max_length=64, strict=False)]


class Boot(Body):
    """The service began."""

    kind: Literal["boot"] = "boot"
    count: Count
    software: Version
    config: Digest
    mask: Digest
    models: Digests
    clean: bool
    """Whether the run before had ended in order."""
    register_digest: Digest | None = None
    commissioning: Digest | None = None
    key: Digest | None = None
    """SHA-256 of the device's public key."""


class Stop(Body):
    """The service ended in order, or gave up with an error."""

    kind: Literal["stop"] = "stop"
    reason: Literal["asked", "source_ended", "error"]
    code: Code | None = None


class ConfigChange(Body):
    """The configuration is another one."""

    kind: Literal["config_change"] = "config_change"
    old: Digest
    new: Digest
    settings: Settings = ()
    """Which keys differ; their values are in the configuration itself."""
    by: Person = NOBODY
    second: Person = NOBODY
    reason: Prose = ""


class MaskChange(Body):
    """The mask record is another one."""

    kind: Literal["mask_change"] = "mask_change"
    old: Digest
    new: Digest
    added: Count
    """Polygons, bands and lines that are new."""
    removed: Count
    narrowed: bool | None
    """Whether ground may become readable that was not, as it was judged: masks, reference view and
    frame size. None where that is not known, or nothing was ever in force."""
    by: Person = NOBODY
    second: Person = NOBODY
    order: Digest | None = None
    """Digest of the record, where the city signed it."""
    reason: Prose = ""
    added_px: Count = 0
    removed_px: Count = 0
    """Pixels of the frame that are blanked now, and that are no longer."""
    number: Count = 0
    """Of the mask record; 0 where none did it."""
    polygon: Count = 0
    """Highest number of a polygon that the city ever added by a command."""
    view_old: Digest | None = None
    view_new: Digest | None = None
    """SHA-256 of the reference view that the masks are bound to, before and after."""
    other_frame: bool = False
    """Made for another frame size: the same masks cover other ground."""
    waits: bool = False
    """Old and new masks are in force together until it is confirmed."""
    repair: bool = False
    """What was in force before was damaged, so nobody can say what this uncovers."""


class Commissioning(Body):
    """Someone stated what the camera sees."""

    kind: Literal["commissioning"] = "commissioning"
    record: Digest
    mask: Digest
    by: Person
    second: Person = NOBODY
    reason: Prose = ""
    old: Digest | None = None
    """The record before this one; None where there was none."""
    in_force: bool = True
    """Whether the device goes by it; else it was only made there."""


class SelfTest(Body):
    """A self-test ended."""

    kind: Literal["self_test"] = "self_test"
    passed: bool
    checks: Count
    failed: Annotated[tuple[Code, ...], Field(max_length=32, strict=False)] = ()


class Drift(Body):
    """The view shifted, and reading stopped; or it is allowed again."""

    kind: Literal["drift"] = "drift"
    state: Literal["stopped", "resumed"]
    code: Code | None = None
    by: Person = NOBODY


class Hour(Body):
    """One whole hour since the start of the run: what was seen, what left, what was held back.

    The suppressions are upper bounds, powers of two from eight on: no count tells of one visit.
    """

    kind: Literal["hour"] = "hour"
    begin: Time
    seconds: Count
    """How much of the hour the service ran."""
    frames: Count
    failed_frames: Count
    published: Count
    delivered: Count
    suppressed_at_most: Reasons


class LinkUp(Body):
    """The broker is there."""

    kind: Literal["link_up"] = "link_up"
    destination: Host
    port: Count
    certificate: Digest | None = None
    protocol: Literal["MQTT 5", "MQTT 3.1.1", ""] = ""


class LinkDown(Body):
    """The broker is gone."""

    kind: Literal["link_down"] = "link_down"
    destination: Host
    port: Count
    code: Code | None = None


class Login(Body):
    """Someone logged in, or did not get in."""

    kind: Literal["login"] = "login"
    who: Person
    outcome: Literal["granted", "refused", "locked", "ended"]
    way: Literal["serial", "network", "local"]
    factors: Count = 0
    code: Code | None = None


class Access(Body):
    """Someone looked at reads or took them away (California Civil Code 1798.90.52).

    The plate that was searched for is not here: `plate_mac` is its HMAC under a key that only the
    device has, so that the question "was this plate searched for?" can be answered, and no other.
    """

    kind: Literal["access"] = "access"
    act: Literal["show", "export"]
    query: Literal["time_range", "event_ids", "plate", "all"]
    begin: Time | None = None
    end: Time | None = None
    plate_mac: Digest | None = None
    who: Person
    organisation: Prose
    purpose: Prose
    count: Count
    first: EventId | None = None
    last: EventId | None = None


class Egress(Body):
    """Reads are about to be sent: written, and synced to disk, before the first of them goes."""

    kind: Literal["egress"] = "egress"
    count: Count
    first: EventId
    last: EventId
    destination: Host
    port: Count
    certificate: Digest | None = None
    """SHA-256 of the broker's certificate; without one the link was not encrypted."""
    repeated: Count = 0
    """How many of them had been sent before in this run, without an answer."""


class Retention(Body):
    """Reads were deleted on the device. Deletions after delivery stand in the hour's total."""

    kind: Literal["retention"] = "retention"
    reason: Literal["expired", "overflow", "unreadable", "damaged", "not_stored", "erased"]
    count: Count


class Update(Body):
    """Someone tried to install other software."""

    kind: Literal["update"] = "update"
    outcome: Literal["installed", "refused", "rolled_back", "confirmed"]
    bundle: Digest | None = None
    old: Version | None = None
    new: Version | None = None
    code: Code | None = None


class TimeCorrection(Body):
    """The clock was set."""

    kind: Literal["time_correction"] = "time_correction"
    before: Time
    after: Time
    step_ms: Milliseconds
    source: Literal["ntp", "gnss", "rtc", "manual", "unknown", "ptp"]


class StorageFault(Body):
    """Something on disk could not be written or read."""

    kind: Literal["storage_fault"] = "storage_fault"
    what: Literal["outbox", "ledger", "config", "masks", "models", "keys"]
    code: Code
    lost: Count = 0
    first: Count = 0
    end: Count = 0
    """The entries concerned, `[first, end)`, where it is the ledger."""


class Trigger(Body):
    """Something that may mean a disclosure; raised as an alarm as well."""

    kind: Literal["trigger"] = "trigger"
    what: Literal[
        "unknown_authority",
        "tls_clients_failed",
        "repeated_logins",
        "case_opened",
        "file_changed",
        "listener_unexpected",
        "certificate_changed",
        "ledger_behind",
        "witness_unverified",
    ]
    count: Count = 1
    file: Literal["config", "masks", "models", "software", "keys", "certificates", ""] = ""
    old: Digest | None = None
    new: Digest | None = None
    port: Count = 0


class KeyChange(Body):
    """A key was made, replaced or revoked."""

    kind: Literal["key_change"] = "key_change"
    key: Literal["device", "city", "vendor", "broker", "outbox"]
    act: Literal["made", "added", "rotated", "revoked"]
    digest: Digest
    by: Person = NOBODY
    sealed: bool | None = None
    """Whether a TPM holds it; None where that does not apply."""


class ModelCheck(Body):
    """The models' manifest was checked."""

    kind: Literal["model_check"] = "model_check"
    manifest: Digest
    outcome: Literal["signed", "unsigned", "refused"]
    signer: Digest | None = None
    code: Code | None = None


class SoftwareScan(Body):
    """Installed packages and files were compared with the list of face and biometric software."""

    kind: Literal["software_scan"] = "software_scan"
    sbom: Digest
    rules: Digest
    components: Count
    findings: Count
    unlisted: Count = 0
    """Networks that lie here and that the models' manifest does not name."""
    missed: Count = 0
    """Places that could not be looked at; with any, no finding is no proof."""


class Attested(Body):
    """A signed statement about the device was published."""

    kind: Literal["attested"] = "attested"
    digest: Digest


class Reported(Body):
    """Someone made a report or a memo from this ledger, on the device."""

    kind: Literal["reported"] = "reported"
    what: Literal["report", "memo", "export"]
    who: Person
    begin: Time | None = None
    end: Time | None = None


class FileMoved(Body):
    """A whole file was fetched from the device over the console, brought to it, or refused.

    `pulled`: it was given out; whether it arrived, nobody knows. `asked`: it was not given out
    (`code` says why; the digest is that of nothing). `tried`: the broker that a request names (a
    configuration that nobody signed) was reached.
    """

    kind: Literal["file_moved"] = "file_moved"
    act: Literal["pulled", "pushed", "refused", "tried", "asked"]
    what: Literal["masks", "register", "config", "log", "update", "request", "picture"]
    digest: Digest
    """SHA-256 of the file as it went over the cable."""
    who: Person
    reason: Prose = ""
    code: Code | None = None
    """Why it was refused."""


class Visit(Body):
    """Another process wrote while the service did not run; what follows is what it had to tell."""

    kind: Literal["visit"] = "visit"
    who: Literal["console", "command", "installer"]


class StartFailed(Body):
    """A start of the service that did not come as far as the entry `boot`."""

    kind: Literal["start_failed"] = "start_failed"
    stage: Literal["configuration", "device", "broke_off"]
    """What it failed at; `broke_off`: it ended without a word (a kill, a power cut, a defect)."""
    code: Code | None = None
    config: Digest | None = None
    """SHA-256 of the configuration's file, where there was one."""
    count: Count = 1
    """So many starts failed alike; the time is the last one's."""


class Witnessed(Body):
    """A witness cosigned a checkpoint of this ledger, verified here; or none does any more."""

    kind: Literal["witnessed"] = "witnessed"
    state: Literal["cosigned", "missing"]
    size: Count
    """How many entries are cosigned."""
    witness: Host | None = None
    at: Time | None = None
    """By the witness's clock."""


class Recovered(Body):
    """The ledger's end was torn (a crash, a power cut) and was cut back to the last whole entry."""

    kind: Literal["recovered"] = "recovered"
    size: Count
    torn_bytes: Count


class Restarted(Body):
    """The ledger before this one is damaged. It is kept; this one begins anew."""

    kind: Literal["restarted"] = "restarted"
    code: Code
    size_signed: Count
    """How many entries its last checkpoint speaks of."""
    good_size: Count
    """How many of them a signed checkpoint still proves."""
    good_root: Digest
    damaged_from: Count
    damaged_to: Count


class Lost(Body):
    """Entries that could be neither written nor kept."""

    kind: Literal["lost"] = "lost"
    count: Count
    code: Code


AnyBody = Annotated[
    Boot
    | Stop
    | ConfigChange
    | MaskChange
    | Commissioning
    | SelfTest
    | Drift
    | Hour
    | LinkUp
    | LinkDown
    | Login
    | Access
    | Egress
    | Retention
    | Update
    | TimeCorrection
    | StorageFault
    | Trigger
    | KeyChange
    | ModelCheck
    | SoftwareScan
    | Attested
    | Reported
    | FileMoved
    | Visit
    | StartFailed
    | Witnessed
    | Recovered
    | Restarted
    | Lost,
    Field(discriminator="kind"),
]
KINDS: tuple[type[Body], ...] = (
    *(Boot, Stop, ConfigChange, MaskChange, Commissioning, SelfTest, Drift, Hour),
    *(LinkUp, LinkDown, Login, Access, Egress, Retention, Update, TimeCorrection),
    *(StorageFault, Trigger, KeyChange, ModelCheck, SoftwareScan, Attested, Reported),
    *(FileMoved, Visit, StartFailed, Witnessed, Recovered, Restarted, Lost),
)
