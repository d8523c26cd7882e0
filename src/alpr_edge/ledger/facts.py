"""What the entries of a period say, added up for people. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from alpr_edge.ledger.entry import Entry
from alpr_edge.ledger.kinds import (
    Access,
    Body,
    Boot,
    Commissioning,
    ConfigChange,
    Drift,
    Egress,
    FileMoved,
    Hour,
    KeyChange,
    LinkDown,
    LinkUp,
    Login,
    Lost,
    MaskChange,
    ModelCheck,
    Reported,
    Restarted,
    Retention,
    SelfTest,
    SoftwareScan,
    StartFailed,
    Stop,
    StorageFault,
    TimeCorrection,
    Trigger,
    Update,
    Visit,
    Witnessed,
)
from alpr_edge.types import DropReason


@dataclass(slots=True)
class Day:
    """One day (UTC)."""

    seconds: int = 0
    frames: int = 0
    failed_frames: int = 0
    published: int = 0
    delivered: int = 0

    def add(self, other: Day) -> None:
        """Another day, to make a month."""
        self.seconds += other.seconds
        self.frames += other.frames
        self.failed_frames += other.failed_frames
        self.published += other.published
        self.delivered += other.delivered


@dataclass(slots=True)
class Sent:
    """Reads that left for one destination under one certificate."""

    count: int = 0
    repeated: int = 0
    batches: int = 0
    first_at: str = ""
    last_at: str = ""
    first_id: str = ""
    last_id: str = ""


@dataclass(slots=True)
class Facts:
    """A period of one device.

    Attributes:
        begin, end: the period, as entries write times; empty for no bound.
        boot: the newest start, be it before the period: what it runs.
        listed: entries that are shown one by one, by kind.
    """

    begin: str = ""
    end: str = ""
    entries: int = 0
    boot: Boot | None = None
    boots: int = 0
    unclean: int = 0
    days: dict[str, Day] = field(default_factory=lambda: defaultdict(Day))
    suppressed: Counter[DropReason] = field(default_factory=Counter)
    logins: Counter[str] = field(default_factory=Counter)
    deleted: Counter[str] = field(default_factory=Counter)
    sent: dict[tuple[str, int, str], Sent] = field(default_factory=lambda: defaultdict(Sent))
    listed: dict[str, list[Entry]] = field(default_factory=lambda: defaultdict(list))
    links_down: int = 0
    lost: int = 0

    def add(self, entry: Entry) -> None:
        """Take one entry; one outside the period only tells what runs."""
        if isinstance(entry.body, Boot) and not (self.end and entry.at >= self.end):
            self.boot = entry.body
        if (self.begin and entry.at < self.begin) or (self.end and entry.at >= self.end):
            return
        self.entries += 1
        self._count(entry)

    def _count(self, entry: Entry) -> None:
        body = entry.body
        match body:
            case Boot():
                self.boots += 1
                self.unclean += not body.clean
            case Hour():
                day = self.days[body.begin[:10]]
                day.seconds += body.seconds
                day.frames += body.frames
                day.failed_frames += body.failed_frames
                day.published += body.published
                day.delivered += body.delivered
                self.suppressed.update(body.suppressed_at_most)
            case Egress():
                self._egress(entry.at, body)
            case Retention():
                self.deleted[body.reason] += body.count
            case Lost():
                self.lost += body.count
            case LinkDown():
                self.links_down += 1
            case LinkUp() | Visit():
                pass
            case Login():
                self.logins[body.outcome] += 1
                self.listed[body.kind].append(entry)
            case _:
                self.listed[body.kind].append(entry)

    def _egress(self, at: str, body: Egress) -> None:
        sent = self.sent[body.destination, body.port, body.certificate or ""]
        sent.count += body.count - body.repeated
        sent.repeated += body.repeated
        sent.batches += 1
        sent.first_at, sent.first_id = sent.first_at or at, sent.first_id or body.first
        sent.last_at, sent.last_id = at, body.last

    @property
    def total(self) -> Day:
        """All days together."""
        whole = Day()
        for day in self.days.values():
            whole.add(day)
        return whole

    def exceptions(self) -> list[str]:
        """What an auditor should look at, in plain sentences: the gravest first, then by time.

        What happened more often than `_EACH` times is one sentence with its first and last day.
        """
        groups: dict[tuple[int, str], list[Entry]] = defaultdict(list)
        for entry in self._all_listed():
            known = _exception(entry.body)
            if known is not None:
                groups[known].append(entry)
        found = [
            *self._totals(),
            *((rank, one[0].at, text) for (rank, name), one in groups.items()
              for text in _told(name, one)),
        ]  # fmt: skip
        return [text for _, _, text in sorted(found, key=lambda one: one[:2])]

    def _totals(self) -> list[tuple[int, str, str]]:
        """Exceptions that are sums, with their rank."""
        found = []
        plain = sum(s.count for (_, _, certificate), s in self.sent.items() if not certificate)
        if plain:
            found.append(
                (GRAVE, "", f"{plain:,} reads left over a connection that was not encrypted.")
            )
        for reason, count in sorted(self.deleted.items()):
            if reason != "expired":
                text = f"{count:,} reads were deleted undelivered ({reason.replace('_', ' ')})."
                found.append((LOOK, "~", text))
        if self.lost:
            found.append((LOOK, "~", f"{self.lost:,} entries of the ledger could not be written."))
        if self.unclean:
            runs = "1 run" if self.unclean == 1 else f"{self.unclean:,} runs"
            text = f"{runs} ended without an orderly stop (crash or power cut)."
            found.append((LOOK, "~", text))
        return found

    def _all_listed(self) -> list[Entry]:
        entries = [entry for group in self.listed.values() for entry in group]
        return sorted(entries, key=lambda entry: entry.seq)


def describe(entry: Entry) -> str:
    """An entry in one plain sentence."""
    body = entry.body
    match body:
        case ConfigChange():
            which = f" ({', '.join(body.settings)})" if body.settings else ""
            return (
                f"Configuration changed{which} by {_name(body.by)}{_second(body.second)}."
                + _why(body.reason)
            )
        case MaskChange():
            return _masks(body)
        case Commissioning():
            again = ", in place of an earlier record" if body.old else ""
            if not body.in_force:
                again = "; the record was made, and is not in force by that"
            return f"Commissioned by {_name(body.by)}{_second(body.second)}{again}." + _why(
                body.reason
            )
        case SelfTest():
            result = "passed" if body.passed else f"FAILED: {', '.join(body.failed)}"
            return f"Self-test of {body.checks} checks {result}."
        case Drift():
            code = f" ({body.code})" if body.code else ""
            return f"Camera view: reading {body.state}{code}."
        case Login():
            factors = f", {body.factors} factors" if body.factors else ""
            return f"Login {body.outcome}: {_name(body.who)}, by {body.way}{factors}."
        case Access():
            place = body.organisation or "no stated organisation"
            return (
                f"{_name(body.who)} of {place}: {body.act} of {body.count} reads "
                f"(query by {body.query.replace('_', ' ')})." + _why(body.purpose)
            )
        case Update():
            return f"Update {body.outcome}: {body.old or '?'} to {body.new or '?'}."
        case TimeCorrection():
            return f"Clock set by {body.step_ms / 1000:+.1f} s ({body.source}), from {body.before}."
        case StorageFault():
            return f"Storage fault of the {body.what} ({body.code}); {body.lost} lost."
        case Trigger():
            return f"Alarm: {body.what.replace('_', ' ')} {body.file} ({body.count}).".replace(
                "  ", " "
            )
        case KeyChange():
            return f"Key of the {body.key} {body.act}, {body.digest[:16]}."
        case ModelCheck():
            return f"Models' manifest {body.outcome}, {body.manifest[:16]}."
        case SoftwareScan():
            missed = f", {body.missed} PLACES NOT LOOKED AT" if body.missed else ""
            strange = f", and {body.unlisted} networks that no manifest names"
            return (
                f"Search for face and biometric software in {body.components} components: "
                f"{body.findings} findings{strange if body.unlisted else ''}{missed}."
            )
        case Stop():
            return (
                f"Stopped ({body.reason.replace('_', ' ')}{', ' + body.code if body.code else ''})."
            )
        case StartFailed():
            return _failed_start(body)
        case Witnessed() if body.state == "missing":
            return f"No witness cosigns this ledger any more; {body.size} entries are cosigned."
        case Witnessed():
            return f"{body.witness} cosigned {body.size} entries."
        case FileMoved():
            refused = f" ({body.code})" if body.code else ""
            act = "asked for, not given out," if body.act == "asked" else body.act
            return f"{body.what} {act} by {_name(body.who)}{refused}." + _why(body.reason)
        case Reported():
            return f"{body.what.capitalize()} made by {body.who}."
        case Restarted():
            return f"An earlier ledger was damaged ({body.code}) and set aside."
    return body.kind.replace("_", " ").capitalize() + "."


def _masks(body: MaskChange) -> str:
    how = {True: "uncovering ground", False: "covering more", None: "extent not recorded"}
    size = f", {body.added_px} pixels more and {body.removed_px} less are blanked"
    told = [
        f"Masks changed ({how[body.narrowed]}; {body.added} added, {body.removed} removed"
        f"{size if body.number else ''}) by {_name(body.by)}{_second(body.second)}"
        f"{', with an order of the city' if body.order else ''}."
    ]
    if body.repair:
        told.append("What was in force before was damaged: nobody can say what this uncovers.")
    if body.view_old != body.view_new and body.view_old is not None:
        new = f"{body.view_new[:12]}…" if body.view_new else "none"
        told.append(
            f"ANOTHER REFERENCE VIEW ({body.view_old[:12]}… before, {new} now): the camera may "
            "look elsewhere, and the same masks cover other ground."
        )
    elif body.view_new != body.view_old and body.number and not body.repair:
        told.append(f"They are bound to a first reference view ({str(body.view_new)[:12]}…).")
    if body.other_frame:
        told.append("They are made for another frame size and cover other ground.")
    if body.waits:
        told.append("Old and new masks stay together until it is confirmed.")
    return " ".join(told) + _why(body.reason)


def _failed_start(body: StartFailed) -> str:
    often = f" {body.count:,} starts in a row failed like this." if body.count > 1 else ""
    if body.stage == "broke_off":
        why = "a kill, a power cut or a defect"
        return f"A start of the service broke off without a word ({why}).{often}"
    at = "because of its configuration" if body.stage == "configuration" else "before it could work"
    return f"The service did not start, {at} ({body.code or 'no code'}).{often}"


GRAVE, LOOK, USUAL = range(3)
_EACH = 3


def _exception(body: Body) -> tuple[int, str] | None:
    """How grave it is, and what it is called where there are many; None: it is no exception."""
    match body:
        case Trigger():
            return GRAVE, f"Alarm: {body.what.replace('_', ' ')} {body.file}".strip()
        case Restarted():
            return GRAVE, "A damaged ledger set aside"
        case SelfTest() if not body.passed:
            return GRAVE, "Self-test failed"
        case MaskChange() if body.repair:
            return GRAVE, "Masks put in force after a damage"
        case MaskChange() if body.view_old != body.view_new and body.view_old is not None:
            return GRAVE, "Masks bound to another reference view"
        case MaskChange() if body.narrowed is True:
            return GRAVE, "Masks changed, uncovering ground"
        case MaskChange() if body.narrowed is None and body.old.strip("0"):
            return GRAVE, "Masks changed, extent not recorded"
        case ModelCheck() if body.outcome == "refused":
            return GRAVE, "Models refused"
        case SoftwareScan() if body.findings:
            return GRAVE, "Face or biometric software found"
        case SoftwareScan() if body.missed:
            return LOOK, "Search for face and biometric software that was not whole"
        case SoftwareScan() if body.unlisted:
            return LOOK, "Networks found that no manifest names"
        case StorageFault():
            return LOOK, f"Storage fault of the {body.what}"
        case StartFailed():
            return LOOK, "Start that failed"
        case Stop() if body.reason == "error":
            return LOOK, "Stopped by an error"
        case Drift() if body.state == "stopped":
            return LOOK, "Reading stopped because the view shifted"
        case Update() if body.outcome in ("refused", "rolled_back"):
            return LOOK, f"Update {body.outcome.replace('_', ' ')}"
        case Witnessed() if body.state == "missing":
            return LOOK, "No witness cosigned"
        case Login() if body.outcome in ("refused", "locked"):
            return USUAL, f"Login {body.outcome}"
    return None


def _told(name: str, entries: Sequence[Entry]) -> list[str]:
    if len(entries) <= _EACH:
        return [f"{one.at[:16].replace('T', ' ')}: {describe(one)}" for one in entries]
    first, last = entries[0].at[:10], entries[-1].at[:10]
    return [f"{name}: {len(entries):,} times, the first on {first}, the last on {last}."]


def _second(name: str) -> str:
    return "" if name == "nobody" else f" and {_name(name)}"


def _name(person: str) -> str:
    """A name; the digest of one that may not be written, shortened for people."""
    return f"{person[:15]}…" if person.startswith("id:") else person


def _why(reason: str) -> str:
    return f" Reason: {reason}" if reason else " No reason given."
