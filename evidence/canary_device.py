"""A device for the leak census: the real service with an engine that reads all plates, also masked.

    python -m evidence.canary_device --config device.toml --plates plates.npz [--from FRAME]
                                     [--unproven]

Everything but camera and models is real: tracker, gate, outbox, ledger, MQTT, health, logs. The
plates come from a file in which their texts are not plain, so that what a search of this process's
memory or of the disk finds was put there by the program. At the end of the plates it goes on with
empty frames until it is told to stop, and says `idle` on its standard output; before that, where
the blocks lie that hold the texts of reads that wait. With `--unproven` the view is never proven:
what the gate releases waits to the end.
"""

from __future__ import annotations

import argparse
import ctypes
import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

import numpy as np

from alpr_edge.capture.port import SourceCounters
from alpr_edge.cli import run as run_command
from alpr_edge.config.store import load
from alpr_edge.exclusion.gate import Gate, GateLimits
from alpr_edge.exclusion.mask import MaskedFrame, Masker
from alpr_edge.exclusion.view_watch import ViewReport, ViewState
from alpr_edge.exclusion.zones import rasterise
from alpr_edge.pipeline import Pipeline
from alpr_edge.process_guard import forbid_core_dumps, lock_memory
from alpr_edge.simulator.scene import zone_set
from alpr_edge.types import Detection, Frame, PlateCrop, Read
from alpr_edge.vision.tracker import Tracker, TrackerLimits
from alpr_edge.wiring.device import make_service
from evidence.street_drive import CAMERAS, SIZE

KEY = 0x5A
FPS = 10.0
LIMITS = GateLimits(hold_ns=1_000_000_000, remember_ns=3_000_000_000)


def hide(plate: str) -> bytes:
    """A text as it stands in the file of plates."""
    return bytes(b ^ KEY for b in plate.encode("ascii").ljust(10))


class Plates:
    """What the engine sees, by frame."""

    def __init__(self, path: Path) -> None:
        with np.load(path) as file:
            self.frames, self.corners, self.texts = file["frames"], file["corners"], file["texts"]

    @property
    def last(self) -> int:
        return int(self.frames.max())


class EmptyCamera:
    """Black frames at the pace of a camera, without end."""

    name = "canary"
    counters = SourceCounters(connected=True)

    def __init__(self, first: int, last: int) -> None:
        self._number, self._last, self._ended = first - 1, last, False
        self._next_s = time.monotonic()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Frame:
        if self._ended:
            raise StopIteration
        self._next_s += 1 / FPS
        time.sleep(max(0.0, self._next_s - time.monotonic()))
        self._number += 1
        if self._number == self._last + int(FPS * 10):
            print("idle", flush=True)
        image = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
        # By the street's clock: a machine that is too slow must not look like a camera that stalls.
        taken_ns = int(self._number / FPS * 1e9)
        return Frame(image, self.name, self._number, datetime.now(UTC), taken_ns)

    def stop(self) -> None:
        self._ended = True

    def close(self) -> None:
        self.stop()


class AllSeeing:
    """Detector and recogniser in one: both know the truth."""

    def __init__(self, plates: Plates) -> None:
        self._plates = plates
        self._now: np.ndarray = np.zeros(0, np.intp)

    def detect(self, frame: MaskedFrame) -> tuple[Detection, ...]:
        self._now = np.flatnonzero(self._plates.frames == frame.sequence)
        return tuple(Detection(self._plates.corners[i], 0.9) for i in self._now)

    def read(self, crops: list[PlateCrop]) -> list[Read | None]:
        texts = [bytes(self._plates.texts[i] ^ KEY).decode().strip() for i in self._now]
        return [Read(text, 0.95, (0.95,) * len(text), None) for text in texts]


class Unproven:
    """A view watch that sees no reason to stop, and proves nothing."""

    report = ViewReport(ViewState.CONFIRMED, may_read=True, proven_ns=None)

    def step(self, frame: MaskedFrame) -> ViewReport:
        """The same each time."""
        return self.report


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m evidence.canary_device", description=__doc__)
    parser.add_argument("--config", required=True)
    parser.add_argument("--plates", type=Path, required=True)
    parser.add_argument("--unproven", action="store_true")
    parser.add_argument("--from", type=int, default=0, dest="first")
    args = parser.parse_args()
    forbid_core_dumps()
    config = load(args.config)
    run_command.log_to_stderr("debug")
    plates = Plates(args.plates)
    service = make_service(config, source=EmptyCamera(args.first, plates.last))
    # Under the digest of the masks in force: others would be made anew at every frame.
    digest = service._guard.mask_digest
    zones = rasterise(zone_set(CAMERAS["usual"]), size_px=SIZE, digest=digest)
    engine = AllSeeing(plates)
    pipeline = Pipeline(
        masker=Masker(zones),
        detector=engine,
        recogniser=engine,
        tracker=Tracker(TrackerLimits(max_unseen_ns=800_000_000)),
        gate=Gate(zones, LIMITS),
        watch=Unproven() if args.unproven else None,  # type: ignore[arg-type]
    )
    for block in pipeline.memories:
        address = ctypes.addressof(ctypes.c_char.from_buffer(block))
        print(f"block {address} {block.nbytes} {int(lock_memory(block))}", flush=True)
    # The one thing that is not the device's own: what looks at the frames.
    service._make_pipeline = lambda size_px: pipeline
    signal.signal(signal.SIGTERM, lambda number, frame: service.stop())
    service.run(drain_s=5.0)
    return 0


if __name__ == "__main__":
    sys.exit(main())
