"""`alpr-edge placement check`: may this camera stand here, and with which masks?"""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from alpr_edge.exclusion.premises import Register, Site
    from alpr_edge.placement.check import Placement, Policy
    from alpr_edge.placement.fleet import FleetRow

_EPILOG = """\
examples:
  alpr-edge placement check --camera cam.json --premises premises.geojson --html report.html
  alpr-edge placement check --camera cam.json --premises premises.geojson --masks masks.json
  alpr-edge placement check --fleet cameras.csv --premises premises.geojson --html fleet.html

Exit status: 0 every camera may stand, 3 one must not, 1 a row could not be judged.
"""


def register(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("placement", help="may a camera stand here? verdict, masks, map")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    check = actions.add_parser(
        "check",
        help="judge one camera, or a fleet",
        description="Judge a camera's place, direction and lens against the register of premises.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    which = check.add_mutually_exclusive_group(required=True)
    which.add_argument("--camera", metavar="FILE", help="JSON from `alpr-edge calibrate`")
    which.add_argument("--fleet", metavar="FILE", help="CSV, one camera a row")
    check.add_argument("--premises", required=True, metavar="FILE", help="the register")
    check.add_argument("--keys", metavar="FILE", help="public keys; the register must be signed")
    check.add_argument("--json", action="store_true", help="JSON instead of text")
    check.add_argument("--html", metavar="FILE", help="write a page that prints well")
    check.add_argument("--masks", metavar="FILE", help="write the masks (one camera)")
    check.add_argument("--csv", metavar="FILE", help="write the result as a table (fleet)")
    check.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes (fleet)")
    rules = check.add_argument_group("what the city asks for")
    rules.add_argument("--plate-width", type=float, default=0.305, metavar="METRES", help="(0.305)")
    rules.add_argument("--plate-px", type=float, default=50.0, help="pixels to be readable (50)")
    rules.add_argument("--most-lost", type=float, default=0.6, help="of the readable ground (0.6)")
    rules.add_argument("--vehicle-height", type=float, default=4.5, metavar="METRES", help="(4.5)")
    rules.add_argument("--band", type=float, default=2.0, metavar="METRES", help="(2)")
    rules.add_argument("--reach", type=float, default=400.0, metavar="METRES", help="(400)")
    check.set_defaults(call=call)


def call(args: argparse.Namespace) -> int:
    """Judge; the exit status is the worst camera's."""
    from alpr_edge.placement.files import load_register
    from alpr_edge.trust.key_files import load_public_keys

    policy = policy_of(args)
    keys = load_public_keys(args.keys) if args.keys else None
    premises = load_register(args.premises, keys).register
    today = datetime.now(UTC).date()
    if premises.is_stale(today):
        print(f"alpr-edge: the register was valid until {premises.valid_to}", file=sys.stderr)
    sites = premises.sites_on(today)
    if args.fleet:
        return _fleet(args, premises, sites, policy)
    return _one(args, premises, sites, policy)


def policy_of(args: argparse.Namespace) -> Policy:
    """The policy that the options state.

    Raises:
        ConfigError: `cli.usage`: a value that makes no sense.
    """
    from alpr_edge.errors import ConfigError
    from alpr_edge.exclusion.projection import Rules
    from alpr_edge.placement.check import Policy

    ranges = {
        "plate_width": (0.1, 1.0), "plate_px": (5, 1000), "most_lost": (0, 1),
        "vehicle_height": (1.5, 6), "band": (0, 50), "reach": (20, 5000),
    }  # fmt: skip
    wrong = [
        f"--{name.replace('_', '-')}: must be within {low:g} to {high:g}"
        for name, (low, high) in ranges.items()
        if not low <= getattr(args, name) <= high
    ]
    if wrong:
        raise ConfigError("these options make no sense", code="cli.usage", problems=tuple(wrong))
    rules = Rules(vehicle_height_m=args.vehicle_height, band_m=args.band, reach_m=args.reach)
    return Policy(rules, args.plate_width, args.plate_px, args.most_lost)


def _one(
    args: argparse.Namespace, premises: Register, sites: Sequence[Site], policy: Policy
) -> int:
    from alpr_edge.config.mask_file import format_masks
    from alpr_edge.exclusion.projection import near_sites
    from alpr_edge.placement.check import Verdict, check_placement
    from alpr_edge.placement.files import load_camera, write

    camera = load_camera(args.camera)
    near = near_sites(sites, camera, policy.rules.reach_m)
    placement = check_placement(camera, near, policy)
    if args.html:
        from alpr_edge.placement.page import camera_page

        page = camera_page(placement, near, policy, premises, _when())
        write(Path(args.html), page.encode("utf-8"))
    if args.masks:
        write(Path(args.masks), format_masks(placement.zones).encode("ascii") + b"\n")
    print(json.dumps(report(placement)) if args.json else text_of(placement))
    return 3 if placement.verdict is Verdict.MUST_NOT_STAND else 0


def report(placement: Placement) -> dict[str, Any]:
    """A check as a JSON object."""
    from alpr_edge.config.mask_file import format_masks

    return {
        "camera": placement.camera.id,
        "verdict": placement.verdict.value,
        "reasons": list(placement.reasons),
        "readable_m": [round(placement.near_m, 1), round(placement.far_m, 1)],
        "lost": round(placement.lost, 4),
        "masked": round(placement.masked, 4),
        "sites": [
            {
                "id": site.id, "name": site.name, "category": site.category,
                "distance_m": round(site.distance_m, 1), "in_view": site.in_view,
                "readable": site.readable, "mask_share": round(site.share, 4),
            }
            for site in placement.sites
        ],
        "suggestions": [
            {"text": s.text, "verdict": s.verdict.value, "turn_deg": s.turn_deg,
             "hfov_deg": s.hfov_deg}
            for s in placement.suggestions
        ],
        "masks": json.loads(format_masks(placement.zones)),
    }  # fmt: skip


def text_of(placement: Placement) -> str:
    """A check for people."""
    lines = [
        f"{placement.camera.id}: {placement.verdict.text}",
        *(f"  {reason}" for reason in placement.reasons),
        f"  plates readable from {placement.near_m:.0f} m to {placement.far_m:.0f} m"
        if placement.far_m
        else "  no plate is readable: too small, or out of the picture",
    ]
    for site in placement.sites:
        where = f"mask {site.share:.1%} of the picture" if site.in_view else "not in view"
        read = ", plates readable there without masks" if site.readable else ""
        lines.append(f"  {site.distance_m:6.0f} m  {site.id}  {site.name}: {where}{read}")
    lines += [f"  better: {suggestion.text}" for suggestion in placement.suggestions]
    return "\n".join(lines)


def _fleet(
    args: argparse.Namespace, premises: Register, sites: Sequence[Site], policy: Policy
) -> int:
    from alpr_edge.config.files import display_name
    from alpr_edge.placement.check import Verdict
    from alpr_edge.placement.files import read, write
    from alpr_edge.placement.fleet import read_table
    from alpr_edge.placement.fleet_runner import run_fleet

    data = read(args.fleet, limit_bytes=512 << 20)
    lines = io.StringIO(data.decode("utf-8", "replace"), newline="")
    table = read_table(lines, source=display_name(args.fleet))
    rows = run_fleet(table, sites, policy, jobs=args.jobs, progress=_progress())
    rows.sort(key=lambda row: row.rank)
    if args.html:
        from alpr_edge.placement.page import fleet_page

        write(Path(args.html), fleet_page(rows, premises, policy, _when()).encode("utf-8"))
    if args.csv:
        write(Path(args.csv), _table(rows).encode("utf-8"))
    if args.json:
        for row in rows:
            print(json.dumps(_row(row)))
    else:
        for line in _summary(rows):
            print(line)
    verdicts = {row.verdict for row in rows}
    if Verdict.MUST_NOT_STAND in verdicts:
        return 3
    return 1 if None in verdicts or not rows else 0


def _summary(rows: Sequence[FleetRow]) -> Iterator[str]:
    counts = Counter("cannot be judged" if r.verdict is None else r.verdict.text for r in rows)
    yield f"{len(rows)} cameras: " + ", ".join(f"{n} {text}" for text, n in counts.most_common())
    for row in rows[:20]:
        if row.verdict is None or row.verdict.value == "must_not_stand":
            yield f"  {row.id or f'line {row.number}'}: {row.note}"


def _row(row: FleetRow) -> dict[str, Any]:
    return {
        "line": row.number,
        "camera": row.id,
        "verdict": None if row.verdict is None else row.verdict.value,
        "lost": round(row.lost, 4),
        "masked": round(row.masked, 4),
        "readable_to_m": round(row.far_m, 1),
        "nearest_m": None if row.nearest_m is None else round(row.nearest_m, 1),
        "sites": list(row.sites),
        "note": row.note,
    }


def _table(rows: Sequence[FleetRow]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = list(_row(rows[0])) if rows else []
    writer.writerow(names)
    for row in rows:
        values = {**_row(row), "sites": " ".join(row.sites)}
        writer.writerow([_harmless(values[name]) for name in names])
    return text.getvalue()


def _harmless(value: object) -> object:
    """A cell that no spreadsheet takes for a formula."""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@") else value


_TELL_EVERY = 5_000


def _progress() -> Any:
    shown, told = sys.stderr.isatty(), 0

    def tell(done: int) -> None:
        nonlocal told
        if shown and done % 200 == 0:
            print(f"\r{done} cameras", end="", file=sys.stderr, flush=True)
        elif not shown and done - told >= _TELL_EVERY:
            # In a log: a line now and then.
            told = done
            print(f"{done} cameras", file=sys.stderr, flush=True)

    return tell


def _when() -> str:
    return f"{datetime.now(UTC):%Y-%m-%d}"
