"""One read per pass, and is it better than the best single frame? `python -m bench.passes`

    python -m bench.passes [--photos DIR --labels FILE.jsonl] [--frames 12] [--limit N] [--street 2]

Plays pan-and-zoom films of labelled photos (bench/clips.py) and the simulated street through
detector, recogniser and tracker, without exclusion. The best single frame of a pass is the read
with the highest confidence, which is what a program without tracks would send.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import cv2
import numpy as np

from alpr_edge.exclusion.mask import Masker
from alpr_edge.exclusion.zones import make_zones
from alpr_edge.sight import FindsPlates, ReadsPlates, look
from alpr_edge.simulator.street import Street, StreetConfig
from alpr_edge.types import ClosedTrack, Frame, Image, Quad, Read
from alpr_edge.vision.detector import Detector
from alpr_edge.vision.models import load_model
from alpr_edge.vision.recogniser import Recogniser
from alpr_edge.vision.tracker import Tracker, TrackerLimits
from bench import labels
from bench.clips import pan_and_zoom

START = datetime(2026, 1, 1, tzinfo=UTC)
Truth = dict[str, Quad]
"""Text → where its plate is in a frame."""


@dataclass
class Tally:
    """What the passes gave.

    Attributes:
        passes: plates that were found in at least `min_sightings` frames.
        reads: how many reads each of them gave, `{0: n, 1: n, …}`.
        voted_right, best_right: passes whose (only or first) read, and whose best single frame, is
            right with O=0 and I=1.
        any_right: passes with at least one right frame: the most that choosing could reach.
        sure, sure_right: voted reads at confidence 0.9 or more, and those right.
        mixed: voted texts that are nobody's plate though no frame read them: mistakes of voting.
    """

    passes: int = 0
    reads: dict[int, int] = field(default_factory=dict)
    voted_right: int = 0
    best_right: int = 0
    any_right: int = 0
    sure: int = 0
    sure_right: int = 0
    mixed: int = 0


@dataclass
class _Pass:
    """One vehicle's way through the view: its reads frame by frame, and the tracks it had."""

    text: str
    last_s: float
    reads: list[Read] = field(default_factory=list)
    tracks: set[int] = field(default_factory=set)


def play(
    shots: Iterable[tuple[Image, float, Truth]],
    engines: tuple[FindsPlates, ReadsPlates],
    tally: Tally,
    *,
    min_sightings: int = 3,
) -> None:
    """Run one film and add what came out.

    Args:
        shots: picture, seconds since the start, and the plates to be judged.
    """
    tracker = Tracker(TrackerLimits(min_sightings=min_sightings, max_unseen_ns=800_000_000))
    passes: list[_Pass] = []
    closed: list[ClosedTrack] = []
    for number, (image, time_s, truth) in enumerate(shots):
        zones = make_zones([], size_px=(image.shape[1], image.shape[0]), band_px=0, digest="")
        at, now_ns = START + timedelta(seconds=time_s), int(time_s * 1e9)
        frame = Frame(image, "film", number, at, now_ns)
        sightings = look(Masker(zones).apply(frame), *engines)
        step = tracker.step(sightings, captured_at=at, taken_ns=now_ns)
        closed += step.closed
        for text, quad in truth.items():
            one = _pass_of(passes, text, time_s)
            for sighting in sightings:
                if overlap(sighting.detection.quad, quad) > 0.2 and sighting.read is not None:
                    one.reads.append(sighting.read)
                    one.tracks |= {
                        p.track_id for p in step.points if p.quad is sighting.detection.quad
                    }
    closed += tracker.finish().closed
    for one in passes:
        if len(one.reads) >= min_sightings:
            of_it = [c for c in closed if c.track_id in one.tracks]
            _judge(one.text, one.reads, of_it, tally)


def _pass_of(passes: list[_Pass], text: str, time_s: float) -> _Pass:
    """The pass that a plate is on; one that was away for two seconds is on another."""
    known = [p for p in passes if p.text == text and time_s - p.last_s <= 2.0]
    if not known:
        known = [_Pass(text, time_s)]
        passes += known
    known[-1].last_s = time_s
    return known[-1]


def _judge(text: str, reads: list[Read], closed: list[ClosedTrack], tally: Tally) -> None:
    right = labels.folded(text)
    tally.passes += 1
    tally.reads[len(closed)] = tally.reads.get(len(closed), 0) + 1
    best = max(reads, key=lambda r: r.confidence)
    tally.best_right += labels.folded(best.plate) == right
    tally.any_right += any(labels.folded(r.plate) == right for r in reads)
    if closed:
        tally.voted_right += labels.folded(closed[0].read.plate) == right
    for track in closed:
        is_right = labels.folded(track.read.plate) == right
        if track.read.confidence >= 0.9:
            tally.sure += 1
            tally.sure_right += is_right
        tally.mixed += not is_right and track.read.plate not in {r.plate for r in reads}


def overlap(a: Quad, b: Quad) -> float:
    """Intersection over union of the upright boxes round two quads."""
    low, high = np.maximum(a.min(0), b.min(0)), np.minimum(a.max(0), b.max(0))
    shared = np.clip(high - low, 0, None).prod()
    return float(shared / (np.ptp(a, axis=0).prod() + np.ptp(b, axis=0).prod() - shared))


def photo_film(
    photo: labels.Photo, *, seed: int, frames: int, fps: float = 12.0
) -> Iterator[tuple[Image, float, Truth]]:
    """The pan-and-zoom film of a photo's first plate with a text."""
    label = next(p for p in photo.plates if p.text)
    picture = cv2.imread(str(photo.path), cv2.IMREAD_COLOR)
    if picture is None:
        raise SystemExit(f"bench: {photo.path} is not a picture that can be read")
    shots = pan_and_zoom(np.asarray(picture, np.uint8), label.box, seed=seed, frames=frames)
    for number, shot in enumerate(shots):
        yield shot.image, number / fps, {label.text: shot.quad}


def street_film(
    seed: int, *, fps: float = 10.0, duration_s: float = 30.0
) -> Iterator[tuple[Image, float, Truth]]:
    """The simulated street with every plate that can be read."""
    street = Street(StreetConfig(seed=seed, fps=fps, duration_s=duration_s))
    for shot in street.frames():
        truth = {t.plate: t.corners for t in shot.truth if t.readable and t.corners is not None}
        yield shot.image, shot.time_s, truth


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.passes", description=__doc__)
    parser.add_argument("--photos", type=Path, help="folder of photos")
    parser.add_argument("--labels", type=Path, nargs="+", help="their labels, JSON lines")
    parser.add_argument("--frames", type=int, default=12, help="frames a film (12)")
    parser.add_argument("--limit", type=int, help="so many photos of each label file")
    parser.add_argument("--street", type=int, default=2, help="films of the simulated street (2)")
    args = parser.parse_args()
    engines = (
        Detector(load_model("detector.onnx"), min_score=0.4),
        Recogniser(load_model("recogniser.onnx")),
    )
    tallies: dict[str, Tally] = {}
    for name in args.labels or []:
        tally = tallies[name.stem] = Tally()
        folder = args.photos or name.parent
        photos = [p for p in labels.load(name, folder) if any(q.text for q in p.plates)]
        for number, photo in enumerate(photos[: args.limit]):
            play(photo_film(photo, seed=number, frames=args.frames), engines, tally)
            print(f"\r{name.stem}: {number + 1} films", end="", file=sys.stderr, flush=True)
    if args.street:
        tally = tallies["street"] = Tally()
        for seed in range(11, 11 + args.street):
            play(street_film(seed), engines, tally)
            print(f"\rstreet: seed {seed}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    print(table(tallies))
    print(json.dumps({name: asdict(tally) for name, tally in tallies.items()}))
    return 0


def table(tallies: dict[str, Tally]) -> str:
    """Markdown."""
    lines = [
        "| films | passes | one read | none | more | voted right | best frame right "
        "| any frame right | right of those at ≥ 0.9 | text of no frame |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, t in tallies.items():
        none, one = t.reads.get(0, 0), t.reads.get(1, 0)
        lines.append(
            f"| {name} | {t.passes} | {one} | {none} | {t.passes - none - one} | {t.voted_right} "
            f"| {t.best_right} | {t.any_right} | {t.sure_right}/{t.sure} | {t.mixed} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
