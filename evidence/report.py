"""The evidence as one HTML file, signed. Pictures are inside; nothing is loaded from elsewhere.

The signature is Ed25519 over the file's bytes, in a file of its own beside it (`.sig`, Base64),
with the public key (`.pub`, PEM). Without a key that is given one is made for this run: it then
shows that the report was not changed since, and nothing about who made it.

The report itself says the command that checks it (`HOW_TO_CHECK`).
"""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from alpr_edge.exclusion.zones import Zones
from alpr_edge.types import Image

HOW_TO_CHECK = """\
base64 -d {name}.sig > {name}.sig.raw
openssl pkeyutl -verify -pubin -inkey {name}.pub -rawin -in {name} -sigfile {name}.sig.raw"""
"""For a shell, in the folder of the three files; says `Signature Verified Successfully`."""

_WHAT_IT_IS = (
    "alpr-edge reads licence plates, and must never read a vehicle at, entering or leaving a "
    "protected place. This report tells what was tried to make it break that promise, and what "
    "came of it. Every part says what was done, how often, and how often it went wrong.",
    "Holds: all that was planned was measured, and nothing went wrong. Fails: something went "
    "wrong; it is named. Incomplete: nothing went wrong so far, and not all was measured: it "
    "proves nothing yet.",
    "Not shown here: that the zones were drawn rightly on a given street, and what "
    "docs/exclusion.md lists under “What is not promised”. The street is a simulated one where "
    "nothing else is said.",
)

_STYLE = """
body { font: 15px/1.45 sans-serif; max-width: 62em; margin: 2em auto; padding: 0 1em; color: #222 }
pre { background: #f0f0f0; padding: .6em; overflow-x: auto }
td.line { min-width: 20em } td.state { white-space: nowrap; text-align: left }
.plain { font-size: 1.07em }
@media print { h2, figure, tr { break-inside: avoid } }
table { border-collapse: collapse; margin: .6em 0 }
td, th { border: 1px solid #bbb; padding: .2em .6em }
td { text-align: right } td:first-child, td.line { text-align: left } th { background: #f0f0f0 }
.holds { color: #060 } .fails { color: #a00; font-weight: bold } .incomplete { color: #850 }
img { max-width: 100%; border: 1px solid }
"""


@dataclass
class Section:
    """One guarantee: a verdict in a line, tables and pictures below it.

    Attributes:
        plain: what was done, for somebody who does not know the software.
        done, wanted: pieces of its measurement.
        digest: of the code and data that it was measured with.
    """

    title: str
    verdict: str
    holds: bool
    notes: list[str] = field(default_factory=list)
    tables: list[tuple[Sequence[str], list[Sequence[object]]]] = field(default_factory=list)
    pictures: list[tuple[str, Image]] = field(default_factory=list)
    done: int = 1
    wanted: int = 1
    digest: str = ""
    plain: str = ""

    @property
    def state(self) -> str:
        """`fails`, `incomplete` or `holds`."""
        if not self.holds:
            return "fails"
        return "holds" if self.done >= self.wanted else "incomplete"


def as_html(
    title: str,
    facts: Iterable[tuple[str, object]],
    sections: Sequence[Section],
    name: str = "report.html",
) -> str:
    """The whole document; `name` is that of its file."""
    parts = [
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{html.escape(title)}</title>",
        f"<style>{_STYLE}</style><h1>{html.escape(title)}</h1>",
        *(f"<p>{html.escape(text)}</p>" for text in _WHAT_IT_IS),
        _summary(sections),
        _table(("this report", ""), list(facts)),
        "<p>Whether this file is as it was signed, these two lines say:</p>",
        f"<pre>{html.escape(HOW_TO_CHECK.format(name=name))}</pre>",
        "<p>Who signed it the key says only if you know it from elsewhere.</p>",
    ]
    for number, section in enumerate(sections):
        parts.append(f"<h2 id=part{number}>{html.escape(section.title)}</h2>")
        if section.plain:
            parts.append(f"<p class=plain>{html.escape(section.plain)}</p>")
        verdict = f"{section.state}: {section.verdict}"
        parts.append(f"<p class={section.state}>{html.escape(verdict)}</p>")
        measured = f"{section.done} of {section.wanted} pieces were measured"
        if section.digest:
            measured += f", with the code and data of digest {section.digest[:16]}"
        parts.append(f"<p>{measured}.</p>")
        parts += [f"<p>{html.escape(note)}</p>" for note in section.notes]
        parts += [_table(head, rows) for head, rows in section.tables]
        for caption, picture in section.pictures:
            parts.append(f"<figure><img alt='{html.escape(caption)}' src='{_data(picture)}'>")
            parts.append(f"<figcaption>{html.escape(caption)}</figcaption></figure>")
    return "\n".join(parts) + "\n"


def _summary(sections: Sequence[Section]) -> str:
    rows = "".join(
        f"<tr><td><a href='#part{number}'>{html.escape(one.title)}</a></td>"
        f"<td class='state {one.state}'>{one.state}</td>"
        f"<td class=line>{html.escape(one.verdict)}</td></tr>"
        for number, one in enumerate(sections)
    )
    return f"<table><tr><th>part</th><th>result</th><th>in one line</th></tr>{rows}</table>"


def _table(head: Sequence[object], rows: Iterable[Sequence[object]]) -> str:
    cells = "".join(f"<th>{html.escape(str(cell))}</th>" for cell in head)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) + "</tr>"
        for row in rows
    )
    return f"<table><tr>{cells}</tr>{body}</table>"


def _data(picture: Image) -> str:
    _, coded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 85])
    return "data:image/jpeg;base64," + base64.b64encode(coded.tobytes()).decode("ascii")


def draw_zones(image: Image, zones: Zones) -> Image:
    """A picture with what is blanked in black and what taints in red."""
    shown = image.copy()
    ring = (zones.band > 0) & (zones.core == 0)
    shown[ring] = (shown[ring] * 0.5 + np.array([40, 40, 220]) * 0.5).astype(np.uint8)
    shown[zones.core > 0] = 0
    return shown


def sign(path: Path, key_file: Path | None) -> str:
    """Write the signature and the public key beside a file. Returns the key's fingerprint.

    Raises:
        ValueError: the key file holds no Ed25519 key.
    """
    if key_file is None:
        key = Ed25519PrivateKey.generate()
    else:
        loaded = serialization.load_pem_private_key(key_file.read_bytes(), password=None)
        if not isinstance(loaded, Ed25519PrivateKey):
            raise ValueError(f"{key_file} holds no Ed25519 key")
        key = loaded
    signature = key.sign(path.read_bytes())
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    beside(path, ".sig").write_bytes(base64.b64encode(signature) + b"\n")
    beside(path, ".pub").write_bytes(public)
    raw = key.public_key().public_bytes_raw()
    return raw.hex()


def beside(path: Path, suffix: str) -> Path:
    """The file of the same name with something after it."""
    return path.with_name(path.name + suffix)
