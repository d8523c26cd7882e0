"""`alpr-edge read`: photos and folders in, plates out. A bench tool; it sends nothing."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from alpr_edge.errors import AlprEdgeError

if TYPE_CHECKING:
    from alpr_edge.types import Drop, Frame, Sighting
    from alpr_edge.wiring.stills import StillReader

_EPILOG = """\
examples:
  alpr-edge read photo.jpg
  alpr-edge read --jsonl photos/ > reads.jsonl
  alpr-edge read --masks masks.json --jsonl photos/

A mask file: {"masks": [{"name": "gate", "polygon": [[0.1, 0.2], [0.4, 0.2], [0.4, 0.6]]}]},
corners in parts of the picture, origin top left.
"""


def register(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "read",
        help="read the plates in photos",
        description="Read the plates in photos (JPEG, PNG, BMP, WebP) and folders of them.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("paths", nargs="+", metavar="PATH", help="photo or folder")
    parser.add_argument("--masks", metavar="FILE", help="blank these polygons first")
    parser.add_argument("--jsonl", action="store_true", help="one JSON object a photo")
    parser.add_argument("--threads", type=_positive, default=1, help="threads of the models (1)")
    parser.add_argument(
        "--min-confidence", type=_share, default=None, metavar="0..1", help="weakest read shown"
    )
    parser.add_argument(
        "--tier",
        choices=("accurate", "fast"),
        default="accurate",
        help="accurate: look again where the first look leaves doubt (default); fast: one look",
    )
    parser.set_defaults(call=call)


def call(args: argparse.Namespace) -> int:
    """Read everything that can be read; 1 if something could not."""
    from alpr_edge.capture.photos import find_photos, load_photo
    from alpr_edge.wiring.stills import make_still_reader

    reader = make_still_reader(
        masks=args.masks,
        threads=args.threads,
        min_confidence=args.min_confidence,
        tier=args.tier,
    )
    failed = 0
    progress = _Progress(enabled=sys.stderr.isatty() and not sys.stdout.isatty())
    for entry in find_photos(args.paths):
        try:
            if entry.error is not None:
                raise entry.error
            # Not kept: the next photo is decoded when this one's pixels are gone.
            line = _read(reader, load_photo(entry.path), entry.source)
        except AlprEdgeError as err:
            failed += 1
            line = {"source": entry.source, "error": {"code": err.code, "message": err.message}}
            if not args.jsonl:
                print(f"alpr-edge: {err}", file=sys.stderr)
        if args.jsonl:
            print(json.dumps(line, ensure_ascii=False), flush=True)
        elif "error" not in line:
            print(_for_people(line), flush=True)
        progress.tick()
    progress.end()
    return 1 if failed else 0


def _read(reader: StillReader, frame: Frame, source: str) -> dict[str, Any]:
    height, width = frame.image.shape[:2]
    shown, drops = reader.read(frame)
    return as_json(source, (width, height), shown, drops)


def as_json(
    source: str, size: tuple[int, int], shown: Sequence[Sighting], drops: Sequence[Drop]
) -> dict[str, Any]:
    """One photo's line, as section 5 of the design gives it."""
    return {
        "source": source,
        "width": size[0],
        "height": size[1],
        "reads": [_sighting(s) for s in shown],
        "suppressed": dict(Counter(d.reason.value for d in drops)),
    }


def _sighting(sighting: Sighting) -> dict[str, Any]:
    quad, read = sighting.detection.quad, sighting.read
    assert read is not None  # read_still shows none without
    low, high = quad.min(0), quad.max(0)
    region = read.region
    shown = {
        "plate": read.plate,
        "confidence": round(read.confidence, 4),
        "char_confidences": [round(c, 4) for c in read.char_confidences],
        "box": [round(float(v), 1) for v in (*low, *(high - low))],
        "corners": [[round(float(x), 1), round(float(y), 1)] for x, y in quad],
        "region": region and {"code": region.code, "confidence": round(region.confidence, 4)},
    }
    # Only where there is one: the other keys are the stable format.
    return {**shown, "ambiguous": list(read.ambiguous)} if read.ambiguous else shown


def _for_people(line: dict[str, Any]) -> str:
    reads = "  ".join(
        f"{r['plate']} {r['confidence']:.0%}"
        + (f" {r['region']['code']}" if r["region"] and r["region"]["confidence"] >= 0.5 else "")
        for r in line["reads"]
    )
    hidden = sum(n for reason, n in line["suppressed"].items() if reason != "weak_read")
    weak = line["suppressed"].get("weak_read", 0)
    note = f"  ({hidden} suppressed)" if hidden else ""
    note += f"  ({weak} too weak; --min-confidence 0 shows them)" if weak else ""
    return f"{line['source']}: {reads or 'no plate'}{note}"


class _Progress:
    """A counter on the terminal while the output goes elsewhere."""

    def __init__(self, *, enabled: bool) -> None:
        self._enabled, self._count = enabled, 0

    def tick(self) -> None:
        self._count += 1
        if self._enabled:
            print(f"\r{self._count} photos", end="", file=sys.stderr, flush=True)

    def end(self) -> None:
        if self._enabled:
            print(file=sys.stderr)


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value


def _share(text: str) -> float:
    value = float(text)
    if not 0.0 <= value <= 1.0:
        raise argparse.ArgumentTypeError("must be within 0 and 1")
    return value
