"""The unit's end of the channel: bytes in, bytes out; a `channel_port.Channel`. Pure.

Rules:

- Text until the first sound packet; then every byte is the channel's until `BYE`, until nothing
  sound has come for `QUIET_S`, or until a person presses Enter three times. So half a frame that is
  lost on the way is never taken for something that a person typed.
- A request that comes twice is answered twice and done once: the last answers are kept, and a
  `HELLO` with a new nonce forgets them.
- Nobody is let in but by `seat.Seat.enter`, with second factor and lock-out, as on the text; what
  is asked passes `access.check`. Unplugged, the seat is empty; a file half-way in is kept for
  whoever began it.
- Who was let in here is out when the channel ends; whoever logged in on the text stays.
- What is asked by a program on its own (`"auto": true`) does not keep the door open.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
from collections.abc import Callable, Sequence
from typing import Any, Final

from alpr_edge.console.access import User, check
from alpr_edge.console.channel.frames import FIRST, Decoder, encode
from alpr_edge.console.channel.packets import (
    MAX_BLOB,
    MAX_JSON,
    Command,
    Op,
    Packet,
    pack,
    unpack,
)
from alpr_edge.console.channel.parcels import Inbox, Outbox
from alpr_edge.console.channel.requests import PULLS, PUSHES, Desk
from alpr_edge.console.device import DeviceAccess, Document
from alpr_edge.console.seat import Seat
from alpr_edge.errors import AlprEdgeError, ConsoleError

_log = logging.getLogger(__name__)

PROTOCOL: Final = 1
QUIET_S: Final = 15.0
HALF_S: Final = 2.0
"""How long the text waits for the rest of a frame that began in it; a line takes 0.14 s at 9600."""
_TICKS_A_SECOND: Final = 10
_LOOKS: Final = (Command.HELLO, Command.BYE, Command.LIST)
"""Requests that a program makes on its own, too."""
_REMEMBERED: Final = 32
"""Answers kept for requests that come again; more than any window of a laptop."""


class ChannelEnd:
    """See the module's docstring.

    Args:
        device: the unit.
        seat: who is logged in, shared with the text.
        words: what may follow on a line of the text, for completion on the laptop.
        greet: what a person is told who has just logged in: last login, failures since.
    """

    def __init__(
        self,
        device: DeviceAccess,
        seat: Seat,
        words: Callable[[str], Sequence[str]] = lambda line: (),
        greet: Callable[[str], Document] = lambda name: {},
    ) -> None:
        self._device, self._seat, self._greet = device, seat, greet
        self._entered: User | None = None
        self._decoder = Decoder()
        self._outbox, self._inbox = Outbox(), Inbox()
        self._desk = Desk(device, seat.gatekeeper, self._outbox, words)
        self._answers: dict[tuple[int, bytes], tuple[User | None, bytes]] = {}
        self._nonce = ""
        self._in_session = False
        self._quiet_ticks = self._idle_ticks = 0
        self._enters = 0

    # --- Channel -----------------------------------------------------------------------------

    @property
    def busy(self) -> bool:
        """Whether the next bytes are the channel's."""
        return self._in_session or self._decoder.mid_packet

    def starts(self, byte: int) -> bool:
        """Whether this byte, outside a frame, may begin one."""
        return byte == FIRST[0]

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """See `Channel.feed`."""
        out = bytearray()
        self._idle_ticks = 0
        for at in range(len(data)):
            for packet in self._decoder.feed(data[at : at + 1]):
                out += self._packet(packet)
            stray = self._decoder.take_stray()
            if self._in_session:
                if self._is_left_by_hand(stray):
                    self._end_session()
                    return bytes(out), data[at + 1 :]
            elif not self._decoder.mid_packet:
                # Without the byte that began nothing: it would only begin nothing again.
                return bytes(out), stray.replace(FIRST[:1], b"") + data[at + 1 :]
        return bytes(out), b""

    def tick(self) -> bytes:
        """See `Channel.tick`."""
        self._quiet_ticks += 1
        self._idle_ticks += 1
        is_quiet = self._quiet_ticks > QUIET_S * _TICKS_A_SECOND
        is_half = not self._in_session and self._idle_ticks > HALF_S * _TICKS_A_SECOND
        if is_quiet or is_half:
            self._end_session()
        return b""

    def reset(self) -> None:
        """See `Channel.reset`."""
        self._end_session()
        self._nonce = ""
        self._answers.clear()
        self._outbox.clear()

    # --- packets -----------------------------------------------------------------------------

    def _login(self, name: str, password: str, code: str) -> User:
        self._leave()
        try:
            self._entered = self._seat.enter(name, password, code)
        except ConsoleError as err:
            outcome = "locked" if err.code == "console.login.locked" else "refused"
            self._note(name, outcome, err.code)
            raise
        self._note(self._entered.name, "granted")
        return self._entered

    def _leave(self) -> None:
        """Whoever was let in here is out."""
        self._outbox.clear()
        entered, self._entered = self._entered, None
        if entered is not None and self._seat.user is entered:
            self._seat.leave()
            self._note(entered.name, "ended")

    def _note(self, name: str, outcome: str, code: str = "") -> None:
        """On the ledger; one that cannot be written keeps nobody out who could repair it."""
        with contextlib.suppress(AlprEdgeError):
            self._device.note_login(name[:64], outcome, 2 if outcome == "granted" else 0, code)

    def _end_session(self) -> None:
        self._leave()
        self._in_session = False
        self._quiet_ticks = self._enters = 0
        self._decoder.reset()

    def _is_left_by_hand(self, stray: bytes) -> bool:
        for byte in stray:
            self._enters = self._enters + 1 if byte == 0x0D else 0
        return self._enters >= 3

    def _packet(self, data: bytes) -> bytes:
        request = unpack(data)
        if request is None or request.op.is_answer:
            return b""
        self._in_session, self._quiet_ticks, self._enters = True, 0, 0
        key = (request.number, hashlib.sha256(data).digest())
        who, out = self._answers.get(key, (None, b""))
        # An answer is repeated to the one who sat there when it was given, and to nobody else.
        if not out or who is not self._seat.user:
            out = encode(pack(self._answer(request)))
            self._answers.pop(key, None)
            self._answers[key] = self._seat.user, out
            while len(self._answers) > _REMEMBERED:
                del self._answers[next(iter(self._answers))]
        if request.command is Command.BYE:
            self._end_session()
        return out

    def _answer(self, request: Packet) -> Packet:
        blob = b""
        try:
            body, blob = self._do(request)
        except AlprEdgeError as err:
            body = _error(err)
        except Exception:  # noqa: BLE001 - a defect costs one answer, never the sitting
            _log.exception("a request failed", extra={"code": "console.defect"})
            body = _error(ConsoleError("it failed", code="console.defect", hint="report it"))
        return Packet(Op(request.op + 1), request.number, request.command, body, blob)

    def _do(self, request: Packet) -> tuple[dict[str, Any], bytes]:
        user, body = self._seat.user, request.body
        if body.get("auto") is not True and request.command not in _LOOKS:
            self._seat.touch()
        match request.command:
            case Command.HELLO:
                return self._hello(body), b""
            case Command.LOGIN:
                name, password, code = (_text(body, key) for key in ("name", "password", "code"))
                user = self._login(name, password, code)
                return {**_who(user), **self._greet(user.name)}, b""
            case Command.LOGOUT:
                self._leave()
                self._seat.leave()
                self._desk.forget()
                return {}, b""
            case Command.BYE:
                self._desk.forget()
                return {}, b""
            case Command.LIST:
                return {"pull": list(PULLS), "push": list(PUSHES)}, b""
            case Command.CALL:
                return self._call(user, body), b""
            case _:
                return self._move(user, request)

    def _move(self, user: User | None, request: Packet) -> tuple[dict[str, Any], bytes]:
        """Files, in both directions."""
        body = request.body
        if request.command is Command.OPEN:
            data = self._desk.pull(user, body)
            return self._outbox.offer(data, _name(user)).values(), b""
        # What is moved in pieces may be an argument or an answer: the door is `status`, what it is
        # used for has a door of its own.
        check(user, "status")
        match request.command:
            case Command.READ:
                number, offset, length = (_whole(body, key) for key in ("id", "at", "length"))
                return {}, self._outbox.piece(number, _name(user), offset, min(length, MAX_BLOB))
            case Command.CREATE:
                size, digest = _whole(body, "size"), _text(body, "sha256")
                return {"have": self._inbox.create(size, digest, _name(user))}, b""
            case Command.WRITE:
                have = self._inbox.write(_name(user), _whole(body, "at"), request.blob)
                return {"have": have}, b""
            case _:
                digest = _text(body, "sha256")
                check(user, "push")
                data = self._inbox.finish(_name(user), digest)
                taken = self._desk.push(user, data, body)
                return self._value(taken, user), b""

    def _hello(self, body: dict[str, Any]) -> dict[str, Any]:
        nonce = _text(body, "nonce")
        if nonce != self._nonce:
            self._nonce = nonce
            self._answers.clear()
        user = self._seat.user
        return {
            "protocol": PROTOCOL,
            "largest_piece": MAX_BLOB,
            **(_who(user) if user is not None else {"name": None}),
        }

    def _call(self, user: User | None, body: dict[str, Any]) -> dict[str, Any]:
        args = body.get("args", {})
        digest = _text(body, "parcel")
        if digest:
            check(user, "status")
            args = _json(self._inbox.finish(_name(user), digest))
        if not isinstance(args, dict):
            raise _bad("args must be an object")
        return self._value(self._desk.call(user, _text(body, "what"), args), user)

    def _value(self, value: Any, user: User | None) -> dict[str, Any]:
        text = json.dumps(value, separators=(",", ":"))
        if len(text) > MAX_JSON - 64:
            return {"answer": self._outbox.offer(text.encode("ascii"), _name(user)).values()}
        return {"value": value}


def _error(err: AlprEdgeError) -> dict[str, Any]:
    text = "; ".join([err.message, *getattr(err, "problems", ())])
    told = {"code": err.code, "message": text[:1500], "hint": err.hint[:500]}
    if len(json.dumps(told)) > MAX_JSON - 64:
        told = {"code": err.code, "message": text[:300], "hint": err.hint[:150]}
    return {"error": told}


def _who(user: User) -> dict[str, Any]:
    return {"name": user.name, "level": user.level.word}


def _name(user: User | None) -> str:
    return "" if user is None else user.name


def _json(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as err:
        raise _bad("the arguments are not JSON") from err


def _text(body: dict[str, Any], key: str) -> str:
    value = body.get(key, "")
    if not isinstance(value, str) or len(value) > 512:
        raise _bad(f"{key} must be text of at most 512 characters")
    return value


def _whole(body: dict[str, Any], key: str) -> int:
    value = body.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 40:
        raise _bad(f"{key} must be a whole number")
    return value


def _bad(why: str) -> ConsoleError:
    return ConsoleError(why, code="console.channel.request", hint="see docs/technician.md")
