"""N5: canary plates through the real service and broker, killed at random moments; then the search.

Does: starts `canary_device` in a folder, asks it for a core dump once and cuts its power once, lets
it run to the end, and searches every byte of the folder (outbox with its WAL, ledger, logs,
temporary files, core files) and of all MQTT traffic for plates that must not have left, and the
memory of the process. Then lets one run whose view is never proven, and looks where the reads lie
that wait for the proof.
Does not: search what the operating system keeps elsewhere (swap; the blocks are locked against it).
"""

from __future__ import annotations

import random
import signal
import subprocess
import tempfile
import threading
import time
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from alpr_edge.cli import main
from evidence import census
from evidence.broker import Capture, free_port, mosquitto

WHAT = (
    "The device is the real service with an engine that reads all plates, also behind the mask. It "
    "is killed while reads are held: once with a core dump asked for, once like a power cut. "
    "Searched are disk, outbox, ledger with its report and memo, logs, temporary files, MQTT and "
    "memory, for every plate in "
    "plain, reversed, lower case, UTF-16, hexadecimal and Base64. Plates that may leave must be "
    "found: the search can find. In memory (Python told to overwrite what it frees) a read that "
    "waits for the view's proof lies in the block that is locked and overwritten, and nowhere else."
)
DEVICE = """
[device]
id = "unit-1"
site = "test street"
[source]
kind = "street"
[exclusion]
mask_file = "masks.json"
hold_s = 1.0
[recogniser]
min_confidence = 0.3
[trust]
require_signatures = false
[clock]
accept = "assumed"
[mqtt]
host = "127.0.0.1"
port = {port}
[outbox]
path = "outbox.sqlite3"
[run]
log_level = "debug"
"""


@dataclass
class Outcome:
    """What one census found.

    Attributes:
        hits: (file, plate) of plates that must not have left.
        control: plates that may leave and were found in the files.
        cores: core files.
        killed: exit status of the devices that were killed.
        in_memory: forbidden plates in the memory of the last run, but for parked cars.
        waiting: free plates that were found in the blocks while the view was unproven.
        papers: report and memo of its ledger, which were searched too.
        unlocked: those found elsewhere in that process's memory, but for parked cars.
    """

    canaries: census.Canaries
    hits: list[tuple[str, str]] = field(default_factory=list)
    control: set[str] = field(default_factory=set)
    cores: list[str] = field(default_factory=list)
    killed: list[int] = field(default_factory=list)
    in_memory: set[str] = field(default_factory=set)
    waiting: set[str] = field(default_factory=set)
    unlocked: set[str] = field(default_factory=set)
    messages: int = 0
    searched: int = 0
    papers: list[str] = field(default_factory=list)


def piece(key: str) -> dict[str, Any]:
    """One census, as plain values."""
    with tempfile.TemporaryDirectory() as name:
        found = run(Path(name), int(key.split()[1]))
    return {
        "hits": [*found.hits, *(("core", core) for core in found.cores)],
        "control": len(found.control),
        "forbidden": len(found.canaries.forbidden),
        "kills": len(found.killed),
        "searched": found.searched,
        "in_memory": len(found.in_memory),
        "waiting": len(found.waiting),
        "unlocked": len(found.unlocked),
    }


def run(place: Path, seed: int) -> Outcome:
    """The whole census in a folder of its own."""
    folder = place / "unit"
    folder.mkdir()
    port = free_port()
    (folder / "device.toml").write_text(DEVICE.format(port=port))
    (folder / "masks.json").write_text('{"masks": [], "whole_frame": true}')
    found = Outcome(census.prepare(folder, seed=seed % 7, duration_s=25.0, vehicles=14))
    # The file of plates is not the device's: it lies elsewhere.
    (folder / "plates.npz").rename(place / "plates.npz")
    (folder / "plates.npz").symlink_to(place / "plates.npz")
    with mosquitto(place, port):
        capture = Capture(port, folder / "mqtt.capture")
        try:
            _killed(folder, found, random.Random(seed))
            _to_the_end(folder, found)
            found.messages = len(capture.messages)
        finally:
            capture.close()
    found.cores = [str(path) for path in folder.rglob("core*") if path.is_file()]
    found.papers = _papers(folder)
    found.hits = census.search_folder(folder, found.canaries.forbidden)
    found.control = {plate for _, plate in census.search_folder(folder, found.canaries.free)}
    found.searched = sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())
    _unproven(folder, found)
    return found


def _papers(folder: Path) -> list[str]:
    """Report and memo of the unit's ledger, put beside it; the Word document unpacked."""
    config = ("--config", str(folder / "device.toml"))
    for command in (
        ("ledger", "report", *config, "--out", str(folder / "report.html")),
        ("ledger", "memo", *config, "--suspicion", "lost-device", "--out", str(folder / "memo")),
    ):
        if main(command):
            raise RuntimeError(f"{command[1]} failed")
    for word in sorted((folder / "memo").rglob("*.docx")):
        with zipfile.ZipFile(word) as archive:
            archive.extractall(word.with_suffix(""))
    papers = [folder / "report.html", *(folder / "memo").rglob("*")]
    return sorted(str(one.relative_to(folder)) for one in papers if one.is_file())


def _killed(folder: Path, found: Outcome, rng: random.Random) -> None:
    for number in (signal.SIGABRT, signal.SIGKILL):
        with census.start(folder, rng.randrange(found.canaries.last_frame // 2)) as device:
            # Long enough for start-up and for plates to be held.
            time.sleep(rng.uniform(8.0, 14.0))
            device.send_signal(number)
            found.killed.append(device.wait(60))


def _to_the_end(folder: Path, found: Outcome) -> None:
    with census.start(folder, 0, PYTHONMALLOC="debug") as device:
        try:
            _idle(device, folder)
            hits = census.search_memory(device.pid, found.canaries.forbidden)
            found.in_memory = {plate for plate, _ in hits} - set(found.canaries.standing)
            device.send_signal(signal.SIGTERM)
            if device.wait(60):
                raise RuntimeError(_end_of(folder))
        finally:
            device.kill()


def _unproven(folder: Path, found: Outcome) -> None:
    first = found.canaries.last_frame // 2
    with census.start(folder, first, "--unproven", PYTHONMALLOC="debug") as device:
        try:
            blocks = _idle(device, folder)
            for plate, at in census.search_memory(device.pid, found.canaries.free):
                within = any(low <= at < low + size for low, size in blocks)
                (found.waiting if within else found.unlocked).add(plate)
            found.unlocked -= set(found.canaries.standing)
        finally:
            device.kill()


def _idle(device: subprocess.Popen[bytes], folder: Path) -> list[tuple[int, int]]:
    """Wait until the device says that all plates have passed; the blocks that it named."""
    blocks: list[tuple[int, int]] = []
    done = threading.Event()
    assert device.stdout is not None
    lines = device.stdout

    def listen() -> None:
        for line in lines:
            word, *numbers = line.split()
            if word == b"block":
                blocks.append((int(numbers[0]), int(numbers[1])))
            elif word == b"idle":
                done.set()
                return

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    if not done.wait(180):
        device.kill()
        raise RuntimeError(_end_of(folder))
    listener.join()
    return blocks


def _end_of(folder: Path) -> str:
    return (folder / "device.log").read_text("utf-8", "replace")[-2000:]
