"""The desk: hears requests, carries out what counts, and answers.

What the device can do comes through the port `Abilities`; what counts is decided in `commands`.

Rules:
- The request's number is on disk before anything is carried out: a power cut in between costs the
  command, never a second run of it. Where the number cannot be stored, only stopping is obeyed.
- A request that is delivered twice (QoS 1) gets the same answer again, from memory.
- Whatever goes wrong is an answer with a stable code; nothing here raises to the link.
"""

from __future__ import annotations

import json
import logging
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from alpr_edge.delivery import wire
from alpr_edge.delivery.clocks import Clocks
from alpr_edge.delivery.commands import (
    Asked,
    Command,
    RefusedCommand,
    Unheard,
    hear,
    judge,
)
from alpr_edge.delivery.port import Request, Topics
from alpr_edge.errors import AlprEdgeError, TrustError
from alpr_edge.trust.durable_file import write_durably
from alpr_edge.trust.keys import PublicKey

_log = logging.getLogger(__name__)
_ANSWERS_KEPT = 16
_MAX_NUMBER_BYTES = 64


class NotAvailable(Exception):
    """This device cannot do what was asked."""


class Abilities(Protocol):
    """What a device can do for the city. Results are JSON and hold no plate and no picture.

    Every method may raise `NotAvailable` or `AlprEdgeError`, whose code goes back.
    """

    def status(self) -> dict[str, Any]:
        """Health, as on the state topic."""
        ...

    def self_test(self) -> dict[str, Any]:
        """Have a self-test run; whether one was started, and the latest result."""
        ...

    def checkpoint(self) -> dict[str, Any]:
        """The ledger's latest signed checkpoint."""
        ...

    def add_mask(self, record: bytes) -> str:
        """Put a signed mask record in force that protects all that is protected now, and more.

        Returns:
            The record's digest.

        Raises:
            TrustError: it is not properly signed, or narrows; nothing has changed.
        """
        ...

    def add_polygon(self, command: bytes) -> str:
        """Join the polygon of the city's signed command to what is protected now.

        Returns:
            The digest of what is in force then.

        Raises:
            TrustError: it is no polygon, or there is nothing to add it to; nothing has changed.
        """
        ...

    def stop_reading(self, reason: str) -> None:
        """Read nothing more until somebody at the device starts it again."""
        ...


class NoAbilities:
    """The shipped fake: can do nothing."""

    def status(self) -> dict[str, Any]:
        """Not available."""
        raise NotAvailable

    def self_test(self) -> dict[str, Any]:
        """Not available."""
        raise NotAvailable

    def checkpoint(self) -> dict[str, Any]:
        """Not available."""
        raise NotAvailable

    def add_mask(self, record: bytes) -> str:
        """Not available."""
        raise NotAvailable

    def add_polygon(self, command: bytes) -> str:
        """Not available."""
        raise NotAvailable

    def stop_reading(self, reason: str) -> None:
        """Not available."""
        raise NotAvailable


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back, and where."""

    topic: str
    payload: bytes
    correlation: bytes


class Desk:
    """One device's desk; for one thread."""

    def __init__(
        self,
        topics: Topics,
        city: Sequence[PublicKey],
        abilities: Abilities,
        *,
        number_file: Path,
        clocks: Clocks,
        trouble: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Open for requests.

        Args:
            topics: the device's.
            city: the keys whose requests count.
            abilities: what it can do.
            number_file: keeps the largest number that counted.
            clocks: the kernel's outside tests.
            trouble: told the code of every request that gets no answer or is refused.
        """
        self._topics, self._city, self._abilities = topics, tuple(city), abilities
        self._file, self._clocks, self._trouble = number_file, clocks, trouble
        self._last = self._read_number()
        self._answers: OrderedDict[str, bytes] = OrderedDict()

    def take(self, request: Request) -> Answer | None:
        """Carry it out if it counts; None where nobody is answered."""
        try:
            asked = hear(request.payload, self._topics.device_id, self._city)
        except Unheard as err:
            self._note(err.code)
            return None
        except RefusedCommand as err:
            return self._answer(request, self._refusal(None, err))
        known = self._answers.get(asked.digest)
        if known is not None:
            return self._answer(request, known)
        try:
            judge(
                asked,
                last_number=self._last,
                now=datetime.fromtimestamp(self._clocks.wall_s(), UTC),
                clock_believed=self._clocks.believed(),
            )
            self._remember(asked)
        except RefusedCommand as err:
            return self._answer(request, self._refusal(asked, err))
        payload = self._carry_out(asked)
        self._answers[asked.digest] = payload
        while len(self._answers) > _ANSWERS_KEPT:
            self._answers.popitem(last=False)
        return self._answer(request, payload)

    def _carry_out(self, asked: Asked) -> bytes:
        able = self._abilities
        result: dict[str, Any] = {}
        try:
            match asked.command:
                case Command.STATUS:
                    result = able.status()
                case Command.SELF_TEST:
                    result = able.self_test()
                case Command.CHECKPOINT:
                    result = able.checkpoint()
                case Command.ADD_MASK if asked.polygon:
                    result = {"added": asked.digest, "masks": able.add_polygon(asked.polygon)}
                case Command.ADD_MASK:
                    result = {"mask": able.add_mask(asked.record)}
                case Command.STOP_READING:
                    able.stop_reading(asked.note)
        except NotAvailable:
            return self._payload(asked, "not-available", "delivery.command.not_available")
        except TrustError as err:
            self._note(err.code)
            return self._payload(asked, "refused", err.code)
        except AlprEdgeError as err:
            self._note(err.code)
            return self._payload(asked, "failed", err.code)
        _log.info("command carried out", extra={"command": str(asked.command)})
        return self._payload(asked, "done", "", result)

    def _refusal(self, asked: Asked | None, err: RefusedCommand) -> bytes:
        self._note(err.code)
        return self._payload(asked, "refused", err.code, number=err.number)

    def _payload(
        self,
        asked: Asked | None,
        outcome: wire.Outcome,
        code: str,
        result: dict[str, Any] | None = None,
        *,
        number: int = 0,
    ) -> bytes:
        document: wire.Response = {
            "device": self._topics.device_id,
            "number": number if asked is None else asked.number,
            "command": None if asked is None else asked.command.value,
            "outcome": outcome,
            "code": code,
            "result": result or {},
        }
        return json.dumps(document, separators=(",", ":")).encode()

    def _answer(self, request: Request, payload: bytes) -> Answer:
        # Only below our own prefix: nobody makes this device write elsewhere.
        asked_for = request.answer_to
        own = asked_for.startswith(f"{self._topics.prefix}/") and not set(asked_for) & set("+#\0")
        return Answer(asked_for if own else self._topics.responses, payload, request.correlation)

    def _remember(self, asked: Asked) -> None:
        try:
            write_durably(self._file, b"%d\n" % asked.number, mode=0o600)
        except OSError:
            if asked.command is not Command.STOP_READING:
                raise RefusedCommand("delivery.command.not_recorded", asked.number) from None
        self._last = asked.number

    def _read_number(self) -> int:
        """The largest number so far. A damaged file refuses everything but what is newer than now:
        numbers are times in milliseconds by custom."""
        try:
            with self._file.open("rb") as file:
                return int(file.read(_MAX_NUMBER_BYTES))
        except FileNotFoundError:
            return 0
        except (OSError, ValueError):
            self._note("delivery.command.record_damaged")
            return int(self._clocks.wall_s() * 1000)

    def _note(self, code: str) -> None:
        self._trouble(code)
        _log.warning("request refused", extra={"code": code})
