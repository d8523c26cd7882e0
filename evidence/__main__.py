"""`make evidence`: the whole exclusion battery, and a signed report of it in out/evidence.

    python -m evidence [--out FOLDER] [--cases 2000] [--touching 2000] [--grid quick|full]
                       [--key PEM] [--only street grid pixels view]

`ALPR_EDGE_PHOTOS` names the real photos for N1; without it the street's frames alone are used, and
the report says so. An interrupted street battery goes on where it stopped.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import cv2
from bench.view_battery import whole_day

import alpr_edge
from alpr_edge.simulator.street import Street, StreetConfig
from alpr_edge.vision.detector import Detector
from alpr_edge.vision.models import load_model
from alpr_edge.vision.recogniser import Recogniser
from evidence import non_interference, report, tiny_grid
from evidence.report import Section
from evidence.street_battery import Battery, Tally, code_digest, run_battery
from evidence.street_drive import DRAIN_S, street_zones

WANTED_SHARE = 0.97


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(
        prog="python -m evidence",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--out", type=Path, default=Path("out/evidence"))
    parser.add_argument("--cases", type=int, default=2000, help="of N1 (2000)")
    parser.add_argument("--touching", type=int, default=2000, help="vehicles of N2 (2000)")
    parser.add_argument("--grid", choices=("quick", "full"), default="quick")
    parser.add_argument("--key", type=Path, help="Ed25519 private key, PEM; else one for this run")
    parser.add_argument("--only", nargs="+", choices=("street", "grid", "pixels", "view"))
    args = parser.parse_args()
    wanted = args.only or ["street", "grid", "pixels", "view"]
    cv2.setNumThreads(1)
    began = datetime.now(UTC)
    sections = []
    if "pixels" in wanted:
        sections.append(pixels(args.cases))
    if "street" in wanted:
        sections.append(street(args.out / "street.jsonl", args.touching))
    if "grid" in wanted:
        sections.append(grid(full=args.grid == "full"))
    if "view" in wanted:
        sections.append(view())
    args.out.mkdir(parents=True, exist_ok=True)
    path = args.out / "report.html"
    path.write_text(report.as_html("Evidence for exclusion", facts(began), sections), "utf-8")
    fingerprint = report.sign(path, args.key)
    for section in sections:
        print(f"{section.title}: {section.verdict}")
    print(f"{path}, signed by {fingerprint}")
    return 0 if all(section.holds for section in sections) else 1


def facts(began: datetime) -> Iterator[tuple[str, object]]:
    """What was tested, where and when."""
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False
    )
    yield "software", f"alpr-edge {alpr_edge.__version__}, {commit.stdout.strip() or 'no commit'}"
    yield "digest of the code", code_digest()
    yield "models", ", ".join(load_model(f"{n}.onnx").digest for n in ("detector", "recogniser"))
    yield "machine", f"{platform.machine()}, {platform.system()} {platform.release()}"
    yield "began, ended", f"{began:%Y-%m-%d %H:%M} – {datetime.now(UTC):%H:%M} UTC"


def pixels(cases: int) -> Section:
    """N1."""
    named = os.environ.get("ALPR_EDGE_PHOTOS")
    images = non_interference.pictures(Path(named) / "measure" if named else None, most=120)
    detector = Detector(load_model("detector.onnx"))
    recogniser = Recogniser(load_model("recogniser.onnx"))

    def say(number: int) -> None:
        if number % 50 == 49:
            print(f"N1: {number + 1} of {cases}", flush=True)

    found = non_interference.check(range(cases), images, detector, recogniser, say)
    what = f"{len(images)} pictures, " + ("real photos among them" if named else "NO real photos")
    return Section(
        "N1: what lies under a mask changes nothing",
        f"{len(found.different)} of {sum(found.cases.values())} cases differed ({what})",
        not found.different,
        [f"{found.pixels} masked pixels were changed; {found.reads} reads stood beside the masks."],
        [(("content under the mask", "cases"), list(found.cases.items()))],
    )


def view() -> Section:
    """N7 on a simulated day, every minute of it."""
    found = whole_day(60.0)
    stops, late = found["false_stops_at_hours"], found["not_told"]
    return Section(
        "N7: a camera that moved stops, changing light does not",
        f"{found['told_within_5_s']} of {found['shifts']} shifts were told within 5 s; "
        f"reading stopped at {len(stops)} of {found['looks']} glances of 24 hours",
        not stops and not late,
        [f"Not told: {', '.join(late) or 'none'}. False stops at (hours): {stops or 'none'}."],
        [(("state", "glances"), list(found["states"].items()))],
    )


def street(store: Path, touching: int) -> Section:
    """N2."""
    found = run_battery(store, least_touching=touching, say=lambda text: print(text, flush=True))
    whole = found.whole
    all_seeing = found.by["engine"].get("all-seeing", Tally())
    section = Section(
        "N2: nothing of a vehicle that touches the premises",
        f"leaks = {whole.leaked} of {whole.touching} touching vehicles; of the untouched that the "
        f"same engine reads without exclusion, {_share(whole)} are still read "
        f"(engine that sees everything: {_share(all_seeing)}; wanted {WANTED_SHARE:.0%})",
        whole.leaked == 0,
        [
            "The engine never misreads. The all-seeing one looks through masks and vehicles; the "
            "honest ones see what is in view. A vehicle that turns round, passes close by, or is "
            "hidden by another where it enters or leaves the view cannot be told from one that "
            "comes out of the premises, and is suppressed.",
            f"Counted apart: vehicles that stand in the view at the start or end of a clip "
            f"({whole.parked_kept} of {whole.parked} read), and vehicles whose plate lies over a "
            f"zone while their wheels touch nothing ({whole.beside_kept} of {whole.beside} read; "
            f"N2 demands none). Each clip is followed by {DRAIN_S:.0f} s of empty street.",
        ],
        [_groups(found, key) for key in ("engine and camera", "fps")],
    )
    rows = [(name, n, kept) for name, (n, kept) in sorted(found.patterns.items())]
    section.tables.append((("engine: pattern", "read without exclusion", "released"), rows))
    if found.leaks:
        section.tables.append(
            (("seed", "vehicle", "pattern"), [tuple(x.values()) for x in found.leaks])
        )
    shot = Street(StreetConfig(seed=7, fps=1.0, duration_s=20.0)).frame(12).image
    caption = "black: blanked; red: taints; camera: usual"
    section.pictures.append((caption, report.draw_zones(shot, street_zones("usual"))))
    return section


def _groups(found: Battery, key: str) -> tuple[tuple[str, ...], list[tuple[object, ...]]]:
    head = (key, "drives", "touching", "leaks", "readable", "kept", "share")
    rows = [
        (name, t.drives, t.touching, t.leaked, t.readable, t.kept, _share(t))
        for name, t in sorted(found.by[key].items())
    ]
    return head, rows


def _share(tally: Tally) -> str:
    if not tally.readable:
        return "none of none"
    return f"{tally.kept / tally.readable:.1%} ({tally.kept} of {tally.readable})"


def grid(*, full: bool) -> Section:
    """N4 and N2, exhaustively."""
    searches = [("3×3, 3 steps, every pair", tiny_grid.Grid(3, 3), False)]
    searches.append(("5×5, 4 steps, every single way", tiny_grid.Grid(5, 4), True))
    if full:
        searches.append(("5×5, 4 steps, every pair", tiny_grid.Grid(5, 4), False))
    rows: list[tuple[object, ...]] = []
    holds = True
    for name, size, alone in searches:
        print(f"grid: {name}", flush=True)
        found = tiny_grid.search(size, alone=alone)
        bad = (len(found.leaks), len(found.added), len(found.wrong_switches))
        holds &= not any(bad)
        rows.append((name, found.cases, found.touching, found.released, *bad))
    head = ("grid", "cases", "touching", "released", "leaks", "added by a larger zone", "by switch")
    note = "Every pair on 5×5 was " + ("searched." if full else "not searched: --grid full does.")
    verdict = f"{sum(int(str(row[1])) for row in rows)} cases, nothing found against the gate"
    if not holds:
        verdict = "the gate failed, see the table"
    return Section("N4: every way on a tiny grid", verdict, holds, [note], [(head, rows)])


if __name__ == "__main__":
    sys.exit(main())
