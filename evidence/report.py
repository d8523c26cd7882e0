"""The evidence as one HTML file, signed. Pictures are inside; nothing is loaded from elsewhere.

The signature is Ed25519 over the file's bytes, in a file of its own beside it (`.sig`, Base64),
with the public key (`.pub`, PEM). Without a key that is given one is made for this run: it then
shows that the report was not changed since, and nothing about who made it.

    openssl pkeyutl -verify -pubin -inkey report.html.pub -rawin -in report.html \\
        -sigfile <(base64 -d report.html.sig)
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

_STYLE = """
body { font: 15px/1.45 sans-serif; max-width: 62em; margin: 2em auto; padding: 0 1em; color: #222 }
table { border-collapse: collapse; margin: .6em 0 }
td, th { border: 1px solid #bbb; padding: .2em .6em }
td { text-align: right } td:first-child { text-align: left } th { background: #f0f0f0 }
.holds { color: #060 } .fails { color: #a00; font-weight: bold } .incomplete { color: #850 }
img { max-width: 100%; border: 1px solid }
"""


@dataclass
class Section:
    """One guarantee: a verdict in a line, tables and pictures below it.

    Attributes:
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

    @property
    def state(self) -> str:
        """`fails`, `incomplete` or `holds`."""
        if not self.holds:
            return "fails"
        return "holds" if self.done >= self.wanted else "incomplete"


def as_html(title: str, facts: Iterable[tuple[str, object]], sections: Iterable[Section]) -> str:
    """The whole document."""
    parts = [
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{html.escape(title)}</title>",
        f"<style>{_STYLE}</style><h1>{html.escape(title)}</h1>",
        _table(("", ""), list(facts)),
    ]
    for section in sections:
        parts.append(f"<h2>{html.escape(section.title)}</h2>")
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
