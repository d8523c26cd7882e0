"""`make bench`: milliseconds per stage, start-up to the first read, peak memory.

    python -m bench [--photo FILE] [--size 1920x1080] [--threads 1 2] [--seconds 5]
    python -m bench --photos DIR --labels FILE.jsonl [FILE.jsonl ...] [--limit N] [--seconds 0]

Prints the table that the README quotes and writes out/bench.json. The picture is a frame of the
simulated street unless `--photo` names another. With `--photos` and `--labels` (bench/labels.py
says the form) this program and RapidOCR read the same photos in the same run: accuracy,
milliseconds, memory, size. `--seconds 0` leaves the stages out.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

import cv2

from alpr_edge.errors import AlprEdgeError
from bench import compare, labels, measure, scene, stages, world


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--photo", type=Path, help="a picture with plates in it")
    parser.add_argument("--size", default="1920x1080", help="WIDTHxHEIGHT (1920x1080)")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--seconds", type=float, default=5.0, help="per stage (5)")
    parser.add_argument("--photos", type=Path, help="folder of labelled photos")
    parser.add_argument("--labels", type=Path, nargs="+", help="their labels, JSON lines")
    parser.add_argument("--limit", type=int, help="so many photos of each label file")
    parser.add_argument(
        "--peer-python",
        type=Path,
        default=Path(".venv-bench/bin/python"),
        help="Python of the environment with rapidocr (.venv-bench, made by `make bench`)",
    )
    parser.add_argument("--out", type=Path, default=Path("out/bench.json"))
    args = parser.parse_args()
    if bool(args.photos) != bool(args.labels):
        parser.error("--photos and --labels go together")
    if args.photos and not args.peer_python.exists():
        parser.error(f"there is no {args.peer_python}: run `make .venv-bench/.set-up`")
    photos = [
        photo
        for name in args.labels or []
        for photo in labels.load(name, args.photos)[: args.limit]
    ]
    width, _, height = args.size.partition("x")
    size_px = (int(width), int(height))

    about = measure.machine()
    timings: list[measure.Timing] = []
    wholes: list[measure.Whole] = []
    if args.seconds > 0:
        try:
            timings, wholes = own(args, size_px)
        except AlprEdgeError as err:
            print(f"bench: {err}", file=sys.stderr)
            return err.exit_status
    print(table(about, args.size, timings, wholes))
    scores = compare.compare(photos, args.threads, args.peer_python) if photos else []
    if scores:
        print(f"\n{compare.table(scores)}")
    args.out.parent.mkdir(parents=True, exist_ok=True)
    report = {
        "machine": about,
        "size": args.size,
        "stages": [timing.as_json() for timing in timings],
        "processes": [whole.as_json() for whole in wholes],
        "bench_peak_mib": measure.own_peak_mib(),
        "engines": compare.as_json(scores),
    }
    args.out.write_text(json.dumps(report, indent=2) + "\n", "utf-8")
    return max((whole.status for whole in wholes), default=0)


def own(
    args: argparse.Namespace, size_px: tuple[int, int]
) -> tuple[list[measure.Timing], list[measure.Whole]]:
    """This program's stages and whole processes.

    Raises:
        AlprEdgeError: a model is missing or does not load.
    """
    picture = scene.from_file(args.photo) if args.photo else scene.from_street(size_px)
    picture = stages.fitted(picture, size_px)
    timings = [
        timing
        for threads in args.threads
        for timing in stages.measure(picture, threads=threads, seconds=args.seconds)
    ]
    timings += world.measure(args.seconds)
    with tempfile.TemporaryDirectory() as folder:
        photo = Path(folder) / "photo.png"
        cv2.imwrite(str(photo), picture)
        command = [sys.executable, "-m", "alpr_edge"]
        wholes = [
            measure.process("alpr-edge --version", [*command, "--version"]),
            measure.process(
                "alpr-edge read: start to the end of one photo", [*command, "read", str(photo)]
            ),
        ]
    return timings, wholes


def table(
    about: dict[str, object],
    size: str,
    timings: list[measure.Timing],
    wholes: list[measure.Whole],
) -> str:
    """Markdown, as the README quotes it."""
    lines = [
        f"{about['cpu']}, {about['cores']} cores, Python {about['python']}, {size}, "
        f"load before {about['load_before']}",
        "",
        "| stage | threads | median ms | 95 % ms | CPU ms |",
        "| --- | --- | --- | --- | --- |",
        *(
            f"| {t.name} | {t.threads} | {t.p50_ms:.2f} | {t.p95_ms:.2f} | {t.cpu_ms:.2f} |"
            for t in timings
        ),
        "",
        "| process | seconds | peak MiB |",
        "| --- | --- | --- |",
        *(f"| {w.name} | {w.seconds:.2f} | {w.peak_mib:.0f} |" for w in wholes),
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
