"""A device for N1: the real service on a street, with something else under a mask.

    python -m evidence.masked_device --config device.toml --seed 5 --frames 60 --under noise
                                     --claimed claimed.json

All is real: models, tracker, gate, view watch, outbox, ledger, MQTT, health, metrics, logs. Given
from outside, so that two runs can be compared byte by byte, are the camera's frames with their
times, the clocks of delivery and ledger, which stand still, and the ids of the events, which count.
What is put under the mask `claimed` is known to the camera alone.
"""

from __future__ import annotations

import argparse
import itertools
import re
import signal
import threading
import time
import urllib.request
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

import cv2
import numpy as np

from alpr_edge import service as service_room
from alpr_edge.capture.port import SourceCounters
from alpr_edge.cli import run as run_command
from alpr_edge.config.mask_store import load_masks
from alpr_edge.delivery.clocks import SetClocks
from alpr_edge.exclusion.zones import rasterise
from alpr_edge.ledger import recorder, setup, store
from alpr_edge.process_guard import forbid_core_dumps
from alpr_edge.simulator.street import Street, StreetConfig
from alpr_edge.types import Frame, Image
from alpr_edge.wiring.device import make_service
from alpr_edge.wiring.signed_config import load_config
from evidence.non_interference import put

START = datetime(2026, 1, 1, tzinfo=UTC)
FPS = 6.0
SIZE = (960, 540)
_COUNT = re.compile(rb"^alpr_edge_(published|settled)_total ([\d.]+)$", re.MULTILINE)


class PreparedStreet:
    """A camera whose frames are the street's, but under the claimed mask."""

    name = "street"
    counters = SourceCounters(connected=True)

    def __init__(self, seed: int, frames: int, under: str, claimed: Path, metrics: int) -> None:
        config = StreetConfig(seed, *SIZE, fps=FPS, duration_s=frames / FPS)
        self._street = Street(config)
        self._under, self._frames, self._metrics = under, frames, metrics
        self._zones = rasterise(load_masks(str(claimed)), size_px=SIZE, digest="claimed")
        self._numbers = itertools.count()
        self._seed = seed

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Frame:
        number = next(self._numbers)
        page = self._settled() if number else b""
        if number >= self._frames:
            Path("metrics.txt").write_bytes(page)
            raise StopIteration
        image: Image = self._street.frame(number).image.copy()
        if self._under != "as it is":
            rng = np.random.default_rng([self._seed, number])
            put(image, self._zones, self._under, rng, image[::-1].copy())
        at = START + timedelta(seconds=number / FPS)
        return Frame(image, self.name, number, at, round(number / FPS * 1e9))

    def _settled(self) -> bytes:
        """The metrics page once the broker has settled all that was published.

        A frame comes no earlier: what follows what in the ledger would depend on the machine.
        """
        deadline = time.monotonic() + 60
        while True:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._metrics}/metrics") as answer:
                page: bytes = answer.read()
            counts = dict(_COUNT.findall(page))
            if counts[b"published"] == counts[b"settled"] or time.monotonic() > deadline:
                return page
            time.sleep(0.05)

    def stop(self) -> None:
        """Ends by itself."""

    def close(self) -> None:
        """Holds nothing."""


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m evidence.masked_device", description=__doc__)
    parser.add_argument("--config", required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--frames", type=int, required=True)
    parser.add_argument("--under", required=True)
    parser.add_argument("--claimed", type=Path, required=True)
    args = parser.parse_args()
    cv2.setNumThreads(1)
    forbid_core_dumps()
    config, check = load_config(args.config)
    run_command.log_to_stderr("debug")
    standing = store.Clock(lambda: START, lambda: 100.0)
    for room in (store, recorder, setup):
        room.Clock = lambda: standing  # type: ignore[assignment, attr-defined, misc]
    ids = itertools.count(1)
    service_room.new_event_id = lambda: str(uuid.UUID(int=(7 << 76) | (2 << 62) | next(ids)))
    camera = PreparedStreet(
        args.seed, args.frames, args.under, args.claimed, config.health.metrics_port
    )
    service = make_service(config, check, source=camera, clocks=SetClocks(START.timestamp()))
    for thread in threading.enumerate():
        if thread.name == "ledger-scan":
            # Else its entries would stand where the machine's speed puts them.
            thread.join()
    signal.signal(signal.SIGTERM, lambda number, frame: service.stop())
    waiting = service.run(drain_s=60.0)
    tally = service.tally
    drops = ", ".join(f"{reason} {n}" for reason, n in sorted(tally.drops.items()))
    print(f"{tally.frames} frames, {tally.published} published, dropped: {drops}; {waiting} wait")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
