"""Dies: turns the skeletons of `strokes` (or an installed font) into glyph masks.

Does: defines the die families (American, serif American, German FE-like, British, DIN-like,
Mexican and old Brazilian), jitters a die per plate, rasterises and caches its glyphs, and finds
fonts at run time for variety and for captions.
Does not: place glyphs on a plate. No font is needed and none is part of this package; without
Pillow, none is used.

Rules: fonts are looked for in the folders of the environment variable `ALPR_EDGE_FONTS`
(separated as in PATH) and in `/usr/share/fonts`; the sorted list makes a seed repeatable on a
machine with the same fonts. Masks are uint8, 255 inside the ink.
"""

from __future__ import annotations

import importlib.util
import math
import os
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL import ImageFont

from .strokes import CLOSE, GLYPHS, Stroke

Mask: TypeAlias = NDArray[np.uint8]
Points: TypeAlias = NDArray[np.float32]

MASK_HEIGHT: Final = 96
"""Height in pixels at which a glyph is rasterised before it is scaled onto a plate."""

_SHIFT: Final = 4
_TURN: Final = np.linspace(0, math.pi / 2, 8)[:, None]
_IN: Final = 1 - np.sin(_TURN)
_OUT: Final = 1 - np.cos(_TURN)
_FONT_FOLDERS: Final = ("/usr/share/fonts",)
_SERIAL_FONTS: Final = (
    "bold", "condensed", "mono", "medium", "din", "share-tech", "rajdhani", "oswald", "pathway",
    "fjalla", "b612", "overpass", "saira", "osifont", "league", "antonio", "bebas", "staatliches",
    "teko", "chakra", "archivo", "national", "dejavusans", "liberationsans", "clearsans",
)  # fmt: skip
_SCRIPT_FONTS: Final = ("script", "lobster", "pacifico", "courgette", "leckerli", "dancing")
_BANNED_FONTS: Final = ("symbol", "dingbat", "d050000l", "math", "emoji", "icon", "italic",
                        "oblique", "outline", "wide", "extended", "thin", "light", "-100-",
                        "-200-", "chancery")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Die:
    """One set of glyph shapes; all lengths are shares of the character height."""

    name: str
    width: float
    """Width of an ordinary character."""
    stroke: float
    """Thickness of the strokes."""
    radius: float
    """Corner radius of rounded vertices (large: elliptic bowls, small: squarish ones)."""
    round_ends: bool
    fixed_pitch: bool
    """Every character takes the same cell, narrow ones stand in its middle."""
    variants: tuple[tuple[str, str], ...] = ()
    """(character, variant name) where it is not the plain one."""
    widths: tuple[tuple[str, float], ...] = ()
    """(character, factor on `width`)."""
    gap: float = 0.12
    """Space between neighbouring boxes."""
    font: str = ""
    """Path of a font file that replaces the skeletons; empty for an own die."""


def _variants(text: str) -> tuple[tuple[str, str], ...]:
    """Parse `"A:flat 1:foot"` into pairs."""
    return tuple((item[0], item[2:]) for item in text.split())


_US_WIDTHS: Final = (("I", 0.72), ("1", 0.78))
_PROPORTIONAL: Final = (("I", 0.3), ("1", 0.62), ("M", 1.18), ("W", 1.25), ("J", 0.86))
_MANDATORY_WIDTHS: Final = (
    ("A", 1.2), ("D", 0.96), ("E", 0.89), ("F", 0.89), ("I", 0.23), ("J", 0.8), ("K", 1.09),
    ("L", 0.89), ("M", 1.2), ("N", 1.04), ("Q", 1.13), ("V", 1.09), ("W", 1.2), ("X", 1.09),
    ("Y", 1.04), ("Z", 0.89), ("0", 0.89), ("1", 0.42), ("2", 0.87), ("3", 0.85), ("4", 0.95),
    ("5", 0.87), ("6", 0.87), ("7", 0.84), ("8", 0.87), ("9", 0.87),
)  # fmt: skip
_SERIF: Final = " ".join(f"{c}:serif" for c in "ABDEFHIKLMNPRTUVWXYZ")

DIES: Final[dict[str, Die]] = {
    die.name: die
    for die in (
        # Source: photographs and official designs of California plates, looked at in 2026.
        Die("california", 0.47, 0.115, 0.24, True, True,
            _variants("A:flat I:serif 1:foot W:box S:diag 2:diag R:leg J: G: 6: 9: Q:in"),
            _US_WIDTHS, 0.1),
        Die("us_round", 0.48, 0.12, 0.24, True, True,
            _variants("A: I:serif 1: W:steep S: M: R:bend"), _US_WIDTHS, 0.12),
        Die("us_square", 0.5, 0.13, 0.17, False, True,
            _variants("A: I:serif 1: W: S:flat 2: M:deep K:mid Q:long"), _US_WIDTHS, 0.12),
        Die("us_flat", 0.5, 0.15, 0.5, False, False,
            _variants("1: S:diag W:full M:deep R:leg 6:curve 9:curve J: 2:diag K:"),
            (("I", 0.32), ("1", 0.66), ("M", 1.25), ("W", 1.4), ("J", 0.85), ("E", 0.88),
             ("F", 0.86), ("L", 0.86)), 0.12),
        Die("us_serif", 0.48, 0.11, 0.26, True, True,
            _variants(_SERIF + " J:tee 1:slab 2:diag S:diag G:spur"), _US_WIDTHS, 0.13),
        # Source: Anlage 4 FZV gives 75 mm high characters, 47.5 and 44.5 mm wide; shapes by eye.
        Die("fe", 0.62, 0.15, 0.3, False, True,
            _variants("A:flat I:serif 1:long J:bar P:gap R:gap 3:flat 4:box 6:slant 9:slant "
                      "M:high W:steep G:spur 7: S:diag 2:diag Q:in 5:square"),
            (("I", 0.55), ("1", 0.82), ("M", 1.05), ("W", 1.1)), 0.11),
        # Source: Road Vehicles (Display of Registration Marks) Regulations 2001: 79 x 50 x 14 mm.
        Die("uk", 0.63, 0.177, 0.34, False, False,
            _variants("1:bar I: M:high W:steep S:flat 3: R: J: 2:diag 6:curve 9:curve Q:in G:"),
            (("I", 0.29), ("1", 0.29)), 0.139),
        Die("din", 0.55, 0.135, 0.36, False, False,
            _variants("1: 6:curve 9:curve M:deep W:full S:diag 3: 4: 7: R: 2:diag Q:"),
            _PROPORTIONAL, 0.16),
        Die("euro_narrow", 0.5, 0.13, 0.25, False, True,
            _variants("1: M:splay W:full 3:flat 6:curve 9:curve S: R:leg 4:open"),
            (("I", 0.4), ("1", 0.7), ("M", 1.1), ("W", 1.15)), 0.15),
        # Widths as CONTRAN resolution 231/2007 gives them for 63 mm high characters; shapes by eye.
        Die("mandatory", 0.71, 0.159, 0.4, False, False,
            _variants("1: M:deep W:full S:diag R: 6:curve 9:curve 2:diag Q:long G:spur"),
            _MANDATORY_WIDTHS, 0.17),
        Die("mexico", 0.52, 0.14, 0.3, True, False,
            _variants("1: M:deep W: S:diag R:leg 2: Q:long 3:flat"), _PROPORTIONAL, 0.13),
    )
}  # fmt: skip

_LOOSE_VARIANTS: Final[dict[str, tuple[str, ...]]] = {
    "A": ("", "flat", "low"), "B": ("", "even"), "C": ("", "open"), "E": ("", "long"),
    "G": ("", "spur"), "I": ("", "serif", "short"), "J": ("", "bar", "tee"),
    "K": ("", "mid", "bar"), "M": ("", "deep", "high", "splay"), "Q": ("", "long", "drop", "in"),
    "R": ("", "leg", "bend"), "S": ("", "flat", "diag"), "W": ("", "box", "steep", "full"),
    "Y": ("", "low"), "0": ("", "", "slash"), "1": ("", "foot", "bar", "nib", "slab", "long"),
    "2": ("", "round", "diag"), "3": ("", "flat"), "4": ("", "open", "box"),
    "5": ("", "square"), "6": ("", "slant", "curve"), "7": ("", "bend", "lip"),
    "9": ("", "slant", "curve"),
}  # fmt: skip


def _quantised(value: float, step: float) -> float:
    """Round to a multiple of `step`, so that jittered dies share cached masks."""
    return round(round(value / step) * step, 4)


def jittered(die: Die, rng: np.random.Generator, *, loose: float = 0.12) -> Die:
    """Return the die with slightly different proportions; `loose` is the chance of odd variants."""
    variants = dict(die.variants)
    for char, names in _LOOSE_VARIANTS.items():
        if rng.random() < loose:
            name = names[int(rng.integers(len(names)))]
            if name != "slash" or die.name.startswith("us_"):
                variants[char] = name
    widths = dict(die.widths)
    if rng.random() < 0.3:  # a digit 0 that is narrower than the letter O
        widths["0"] = float(rng.choice([0.84, 0.9]))
    return replace(
        die,
        width=_quantised(die.width * rng.uniform(0.9, 1.12), 0.03),
        stroke=_quantised(die.stroke * rng.uniform(0.82, 1.2), 0.012),
        radius=_quantised(die.radius * rng.uniform(0.75, 1.3), 0.06),
        gap=die.gap * float(rng.uniform(0.8, 1.35)),
        round_ends=die.round_ends if rng.random() < 0.85 else not die.round_ends,
        variants=tuple(sorted(variants.items())),
        widths=tuple(sorted(widths.items())),
    )


def glyph_mask(die: Die, char: str) -> Mask:
    """Return the mask of one character, `MASK_HEIGHT` rows, its ink touching the borders."""
    if die.font:
        return _font_glyph(die.font, char)
    variant = dict(die.variants).get(char, "")
    width = die.width * dict(die.widths).get(char, 1.0)
    return _die_glyph(char, variant, round(width, 3), (die.stroke, die.radius), die.round_ends)


@lru_cache(maxsize=12000)
def _die_glyph(
    char: str, variant: str, width: float, pen: tuple[float, float], round_ends: bool
) -> Mask:
    """Rasterise a skeleton; flat ends that reach the cell's top or foot are cut level there."""
    glyph = GLYPHS[char].get(variant) or GLYPHS[char][""]
    height, pad = MASK_HEIGHT, MASK_HEIGHT // 5
    stroke, radius = max(2.0, pen[0] * height), pen[1] * height
    box = (max(width * height, stroke), float(height))
    canvas = np.zeros((height + 2 * pad, math.ceil(box[0]) + 2 * pad), np.uint8)
    for path in glyph:
        closed = path[-1] == CLOSE
        points = _outline(path[:-1] if closed else path, box, (stroke, radius), closed)
        _draw_stroke(canvas, points + pad, stroke, closed=closed)
        if not round_ends and len(points) > 1:
            _sharpen(canvas, points, (stroke, box), closed=closed)
    # Tails below the line (Q) stay; serifs may reach over the sides.
    canvas = canvas[pad : pad + height + (pad if char == "Q" else 0)]
    columns = np.flatnonzero(canvas.max(axis=0))
    rows = np.flatnonzero(canvas.max(axis=1))
    canvas = canvas[: max(int(rows[-1]) + 1, height), columns[0] : columns[-1] + 1]
    return np.ascontiguousarray(canvas)


def _outline(
    path: Stroke, box: tuple[float, float], pen: tuple[float, float], closed: bool
) -> Points:
    """Return the centre line (N, 2) in pixels with its rounded vertices as arcs."""
    stroke, radius = pen
    scale = np.array([box[0] - stroke, box[1] - stroke])
    at = [np.array(v[:2]) * scale + stroke / 2 for v in path]
    share = [v[2] if len(v) > 2 else 0.0 for v in path]
    out: list[NDArray[np.float64]] = []
    count = len(path)
    for i in range(count):
        here = at[i]
        if share[i] == 0 or (not closed and i in (0, count - 1)):
            out.append(here[None])
            continue
        legs = []
        for j in (i - 1, (i + 1) % count):
            edge = at[j] - here
            length = float(np.hypot(*edge)) or 1.0
            limit = length * (0.5 if share[j] else 1.0)
            legs.append(edge / length * min(radius * share[i], limit))
        out.append(here + legs[0] * _IN + legs[1] * _OUT)
    line = np.concatenate(out).astype(np.float32)
    moved = np.abs(np.diff(line, axis=0, prepend=line[-1:] if closed else line[:1] - 9)).sum(axis=1)
    return np.asarray(line[moved > 0.05])


def _draw_stroke(canvas: Mask, points: Points, stroke: float, *, closed: bool) -> None:
    """Ink a centre line with round ends and joints."""
    corners = np.round(points * (1 << _SHIFT)).astype(np.int32)
    cv2.polylines(canvas, [corners], closed, 255, max(1, round(stroke - 0.6)), cv2.LINE_AA, _SHIFT)


def _sharpen(
    canvas: Mask, points: Points, pen: tuple[float, tuple[float, float]], *, closed: bool
) -> None:
    """Square the ends and mitre the corners of a stroke; `points` are without the pad."""
    stroke, box = pen
    pad = MASK_HEIGHT // 5
    steps = np.roll(points, -1, axis=0) - points
    lengths = np.maximum(np.hypot(steps[:, 0], steps[:, 1]), 1e-3)
    ways = steps / lengths[:, None]
    count = len(points)
    for i in range(0 if closed else 1, count if closed else count - 1):
        if float(ways[i - 1] @ ways[i]) < 0.85:
            _mitre(canvas, points[i] + pad, (ways[i - 1], ways[i]), stroke)
    if closed:
        return
    near = 0.6 * stroke
    for end, way in ((points[0], -ways[0]), (points[-1], ways[-2])):
        x, y = float(end[0]), float(end[1])
        reach = 0.0
        if min(y, box[1] - y) < near and abs(way[1]) > 0.3:
            reach = 1.2
        elif min(x, y, box[0] - x, box[1] - y) < near:
            reach = 0.5
        if reach:
            side = np.array([-way[1], way[0]]) * stroke / 2
            base, tip = end + pad, end + pad + way * stroke * reach
            _fill(canvas, np.array([base + side, tip + side, tip - side, base - side]))


def _mitre(canvas: Mask, at: Points, ways: tuple[Points, Points], stroke: float) -> None:
    """Fill the outer corner between two segments; very acute ones stay round."""
    turn = float(ways[0][0] * ways[1][1] - ways[0][1] * ways[1][0])
    if float(ways[0] @ ways[1]) < -0.93:
        return
    side = -1.0 if turn > 0 else 1.0
    first = np.array([-ways[0][1], ways[0][0]]) * side * stroke / 2
    second = np.array([-ways[1][1], ways[1][0]]) * side * stroke / 2
    middle = first + second
    tip = middle * (stroke / 2) ** 2 * 2 / float(middle @ middle)
    _fill(canvas, np.array([at, at + first, at + tip, at + second]))


def _fill(canvas: Mask, polygon: NDArray[np.floating]) -> None:
    """Fill a convex polygon given in sub-pixel coordinates."""
    corners = np.round(polygon * (1 << _SHIFT)).astype(np.int32)
    cv2.fillConvexPoly(canvas, corners, 255, cv2.LINE_AA, _SHIFT)


# --- fonts ---------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def font_files() -> tuple[str, ...]:
    """Return the usable font files, sorted; empty where none, or no Pillow, is installed."""
    if importlib.util.find_spec("PIL") is None:
        return ()
    folders = [*os.environ.get("ALPR_EDGE_FONTS", "").split(os.pathsep), *_FONT_FOLDERS]
    found = {
        str(path)
        for folder in folders
        if folder and Path(folder).is_dir()
        for path in Path(folder).rglob("*")
        if path.suffix.lower() in {".ttf", ".otf"}
    }
    usable = [f for f in sorted(found) if not any(b in Path(f).name.lower() for b in _BANNED_FONTS)]
    return tuple(f for f in usable if _has_alphabet(f))


def _has_alphabet(path: str) -> bool:
    """Whether the font opens and draws A, W and 8 differently from a missing character."""
    try:
        font = _font(path, 32)
        shapes = {bytes(font.getmask(c)) for c in ("A", "W", "8", "\uffff")}
    except (OSError, ValueError):
        return False
    return len(shapes) == 4


@lru_cache(maxsize=4)
def fonts_like(kind: str) -> tuple[str, ...]:
    """Return the fonts for `"serial"`, `"script"` or any other kind (all but the scripts)."""
    words = {"serial": _SERIAL_FONTS, "script": _SCRIPT_FONTS}.get(kind, ())
    script = [f for f in font_files() if any(w in Path(f).name.lower() for w in _SCRIPT_FONTS)]
    if kind == "script":
        return tuple(script)
    rest = [f for f in font_files() if f not in script]
    return tuple(f for f in rest if not words or any(w in Path(f).name.lower() for w in words))


def font_die(die: Die, rng: np.random.Generator) -> Die:
    """Return the die with a font's shapes, or unchanged where no font is installed."""
    fonts = fonts_like("serial")
    if not fonts:
        return die
    return replace(die, font=fonts[int(rng.integers(len(fonts)))], name="font")


@lru_cache(maxsize=1500)
def _font(path: str, size: int) -> ImageFont.FreeTypeFont:
    from PIL import ImageFont

    return ImageFont.truetype(path, size, layout_engine=ImageFont.Layout.BASIC)


@lru_cache(maxsize=6000)
def _font_glyph(path: str, char: str) -> Mask:
    """Return the tight mask of a font's character, scaled to `MASK_HEIGHT` by the letter H."""
    font = _font(path, MASK_HEIGHT)
    mask = caption_mask(char, path, MASK_HEIGHT)
    cap = font.getbbox("H")
    scale = MASK_HEIGHT / max(1.0, cap[3] - cap[1])
    height = MASK_HEIGHT if char != "Q" else max(MASK_HEIGHT, round(mask.shape[0] * scale))
    size = (max(2, round(mask.shape[1] * scale)), height)
    return np.asarray(cv2.resize(mask, size, interpolation=cv2.INTER_LINEAR), np.uint8)


@lru_cache(maxsize=4000)
def caption_mask(text: str, font: str, height: int) -> Mask:
    """Return a tight mask of a caption; `font` is a path, or a die's name where there are none."""
    if not font.startswith("/"):
        return _die_caption(text, font, height)
    mask, _ = _font(font, height).getmask2(text, mode="L")
    columns, rows = mask.size
    if not columns or not rows:
        return np.zeros((8, 8), np.uint8)
    return np.frombuffer(bytes(mask), np.uint8).reshape(rows, columns)


def _die_caption(text: str, die: str, height: int) -> Mask:
    """Set a caption in an own die, upper case; signs that it lacks become spaces."""
    source = DIES[die]
    gap = np.zeros((MASK_HEIGHT, int(0.16 * MASK_HEIGHT)), np.uint8)
    parts: list[Mask] = []
    for char in text.upper():
        if char in GLYPHS:
            parts += [glyph_mask(source, char)[:MASK_HEIGHT], gap]
        else:
            parts += [gap, gap]
    row = np.hstack(parts or [gap])
    size = (max(2, round(row.shape[1] * height / MASK_HEIGHT)), max(2, height))
    return np.asarray(cv2.resize(row, size, interpolation=cv2.INTER_AREA), np.uint8)
