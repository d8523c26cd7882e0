"""`alpr-edge reference`: takes the reference view of a camera, and compares a view with it."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from alpr_edge.capture.port import FrameSource
    from alpr_edge.exclusion.mask import MaskedFrame
    from alpr_edge.exclusion.view_watch import ViewReport
    from alpr_edge.exclusion.zones import Zones
    from alpr_edge.types import Frame

_EPILOG = """\
examples:
  alpr-edge reference take --config camera.toml
  alpr-edge reference take --masks masks.json --out reference.json clip.mp4
  alpr-edge reference check --config camera.toml
  alpr-edge reference check --config camera.toml --json photo.jpg

Take it by day, after the masks are final, over a minute with traffic. Text that the camera burns
into its picture stays where it is when the camera moves: switch it off or mask it.
The file holds edge directions in 128 columns, no picture; nothing inside the mask is in it.
"""
_PHOTOS = {".jpg", ".jpeg", ".png", ".bmp", ".webp"}
_STEP_NS = 500_000_000


def register(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("reference", help="the reference view: take it, compare with it")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for name, text, call, seconds in (
        ("take", "Take the reference view and write its file.", _take, 60.0),
        (
            "check",
            "Compare a view with the reference. Exit status 3 unless it agrees.",
            _check,
            10.0,
        ),
    ):
        action = actions.add_parser(
            name,
            help=text.split(".")[0].lower(),
            description=text,
            epilog=_EPILOG,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        action.add_argument("--config", type=Path, metavar="FILE", help="the device's TOML file")
        action.add_argument(
            "--masks", type=Path, metavar="FILE", help="without --config: the masks"
        )
        action.add_argument(
            "--seconds",
            type=_seconds,
            default=seconds,
            metavar="S",
            help=f"how long to look ({seconds:.0f})",
        )
        action.add_argument(
            "paths", nargs="*", type=Path, metavar="PATH", help="photos or a video; else the camera"
        )
        action.set_defaults(call=call)
        if name == "take":
            action.add_argument("--out", type=Path, metavar="FILE", help="where to write it")
        else:
            action.add_argument("--reference", type=Path, metavar="FILE", help="without --config")
            action.add_argument("--json", action="store_true", help="one JSON object")


def _take(args: argparse.Namespace) -> int:
    """Make a reference of masked frames and write it.

    Raises:
        ConfigError, ExclusionError, CaptureError: a file or the source is missing or wrong, or the
            view is too plain.
    """
    from alpr_edge.errors import ConfigError
    from alpr_edge.exclusion.view_reference import make_reference, reference_json
    from alpr_edge.exclusion.view_watch import comparer_for
    from alpr_edge.trust.durable_file import write_durably

    config = _config(args)
    out = args.out or (config and config.exclusion.reference_file)
    if out is None:
        raise ConfigError(
            "no file to write to",
            code="exclusion.reference.no_file",
            hint="give --out, or exclusion.reference_file in the configuration",
        )
    zones, frames = _masked(args, config)
    reference = make_reference(frames, zones)
    places = comparer_for(reference, zones).patches
    try:
        write_durably(Path(out), reference_json(reference))
    except OSError as err:
        raise ConfigError(
            f"{out} cannot be written: {err.strerror}", code="exclusion.reference.no_file"
        ) from err
    print(
        f"{out}: {reference.frames} frames of {reference.width_px}x{reference.height_px}, "
        f"{places} places to know it by, sha256:{reference.digest}"
    )
    return 0


def _check(args: argparse.Namespace) -> int:
    """Watch the view as the device would, and say what it is at the end."""
    from alpr_edge.errors import ConfigError
    from alpr_edge.exclusion.view_watch import ViewWatch
    from alpr_edge.wiring.engine import read_reference, watch_limits

    config = _config(args)
    path = args.reference or (config and config.exclusion.reference_file)
    if path is None:
        raise ConfigError(
            "no reference view to compare with",
            code="exclusion.reference.no_file",
            hint="give --reference, or exclusion.reference_file in the configuration",
        )
    reference = read_reference(path)
    zones, frames = _masked(args, config)
    watch = ViewWatch(reference, zones, None if config is None else watch_limits(config))
    report = watch.report
    for frame in frames:
        report = watch.step(frame)
    _say(report, zones, as_json=args.json)
    return 0 if report.may_read else 3


def _say(report: ViewReport, zones: Zones, *, as_json: bool) -> None:
    from alpr_edge.exclusion.view_watch import VIEW_SENTENCES

    shift_px = None if report.shift is None else round(report.shift * zones.width_px, 1)
    if as_json:
        print(json.dumps({"state": report.state.value, "shift_px": shift_px}))
        return
    measured = "" if shift_px is None else f"; last shift found {shift_px} px"
    print(f"{report.state.value}: {VIEW_SENTENCES[report.state]}{measured}")


def _config(args: argparse.Namespace) -> Any:
    from alpr_edge.config.store import load
    from alpr_edge.errors import ConfigError

    if args.config is None and (args.masks is None or not args.paths):
        raise ConfigError(
            "neither a configuration nor masks with a picture",
            code="cli.usage",
            hint="give --config FILE, or --masks FILE and a photo or video",
        )
    return None if args.config is None else load(args.config)


def _masked(args: argparse.Namespace, config: Any) -> tuple[Zones, Iterator[MaskedFrame]]:
    """The zones for the first frame's size, and the frames behind them, half a second apart.

    Raises:
        CaptureError: there is no first frame.
    """
    from alpr_edge.config.mask_store import load_masks
    from alpr_edge.errors import CaptureError
    from alpr_edge.exclusion.mask import Masker
    from alpr_edge.wiring.engine import device_zones
    from alpr_edge.wiring.guard import load_mask_record
    from alpr_edge.wiring.stills import still_zones

    masks = load_masks(args.masks) if config is None else load_mask_record(config)
    frames = _frames(args, config)
    first = next(frames, None)
    if first is None:
        raise CaptureError("the source gives no frame", code="capture.no_frame")
    height, width = first.image.shape[:2]
    size = (width, height)
    zones = still_zones(masks, size) if config is None else device_zones(config, masks, size)
    masker = Masker(zones)

    def masked() -> Iterator[MaskedFrame]:
        yield masker.apply(first)
        for number, frame in enumerate(frames, 2):
            yield masker.apply(frame)
            if sys.stderr.isatty():
                print(f"\r{number} frames", end="", file=sys.stderr, flush=True)
        if sys.stderr.isatty():
            print(file=sys.stderr)

    return zones, masked()


def _frames(args: argparse.Namespace, config: Any) -> Iterator[Frame]:
    if args.paths and all(path.suffix.lower() in _PHOTOS for path in args.paths):
        yield from _photos(args.paths, times=1 if args.action == "take" else 3)
        return
    import os

    from alpr_edge.capture.playback import PlaybackOptions
    from alpr_edge.capture.video import video_file_source
    from alpr_edge.wiring.camera import make_source

    sources: list[FrameSource] = [
        video_file_source(path, options=PlaybackOptions()) for path in args.paths
    ]
    for source in sources or [make_source(config, os.environ)]:
        began = last = None
        try:
            for frame in source:
                began = frame.taken_ns if began is None else began
                if frame.taken_ns - began > args.seconds * 1e9:
                    break
                if last is None or frame.taken_ns - last >= _STEP_NS:
                    last = frame.taken_ns
                    yield frame
        finally:
            source.close()


def _photos(paths: list[Path], *, times: int) -> Iterator[Frame]:
    """Each photo as if the camera had shown it so many times, half a second apart."""
    from dataclasses import replace

    from alpr_edge.capture.photos import load_photo

    at_ns = 0
    for path in paths:
        photo = load_photo(path)
        for _ in range(times):
            yield replace(photo, image=photo.image.copy(), taken_ns=at_ns)
            at_ns += _STEP_NS


def _seconds(text: str) -> float:
    value = float(text)
    if not 1.0 <= value <= 3600.0:
        raise argparse.ArgumentTypeError("must be within 1 and 3600")
    return value
