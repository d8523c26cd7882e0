"""`alpr-edge masks`: draw, check, convert, sign, commit and confirm masks."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alpr_edge.cli import mask_release
from alpr_edge.cli.keys import add_key, signing_key, write

if TYPE_CHECKING:
    from alpr_edge.authority.rules import Plan, Unit
    from alpr_edge.exclusion.compare import Change
    from alpr_edge.trust.keyring import Keyring

_EPILOG = f"""\
examples:
  alpr-edge masks check masks.json --frame 1920x1080 --against old.json
  alpr-edge masks render masks.json --picture view.jpg --out masks.png
  alpr-edge masks import onvif.xml --format onvif --frame 1920x1080 --out masks.json
  alpr-edge masks export masks.json --format frigate --frame 1920x1080 --out mask.txt
  alpr-edge masks sign masks.json --config device.toml --frame 1920x1080 --author Anna \\
      --key anna.key --out record.json
  alpr-edge masks countersign record.json --config device.toml --key ben.key
  alpr-edge masks commit record.json --config device.toml
  alpr-edge masks confirm --config device.toml
  alpr-edge masks history --config device.toml
{mask_release.EXAMPLES}
What protects more takes effect at once on one signature. What protects less takes two people or the
city, and until it is confirmed old and new masks protect together. A polygon that the city added by
command stands beside the records until one names it: `release`, or `sign --lets-go`.
Exit status: 0 done, 1 check: protects less, 2 wrong usage, 3 refused.
"""


def register(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "masks",
        help="draw, check, convert, sign and commit masks",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)

    def add(name: str, text: str, call: Any, *, file: str = "") -> argparse.ArgumentParser:
        action: argparse.ArgumentParser = actions.add_parser(
            name,
            help=text,
            description=text,
            epilog=_EPILOG,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        if file:
            action.add_argument("file", type=Path, metavar=file)
        action.set_defaults(call=call)
        return action

    check = add("check", "area, coverage, and what a change adds and removes", _check, file="MASKS")
    check.add_argument("--against", type=Path, metavar="OLD", help="the masks before")
    check.add_argument("--frame", type=_frame, default=(1920, 1080), metavar="WxH")
    check.add_argument("--band", type=float, default=0.02, help="the configuration's least band")
    render = add("render", "a PNG of mask, band and gates over a picture", _render, file="MASKS")
    render.add_argument("--picture", type=Path, required=True, metavar="PHOTO")
    render.add_argument("--out", type=Path, required=True, metavar="PNG")
    render.add_argument("--band", type=float, default=0.02, help="the configuration's least band")
    for name, text, call in (
        ("import", "masks from ONVIF or Frigate", _import),
        ("export", "masks for ONVIF or Frigate", _export),
    ):
        action = add(name, text, call, file="FILE")
        action.add_argument("--format", choices=["onvif", "frigate"], required=True)
        action.add_argument("--frame", type=_frame, default=(1920, 1080), metavar="WxH")
        action.add_argument("--out", type=Path, required=True, metavar="FILE")
    sign = add("sign", "make a signed record of masks for one camera", _sign, file="MASKS")
    _add_signer(sign)
    sign.add_argument("--frame", type=_frame, required=True, metavar="WxH")
    sign.add_argument("--author", action="append", required=True, help="who drew them")
    sign.add_argument("--reason", default="", help="why, for the history")
    sign.add_argument("--days", type=float, default=365.0, help="how long it is valid (365)")
    sign.add_argument("--reference", help="digest of the reference view")
    sign.add_argument("--number", type=int, help="on a laptop; on the unit it is the next one")
    sign.add_argument("--previous", help="with --number: digest of the record in force")
    sign.add_argument("--out", type=Path, required=True, metavar="RECORD")
    mask_release.add_lets_go(sign)
    counter = add(
        "countersign", "sign a record as the second person or the city", _counter, file="RECORD"
    )
    _add_signer(counter)
    for name, text, call in (
        ("plan", "what committing a record would do", _plan),
        ("commit", "put a signed record in force", _commit),
    ):
        action = add(name, text, call, file="RECORD")
        _add_config(action)
        action.add_argument("--confirm-within", type=float, default=15.0, metavar="MINUTES")
    _add_config(add("confirm", "let go of the older masks", _confirm))
    _add_config(add("history", "every record that was ever committed", _history))
    mask_release.register(add)


def _add_signer(parser: argparse.ArgumentParser) -> None:
    _add_config(parser)
    add_key(parser)


def _add_config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", required=True, metavar="FILE", help="the device's TOML file")


def _frame(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    if not (
        width.isdigit()
        and height.isdigit()
        and 16 <= int(width) <= 16384
        and 16 <= int(height) <= 16384
    ):
        raise argparse.ArgumentTypeError("must be WIDTHxHEIGHT in pixels, such as 1920x1080")
    return int(width), int(height)


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


# --- looking ---------------------------------------------------------------------------------


def _check(args: argparse.Namespace) -> int:
    import numpy as np

    from alpr_edge.config.mask_store import load_masks
    from alpr_edge.exclusion.compare import compare
    from alpr_edge.exclusion.zones import rasterise

    zones = load_masks(args.file)
    raster = rasterise(zones, size_px=args.frame, digest="", least_band=args.band)
    pixels = args.frame[0] * args.frame[1]
    core, band = (int(np.count_nonzero(r)) for r in (raster.core, raster.band))
    print(f"{args.file}: ok, no polygon crosses or touches itself")
    print(f"  {len(zones.masks)} masks, {len(zones.bands)} bands, {len(zones.gates)} gates")
    print(f"  blanked {core} pixels ({core / pixels:.2%}), tainting {band} ({band / pixels:.2%})")
    if args.against is None:
        return 0
    change = compare(load_masks(args.against), zones, size_px=args.frame, least_band=args.band)
    _print_change(change)
    return 0 if change.covers else 1


def _print_change(change: Change) -> None:
    print(f"  mask: +{change.core_added_px} −{change.core_removed_px} pixels")
    print(f"  taint: +{change.band_added_px} −{change.band_removed_px} pixels")
    print("  covers all that was protected" if change.covers else "  protects less:")
    for narrowing in change.narrowings:
        print(f"    - {narrowing}")


def _render(args: argparse.Namespace) -> int:
    import cv2

    from alpr_edge.capture.photos import load_photo
    from alpr_edge.cli.mask_picture import draw
    from alpr_edge.config.mask_store import load_masks

    picture = load_photo(args.picture).image
    drawn = draw(picture, load_masks(args.file), least_band=args.band)
    good, data = cv2.imencode(".png", drawn)
    if not good:
        raise AssertionError("OpenCV could not write a PNG")
    write(args.out, data.tobytes())
    print(args.out)
    return 0


def _import(args: argparse.Namespace) -> int:
    from alpr_edge.config.files import FileTrouble, read_regular_file
    from alpr_edge.config.mask_file import MAX_MASK_BYTES, format_masks
    from alpr_edge.errors import ConfigError
    from alpr_edge.exclusion.mask_formats import read_format

    data = read_regular_file(args.file, limit_bytes=MAX_MASK_BYTES)
    if isinstance(data, FileTrouble):
        raise ConfigError(
            f"{args.file} {data.detail}", code="config.masks.unreadable", hint=data.hint
        )
    zones = read_format(args.format, data, args.frame)
    write(args.out, format_masks(zones).encode() + b"\n")
    print(f"{args.out}: {len(zones.masks)} masks")
    return 0


def _export(args: argparse.Namespace) -> int:
    from alpr_edge.config.mask_store import load_masks
    from alpr_edge.exclusion.mask_formats import write_format

    zones = load_masks(args.file)
    write(args.out, write_format(args.format, zones, args.frame))
    print(f"{args.out}: {len(zones.masks)} masks")
    if zones.bands or zones.gates or zones.band:
        print("  bands and gates have no place in that format: only masks were written")
    return 0


# --- records ---------------------------------------------------------------------------------


def _unit(args: argparse.Namespace) -> tuple[Any, Keyring, Unit]:
    """Store, keys and unit of a configuration."""
    from alpr_edge.authority.rules import Unit
    from alpr_edge.errors import KeyUnusable
    from alpr_edge.trust.key_files import load_keyring
    from alpr_edge.wiring.guard import make_mask_store
    from alpr_edge.wiring.signed_config import city_keys_file
    from alpr_edge.wiring.signed_config import load_config as load

    config, _ = load(args.config)
    city = city_keys_file(config)
    if city is None:
        raise KeyUnusable(
            f"{args.config} names no keys of the city",
            code="trust.key.missing",
            hint="set trust.city_keys",
        )
    ring = load_keyring(city, config.trust.persons)
    unit = Unit(
        config.device.id,
        config.device.camera,
        config.exclusion.band,
        config.exclusion.reference_file is not None,
    )
    return make_mask_store(config), ring, unit


def _sign(args: argparse.Namespace) -> int:
    from alpr_edge.authority.record import MaskRecord, parse_record, record_payload
    from alpr_edge.authority.rules import Unit
    from alpr_edge.config.mask_store import load_masks
    from alpr_edge.config.store import load
    from alpr_edge.trust.documents import DocumentType
    from alpr_edge.trust.envelope import sign
    from alpr_edge.wiring.guard import make_mask_store

    config, now = load(args.config), _now()
    unit = Unit(config.device.id, config.device.camera)
    number, previous = args.number, args.previous
    known: tuple[str, ...] = ()
    if number is None:
        state = make_mask_store(config).load().state
        number = state.highest + 1
        previous = previous or state.follows
        known = mask_release.known_digests(state)
    record = MaskRecord(
        number,
        unit.device,
        unit.camera,
        args.frame,
        load_masks(args.file),
        valid_from=now,
        valid_to=now + timedelta(days=args.days),
        reference=args.reference,
        previous=previous,
        authors=tuple(args.author),
        reason=args.reason,
        lets_go=mask_release.digests_of(args.lets_go, device=unit.device, known=known),
    )
    payload = record_payload(record)
    parse_record(payload)
    write(args.out, sign(DocumentType.MASK_RECORD, payload, signing_key(args)))
    print(f"{args.out}: number {record.number} for {unit.device}/{unit.camera}")
    return 0


def _counter(args: argparse.Namespace) -> int:
    from alpr_edge.authority.record import SIGNING_ROLES
    from alpr_edge.trust.documents import DocumentType
    from alpr_edge.trust.envelope import countersign

    _, ring, _ = _unit(args)
    known = (*ring.city, *ring.keys_of(*SIGNING_ROLES))
    data = countersign(_record(args), DocumentType.MASK_RECORD, known, signing_key(args))
    write(args.file, data)
    print(f"{args.file}: signed")
    return 0


def _record(args: argparse.Namespace) -> bytes:
    from alpr_edge.config.files import FileTrouble, read_regular_file
    from alpr_edge.errors import TrustError
    from alpr_edge.trust.envelope import MAX_ENVELOPE_BYTES

    data = read_regular_file(args.file, limit_bytes=MAX_ENVELOPE_BYTES)
    if isinstance(data, FileTrouble):
        raise TrustError(
            f"{args.file} {data.detail}", code="authority.record.unreadable", hint=data.hint
        )
    return data


def _plan(args: argparse.Namespace) -> int:
    store, ring, unit = _unit(args)
    within = _now() + timedelta(minutes=args.confirm_within)
    _print_plan(store.plan(_record(args), ring, unit, confirm_before=within, now=_now()))
    return 0


def _commit(args: argparse.Namespace) -> int:
    store, ring, unit = _unit(args)
    within = _now() + timedelta(minutes=args.confirm_within)
    plan = store.commit(_record(args), ring, unit, confirm_before=within, now=_now())
    _print_plan(plan)
    if plan.is_pending:
        print(
            f"old and new masks protect together; `alpr-edge masks confirm` before "
            f"{within:%Y-%m-%d %H:%M} UTC"
        )
    else:
        print("in force")
    return 0


def _print_plan(plan: Plan) -> None:
    print(f"on the word of: {plan.authority.value.replace('_', ' ')}")
    named = plan.state.records[-1].record.lets_go
    kept = [one for one in plan.state.additions if one.digest not in named]
    waiting = [one for one in plan.state.additions if one.digest in named]
    mask_release.print_polygons(kept, "stays in force beside the record")
    mask_release.print_polygons(waiting, "ends when the record is confirmed")
    if plan.change is not None:
        _print_change(plan.change)
    for narrowing in plan.narrowings:
        if plan.change is None or narrowing not in plan.change.narrowings:
            print(f"    - {narrowing}")


def _confirm(args: argparse.Namespace) -> int:
    store, ring, _ = _unit(args)
    state = store.confirm(_now(), ring)
    print(f"number {state.records[-1].record.number} alone is in force")
    mask_release.print_polygons(state.additions, "stays in force beside it")
    return 0


def _history(args: argparse.Namespace) -> int:
    from alpr_edge.authority.record import parse_record
    from alpr_edge.errors import AlprEdgeError
    from alpr_edge.trust.documents import DocumentType
    from alpr_edge.trust.envelope import read_unverified

    store, _, _ = _unit(args)
    loaded = store.load()
    in_force = {one.digest for one in loaded.state.records}
    for number, path in store.history():
        try:
            found = read_unverified(path.read_bytes(), DocumentType.MASK_RECORD)
            record = parse_record(found.payload)
        except (AlprEdgeError, OSError):
            print(f"{number:6d}  cannot be read any more")
            continue
        mark = "in force" if found.digest in in_force else ""
        print(
            f"{number:6d}  {record.valid_from:%Y-%m-%d %H:%M}  {found.digest[:12]}  "
            f"{', '.join(record.authors)}  {record.reason}  {mark}".rstrip()
        )
    mask_release.print_beside(loaded.state)
    if loaded.state.confirm_before is not None:
        print(f"pending: confirm before {loaded.state.confirm_before:%Y-%m-%d %H:%M} UTC")
    if loaded.trouble:
        print(f"damaged: {loaded.trouble}")
        return 3
    return 0
