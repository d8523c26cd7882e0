"""Files by XMODEM, for terminal programs that know nothing better: `send` and `receive`.

The unit is the one that sends or receives; the technician's program does the other. `alpr-edge-tech
push` and `pull` do the same over the machine channel, with resume and SHA-256 (`channel`).

Rules:
- XMODEM carries no length: what is sent comes with its length and SHA-256 in print, and what is
  received loses the filling at its end, unless its length is given.
- Whatever comes in is judged as on the channel: by its signature, in `DeviceAccess.push`.
- A picture is the one that may leave: masked on the unit, plates covered (ADR 0022).
"""

from __future__ import annotations

import hashlib
from typing import Any, Final

from alpr_edge.console.channel.requests import PULLS, PUSHES
from alpr_edge.console.channel.xmodem import MAX_BYTES, Receiver, Sender, trim
from alpr_edge.console.device import LEAST_REASON, REASONED, Parcel
from alpr_edge.console.setting import request_of
from alpr_edge.console.sitting import Does, Sitting
from alpr_edge.console.talk import Ask, Move, Now, Talk, lay_out, say
from alpr_edge.errors import ConsoleError

STILL_PX: Final = 640
_LEAVE: Final = "Ctrl-C gives up; once it moves, Ctrl-X twice"


def _send(sitting: Sitting, values: dict[str, Any]) -> Talk:
    what = values["what"]
    if what == REQUEST:
        yield from send_file(request_of(sitting), "device.toml")
        return
    if what == PICTURE:
        yield from _picture(sitting)
        return
    reason = yield from _reason("pull", Parcel(what))
    data = sitting.device.pull(Parcel(what), who=sitting.user.name, reason=reason)
    yield from send_file(data, _NAMES.get(what, what))


def _picture(sitting: Sitting) -> Talk:
    user = sitting.user
    still = sitting.device.still(STILL_PX, clear_plates=False, reason="", who=user.name)
    yield say(f"{still.width_px}x{still.height_px}, taken {still.taken_at}, plates covered")
    yield from send_file(still.jpeg, "view.jpg")


def send_file(data: bytes, name: str) -> Talk:
    """Send a file of the unit's, and say what has to have arrived.

    Raises:
        ConsoleError: `console.transfer`: it did not arrive, or there is nothing to send.
    """
    if not 1 <= len(data) <= MAX_BYTES:
        raise ConsoleError(
            f"{len(data)} bytes are not sent over this line",
            code="console.transfer",
            hint="fetch it over the network",
        )
    yield Now(f"{len(data)} bytes: now have your program receive {name} by XMODEM")
    yield Now(_LEAVE)
    failed = yield Move(Sender(data))
    if failed:
        raise _broken(failed)
    digest = hashlib.sha256(data).hexdigest()
    found = {"name": name, "bytes": len(data), "sha256": digest}
    filled = -len(data) % 128
    note = [f"cut the filling off: head -c {len(data)} FILE > {name}"] if filled else []
    yield say("sent", *lay_out(found), *note, data=found)


def _receive(sitting: Sitting, values: dict[str, Any]) -> Talk:
    what, size = Parcel(values["what"]), values.get("size")
    reason = yield from _reason("push", what)
    data = yield from receive_file(_NAMES.get(what, what), size)
    signature = None
    if what in _SIGNED_BESIDE:
        signature = yield from receive_file(f"{_NAMES.get(what, what)}.sig", None)
    yield Now("looking at it …")
    who = sitting.user.name
    found = sitting.device.push(what, data, signature, who=who, reason=reason)
    yield say(*lay_out(found), data=found)


def _reason(act: str, what: Parcel) -> Any:
    """Why, where the unit asks for it: before anything moves."""
    if (act, what) not in REASONED:
        return ""
    reason = (yield Ask("reason, for the ledger: ")).strip()
    if len(reason) < LEAST_REASON:
        raise ConsoleError(
            "it takes a reason",
            code="console.reason",
            hint=f"say why in {LEAST_REASON} letters or more; it goes to the ledger",
        )
    return reason


def receive_file(name: str, size: int | None) -> Any:
    """A file from the laptop.

    Args:
        size: its length in bytes; None: text, that loses the filling.

    Raises:
        ConsoleError: `console.transfer`: nothing came, or it is not so long.
    """
    got: list[bytes] = []

    def take(data: bytes) -> bytes:
        got.append(data)
        return b""

    yield Now(f"now have your program send {name} by XMODEM")
    yield Now(_LEAVE)
    failed = yield Move(Receiver(take))
    if failed or not got:
        raise _broken(failed or "nothing came")
    if size is None:
        data = trim(got[0])
    else:
        data, rest = got[0][:size], got[0][size:]
        if len(data) < size or trim(rest):
            raise _broken(f"it is not {size} bytes long")
    digest = hashlib.sha256(data).hexdigest()
    yield say(f"received {len(data)} bytes, sha256 {digest}")
    return data


def _broken(why: str) -> ConsoleError:
    return ConsoleError(f"no file was moved: {why}", code="console.transfer", hint="begin again")


_NAMES: Final = {
    Parcel.MASKS: "masks.json",
    Parcel.REGISTER: "register.json",
    Parcel.CONFIG: "device.toml",
    Parcel.LOG: "ledger.zip",
    Parcel.UPDATE: "update.bundle",
}
_SIGNED_BESIDE: Final = (Parcel.CONFIG, Parcel.UPDATE)
"""What the city signs in a file of its own."""
PICTURE: Final = "picture"
REQUEST: Final = "request"
SENT: Final = (*(one.value for one in PULLS), PICTURE, REQUEST)
RECEIVED: Final = tuple(one.value for one in PUSHES)

MOVING: Final[dict[str, Does]] = {"send": _send, "receive": _receive}
