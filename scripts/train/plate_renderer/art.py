"""Flat plate art: draws one registration plate of a region, straight on and clean.

Does: draws a region, a serial and a design at random and composes them on a canvas.
Does not: photograph it (`photo` does), nor put anything but the serial into the text label:
state names, slogans, stickers and small stacked letters are never in it.

Rules: all randomness comes from the passed generator; the same generator state, and the same
installed fonts, give the same plate.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from .canvas import Canvas, caption_font, colour, one_of
from .decor import SCENES, band, blob, emblem, holes, side_picture, stickers
from .designs import EU_BANDS, EU_DIES, REGIONS, US_DESIGNS, Design, draw_design, draw_region
from .formats import DIGITS, LETTERS, draw_serial, fill, label
from .glyphs import DIES, Die, font_die, jittered
from .layout import Row, set_row, stacked

HEIGHT: Final = 132
"""Rows of a plate of the American kind; the others keep about the same scale."""

_TOWNS: Final = ("SP-SAO PAULO", "RJ-RIO DE JANEIRO", "MG-BELO HORIZONTE", "PR-CURITIBA",
                 "SC-JOINVILLE", "RS-PORTO ALEGRE", "BA-SALVADOR", "SP CAMPINAS", "GO-GOIANIA",
                 "DF BRASILIA", "PE-RECIFE", "SP-SANTOS", "CE-FORTALEZA")  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class PlateArt:
    """A clean plate seen straight on."""

    image: NDArray[np.uint8]
    """(H, W, 3) BGR."""
    relief: NDArray[np.uint8]
    """(H, W) height of the embossing, 0 where the plate is flat."""
    text: str
    """The serial: A-Z and 0-9 only."""
    region: str
    rows: int


def draw_plate(rng: np.random.Generator, region: str | None = None) -> PlateArt:
    """Draw a plate; without a region one is drawn by the project's mix.

    Raises:
        ValueError: the region is none of `REGIONS`.
    """
    if region is None:
        region = draw_region(rng)
    if region not in REGIONS:
        raise ValueError(f"region must be one of {', '.join(REGIONS)}, but got {region}")
    if region in US_DESIGNS:
        if region.startswith("us") and rng.random() < 0.035:
            return _paper(rng, region)
        return _american(rng, region)
    if region in ("br", "ar"):
        return _southern(rng, region)
    return _european(rng, region)


def _die(names: tuple[str, ...], rng: np.random.Generator, fonts: float) -> Die:
    """Draw a die of the names, jittered; with the chance `fonts` an installed font's shapes."""
    die = DIES[names[int(rng.integers(len(names)))]]
    loose = 0.05 if die.name == "california" else 0.14
    die = jittered(die, rng, loose=loose)
    return font_die(die, rng) if rng.random() < fonts else die


def _finish(canvas: Canvas, serial: str, region: str, rows: int) -> PlateArt:
    canvas.image.flags.writeable = False
    canvas.relief.flags.writeable = False
    return PlateArt(canvas.image, canvas.relief, label(serial), region, rows)


def _rim(canvas: Canvas, rng: np.random.Generator, ink: tuple[int, int, int]) -> None:
    """The pressed bead along the edge, often painted."""
    inset = canvas.height * rng.uniform(0.012, 0.04)
    width = max(1, round(canvas.height * rng.uniform(0.008, 0.025)))
    corner = (round(inset), round(inset))
    far = (canvas.width - 1 - corner[0], canvas.height - 1 - corner[1])
    cv2.rectangle(canvas.relief, corner, far, 150, width)
    if rng.random() < 0.45:
        cv2.rectangle(canvas.image, corner, far, ink, width, cv2.LINE_AA)


# --- American kind (US, Canada, Mexico, Australia) -----------------------------------------------


def _american(rng: np.random.Generator, region: str) -> PlateArt:
    """A plate with captions above and below the serial."""
    design = draw_design(region, rng)
    if rng.random() < 0.06:  # a base that no table knows
        design = replace(design, ink="nkgrbwm", base="wlcyefsbng", scene=tuple(SCENES))
    wide = {"au": 2.75}.get(region, 2.0)
    height = HEIGHT if region != "au" else 112
    base = one_of(design.base, rng)
    canvas = Canvas(height, round(height * wide * rng.uniform(0.97, 1.05)), base)
    SCENES[design.scene[int(rng.integers(len(design.scene)))]](canvas, rng, base)
    ink = _readable_ink(canvas, design.ink, rng)
    _rim(canvas, rng, ink)
    _captions(canvas, design, rng)
    raised = bool(rng.random() < 0.7)
    die = _die(design.dies, rng, 0.07 if "california" in design.dies else 0.22)
    sign = design.emblem
    if region == "us-ca":  # the signs of the Kids plates
        sign = ("heart", "star", "bear", "heart")[int(rng.integers(4))]
    row = Row(die, ink, sign, raised, float(rng.uniform(0.75, 1.35)))
    serial = draw_serial(rng, region)
    if region == "mx" and len(serial) > 8 and rng.random() < 0.25:
        serial = serial.replace("-", " ")
    two = _american_serial(canvas, serial, row, rng)
    holes(canvas, rng, american=True)
    if region.startswith("us") and rng.random() < 0.75:
        corners = (("tl", "tr"), ("tl", "tr"), ("tr",), ("bl", "br"), ("br",), ("bl",))
        stickers(canvas, rng, corners[int(rng.integers(len(corners)))])
    return _finish(canvas, serial, region, two)


def _readable_ink(canvas: Canvas, letters: str, rng: np.random.Generator) -> tuple[int, int, int]:
    """Draw an ink that differs enough from the mean of the plate's middle."""
    middle = canvas.image[canvas.height // 3 : -canvas.height // 4, ::4].mean(axis=(0, 1))
    for _ in range(4):
        ink = one_of(letters, rng)
        luma = abs(float(np.dot(middle - np.array(ink), (0.114, 0.587, 0.299))))
        if luma > 60:
            return ink
    dark = float(np.dot(middle, (0.114, 0.587, 0.299))) < 120
    return colour("w" if dark else "k", rng)


def _captions(canvas: Canvas, design: Design, rng: np.random.Generator) -> None:
    """State name above, slogan, address or county below."""
    width, height = canvas.width, canvas.height
    top = design.top[int(rng.integers(len(design.top)))]
    bottom = design.bottom[int(rng.integers(len(design.bottom)))]
    row = canvas.image[round(height * 0.1), ::5].mean()
    ink = one_of(design.caption, rng) if row > 110 else one_of("wyw", rng)
    script = top.startswith("~")
    tall = height * rng.uniform(0.13, 0.22)
    y = height * rng.uniform(0.035, 0.075)
    half = width * rng.uniform(0.2, 0.29)
    middle = width * (0.5 if rng.random() < 0.8 else rng.uniform(0.38, 0.62))
    box = (middle - half, y, middle + half, y + tall)
    canvas.caption(top.lstrip("~"), box, ink, caption_font(rng, script=script),
                   raised=bool(rng.random() < 0.3))  # fmt: skip
    if rng.random() < 0.12:
        return
    foot = height * rng.uniform(0.085, 0.15)
    low = height * (1 - rng.uniform(0.03, 0.06))
    half = width * rng.uniform(0.2, 0.36)
    row = canvas.image[round(low - foot / 2), ::5].mean()
    ink = ink if row > 110 and rng.random() < 0.7 else one_of("nkr" if row > 110 else "wy", rng)
    box = (width / 2 - half, low - foot, width / 2 + half, low)
    canvas.caption(bottom, box, ink, caption_font(rng, script=bool(rng.random() < 0.12)))


def _american_serial(canvas: Canvas, serial: str, row: Row, rng: np.random.Generator) -> int:
    """Set the serial, at times beside a picture or small stacked letters; return its rows."""
    width, height = canvas.width, canvas.height
    tall = height * rng.uniform(0.42, 0.53)
    middle = height * rng.uniform(0.5, 0.57)
    margin = width * rng.uniform(0.035, 0.075)
    box = (margin, middle - tall / 2, width - margin, middle + tall / 2)
    count = len(label(serial))
    if count >= 5 and "*" not in serial and rng.random() < 0.02:
        return _american_two_rows(canvas, serial, row, rng)
    if count <= 6 and rng.random() < 0.3:
        return _beside_picture(canvas, serial, row, rng, box)
    if count <= 6 and rng.random() < 0.3:
        row = replace(row, spread=row.spread * float(rng.uniform(1.0, 2.4)))
    set_row(canvas, serial, box, row, rng)
    return 1


def _beside_picture(
    canvas: Canvas, serial: str, row: Row, rng: np.random.Generator,
    box: tuple[float, float, float, float],
) -> int:  # fmt: skip
    """A special plate: picture at a side, often with stacked letters next to the serial."""
    x0, y0, x1, y1 = box
    tall = y1 - y0
    left = rng.random() < 0.75
    part = tall * rng.uniform(0.7, 1.2)
    place = (x0, y0, x0 + part, y1) if left else (x1 - part, y0, x1, y1)
    if rng.random() < 0.8:
        side_picture(canvas, place, rng)
        x0, x1 = (x0 + part, x1) if left else (x0, x1 - part)
    if rng.random() < 0.35:
        count = int(rng.integers(2, 4))
        text = "".join(LETTERS[int(rng.integers(26))] for _ in range(count))
        text = "DP" if rng.random() < 0.15 else text
        small = tall * (0.27 if count == 2 else 0.2)
        at_left = left if rng.random() < 0.8 else not left
        column = (x0, y0, x0 + small, y1) if at_left else (x1 - small, y0, x1, y1)
        die = replace(row.die, fixed_pitch=True)
        stacked(canvas, text, column, replace(row, die=die))
        edge = small + tall * rng.uniform(0.1, 0.25)
        x0, x1 = (x0 + edge, x1) if at_left else (x0, x1 - edge)
    set_row(canvas, serial, (x0, y0, x1, y1), row, rng)
    return 1


def _halves(serial: str, rng: np.random.Generator) -> tuple[str, str]:
    """Break a serial into two rows, at a separator near the middle if there is one."""
    breaks = [i for i, c in enumerate(serial) if c in " -.=*"]
    if breaks:
        at = min(breaks, key=lambda i: abs(i - len(serial) / 2))
        return serial[:at], serial[at + 1 :]
    at = len(serial) // 2 + int(rng.integers(0, 2) if len(serial) % 2 else 0)
    return serial[:at], serial[at:]


def _two_rows(
    canvas: Canvas, serial: str, row: Row, rng: np.random.Generator,
    box: tuple[float, float, float, float],
) -> None:  # fmt: skip
    """Set a serial in two rows within a box."""
    upper, lower = _halves(serial, rng)
    x0, y0, x1, y1 = box
    gap = (y1 - y0) * rng.uniform(0.06, 0.12)
    tall = (y1 - y0 - gap) / 2
    signs = str.maketrans("", "", " *.") if rng.random() < 0.7 else {}
    set_row(canvas, upper.strip("-. *"), (x0, y0, x1, y0 + tall), row, rng)
    set_row(canvas, lower.translate(signs).strip("-. *="), (x0, y1 - tall, x1, y1), row, rng)


def _american_two_rows(canvas: Canvas, serial: str, row: Row, rng: np.random.Generator) -> int:
    """A motorcycle's plate: two rows under a caption."""
    width, height = canvas.width, canvas.height
    box = (width * 0.1, height * 0.24, width * 0.9, height * 0.86)
    _two_rows(canvas, serial, row, rng, box)
    return 2


def _paper(rng: np.random.Generator, region: str) -> PlateArt:
    """A temporary plate of paper: printed serial, small print, a date."""
    canvas = Canvas(HEIGHT, round(HEIGHT * rng.uniform(1.75, 2.1)), one_of("wwwce", rng))
    width, height = canvas.width, canvas.height
    ink, font = one_of("kkkr", rng), caption_font(rng)
    heads = ("TEMPORARY", "TEMP TAG", "DEALER", "TEXAS BUYER", "FLORIDA", "CALIFORNIA",
             "IN TRANSIT", "TEMPORARY PERMIT", "BUYER TAG", "REGISTRATION APPLIED FOR")  # fmt: skip
    canvas.caption(heads[int(rng.integers(len(heads)))],
                   (width * 0.05, height * 0.05, width * rng.uniform(0.5, 0.9), height * 0.17),
                   ink, font, align=0.0)  # fmt: skip
    serial = fill(("99999A9", "AA99A99", "AAA9999", "A999999", "999AAAA", "9999999", "AAA999")
                  [int(rng.integers(7))], rng)  # fmt: skip
    die = _die(("us_flat", "us_square", "din"), rng, 0.6)
    top = height * rng.uniform(0.22, 0.3)
    box = (width * 0.04, top, width * 0.96, top + height * rng.uniform(0.38, 0.46))
    set_row(canvas, serial, box, Row(die, ink), rng)
    for _ in range(int(rng.integers(1, 4))):
        day = "".join(DIGITS[int(rng.integers(10))] for _ in range(6))
        text = ("EXP " if rng.random() < 0.5 else "VIN ") + "/".join((day[:2], day[2:4], day[4:]))
        x, y = width * rng.uniform(0.05, 0.5), height * rng.uniform(0.76, 0.88)
        small = (x, y, x + width * 0.4, y + height * rng.uniform(0.05, 0.11))
        canvas.caption(text, small, ink, font, align=0.0)
    return _finish(canvas, serial, region, 1)


# --- European kind -------------------------------------------------------------------------------


def _european(rng: np.random.Generator, region: str) -> PlateArt:
    """A long or a two-row plate with a country's band at the left."""
    serial = draw_serial(rng, region, free=0.12)
    two = rng.random() < (0.14 if region != "in" else 0.4)
    inks, bases = _european_colours(region, rng)
    height = 112 if not two else 150
    ratio = rng.uniform(1.3, 1.75) if two else rng.uniform(4.3, 4.9)
    if not two and rng.random() < 0.12:
        ratio = rng.uniform(3.1, 4.2)
    canvas = Canvas(height, round(height * ratio), one_of(bases, rng))
    ink = one_of(inks, rng)
    margin = height * 0.05
    left, right = margin, canvas.width - margin
    unit = height * (0.36 if not two else 0.22)
    if region in EU_BANDS and rng.random() < {"gb": 0.3, "dk": 0.5, "no": 0.6}.get(region, 0.9):
        foot = height if not two or rng.random() < 0.4 else height * 0.5
        band(canvas, (0, 0, unit, foot), EU_BANDS[region], rng)
        left = unit + margin * 0.6
    right = _right_strip(canvas, region, right, unit, rng)
    _rim(canvas, rng, ink if region not in ("dk", "at") else colour("r", rng))
    if region == "at" and not two:
        for y in (0.06, 0.93):
            canvas.rectangle((left, y * height, right, y * height + 2), colour("r", rng))
    row = Row(_die(EU_DIES[region], rng, 0.2), ink, "shield", bool(rng.random() < 0.75),
              float(rng.uniform(0.8, 1.3)))  # fmt: skip
    tall = height * rng.uniform(0.62, 0.74)
    if two:
        box = (left + margin, height * 0.08, right - margin, height * 0.92)
        _two_rows(canvas, serial, row, rng, box)
    else:
        room = (right - left) * rng.uniform(0.01, 0.07)
        y = (height - tall) / 2 + height * rng.uniform(-0.04, 0.03)
        set_row(canvas, serial, (left + room, y, right - room, y + tall), row, rng)
    _dealer_line(canvas, region, rng)
    if rng.random() < 0.35:
        holes(canvas, rng, american=False)
    return _finish(canvas, serial, region, 2 if two else 1)


def _european_colours(region: str, rng: np.random.Generator) -> tuple[str, str]:
    """Return ink and background letters."""
    roll = rng.random()
    if region == "gb":
        return ("k", "y") if roll < 0.5 else ("sw", "k") if roll < 0.57 else ("k", "w")
    if region == "nl":
        return ("k", "y") if roll < 0.93 else ("w", "n")
    if region == "be":
        return "m" if roll < 0.7 else "r", "w"
    if region in ("fr", "dk", "ie") and roll < 0.15:
        return "k", "y"
    return ("kkn", "ww" if roll < 0.93 else "sc")


def _right_strip(
    canvas: Canvas, region: str, right: float, unit: float, rng: np.random.Generator
) -> float:
    """Draw the strip at the right where a country has one; return where the serial must end."""
    box = (canvas.width - unit, 0.0, float(canvas.width), float(canvas.height))
    chance = {"fr": 0.8, "it": 0.8, "pt": 0.5, "ch": 0.3}.get(region, 0.0)
    if canvas.width < canvas.height * 2.5 or rng.random() > chance:
        return right
    white, font = colour("w", rng), "din"
    x0, _, x1, height = box
    inner = (x0 + 3, height * 0.62, x1 - 3, height * 0.86)
    if region == "ch":
        emblem(canvas, "shield", (x0, height * 0.2, x1 - 3, height * 0.8), colour("r", rng), rng)
    elif region == "pt":
        canvas.rectangle(box, colour("y", rng))
        ink = colour("k", rng)
        for top, most in ((0.18, 24), (0.58, 13)):  # year above month
            place = (x0 + 3, height * top, x1 - 3, height * (top + 0.24))
            canvas.caption(f"{int(rng.integers(1, most)):02d}", place, ink, font)
    else:
        canvas.rectangle(box, colour("b", rng))
        texts = (f"{int(rng.integers(1, 96)):02d}", "MI", "RM", "TO", "NA", "2A")
        canvas.caption(texts[int(rng.integers(len(texts)))] if region == "it" else texts[0], inner,
                       white, font)  # fmt: skip
        blob(canvas, ((x0 + x1) / 2, height * 0.28), unit * 0.25, one_of("wry", rng), rng)
    return x0 - 2


def _dealer_line(canvas: Canvas, region: str, rng: np.random.Generator) -> None:
    """Small print of the maker or dealer at the foot (Great Britain above all)."""
    if rng.random() > (0.55 if region == "gb" else 0.06):
        return
    names = ("PARKSIDE CARS 01632 960123", "www.northgate-motors.example", "HILLTOP GARAGE",
             "Autohaus Muster", "BS AU 145d")  # fmt: skip
    height, width = canvas.height, canvas.width
    box = (width * 0.3, height * 0.9, width * 0.7, height * 0.965)
    canvas.caption(names[int(rng.integers(len(names)))], box, colour("k", rng), caption_font(rng))


# --- Brazil and Argentina ------------------------------------------------------------------------


def _southern(rng: np.random.Generator, region: str) -> PlateArt:
    """Old grey or Mercosur plates, one or two rows."""
    mercosur = rng.random() < (0.5 if region == "br" else 0.7)
    two = bool(rng.random() < 0.18)
    height = 112 if not two else 150
    ratio = rng.uniform(1.15, 1.4) if two else rng.uniform(2.9, 3.25)
    bases = "w" if mercosur else ("sssssarw" if region == "br" else "k")
    base = bases[int(rng.integers(len(bases)))]
    canvas = Canvas(height, round(height * ratio), colour(base, rng))
    old = "w" if base in "rk" else "k"
    ink = one_of("kkkkrb" if mercosur else old, rng)
    top = _mercosur_top(canvas, region, rng) if mercosur else _old_top(canvas, region, ink, rng)
    _rim(canvas, rng, ink)
    formats = "br-mercosur" if mercosur and region == "br" else region
    serial = draw_serial(rng, formats, free=0.14)
    dies = ("fe", "fe", "fe", "din") if mercosur else ("mandatory", "mandatory", "mandatory", "din")
    row = Row(_die(dies, rng, 0.12), ink, "dot", bool(rng.random() < 0.75),
              float(rng.uniform(0.8, 1.4)))  # fmt: skip
    # One row is 63 to 65 mm high on a plate of 130 mm.
    foot = height * (rng.uniform(0.05, 0.1) if two else rng.uniform(0.08, 0.16))
    start = top + foot * 0.6 if two else max(top, height * (1 - rng.uniform(0.46, 0.6)) - foot)
    box = (canvas.width * 0.05, start, canvas.width * 0.95, height - foot)
    if two:
        _two_rows(canvas, serial, row, rng, box)
    else:
        set_row(canvas, serial, box, row, rng)
    if rng.random() < 0.5:
        holes(canvas, rng, american=rng.random() < 0.5)
    return _finish(canvas, serial, region, 2 if two else 1)


def _mercosur_top(canvas: Canvas, region: str, rng: np.random.Generator) -> float:
    """The blue band with the country's name; return its lower edge."""
    width, height = canvas.width, canvas.height
    edge = height * rng.uniform(0.2, 0.27)
    canvas.rectangle((0, 0, width, edge), colour("b", rng))
    white = colour("w", rng)
    name = "BRASIL" if region == "br" else "REPUBLICA ARGENTINA"
    half = width * (0.14 if region == "br" else 0.27)
    canvas.caption(name, (width / 2 - half, edge * 0.22, width / 2 + half, edge * 0.82), white,
                   caption_font(rng))  # fmt: skip
    flag = (width * 0.88, edge * 0.2, width * 0.97, edge * 0.85)
    canvas.rectangle(flag, colour("g" if region == "br" else "l", rng))
    at = ((flag[0] + flag[2]) / 2, (flag[1] + flag[3]) / 2)
    canvas.disc(at, edge * 0.2, colour("y", rng))
    canvas.caption("MERCOSUR", (width * 0.03, edge * 0.3, width * 0.16, edge * 0.6), white, "din")
    if region == "br" and rng.random() < 0.7:
        canvas.caption("BR", (width * 0.015, height * 0.78, width * 0.055, height * 0.9),
                       colour("k", rng), "din")  # fmt: skip
        canvas.rectangle(
            (width * 0.012, height * 0.4, width * 0.05, height * 0.62), colour("a", rng)
        )
    return edge


def _old_top(
    canvas: Canvas, region: str, ink: tuple[int, int, int], rng: np.random.Generator
) -> float:
    """The strip with state and town (Brazil) or the country's name (Argentina)."""
    width, height = canvas.width, canvas.height
    edge = height * rng.uniform(0.2, 0.27)
    text = _TOWNS[int(rng.integers(len(_TOWNS)))] if region == "br" else "ARGENTINA"
    half = width * rng.uniform(0.14, 0.26)
    box = (width / 2 - half, edge * 0.34, width / 2 + half, edge * 0.86)
    if region == "br" and rng.random() < 0.35:
        frame = (box[0] - 6, box[1] - 4, box[2] + 6, box[3] + 4)
        canvas.rectangle(frame, one_of("swa", rng))
        canvas.rectangle(frame, one_of("ka", rng), 1)
        ink = colour("k", rng)
    canvas.caption(text, box, ink, caption_font(rng))
    return edge
