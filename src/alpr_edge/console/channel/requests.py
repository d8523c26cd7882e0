"""What may be asked of a unit on the channel, and of whom. Pure over `DeviceAccess`.

A call has a name and arguments, both JSON, and gives JSON. Every call passes `access.check` first,
with the name of the method of `DeviceAccess` that it ends in: there is no second way in.

Masks are committed as the text does it: the unit drafts the record, the person who is logged in
signs it with the password that opens the own key, a second person signs it with name, password and
code, or the city's order comes ready. `authority` judges the signatures and nothing else.
"""

from __future__ import annotations

import binascii
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from alpr_edge.config.mask_file import format_masks, parse_masks
from alpr_edge.console.access import User, check
from alpr_edge.console.channel.parcels import Outbox
from alpr_edge.console.device import Committed, DeviceAccess, Document, MasksInForce, Parcel
from alpr_edge.console.seat import Gatekeeper
from alpr_edge.console.second_person import prove
from alpr_edge.errors import ConsoleError
from alpr_edge.placement.session import CalibrationSession
from alpr_edge.zone_set import ZoneSet

Args = Mapping[str, Any]
PLAIN: Final = (
    *("about", "status", "health", "mask_history", "reference", "calibration", "premises"),
    *("placement", "network", "mqtt", "certificates", "models", "self_test", "ledger_head"),
    *("run_self_test", "test_mqtt", "take_reference"),
)
"""Methods of `DeviceAccess` that are calls as they are, without arguments."""
PULLS: Final = (Parcel.MASKS, Parcel.REGISTER, Parcel.CONFIG, Parcel.LOG)
PUSHES: Final = (Parcel.MASKS, Parcel.REGISTER, Parcel.CONFIG, Parcel.UPDATE)
MAX_REASON: Final = 200
"""Letters; so a request fits a packet, whatever the script."""
MAX_MINUTES: Final = 120.0


class Desk:
    """Answers the calls of whoever is logged in.

    Args:
        device: the unit.
        gatekeeper: opens the keys of persons.
        outbox: where pictures wait to be fetched.
        words: what may follow on a line of the text console, for completion on the laptop.
    """

    def __init__(
        self,
        device: DeviceAccess,
        gatekeeper: Gatekeeper,
        outbox: Outbox,
        words: Callable[[str], Sequence[str]],
    ) -> None:
        self._device, self._gatekeeper, self._outbox = device, gatekeeper, outbox
        self._words = words
        self._kept: tuple[str, bytes] = "", b""
        self._calls: dict[str, tuple[str, Callable[[User, Args], Any]]] = {
            "masks": ("masks", lambda user, args: masks_values(self._device.masks())),
            "record_zones": ("record_zones", self._record_zones),
            "preview": ("preview", self._preview),
            "commit": ("commit_record", self._commit),
            "commit_order": ("commit_record", self._commit_order),
            "confirm": (
                "confirm_masks",
                lambda user, args: masks_values(self._device.confirm_masks()),
            ),
            "still": ("still", self._still),
            "save_calibration": ("save_calibration", self._save_calibration),
            "complete": ("status", self._complete),
        }

    def call(self, user: User | None, name: str, args: Args) -> Any:
        """Do one call.

        Raises:
            AlprEdgeError: it is refused or fails; `console.channel.request`: there is no such call,
                or its arguments are not what they should be.
        """
        if name in PLAIN:
            check(user, name)
            return getattr(self._device, name)()
        if name not in self._calls:
            raise _bad(f"there is no call {name[:40]!r}")
        needed, answer = self._calls[name]
        check(user, needed)
        if user is None:
            raise AssertionError("access.check lets nobody in")
        return answer(user, args)

    def pull(self, user: User | None, args: Args) -> bytes:
        """A whole file of the unit.

        A ledger grows with every login: the copy that a break of the line cut off is kept for
        whoever asked for it, and goes on where its `sha256` is named.
        """
        check(user, "pull")
        if user is None:
            raise AssertionError("access.check lets nobody in")
        what = _parcel(_text(args, "what", 20), PULLS)
        again = _text(args, "sha256", 64)
        owner, kept = self._kept
        if what is Parcel.LOG and owner == user.name and _digest(kept) == again:
            return kept
        data = self._device.pull(what, who=user.name, reason=_text(args, "reason", MAX_REASON))
        self._kept = (user.name, data) if what is Parcel.LOG else ("", b"")
        return data

    def forget(self) -> None:
        """Whoever was here has left in order: nothing is kept for them."""
        self._kept = "", b""

    def push(self, user: User | None, data: bytes, args: Args) -> Document:
        """Hand a whole file to the unit."""
        check(user, "push")
        if user is None:
            raise AssertionError("access.check lets nobody in")
        parcel, signature = _parcel(_text(args, "what", 20), PUSHES), _text(args, "signature", 2000)
        try:
            signed = binascii.a2b_base64(signature, strict_mode=True) if signature else None
        except (binascii.Error, ValueError) as err:
            raise _bad("the signature is not base64") from err
        reason = _text(args, "reason", MAX_REASON)
        return self._device.push(parcel, data, signed, who=user.name, reason=reason)

    # --- calls with arguments ----------------------------------------------------------------

    def _record_zones(self, user: User, args: Args) -> Any:
        return json.loads(format_masks(self._device.record_zones(_whole(args, "number", 2**53))))

    def _preview(self, user: User, args: Args) -> Any:
        found = self._device.preview(_zones(args))
        return {
            "narrowings": list(found.narrowings),
            "core_added_px": found.core_added_px,
            "core_removed_px": found.core_removed_px,
            "band_added_px": found.band_added_px,
            "band_removed_px": found.band_removed_px,
            "core_share": found.core_share,
            "band_share": found.band_share,
        }

    def _commit(self, user: User, args: Args) -> Any:
        zones, reason = _zones(args), _text(args, "reason", 500)
        minutes = _minutes(args)
        second = args.get("second")
        if second is not None and not isinstance(second, Mapping):
            raise _bad("second must be an object with name, password and code")
        authors = [user.name]
        other = None
        if second is not None:
            name, password = _text(second, "name", 64), _text(second, "password", 256)
            proof = name, password, _text(second, "code", 64)
            other = prove(self._device, self._gatekeeper, proof, needs="commit_record")
            if other.name == user.name:
                raise ConsoleError(
                    "the second person must be another one",
                    code="console.second_person",
                    hint="let somebody else type name, password and code",
                )
            authors.append(other.name)
        draft = self._device.draft(zones, authors, reason)
        envelope = self._gatekeeper.sign(user.name, _text(args, "password", 256), draft)
        if other is not None and second is not None:
            envelope = self._gatekeeper.sign(other.name, _text(second, "password", 256), envelope)
        return _committed(self._device.commit_record(envelope, minutes))

    def _commit_order(self, user: User, args: Args) -> Any:
        envelope = _text(args, "order", 1 << 20).encode("utf-8")
        return _committed(self._device.commit_record(envelope, _minutes(args)))

    def _still(self, user: User, args: Args) -> Any:
        clear = args.get("clear", False)
        if not isinstance(clear, bool):
            raise _bad("clear must be true or false")
        if clear:
            check(user, "still.clear")
        reason = _text(args, "reason", 500, least=1 if clear else 0)
        width = _whole(args, "width", 4096, least=64)
        still = self._device.still(width, clear_plates=clear, reason=reason, who=user.name)
        return {
            "parcel": self._outbox.offer(still.jpeg, user.name).values(),
            "width": still.width_px,
            "height": still.height_px,
            "taken_at": still.taken_at,
            "mask_digest": still.mask_digest,
            "plates_blurred": still.plates_blurred,
        }

    def _save_calibration(self, user: User, args: Args) -> Any:
        answers = args.get("answers")
        if not isinstance(answers, list) or not 1 <= len(answers) <= 100:
            raise _bad("answers must be a list of questions and answers")
        session = CalibrationSession()
        for one in answers:
            if not (isinstance(one, list) and len(one) == 2 and all(_is_line(t) for t in one)):
                raise _bad("an answer is [question, text]")
            if session.question is None or session.question.key != one[0]:
                raise _bad(f"{one[0]} is not what is asked now")
            session = session.answer(one[1])
        if session.question is not None:
            raise _bad(f"{session.question.key} is not answered")
        return self._device.save_calibration(session.answers)

    def _complete(self, user: User, args: Args) -> Any:
        return {"words": list(self._words(_text(args, "line", 400)))[:200]}


def masks_values(masks: MasksInForce) -> Document:
    """What is in force, as JSON."""
    return {
        "zones": None if masks.zones is None else json.loads(format_masks(masks.zones)),
        "frame": None if masks.frame_px is None else list(masks.frame_px),
        "reference": masks.reference,
        "number": masks.number,
        "digest": masks.digest,
        "highest": masks.highest,
        "records": masks.records,
        "confirm_before": _time(masks.confirm_before),
        "trouble": masks.trouble,
    }


def _committed(done: Committed) -> Document:
    return {
        "number": done.number,
        "digest": done.digest,
        "authority": done.authority,
        "narrowings": list(done.narrowings),
        "confirm_before": _time(done.confirm_before),
    }


def _time(when: datetime | None) -> str | None:
    return None if when is None else when.isoformat()


def _parcel(name: str, allowed: tuple[Parcel, ...]) -> Parcel:
    if name not in [one.value for one in allowed]:
        raise _bad(f"what can be moved: {', '.join(allowed)}; not {name[:40]!r}")
    return Parcel(name)


def _zones(args: Args) -> ZoneSet:
    """The zones among some arguments; a `ConfigError` says all that is wrong with them."""
    return parse_masks(json.dumps(args.get("zones")), source="the zones")


def _text(args: Args, key: str, most: int, *, least: int = 0) -> str:
    value = args.get(key, "")
    if not isinstance(value, str) or not least <= len(value) <= most:
        raise _bad(f"{key} must be text of {least} to {most} characters")
    return value


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _is_line(value: object) -> bool:
    return isinstance(value, str) and len(value) <= 300 and value.isprintable()


def _whole(args: Args, key: str, most: int, *, least: int = 0) -> int:
    value = args.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise _bad(f"{key} must be a whole number from {least} to {most}")
    return value


def _minutes(args: Args) -> float:
    value = args.get("minutes", 15)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _bad("minutes must be a number")
    if not 1 <= value <= MAX_MINUTES:
        raise _bad(f"minutes must be within 1 and {MAX_MINUTES:g}")
    return float(value)


def _bad(why: str) -> ConsoleError:
    return ConsoleError(why, code="console.channel.request", hint="see docs/technician.md")
