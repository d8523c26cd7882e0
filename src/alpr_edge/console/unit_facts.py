"""Edge: what the real unit knows of itself that no other room tells: network, certificates, models.

Nothing here is a secret: keys are named by their digests, passwords not at all.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256

from alpr_edge.config.files import FileTrouble, read_regular_file
from alpr_edge.config.models import DeviceConfig
from alpr_edge.console.device import Document
from alpr_edge.delivery.clocks import Clocks
from alpr_edge.trust.checks import format_time
from alpr_edge.vision.models import models_folder
from alpr_edge.vision.verify import verify

_MAX_STATUS: Final = 64 * 1024
_STALE_S: Final = 30.0
_LINKS: Final = Path("/sys/class/net")


def status_document(path: Path | None, clocks: Clocks) -> Document:
    """What the service last told in its status file, and whether that was just now."""
    if path is None:
        return {"running": None, "detail": "the configuration names no run.status_file"}
    data = read_regular_file(path, limit_bytes=_MAX_STATUS)
    if isinstance(data, FileTrouble):
        return {"running": False, "detail": f"no status: it {data.detail}"}
    try:
        status: dict[str, Any] = json.loads(data)
        age_s = clocks.boot_s() - float(status["told_boot_s"])
        fresh = status["boot_id"] == clocks.boot_id() and 0 <= age_s < _STALE_S
    except (ValueError, KeyError, TypeError):
        return {"running": False, "detail": "the status file is damaged"}
    hidden = ("told_boot_s", "boot_id", "pid")
    return {"running": fresh, **{key: v for key, v in status.items() if key not in hidden}}


def links() -> list[Document]:
    """Network links with state and addresses."""
    found: dict[str, Document] = {}
    try:
        names = sorted(path.name for path in _LINKS.iterdir())
    except OSError:
        names = []
    for name in names:
        state = _line(_LINKS / name / "operstate")
        found[name] = {"link": name, "state": state, "mac": _line(_LINKS / name / "address")}
    for one in _addresses():
        entry = found.get(str(one.get("ifname")))
        if entry is not None:
            entry["addresses"] = [
                f"{a.get('local')}/{a.get('prefixlen')}" for a in one.get("addr_info", [])
            ]
    return list(found.values())


def certificates(config: DeviceConfig, wall_s: float) -> list[Document]:
    """The authority and the unit's certificate, as the configuration names them."""
    tls = config.mqtt.tls
    if tls is None:
        return []
    found = []
    for what, path in (("authority", tls.ca), ("unit", tls.cert)):
        if path is not None:
            found.append({"what": what, "file": str(path), **_certificate(Path(path), wall_s)})
    return found


def models(config: DeviceConfig) -> list[Document]:
    """Every model of the folder: listed and unchanged, audited, and run once."""
    folder = models_folder()
    found = [
        {"model": one.name, "digest": one.digest, "problems": list(one.problems)}
        for one in verify(folder)
    ]
    for what, chosen in (("detector", config.detector), ("recogniser", config.recogniser)):
        if not isinstance(chosen.model, str):
            found.append({"model": str(chosen.model), "digest": "", "problems": [f"as {what}"]})
    return found


def _certificate(path: Path, wall_s: float) -> Document:
    data = read_regular_file(path, limit_bytes=1 << 20)
    if isinstance(data, FileTrouble):
        return {"problem": data.detail}
    try:
        one = x509.load_pem_x509_certificate(data)
    except ValueError:
        return {"problem": "is no certificate"}
    end = one.not_valid_after_utc
    return {
        "subject": one.subject.rfc4514_string(),
        "issuer": one.issuer.rfc4514_string(),
        "from": format_time(one.not_valid_before_utc),
        "until": format_time(end),
        "days_left": round((end.timestamp() - wall_s) / 86_400, 1),
        "sha256": one.fingerprint(SHA256()).hex(),
    }


def _addresses() -> list[dict[str, Any]]:
    program = shutil.which("ip")
    if program is None:
        return []
    try:
        done = subprocess.run(
            [program, "-json", "address"], capture_output=True, timeout=5, check=True
        )
        listed = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):
        return []
    return listed if isinstance(listed, list) else []


def _line(path: Path) -> str:
    try:
        return path.read_text("ascii", "replace").strip()
    except OSError:
        return ""
