"""This program beside RapidOCR on a folder of labelled photos, in the same run.

Each engine runs in a process of its own, one after the other, with the same number of threads. A
plate is right if a text whose centre lies on it equals the label, whole; of a whole-page OCR every
line there counts, and all of them joined, so it is never marked down for a second line. A false
read is a text away from every label; a page OCR reads everything, so there it has no meaning.

fast-alpr is not here: its weights come from a hub at run time, and nothing here downloads any.
"""

from __future__ import annotations

import json
import math
import statistics
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.labels import Photo, folded, plain


@dataclass(frozen=True)
class Score:
    """One engine at one number of threads.

    Attributes:
        plates, right, folded: labelled plates, those read right, and with O=0 and I=1.
        sure, sure_right: reads on plates at confidence 0.9 or more, and those right, folded.
        false: reads away from every label; None for a page OCR.
        ms, cpu_ms: median of a photo, from file to result; all threads' CPU time.
        first_s: from the start of loading to the first photo's result.
    """

    engine: str
    threads: int
    photos: int
    plates: int
    right: int
    folded: int
    sure: int
    sure_right: int
    false: int | None
    ms: float
    cpu_ms: float
    first_s: float
    peak_mib: float
    model_mb: float


ENGINES = ("alpr-edge", "alpr-edge-fast", "rapidocr")


def compare(
    photos: list[Photo],
    threads: list[int],
    peer: Path,
    *,
    engines: tuple[str, ...] = ENGINES,
) -> list[Score]:
    """Every engine at every number of threads.

    Args:
        peer: the Python of the environment that has the peers.

    Raises:
        SystemExit: an engine ended with an error.
    """
    return [
        _score(name, count, photos, _run(_python(name, peer), name, count, photos))
        for count in threads
        for name in engines
    ]


def table(scores: list[Score]) -> str:
    """Markdown."""
    lines = [
        "| engine | threads | right | O=0, I=1 | right of those at ≥ 0.9 | false reads a photo "
        "| ms a photo | CPU ms | first result s | peak MiB | models MB |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for s in scores:
        # A page OCR also reads what is no plate: its lines are not claims about plates.
        sure = "–" if s.false is None else f"{s.sure_right}/{s.sure}"
        false = "–" if s.false is None else f"{s.false / max(s.photos, 1):.2f}"
        lines.append(
            f"| {s.engine} | {s.threads} | {_share(s.right, s.plates)} "
            f"| {_share(s.folded, s.plates)} {_interval(s.folded, s.plates)} | {sure} | {false} "
            f"| {s.ms:.0f} | {s.cpu_ms:.0f} | {s.first_s:.2f} | {s.peak_mib:.0f} "
            f"| {s.model_mb:.1f} |"
        )
    return "\n".join(lines)


def as_json(scores: list[Score]) -> list[dict[str, object]]:
    """For out/bench.json."""
    return [asdict(s) for s in scores]


def _python(name: str, peer: Path) -> str:
    return str(peer) if name == "rapidocr" else sys.executable


def _run(python: str, name: str, threads: int, photos: list[Photo]) -> list[dict]:
    print(f"bench: {name}, {threads} threads, {len(photos)} photos …", file=sys.stderr, flush=True)
    done = subprocess.run(
        [python, str(Path(__file__).with_name("engine.py")), name, str(threads)],
        input="\n".join(str(p.path.resolve()) for p in photos),
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or len(lines) != len(photos) + 1:
        raise SystemExit(f"bench: {name} ended with status {done.returncode}")
    return lines


def _score(name: str, threads: int, photos: list[Photo], lines: list[dict]) -> Score:
    *rows, last = lines
    plates = right = right_folded = sure = sure_right = false = 0
    for photo, row in zip(photos, rows, strict=True):
        for label in (p for p in photo.plates if p.text):
            on_it = [t for t in row["texts"] if label.holds(t[2], t[3])]
            on_it.sort(key=lambda t: (t[3], t[2]))
            texts = {plain(t[0]) for t in on_it} | {plain("".join(t[0] for t in on_it))}
            plates += 1
            right += label.text in texts
            right_folded += folded(label.text) in {folded(t) for t in texts}
            certain = [t for t in on_it if t[1] >= 0.9]
            sure += len(certain)
            sure_right += sum(folded(t[0]) == folded(label.text) for t in certain)
        false += sum(not any(p.holds(t[2], t[3]) for p in photo.plates) for t in row["texts"])
    return Score(
        engine=name,
        threads=threads,
        photos=len(photos),
        plates=plates,
        right=right,
        folded=right_folded,
        sure=sure,
        sure_right=sure_right,
        false=None if name == "rapidocr" else false,
        ms=statistics.median(r["ms"] for r in rows),
        cpu_ms=statistics.median(r["cpu_ms"] for r in rows),
        first_s=last["first_s"],
        peak_mib=last["peak_mib"],
        model_mb=last["model_bytes"] / 1e6,
    )


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "–"


def _interval(part: int, whole: int) -> str:
    """95 %, Wilson."""
    if not whole:
        return ""
    z, p = 1.96, part / whole
    middle = (p + z * z / (2 * whole)) / (1 + z * z / whole)
    reach = z / (1 + z * z / whole) * math.sqrt(p * (1 - p) / whole + (z / (2 * whole)) ** 2)
    return f"({100 * (middle - reach):.0f} to {100 * (middle + reach):.0f})"
