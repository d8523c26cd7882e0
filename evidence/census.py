"""N5: plates that must not be found, and a search of every byte that a device leaves behind.

Does: lets the canary device run against a real broker, kills it at random moments and starts it
again, and then looks through all files for every plate that must not have left: plain, reversed, in
lower case, as UTF-16, hexadecimal, Base64 in each of its three alignments, and folded as the gate
folds it.
Does not: look outside the folder that it is given; the device writes nowhere else (its temporary
files and its working directory are in there too).
"""

from __future__ import annotations

import base64
import os
import resource
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from alpr_edge.exclusion.kin import fold
from alpr_edge.simulator.plate_paths import PlatePath
from evidence.canary_device import FPS, hide
from evidence.street_drive import ALL_SEEING, Drive, street_paths

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Canaries:
    """A street's plates, those that must not leave and those that may.

    Attributes:
        standing: seen in the last second; the tracker remembers a parked car in RAM.
    """

    forbidden: tuple[str, ...]
    free: tuple[str, ...]
    standing: tuple[str, ...]
    last_frame: int


def prepare(folder: Path, *, seed: int, duration_s: float, vehicles: int) -> Canaries:
    """Write `plates.npz` for the canary device."""
    drive = Drive(seed, fps=FPS, duration_s=duration_s, vehicles=vehicles)
    paths = [p for p in street_paths(drive) if (p.frames < duration_s * FPS).any()]
    engine = ALL_SEEING
    frames, corners, texts = [], [], []
    seen: list[PlatePath] = []
    for path in paths:
        good = (path.width_px >= engine.least_px) & (path.facing_deg < engine.most_deg)
        index = np.flatnonzero(good & (path.in_frame > 0) & (path.frames < duration_s * FPS))
        if not len(index):
            continue
        seen.append(path)
        frames.append(path.frames[index])
        corners.append(path.corners[index])
        hidden = np.frombuffer(hide(path.plate), np.uint8)
        texts.append(np.repeat(hidden[None], len(index), axis=0))
    np.savez(
        folder / "plates.npz",
        frames=np.concatenate(frames),
        corners=np.concatenate(corners),
        texts=np.concatenate(texts),
    )
    last = int(max(f.max() for f in frames))
    return Canaries(
        tuple(p.plate for p in seen if p.protected),
        tuple(p.plate for p in seen if not p.protected),
        tuple(p.plate for p, f in zip(seen, frames, strict=True) if f.max() > last - FPS),
        last,
    )


def start(folder: Path, first: int, *more: str, **environment: str) -> subprocess.Popen[bytes]:
    """The device, with its temporary files and working directory in the folder, cores allowed."""
    (folder / "tmp").mkdir(exist_ok=True)
    command = [sys.executable, "-m", "evidence.canary_device", "--config", "device.toml"]
    command += ["--plates", "plates.npz", "--from", str(first), *more]
    paths = os.pathsep.join([str(ROOT), str(ROOT / "src")])
    with (folder / "device.log").open("ab") as log:
        return subprocess.Popen(
            command,
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=log,
            env={**os.environ, "TMPDIR": str(folder / "tmp"), "PYTHONPATH": paths, **environment},
            preexec_fn=_allow_cores,
        )


def _allow_cores() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))


def needles(plate: str) -> set[bytes]:
    """Every form of a plate that the search looks for."""
    found: set[bytes] = set()
    for text in {plate, plate.lower(), plate[::-1], fold(plate)}:
        raw = text.encode("ascii")
        found |= {raw, text.encode("utf-16-le"), raw.hex().encode(), raw.hex().upper().encode()}
        for lead in range(3):
            # What of the Base64 does not depend on the bytes around it.
            coded = base64.b64encode(bytes(lead) + raw)
            found.add(coded[(lead * 8 + 5) // 6 : (lead + len(raw)) * 8 // 6])
    return found


def search_bytes(data: bytes, plates: Iterable[str]) -> Iterator[str]:
    """Plates of which any form occurs in the data."""
    for plate in plates:
        if any(needle in data for needle in needles(plate)):
            yield plate


def search_folder(folder: Path, plates: Iterable[str]) -> list[tuple[str, str]]:
    """(file, plate) of every hit in every file."""
    plates = tuple(plates)
    return [
        (str(path.relative_to(folder)), plate)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        for plate in search_bytes(path.read_bytes(), plates)
    ]


def search_memory(pid: int, plates: Iterable[str]) -> list[tuple[str, int]]:
    """(plate, address) in the writable memory of a running process, plain form only. Needs root."""
    hits: list[tuple[str, int]] = []
    wanted = {plate: plate.encode("ascii") for plate in plates}
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text("ascii").splitlines():
            span, rights = line.split()[:2]
            if "rw" not in rights:
                continue
            low, high = (int(x, 16) for x in span.split("-"))
            try:
                memory.seek(low)
                data = memory.read(high - low)
            except (OSError, ValueError, OverflowError):
                continue  # the kernel's own pages
            for plate, raw in wanted.items():
                at = data.find(raw)
                while at >= 0:
                    hits.append((plate, low + at))
                    at = data.find(raw, at + 1)
    return sorted(hits)
