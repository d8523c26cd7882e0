"""`alpr-edge-bench`: accept units, one or many in turn, and check what was signed.

    scripts/alpr-edge-bench accept --env hil_tests/env/loopback.yaml
    scripts/alpr-edge-bench accept --env a.yaml --env b.yaml --key bench.key --soak-hours 12
    scripts/alpr-edge-bench verify out/bench/cam-0001/report.json --key bench.pub

Exit status: 0 every unit accepted (with --station or --quick: nothing failed, which accepts
nobody), 1 a unit refused or a report not as it was signed, 2 wrong usage or the bench is not set
up.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import select
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hil_tests.bench import report
from hil_tests.bench.programs import REPOSITORY
from hil_tests.bench.verdict import BenchError

_LINE = re.compile(r"::(\w+)\S* (PASSED|FAILED|SKIPPED|ERROR)\b.*\[ *(\d+)%\]")
_HOURS = 4.0


def main(argv: list[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="alpr-edge-bench",
        description="Accept or refuse units before they go on a pole.",
        epilog=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    accept = actions.add_parser("accept", help="run the suite on each environment's unit")
    accept.add_argument("--env", action="append", required=True, type=Path, metavar="FILE")
    accept.add_argument("--out", type=Path, default=REPOSITORY / "out" / "bench", metavar="FOLDER")
    accept.add_argument("--key", type=Path, metavar="FILE", help="signs (OUT/bench.key, made once)")
    accept.add_argument("--soak-hours", type=float, default=0.0, metavar="HOURS")
    accept.add_argument(
        "--limit-hours", type=float, metavar="HOURS", help="for one unit (4 + soak)"
    )
    accept.add_argument("--scenario", metavar="FOLDER", help="which (crossing), compared")
    accept.add_argument("--station", action="append", metavar="NAME", help="only these")
    accept.add_argument("--quick", action="store_true", help="only the quick items; to look at")
    check = actions.add_parser("verify", help="check a report's signature")
    check.add_argument("report", type=Path)
    check.add_argument("--key", type=Path, action="append", required=True, help="public, PEM")
    args = parser.parse_args(argv)
    try:
        return _verify(args) if args.action == "verify" else _accept(args)
    except BenchError as err:
        print(err, file=sys.stderr)
        return 1 if err.code == "bench.signature" else 2


def _accept(args: argparse.Namespace) -> int:
    for env in args.env:
        if not env.is_file():
            raise BenchError(f"no {env}", code="bench.setup", hint="an environment file")
    key = report.load_key(args.key or args.out / "bench.key")
    public = args.out / "bench.pub"
    args.out.mkdir(parents=True, exist_ok=True)
    form = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    public.write_bytes(key.public_key().public_bytes(*form))
    refused = 0
    for number, env in enumerate(args.env, 1):
        print(f"unit {number} of {len(args.env)}: {env}", flush=True)
        judged, folder = _one(env, args, key)
        unit = judged["facts"].get("unit", env.stem)
        print(f"{unit}: {judged['verdict'].upper()} ({judged['counts']}); {folder}/report.html")
        for item in judged["items"]:
            if item["outcome"] in ("failed", "skipped"):
                print(f"  {item['station']}: {item['what'] or item['test']}: {item['why'][-300:]}")
        refused += judged["verdict"] == "refused"
    return 1 if refused else 0


def _one(env: Path, args: argparse.Namespace, key: Any) -> tuple[dict[str, Any], Path]:
    """Run the suite on one unit. Whatever happens, there is a verdict."""
    with tempfile.TemporaryDirectory() as scratch:
        results_file, junit = Path(scratch) / "results.json", Path(scratch) / "junit.xml"
        command = [
            *(sys.executable, "-m", "pytest", "-v", "-c", "hil_tests/pytest.ini"),
            *("--rootdir", ".", "hil_tests", "--lg-env", str(env.absolute())),
            *("--results", str(results_file), "--junitxml", str(junit)),
            *("--soak-hours", str(args.soak_hours)),
        ]
        command += [x for name in args.station or () for x in ("--station", name)]
        command += ["--quick"] if args.quick else []
        command += ["--scenario", args.scenario, "--replay"] if args.scenario else []
        limit_s = 3600 * (args.limit_hours or _HOURS + args.soak_hours)
        ended, tail = _follow(command, limit_s, dict(os.environ))
        results: dict[str, Any] = {"items": [], "facts": {}, "series": {}, "pictures": {}}
        if results_file.exists():
            results = json.loads(results_file.read_text())
        if ended not in (0, 1) or not results["items"]:
            why = "took too long" if ended is None else f"the suite ended with {ended}: {tail}"
            results["items"].append(
                {"station": "bench", "test": "suite", "what": "The suite itself.", "why": why,
                 "outcome": "failed", "seconds": 0.0, "measured": {}}
            )  # fmt: skip
        results["is_part"] = bool(args.station or args.quick)
        folder = args.out / str(results["facts"].get("unit", env.stem))
        judged = report.write(results, folder, key)
        if junit.exists():
            (folder / "junit.xml").write_bytes(junit.read_bytes())
    return judged, folder


def _follow(command: list[str], limit_s: float, env: dict[str, str]) -> tuple[int | None, str]:
    """Run it, one line of progress an item; end it after the limit, and all that it started."""
    end, text, tail = time.monotonic() + limit_s, "", ""
    with subprocess.Popen(
        command,
        cwd=REPOSITORY,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        try:
            # Not by lines: pytest names an item when it begins, and ends the line when it ends.
            while time.monotonic() < end:
                if not select.select([process.stdout], [], [], 1.0)[0]:
                    continue
                data = os.read(process.stdout.fileno(), 65_536)
                if not data:
                    return process.wait(60), tail
                text += data.decode("utf-8", "replace")
                *lines, text = text.split("\n")
                for line in lines:
                    tail = (tail + line + "\n")[-500:]
                    found = _LINE.search(line)
                    if found:
                        print(f"  {found[3]:>3} %  {found[2].lower():<8}{found[1]}", flush=True)
            return None, tail
        finally:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask it to switch the unit off and end; then insist."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        if process.poll() is not None:
            break
        process.send_signal(number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(60)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _verify(args: argparse.Namespace) -> int:
    keys = []
    for path in args.key:
        try:
            key = serialization.load_pem_public_key(path.read_bytes())
        except (OSError, ValueError) as err:
            raise BenchError(f"{path}: {err}", code="bench.key", hint="a public key, PEM") from err
        if isinstance(key, Ed25519PublicKey):
            keys.append(key)
    try:
        document = json.loads(args.report.read_bytes())
    except (OSError, ValueError) as err:
        raise BenchError(f"{args.report}: {err}", code="bench.signature", hint="") from err
    judged = report.verify(document, keys)
    print(f"{judged['facts'].get('unit', '?')}: {judged['verdict']}, {judged['made_at']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
