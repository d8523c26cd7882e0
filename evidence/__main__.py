"""`make evidence`: the whole exclusion battery, and a signed report of it in out/evidence.

    python -m evidence [--out FOLDER] [--key PEM] [--only PART...]
                       [--quick] [--whole-day] [--report]

It goes on where it stopped: everything is done in pieces, and a piece that was done for the same
code and data is not done again. `--report` runs nothing and reports what has been done so far.
`--quick` takes a fair part of every long part. Processor time of all of it, on one core of a quiet
x86-64 machine: see docs/exclusion.md, "The battery".

`ALPR_EDGE_PHOTOS` names the real photos for N1 and N7; without it those parts use the simulated
street alone, and the report says so. The exit status is 0 where everything holds and is complete.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import cv2

import alpr_edge
from alpr_edge.vision.models import load_model
from evidence import report, sections
from evidence.pieces import ROOT
from evidence.sections import Plan
from evidence.words import WORDS

PARTS: dict[str, Callable[[Plan], report.Section]] = {
    "pixels": sections.pixels,
    "runs": sections.runs,
    "street": sections.street,
    "grid": sections.grid,
    "residue": sections.residue,
    "view": sections.view,
    "mutants": sections.mutants,
}


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(
        prog="python -m evidence",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--out", type=Path, default=Path("out/evidence"))
    parser.add_argument("--key", type=Path, help="Ed25519 private key, PEM; else one for this run")
    parser.add_argument("--only", nargs="+", choices=PARTS, metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--quick", action="store_true", help="a fair part of the long parts")
    parser.add_argument("--whole-day", action="store_true", help="N7: all hours at full rate too")
    parser.add_argument("--report", action="store_true", help="run nothing, report what there is")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    named = os.environ.get("ALPR_EDGE_PHOTOS")
    plan = Plan(
        args.out,
        Path(named) if named else None,
        quick=args.quick,
        make=not args.report,
        whole_day=args.whole_day,
    )
    began = datetime.now(UTC)
    found = []
    for name in args.only or PARTS:
        plan.say(f"{name}: begins")
        found.append(PARTS[name](plan))
        found[-1].plain = WORDS[name]
        plan.say(f"{found[-1].title}: {found[-1].state}: {found[-1].verdict}")
    args.out.mkdir(parents=True, exist_ok=True)
    path = args.out / "report.html"
    text = report.as_html("Evidence for exclusion", facts(began), found, path.name)
    path.write_text(text, "utf-8")
    fingerprint = report.sign(path, args.key)
    plan.say(f"{path}, signed by {fingerprint}")
    return 0 if all(section.state == "holds" for section in found) else 1


def facts(began: datetime) -> Iterator[tuple[str, object]]:
    """What was tested, where and when."""
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    yield "software", f"alpr-edge {alpr_edge.__version__}, {commit.stdout.strip() or 'no commit'}"
    yield "models", ", ".join(load_model(f"{n}.onnx").digest for n in ("detector", "recogniser"))
    yield "machine", f"{platform.machine()}, {platform.system()} {platform.release()}"
    yield "made", f"{began:%Y-%m-%d %H:%M} – {datetime.now(UTC):%H:%M} UTC"


if __name__ == "__main__":
    sys.exit(main())
