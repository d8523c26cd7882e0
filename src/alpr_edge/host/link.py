"""Edge: requests and answers over a wire, with a thread that listens.

    link = Link(wire, baud=115_200, on_text=print_bytes)
    link.hello()
    answer = link.ask(Command.CALL, {"what": "status"})

Rules:
- What does not answer in time is asked again under the same number; the unit does it once.
- Several requests may be under way (`many`); answers come in any order.
- What is not a packet is the text console's, and goes to `on_text`.
- An error of the unit is raised as `UnitError`, with the unit's code, message and hint.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from alpr_edge.console.channel.frames import Decoder, encode, wire_size
from alpr_edge.console.channel.packets import Command, Op, Packet, pack, unpack
from alpr_edge.errors import ConsoleError
from alpr_edge.host.wire import LinkLost, Wire

_WRITES: Final = frozenset(
    (Command.LOGIN, Command.LOGOUT, Command.CREATE, Command.WRITE, Command.FINISH, Command.BYE)
)
PATIENCE_S: Final = 60.0
"""How long an answer may take with all repeats: a self-test or a fit takes seconds."""


class UnitError(ConsoleError):
    """What the unit refused, in its own words."""

    code = "host.unit.refused"


@dataclass(slots=True)
class _Asked:
    """A request under way."""

    data: bytes
    due_s: float
    end_s: float
    wait_s: float
    order: int
    answer: Packet | None = None


class Link:
    """See the module's docstring.

    Args:
        baud: of the port, for how long to wait.
        on_text: gets what the text console says, and nothing where it says no more for a moment;
            called from the listening thread.
    """

    def __init__(
        self, wire: Wire, *, baud: int, on_text: Callable[[bytes], None] = lambda data: None
    ) -> None:
        self._wire, self.baud, self._on_text = wire, baud, on_text
        self._decoder = Decoder()
        self._asked: dict[int, _Asked] = {}
        self._changed = threading.Condition()
        self._number = secrets.randbelow(256)
        self._order = 0
        self._write_lock = threading.Lock()
        self._lost: LinkLost | None = None
        self._closing = False
        self.repeats = 0
        self._thread = threading.Thread(target=self._listen, name="link", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening and let go of the port."""
        self._closing = True
        self._thread.join()
        self._wire.close()

    @property
    def is_lost(self) -> bool:
        """Whether the cable is out."""
        return self._lost is not None

    def hello(self) -> dict[str, Any]:
        """Begin: protocol, largest piece, and who is logged in."""
        return self.ask(Command.HELLO, {"nonce": secrets.token_hex(8)}, patience_s=15).body

    def bye(self) -> None:
        """End: the wire is the text's again. Does not raise."""
        try:
            self.ask(Command.BYE, {}, patience_s=3)
        except ConsoleError:
            return

    def write_text(self, data: bytes) -> None:
        """Type on the text console."""
        self._write(data)

    def ask(
        self,
        command: Command,
        body: dict[str, Any],
        blob: bytes = b"",
        *,
        patience_s: float = PATIENCE_S,
    ) -> Packet:
        """One request, and its answer.

        Raises:
            UnitError: the unit refuses.
            LinkLost: no answer, or the cable is out.
        """
        return next(self.many([(command, body, blob)], window=1, patience_s=patience_s))

    def many(
        self,
        requests: Iterable[tuple[Command, dict[str, Any], bytes]],
        *,
        window: int,
        patience_s: float = PATIENCE_S,
    ) -> Iterator[Packet]:
        """Answers in the order of the requests, `window` of them under way at a time."""
        waiting: list[int] = []
        source = iter(requests)
        done = False
        try:
            while True:
                while not done and len(waiting) < window:
                    one = next(source, None)
                    if one is None:
                        done = True
                    else:
                        waiting.append(self._send(*one, window=window, patience_s=patience_s))
                if not waiting:
                    return
                answer = self._await(waiting[0])
                del self._asked[waiting.pop(0)]
                yield _checked(answer)
        finally:
            for number in waiting:
                self._asked.pop(number, None)

    # --- inside ------------------------------------------------------------------------------

    def _send(
        self,
        command: Command,
        body: dict[str, Any],
        blob: bytes,
        *,
        window: int,
        patience_s: float,
    ) -> int:
        op = Op.WRITE if command in _WRITES else Op.READ
        self._number = (self._number + 1) & 0xFF
        data = encode(pack(Packet(op, self._number, command, body, blob)))
        # On the wire before it: what else is under way, and answers as large as asked for.
        length = body.get("length", 0)
        back = wire_size(length if isinstance(length, int) else 0) + 200
        wait_s = 1.0 + (len(data) + back) * 10.0 / self.baud * (window + 1)
        now = time.monotonic()
        with self._changed:
            self._order += 1
            self._asked[self._number] = _Asked(
                data, now + wait_s, now + patience_s, wait_s, self._order
            )
        self._write(data)
        return self._number

    def _write(self, data: bytes) -> None:
        with self._write_lock:
            self._wire.write(data)

    def _await(self, number: int) -> Packet:
        while True:
            again: list[_Asked] = []
            with self._changed:
                one = self._asked[number]
                if one.answer is not None:
                    return one.answer
                if self._lost is not None:
                    raise self._lost
                now = time.monotonic()
                if now >= one.end_s:
                    raise LinkLost(
                        "the unit does not answer",
                        hint="check cable and baud rate; `alpr-edge-tech shell` shows what comes",
                    )
                again = [a for a in self._asked.values() if a.answer is None and now >= a.due_s]
                if not again:
                    self._changed.wait(min(one.due_s, one.end_s) - now)
            for late in again:
                self._repeat(late)

    def _repeat(self, late: _Asked) -> None:
        with self._changed:
            self.repeats += 1
            self._order += 1
            late.order, late.due_s = self._order, time.monotonic() + late.wait_s
        self._write(late.data)

    def _listen(self) -> None:
        try:
            while not self._closing:
                data = self._wire.read()
                for packet in self._decoder.feed(data):
                    self._take(unpack(packet))
                stray = self._decoder.take_stray()
                if stray or not data:
                    self._on_text(stray)
        except LinkLost as err:
            with self._changed:
                self._lost = err
                self._changed.notify_all()

    def _take(self, packet: Packet | None) -> None:
        if packet is None or not packet.op.is_answer:
            return
        with self._changed:
            one = self._asked.get(packet.number)
            if one is None or one.answer is not None:
                return
            one.answer = packet
            # The unit answers in order: what was asked before this one is lost, either way.
            for other in self._asked.values():
                if other.answer is None and other.order < one.order:
                    other.due_s = 0.0
            self._changed.notify_all()


def _checked(answer: Packet) -> Packet:
    error = answer.body.get("error")
    if not isinstance(error, dict):
        return answer
    code, message, hint = (str(error.get(key, "")) for key in ("code", "message", "hint"))
    raise UnitError(message, code=code or UnitError.code, hint=hint)
