"""Edge: the case switch on a line of a GPIO chip (`/dev/gpiochip0`), by libgpiod.

The kernel queues edges of the line with its second character-device interface, so that none is lost
between two looks; the line's level is read behind them. Nobody else can take the line meanwhile.

Source: kernel include/uapi/linux/gpio.h (v2); gpiod 2 (libgpiod's own binding).
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from gpiod import LineRequest

Bias = Literal["as_is", "pull_up", "pull_down", "disabled"]
CONSUMER: Final = "alpr-edge case"
_QUEUE: Final = 256
"""Edges that the kernel keeps between two looks; more bounce than a case that is opened makes."""


class GpioSwitch:
    """One line of one chip; see `case_switch.CaseSwitch`.

    Args:
        line: its offset, or the name that the board gives it.
        bias: a resistor of the chip itself; `as_is` leaves it.
    """

    def __init__(self, chip: Path, line: int | str, bias: Bias = "as_is") -> None:
        self._chip, self._line, self._bias = chip, line, bias
        self._request: LineRequest | None = None

    def read(self) -> str:
        """See `case_switch.CaseSwitch`.

        Raises:
            OSError: there is no such chip or line, another program has it, or the chip is gone.
        """
        try:
            request = self._request = self._request or self._take()
            return _edges(request) + ("1" if _is_high(request, self._line) else "0")
        except (OSError, ValueError) as err:
            # A chip that comes back is another one: the line is taken anew.
            self.close()
            raise err if isinstance(err, OSError) else OSError(22, str(err)) from err

    def close(self) -> None:
        """Give the line back."""
        request, self._request = self._request, None
        if request is not None:
            with contextlib.suppress(OSError):
                request.release()

    def _take(self) -> LineRequest:
        import gpiod
        from gpiod.line import Bias as ChipBias
        from gpiod.line import Direction, Edge

        settings = gpiod.LineSettings(
            direction=Direction.INPUT,
            edge_detection=Edge.BOTH,
            bias=ChipBias[self._bias.upper()],
        )
        return gpiod.request_lines(
            str(self._chip),
            consumer=CONSUMER,
            config={self._line: settings},
            event_buffer_size=_QUEUE,
        )


def _edges(request: LineRequest) -> str:
    from gpiod.edge_event import EdgeEvent

    found = ""
    while request.wait_edge_events(0):
        events = request.read_edge_events()
        found += "".join(
            "1" if one.event_type is EdgeEvent.Type.RISING_EDGE else "0" for one in events
        )
        if len(found) > _QUEUE:
            break  # it bounces without end: what is told is enough
    return found


def _is_high(request: LineRequest, line: int | str) -> bool:
    from gpiod.line import Value

    return request.get_value(line) is Value.ACTIVE
