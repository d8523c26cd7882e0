"""Edge: a serial cable between two pseudo-terminals, as slow and as noisy as a real one.

A pty neither waits nor errs. This relay joins two of them: bytes pass at the baud rate (ten bits a
byte, 8N1), may be flipped, dropped or doubled, log lines of a kernel may come between lines, and
the cable may be unplugged at any byte and plugged in again.

    with SerialLine(folder, baud=115_200, noise=Noise(flip=1e-4)) as line:
        open(line.device), open(line.laptop)       # paths that stay the same over a replug

Rules:
- Chance comes from a seed: two runs with the same bytes in the same pieces err alike.
- A sender faster than the line waits, as with a UART's own buffer; nothing is lost but by `Noise`.
- Unplugged, both ends see an end of file or EIO; their paths are gone until `plug`.
"""

from __future__ import annotations

import contextlib
import os
import pty
import random
import select
import threading
import time
import tty
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

_HELD: Final = 512
"""Bytes that a side may have under way, as in a UART's buffer."""
_BURST_S: Final = 0.004


@dataclass(frozen=True, slots=True)
class Noise:
    """What goes wrong on the line; chances are per byte.

    Attributes:
        flip: one bit of the byte is turned over.
        drop: the byte is lost.
        double: the byte comes twice.
        chatter: a line that the device's kernel throws in after an end of line, towards the laptop.
        chatter_chance: how often, per end of line.
        cut_after: the cable is unplugged when so many bytes have passed, both ways together.
    """

    flip: float = 0.0
    drop: float = 0.0
    double: float = 0.0
    chatter: bytes = b"[  812.311] usb 1-1: reset high-speed USB device\r\n"
    chatter_chance: float = 0.0
    cut_after: int | None = None


QUIET: Final = Noise()


class _Way:
    """One direction: what is under way, and how much may pass now."""

    def __init__(self, baud: int, now_s: float) -> None:
        self.rate = baud / 10.0
        self.burst = max(1.0, self.rate * _BURST_S)
        self.tokens = self.burst
        self.then_s = now_s
        self.held = bytearray()
        self.passed = 0

    def take(self, now_s: float) -> bytes:
        """Bytes that may pass now."""
        # What was not used while nothing was sent is not saved up.
        self.tokens = min(self.tokens + (now_s - self.then_s) * self.rate, self.burst)
        if not self.held:
            self.tokens = min(self.tokens, 1.0)
        self.then_s = now_s
        count = min(int(self.tokens), len(self.held))
        taken = bytes(self.held[:count])
        del self.held[:count]
        self.tokens -= count
        self.passed += count
        return taken


class SerialLine:
    """The cable; its thread runs from `plug` to `unplug`.

    Args:
        folder: where `device` and `laptop`, the paths of both ends, are made.
        baud: bits a second; 0: as fast as it goes.
        seed: of all chance.
    """

    def __init__(
        self, folder: Path, *, baud: int = 115_200, noise: Noise = QUIET, seed: int = 1
    ) -> None:
        self.device, self.laptop = folder / "device", folder / "laptop"
        self.noise = noise
        self._baud = baud or 100_000_000
        self._random = random.Random(seed)
        self._ends: list[tuple[int, int]] = []
        self._ways: list[_Way] = []
        self._carried = 0
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()

    def __enter__(self) -> Self:
        self.plug()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.unplug()

    @property
    def is_plugged(self) -> bool:
        """Whether the cable is in."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def passed(self) -> tuple[int, int]:
        """Bytes that passed since `plug`: from the device, from the laptop."""
        return (self._ways[0].passed, self._ways[1].passed) if self._ways else (0, 0)

    def plug(self) -> None:
        """Put the cable in."""
        self.unplug()
        self._stop.clear()
        now = time.monotonic()
        self._ways = [_Way(self._baud, now), _Way(self._baud, now)]
        for path in (self.device, self.laptop):
            master, slave = pty.openpty()
            tty.setraw(slave)
            os.set_blocking(master, False)
            self._ends.append((master, slave))
            path.unlink(missing_ok=True)
            path.symlink_to(os.ttyname(slave))
        self._thread = threading.Thread(target=self._run, name="serial-line", daemon=True)
        self._thread.start()

    def unplug(self) -> None:
        """Pull it out; returns when it is out."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        try:
            while not self._stop.is_set() and not self._is_cut():
                self._turn()
        finally:
            for path in (self.device, self.laptop):
                path.unlink(missing_ok=True)
            for master, slave in self._ends:
                os.close(slave)
                os.close(master)
            self._ends = []

    def _turn(self) -> None:
        wanting = [
            end[0] for end, way in zip(self._ends, self._ways, strict=True) if len(way.held) < _HELD
        ]
        busy = any(way.held for way in self._ways)
        ready, _, _ = select.select(wanting, [], [], 0.001 if busy else 0.02)
        for index, (master, _) in enumerate(self._ends):
            if master in ready:
                with contextlib.suppress(OSError):
                    self._ways[index].held += os.read(master, _HELD)
        now = time.monotonic()
        for index, way in enumerate(self._ways):
            taken = way.take(now)
            if self.noise.cut_after is not None:
                taken = taken[: max(0, self.noise.cut_after - self._carried)]
            self._carried += len(taken)
            if taken:
                self._write(self._ends[1 - index][0], self._spoil(taken, to_laptop=index == 0))
        if busy and not any(way.tokens >= 1 for way in self._ways):
            time.sleep(0.0005)

    def _is_cut(self) -> bool:
        if self.noise.cut_after is None or self._carried < self.noise.cut_after:
            return False
        self._carried = 0
        return True

    def _write(self, master: int, data: bytes) -> None:
        while data and not self._stop.is_set():
            try:
                data = data[os.write(master, data) :]
            except BlockingIOError:
                time.sleep(0.001)
            except OSError:
                return

    def _spoil(self, data: bytes, *, to_laptop: bool) -> bytes:
        noise, chance = self.noise, self._random
        if not (noise.flip or noise.drop or noise.double or noise.chatter_chance):
            return data
        out = bytearray()
        for byte in data:
            if noise.drop and chance.random() < noise.drop:
                continue
            if noise.flip and chance.random() < noise.flip:
                byte ^= 1 << chance.randrange(8)
            out.append(byte)
            if noise.double and chance.random() < noise.double:
                out.append(byte)
            if to_laptop and byte == 0x0A and chance.random() < noise.chatter_chance:
                out += noise.chatter
        return bytes(out)
