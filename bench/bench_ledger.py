"""The ledger with a million entries: append, size, open, verify, memory.

    python bench/bench_ledger.py [--entries 1000000] [--json]

Append is measured with the syncing thread running (a sync within a second, as on a device).
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "ledger"))
from ledger_samples import TestSigner, boot, egress, hour

from alpr_edge.ledger.files import LedgerFolder
from alpr_edge.ledger.kinds import Stop
from alpr_edge.ledger.store import Identity, Ledger
from alpr_edge.ledger.verify import Question, verify


def main() -> None:
    """Run all of it and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--json", action="store_true")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        result = measure(Path(name) / "ledger", wanted.entries)
    if wanted.json:
        print(json.dumps(result))
    else:
        for key, value in result.items():
            print(f"{key:24} {value}")


def measure(path: Path, entries: int) -> dict[str, object]:
    """The figures."""
    identity = Identity("bench", (TestSigner(),))
    ledger = Ledger(path, identity)
    ledger.start()
    ledger.append(boot())
    bodies = [egress(3), hour()]
    took = []
    began = time.perf_counter()
    for number in range(entries - 2):
        body = bodies[number % 20 == 0]
        start = time.perf_counter()
        ledger.append(body)
        took.append(time.perf_counter() - start)
        if number % 5_000 == 0:
            ledger.sync()
    ledger.close(Stop(reason="asked"))
    filled = time.perf_counter() - began
    size = sum(p.stat().st_size for p in path.rglob("*") if p.is_file())
    began = time.perf_counter()
    again = Ledger(path, identity)
    opened = time.perf_counter() - began
    again.close()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.perf_counter()
    verdict = verify(LedgerFolder(path), Question(identity.keys))
    verified = time.perf_counter() - began
    return {
        "entries": verdict.size,
        "holds": verdict.holds,
        "append_us_median": round(1e6 * statistics.median(took), 1),
        "append_us_p99": round(1e6 * statistics.quantiles(took, n=100)[98], 1),
        "fill_s": round(filled, 1),
        "mb_on_disk": round(size / 1e6, 1),
        "open_s": round(opened, 2),
        "verify_s": round(verified, 1),
        "peak_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "peak_mib_before_verify": round(before / 1024),
    }


if __name__ == "__main__":
    main()
