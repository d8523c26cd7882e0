"""The acceptance report of one unit: HTML for people, JSON with a signature for machines.

    write(results, folder, key)      report.html, report.json
    verify(document, public_keys)    the payload, if one of the keys signed it

The signature is DSSE (protocol 1.0.2, secure-systems-lab/dsse on GitHub) over the results as they
are: unit, items, facts, verdict. The HTML needs nothing beside it; plots are SVG.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import os
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hil_tests.bench.verdict import BenchError

TYPE = "application/vnd.alpr-edge.acceptance+json"
COLOURS = {"passed": "#1a7f37", "failed": "#b42318", "not_applicable": "#6b7280"}
WORDS = {"passed": "pass", "failed": "FAIL", "not_applicable": "not applicable"}


def judge(results: dict[str, Any]) -> dict[str, Any]:
    """The results with their verdict: accepted, if something was tested and nothing failed.

    What was skipped without being declared not applicable is not accepted: nobody looked. A part of
    the suite (`is_part`) accepts nobody: `passed in part`.
    """
    counts: dict[str, int] = {}
    for item in results["items"]:
        counts[item["outcome"]] = counts.get(item["outcome"], 0) + 1
    bad = counts.get("failed", 0) + counts.get("skipped", 0)
    good = "passed in part" if results.get("is_part") else "accepted"
    accepted = counts.get("passed", 0) > 0 and not bad
    return {
        **{k: v for k, v in results.items() if k != "folder"},
        "verdict": good if accepted else "refused",
        "counts": counts,
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


# --- signature -------------------------------------------------------------------------------


def load_key(path: Path) -> Ed25519PrivateKey:
    """The bench's key; made, for its owner only, if there is none.

    Raises:
        BenchError: `bench.key`: there is one that cannot be used.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        key = Ed25519PrivateKey.generate()
        form, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        data = key.private_bytes(serialization.Encoding.PEM, form, plain)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        return key
    try:
        loaded = serialization.load_pem_private_key(path.read_bytes(), None)
    except (OSError, ValueError, TypeError) as err:
        raise BenchError(f"{path}: {err}", code="bench.key", hint="a PEM key, Ed25519") from err
    if not isinstance(loaded, Ed25519PrivateKey):
        raise BenchError(f"{path} is no Ed25519 key", code="bench.key", hint="make one")
    return loaded


def key_id(key: Ed25519PublicKey) -> str:
    """SHA-256 of the raw public key, hex."""
    raw = serialization.Encoding.Raw, serialization.PublicFormat.Raw
    return hashlib.sha256(key.public_bytes(*raw)).hexdigest()


def _pae(payload: bytes) -> bytes:
    """Source: DSSE, "PAE definition"."""
    return b"DSSEv1 %d %s %d %s" % (len(TYPE), TYPE.encode(), len(payload), payload)


def sign(judged: dict[str, Any], key: Ed25519PrivateKey) -> dict[str, Any]:
    """The signed document."""
    payload = json.dumps(judged, sort_keys=True).encode()
    signature = base64.b64encode(key.sign(_pae(payload))).decode("ascii")
    return {
        "payloadType": TYPE,
        "payload": base64.b64encode(payload).decode("ascii"),
        "signatures": [{"keyid": key_id(key.public_key()), "sig": signature}],
    }


def verify(document: Any, keys: Iterable[Ed25519PublicKey]) -> dict[str, Any]:
    """What was signed.

    Raises:
        BenchError: `bench.signature`: damaged, or signed by none of the keys.
    """
    by_id = {key_id(key): key for key in keys}
    try:
        if document["payloadType"] != TYPE:
            raise ValueError("no acceptance report")
        payload = base64.b64decode(document["payload"], validate=True)
        for one in document["signatures"]:
            key = by_id.get(one["keyid"])
            if key is not None:
                key.verify(base64.b64decode(one["sig"], validate=True), _pae(payload))
                return dict(json.loads(payload))
    except (KeyError, TypeError, ValueError, AttributeError, InvalidSignature) as err:
        raise BenchError(
            "the report is not as it was signed", code="bench.signature", hint="get it anew"
        ) from err
    raise BenchError("signed by nobody known", code="bench.signature", hint="another key?")


# --- for people ------------------------------------------------------------------------------


def write(results: dict[str, Any], folder: Path, key: Ed25519PrivateKey) -> dict[str, Any]:
    """Write `report.json` and `report.html`.

    Returns:
        The judged results.
    """
    judged = judge(results)
    folder.mkdir(parents=True, exist_ok=True)
    signed = sign(judged, key)
    (folder / "report.json").write_text(json.dumps(signed, indent=1) + "\n")
    (folder / "report.html").write_text(page(judged, signed["signatures"][0]["keyid"]))
    return judged


def page(judged: dict[str, Any], signer: str = "") -> str:
    """The whole report as one HTML file. Everything from the unit is escaped."""
    facts = judged["facts"]
    colour = COLOURS["failed" if judged["verdict"] == "refused" else "passed"]
    counts = ", ".join(f"{n} {WORDS.get(k, k)}" for k, n in sorted(judged["counts"].items()))
    plots = "".join(plot(name, points) for name, points in judged["series"].items())
    pictures = "".join(
        f'<figure><img alt="{_text(name)}" src="data:image/jpeg;base64,{_text(data)}">'
        f"<figcaption>{_text(name)}</figcaption></figure>"
        for name, data in judged.get("pictures", {}).items()
    )
    parts = [
        ("Items", _items(judged["items"])),
        ("Speed on this unit", _speed(facts.get("speed") or {})),
        ("Plots", plots),
        ("Pictures", pictures),
        ("Versions and digests", _table(facts, IDENTITY)),
        ("Other facts", _table(facts, None)),
    ]
    shown = "".join(f"<h2>{name}</h2>{body}" for name, body in parts if body)
    return f"""<!doctype html>
<html lang="en"><meta charset="utf-8"><title>{_text(facts.get("unit", "?"))}</title>
<style>body{{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}}
table{{border-collapse:collapse;width:100%}}td,th{{padding:.3rem .6rem;border-bottom:1px solid #ddd;
text-align:left;vertical-align:top;overflow-wrap:anywhere}}
pre{{white-space:pre-wrap;margin:.3rem 0;color:#555}}figure{{margin:1rem 0}}img{{max-width:100%}}
td:first-child{{min-width:9rem}}figcaption{{color:#555}}
@media print{{h2{{break-after:avoid}}tr,figure{{break-inside:avoid}}}}</style>
<h1>Unit {_text(facts.get("unit", "?"))}:
<span style="color:{colour}">{judged["verdict"]}</span></h1>
<p>{_text(counts)}. Made {_text(judged["made_at"])} on {_text(facts.get("kind", "?"))}
({_text(facts.get("environment", "?"))}). Signed by {_text(signer[:16])} in report.json.</p>
{shown}
</html>
"""


IDENTITY = ("software", "commit", "machine", "image", "about", "digests", "versions", "ledger_key")
"""Facts that name what was tested."""


def _items(items: Iterable[dict[str, Any]]) -> str:
    rows, station = [], None
    for item in items:
        if item["station"] != station:
            station = item["station"]
            rows.append(f'<tr><th colspan="3">{_text(station)}</th></tr>')
        colour = COLOURS.get(item["outcome"], "#b45309")
        word = WORDS.get(item["outcome"], item["outcome"])
        measured = ", ".join(f"{k} {v}" for k, v in item["measured"].items())
        why = f"<pre>{_text(item['why'])}</pre>" if item["why"] else ""
        rows.append(
            f'<tr><td style="color:{colour}"><b>{_text(word)}</b></td>'
            f"<td>{_text(item['what'] or item['test'])}{why}</td>"
            f"<td>{item['seconds']:.1f} s {_text(measured)}</td></tr>"
        )
    return f"<table>{''.join(rows)}</table>"


def _speed(speed: dict[str, Any]) -> str:
    """Stage times as a table, then what is one number each."""
    if not speed:
        return ""
    rows = "".join(
        f"<tr><td>{_text(name)}</td><td>{_text(p50)} ms</td><td>{_text(p95)} ms</td></tr>"
        for name, (p50, p95) in speed.get("stages_ms", {}).items()
    )
    return (
        f"<table><tr><th>stage</th><th>median</th><th>95 %</th></tr>{rows}</table>"
        f"{_table({k: v for k, v in speed.items() if k != 'stages_ms'}, None)}"
    )


def _table(facts: dict[str, Any], names: Sequence[str] | None) -> str:
    """Facts by name; `None`: all that have no place of their own."""
    chosen = (
        sorted(set(facts) - {*IDENTITY, "speed"})
        if names is None
        else [name for name in names if name in facts]
    )
    rows = []
    for name in chosen:
        value = facts[name]
        if isinstance(value, dict):
            rows += [
                f"<tr><td>{_text(name)}: {_text(k)}</td><td>{_text(_flat(v))}</td></tr>"
                for k, v in value.items()
            ]
        else:
            rows.append(f"<tr><td>{_text(name)}</td><td>{_text(_flat(value))}</td></tr>")
    return f"<table>{''.join(rows)}</table>" if rows else ""


def plot(name: str, points: Sequence[Sequence[float]]) -> str:
    """One series as SVG: seconds to the right, value up."""
    if not points:
        return ""
    xs, ys = [p[0] for p in points], [p[1] for p in points]
    wide, high = (max(xs) - min(xs)) or 1.0, (max(ys) - min(ys)) or 1.0
    line = " ".join(
        f"{40 + 540 * (x - min(xs)) / wide:.1f},{140 - 120 * (y - min(ys)) / high:.1f}"
        for x, y in zip(xs, ys, strict=True)
    )
    label = 'font-size="11" fill="#555"'
    return (
        f"<figure><figcaption>{_text(name)}: {min(ys):g} to {max(ys):g} "
        f"in {wide:.0f} s</figcaption>"
        f'<svg viewBox="0 0 600 165" width="600" role="img"><rect x="40" y="20" width="540" '
        f'height="120" fill="none" stroke="#ddd"/><polyline points="{line}" fill="none" '
        f'stroke="#2563eb" stroke-width="2"/>'
        f'<text x="36" y="24" text-anchor="end" {label}>{max(ys):g}</text>'
        f'<text x="36" y="144" text-anchor="end" {label}>{min(ys):g}</text>'
        f'<text x="40" y="156" {label}>{min(xs):.0f} s</text>'
        f'<text x="580" y="156" text-anchor="end" {label}>{max(xs):.0f} s</text></svg></figure>'
    )


def _flat(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def _text(value: Any) -> str:
    return html.escape(str(value))
