"""N1 on whole runs: two devices that differ only in what lies under the mask, byte by byte.

Does: runs `masked_device` twice in folders that are equal to the last byte, captures every message
at a real mosquitto, and compares what each channel gave: MQTT (topics, payloads, properties; among
them health and events), the log, the counters of the run, the metrics page, and every file left.
Does not: compare what is random or measured by design: the time at the head of a log line, the few
numbers of health and status that tell the machine's state, process and time (`_MEASURED`), and the
bytes of the encrypted outbox and its key, of which only the names are compared.

Rules: a control, in which the claimed mask is larger than the one that the device has, must differ.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from alpr_edge.config.mask_file import format_masks
from alpr_edge.zone_set import ZonePolygon, ZoneSet
from evidence.broker import Capture, free_port, mosquitto
from evidence.pieces import ROOT

WHAT = (
    "Each pair is two runs of the whole service on one street, with the shipped models and a real "
    "mosquitto; one has something else under the mask. Compared are all MQTT messages with their "
    "properties, health, log, counters, metrics and files, the signed ledger included. In the "
    "controls the device's mask is smaller than claimed, and the difference must be found."
)
CONTENTS = ("noise", "plates", "black", "white", "another picture")
CONTROL = "control"
FRAMES = 110
_CLAIMED = ((0.0, 0.0), (0.48, 0.0), (0.48, 1.0), (0.0, 1.0))
_SMALLER = ((0.0, 0.0), (0.1, 0.0), (0.1, 0.3), (0.0, 0.3))
_DEVICE = """
[device]
id = "unit-1"
site = "test street"
[source]
kind = "street"
[exclusion]
mask_file = "masks.json"
hold_s = 1.0
band = 0.01
[recogniser]
min_confidence = 0.3
[trust]
require_signatures = false
[clock]
accept = "assumed"
[mqtt]
host = "127.0.0.1"
port = {port}
settle_on = "puback"
[outbox]
path = "outbox.sqlite3"
keep_key_in = "file"
[health]
every_s = 3600.0
metrics_port = {metrics}
[ledger]
publish_every_s = 86400.0
attest_every_s = 604800.0
[sentry]
every_s = 3600.0
[run]
log_level = "debug"
threads = 1
status_file = "status.json"
"""
_TIME = re.compile(rb"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} ", re.MULTILINE)
_MEASURED = re.compile(
    rb'("?(?:uptime_s|queue_age_s|frames_per_s|temperature_c|disk_free_bytes|flash_written_bytes|'
    rb'told_at|told_boot_s|pid)"?\s*:?\s*)'
    rb'(?:-?[\d.e+]+|null|"[\dT:.Z+-]+")'
)
_MEASURED_LINE = re.compile(
    rb"^.*alpr_edge_(?:uptime|frames_per|queue_age|flash|disk|temperature).*\n", re.MULTILINE
)
"""Of the metrics page."""
_PRIVATE = re.compile(r"(outbox\.sqlite3.*|outbox.*key.*|.*\.lock)")
Channels = dict[str, bytes]


def keys(*, quick: bool) -> list[str]:
    """Every pair of runs."""
    seeds = (5,) if quick else (5, 6, 7)
    return [f"street {seed}: {what}" for seed in seeds for what in (*CONTENTS, CONTROL)]


def piece(key: str, frames: int = FRAMES) -> dict[str, Any]:
    """Run a pair and compare."""
    street, _, under = key.partition(": ")
    seed = int(street.split()[1])
    mask = _SMALLER if under == CONTROL else _CLAIMED
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        first, second = pair(folder, seed, "black" if under == CONTROL else under, mask, frames)
    different = sorted(k for k in {*first, *second} if first.get(k) != second.get(k))
    return {
        "different": different,
        "bytes": sum(len(data) for data in first.values()),
        "channels": len(first),
        "events": first["mqtt"].count(b"alpr-edge/unit-1/reads "),
        "counters": first["counters"].decode(),
    }


def pair(
    folder: Path, seed: int, under: str, mask: tuple[tuple[float, float], ...], frames: int
) -> tuple[Channels, Channels]:
    """What every channel gave, with the street as it is and with something under the claim."""
    template = folder / "template"
    template.mkdir()
    (template / "masks.json").write_text(format_masks(ZoneSet((ZonePolygon("m", mask),))))
    claimed = folder / "claimed.json"
    claimed.write_text(format_masks(ZoneSet((ZonePolygon("claimed", _CLAIMED),))))
    port, metrics = free_port(), free_port()
    (template / "device.toml").write_text(_DEVICE.format(port=port, metrics=metrics))
    # The unit's key is made once: signatures of both runs are by the same one.
    _device(template, ["--frames", "1", "--seed", "1", "--under", "as it is"], claimed)
    for path in template.iterdir():
        if path.name not in ("identity", "masks.json", "device.toml"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    found: list[Channels] = []
    for number, content in enumerate(("as it is", under)):
        place = folder / "run"
        shutil.copytree(template, place)
        arguments = ["--frames", str(frames), "--seed", str(seed), "--under", content]
        with mosquitto(folder, port):
            capture = Capture(port, folder / f"mqtt-{number}")
            try:
                done = _device(place, arguments, claimed)
            finally:
                capture.close()
        found.append(_channels(place, done, capture))
        shutil.rmtree(place)
    return found[0], found[1]


def _device(
    folder: Path, arguments: list[str], claimed: Path
) -> subprocess.CompletedProcess[bytes]:
    paths = os.pathsep.join([str(ROOT), str(ROOT / "src")])
    done = subprocess.run(
        [
            *(sys.executable, "-m", "evidence.masked_device", "--config", "device.toml"),
            *arguments,
            *("--claimed", str(claimed)),
        ],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": paths, "TMPDIR": str(folder)},
        capture_output=True,
        timeout=900,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stderr.decode(errors="replace")[-3000:])
    return done


def _channels(folder: Path, done: subprocess.CompletedProcess[bytes], mqtt: Capture) -> Channels:
    log = _MEASURED.sub(rb"\1*", _TIME.sub(b"", done.stderr))
    found = {
        "counters": done.stdout,
        # Threads write as they come: what they write counts, not in which order.
        "log": b"\n".join(sorted(log.splitlines())),
    }
    messages = [
        b" ".join([topic.encode(), properties.encode(), _MEASURED.sub(rb"\1*", payload)])
        for topic, payload, properties in mqtt.messages
    ]
    found["mqtt"] = b"\n".join(sorted(messages))
    for path in sorted(folder.rglob("*")):
        if not path.is_file():
            continue
        name = path.relative_to(folder).as_posix()
        private = _PRIVATE.fullmatch(path.name)
        data = _MEASURED_LINE.sub(b"", _MEASURED.sub(rb"\1*", path.read_bytes()))
        found[f"file {name}"] = b"" if private else data
    return found
