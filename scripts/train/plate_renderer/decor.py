"""What a plate carries beside its serial: scenes, emblems, seals, stickers, bolt holes, bands.

Does: draws them onto a `Canvas` from simple shapes, different each time.
Does not: copy an official design; the shapes are only reminiscent of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from .canvas import Bgr, Canvas, caption_font, colour, one_of

Rng: TypeAlias = np.random.Generator
Box: TypeAlias = tuple[float, float, float, float]

MONTHS: Final = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")


# --- scenes --------------------------------------------------------------------------------------


def _ramp(canvas: Canvas, top: Bgr, bottom: Bgr, span: tuple[float, float] = (0.0, 1.0)) -> None:
    """Blend from one colour to another down the plate."""
    rows = (np.linspace(0, 1, canvas.height) - span[0]) / (span[1] - span[0])
    share = np.clip(rows, 0, 1)[:, None]
    ramp = np.array(top) * (1 - share) + np.array(bottom) * share
    canvas.image[:] = ramp[:, None, :].astype(np.uint8)


def _ridge(canvas: Canvas, rng: Rng, level: float, rough: float, ink: Bgr) -> None:
    """Fill below a random ridge around `level` (share of the height)."""
    count = int(rng.integers(5, 14))
    xs = np.linspace(-0.05, 1.05, count) * canvas.width
    ys = (level + rng.uniform(-rough, rough, count)) * canvas.height
    line = np.stack([xs, ys], axis=1)
    foot = np.array([[canvas.width * 1.05, canvas.height], [-9, canvas.height]])
    canvas.polygon(np.concatenate([line, foot]), ink)


def _pale(rng: Rng) -> Bgr:
    """A light colour, as on most picture plates."""
    b, g, r = (int(v) for v in rng.integers(150, 256, 3))
    return b, g, r


def _fade(canvas: Canvas, rng: Rng, base: Bgr) -> None:
    _ramp(canvas, _pale(rng) if rng.random() < 0.6 else base, base, (0.0, rng.uniform(0.3, 0.7)))
    if rng.random() < 0.4:
        _ramp(canvas, base, _pale(rng), (rng.uniform(0.3, 0.6), 1.0))


def _bands(canvas: Canvas, rng: Rng, base: Bgr) -> None:
    ink = one_of("nnbrgo", rng)
    height = rng.uniform(0.12, 0.26) * canvas.height
    canvas.rectangle((0, 0, canvas.width, height), ink)
    if rng.random() < 0.6:
        canvas.rectangle((0, canvas.height - height * 0.8, canvas.width, canvas.height), ink)
    if rng.random() < 0.4:
        line = one_of("yorw", rng)
        canvas.rectangle((0, height, canvas.width, height + 3), line)


def _hills(canvas: Canvas, rng: Rng, base: Bgr) -> None:
    if rng.random() < 0.7:
        _ramp(canvas, _pale(rng), base, (0.0, 0.6))
    for level in sorted(rng.uniform(0.62, 0.95, int(rng.integers(1, 4)))):
        _ridge(canvas, rng, float(level), 0.07, one_of("geltwfc", rng))


def _mountains(canvas: Canvas, rng: Rng, base: Bgr) -> None:
    _ramp(canvas, one_of("lfwg", rng), base, (0.0, 0.5))
    _ridge(canvas, rng, rng.uniform(0.25, 0.5), 0.16, one_of("wlfes", rng))
    if rng.random() < 0.5:
        _ridge(canvas, rng, rng.uniform(0.75, 0.92), 0.05, one_of("eglfp", rng))


def _desert(canvas: Canvas, rng: Rng, base: Bgr) -> None:
    _ramp(canvas, one_of("ltw", rng), one_of("wfo", rng), (0.0, rng.uniform(0.5, 1.0)))
    _ridge(canvas, rng, rng.uniform(0.78, 0.9), 0.08, one_of("pmor", rng))


def _picture(canvas: Canvas, rng: Rng, base: Bgr) -> None:
    """Soft blobs of colour at random; the serial stays readable as they are pale or one-sided."""
    low = rng.integers(120, 256, (int(rng.integers(2, 5)), int(rng.integers(3, 7)), 3))
    size = (canvas.width, canvas.height)
    blobs = cv2.resize(low.astype(np.uint8), size, interpolation=cv2.INTER_CUBIC)
    share = rng.uniform(0.15, 0.6)
    canvas.image[:] = cv2.addWeighted(canvas.image, 1 - share, blobs, share, 0)
    for _ in range(int(rng.integers(0, 4))):
        at = (rng.uniform(0, 1) * canvas.width, rng.uniform(0.5, 1) * canvas.height)
        canvas.disc(at, rng.uniform(0.03, 0.12) * canvas.height, _pale(rng))


def _rainbow(canvas: Canvas, rng: Rng, base: Bgr) -> None:
    radius = canvas.width * rng.uniform(0.42, 0.5)
    for k, ink in enumerate("royglp"):
        at = (canvas.width / 2, canvas.height * 1.05)
        canvas.disc(at, radius - 4 * k, colour(ink, rng), 3)


def _seal_scene(canvas: Canvas, rng: Rng, base: Bgr) -> None:
    ink = _pale(rng)
    at = (canvas.width * rng.uniform(0.4, 0.6), canvas.height * rng.uniform(0.45, 0.6))
    for share in (0.42, 0.36, 0.2):
        canvas.disc(at, canvas.height * share, ink, 3)
    star(canvas, at, canvas.height * 0.16, ink)


def _trees(canvas: Canvas, rng: Rng, base: Bgr) -> None:
    _mountains(canvas, rng, base)
    ink = one_of("gnp", rng)
    for x in rng.uniform(0.05, 0.95, int(rng.integers(3, 9))):
        _tree(canvas, (float(x) * canvas.width, canvas.height * 0.9), canvas.height * 0.11, ink)


def _waves(canvas: Canvas, rng: Rng, base: Bgr) -> None:
    for level in (0.72, 0.82, 0.92):
        xs = np.linspace(0, canvas.width, 30)
        ys = (level + 0.05 * np.sin(xs / 30 + rng.uniform(0, 6))) * canvas.height
        foot = np.array([[canvas.width, canvas.height], [0, canvas.height]])
        canvas.polygon(np.concatenate([np.stack([xs, ys], 1), foot]), one_of("lbtw", rng))


def _pennsylvania(canvas: Canvas, rng: Rng, base: Bgr) -> None:
    canvas.rectangle((0, 0, canvas.width, canvas.height * 0.22), one_of("nb", rng))
    canvas.rectangle((0, canvas.height * 0.8, canvas.width, canvas.height), one_of("yyo", rng))


def _liberty(canvas: Canvas, rng: Rng, base: Bgr) -> None:
    canvas.rectangle((0, 0, canvas.width, canvas.height * 0.17), one_of("n", rng))
    canvas.rectangle((0, canvas.height * 0.88, canvas.width, canvas.height), one_of("n", rng))


def _mexico(canvas: Canvas, rng: Rng, base: Bgr) -> None:
    """State plates: coloured strips or blobs at the sides and the foot, pale waves behind."""
    for _ in range(int(rng.integers(1, 4))):
        side = rng.random()
        ink = one_of("grobpytmf", rng)
        if side < 0.4:
            top = canvas.height * rng.uniform(0.74, 0.92)
            canvas.rectangle((0, top, canvas.width, top + canvas.height * rng.uniform(0.04, 0.2)),
                             ink)  # fmt: skip
        elif side < 0.7:
            width = canvas.width * rng.uniform(0.03, 0.1)
            x = 0 if rng.random() < 0.5 else canvas.width - width
            canvas.rectangle((x, 0, x + width, canvas.height), ink)
        else:
            _ridge(canvas, rng, rng.uniform(0.7, 0.95), 0.06, _pale(rng))
    if rng.random() < 0.4:  # the eagle and snake or another crest, as a dark blob
        at = (canvas.width * rng.choice([0.1, 0.5, 0.9]), canvas.height * rng.uniform(0.1, 0.18))
        blob(canvas, at, canvas.height * 0.09, one_of("gmk", rng), rng)


def _plain(canvas: Canvas, rng: Rng, base: Bgr) -> None:
    pass


SCENES: Final[dict[str, Callable[[Canvas, Rng, Bgr], None]]] = {
    "plain": _plain, "fade": _fade, "bands": _bands, "hills": _hills, "mountains": _mountains,
    "desert": _desert, "picture": _picture, "rainbow": _rainbow, "seal": _seal_scene,
    "trees": _trees, "waves": _waves, "pennsylvania": _pennsylvania, "liberty": _liberty,
    "mexico": _mexico,
}  # fmt: skip


# --- emblems -------------------------------------------------------------------------------------


def star(canvas: Canvas, at: tuple[float, float], radius: float, ink: Bgr, arms: int = 5) -> None:
    """Draw a star standing on two arms."""
    turn = np.arange(2 * arms) * math.pi / arms - math.pi / 2
    reach = np.where(np.arange(2 * arms) % 2 == 0, radius, radius * 0.42)
    canvas.polygon(np.stack([np.cos(turn) * reach, np.sin(turn) * reach], 1) + np.array(at), ink)


def blob(canvas: Canvas, at: tuple[float, float], radius: float, ink: Bgr, rng: Rng) -> None:
    """Draw an irregular shape such as a state's outline, a bird or a crest."""
    count = int(rng.integers(6, 13))
    turn = np.sort(rng.uniform(0, 2 * math.pi, count))
    reach = radius * rng.uniform(0.45, 1.15, count)
    shape = np.stack([np.cos(turn) * reach * 1.15, np.sin(turn) * reach], 1)
    canvas.polygon(shape + np.array(at), ink)


def _tree(canvas: Canvas, foot: tuple[float, float], height: float, ink: Bgr) -> None:
    x, y = foot
    for k in range(3):
        top = y - height + k * height * 0.25
        half = height * (0.14 + 0.1 * k)
        points = [[x, top], [x + half, top + height * 0.42], [x - half, top + height * 0.42]]
        canvas.polygon(np.array(points), ink)
    canvas.rectangle((x - height * 0.05, y - height * 0.1, x + height * 0.05, y), ink)


_TEXAS: Final[NDArray[np.float64]] = np.array(
    [[-0.25, -1], [0.15, -1], [0.15, -0.45], [0.9, -0.3], [1, 0.3], [0.45, 0.6], [0.4, 1],
     [0.1, 0.8], [-0.2, 0.3], [-0.5, 0.35], [-1, -0.15], [-0.25, -0.15]]
)  # fmt: skip
_SHAPES: Final[dict[str, NDArray[np.float64]]] = {
    "texas": _TEXAS,
    "keystone": np.array([[-0.6, -1], [0.6, -1], [0.6, -0.7], [0.85, -0.6], [0.6, 1], [-0.6, 1],
                          [-0.85, -0.6], [-0.6, -0.7]]),
    "diamond": np.array([[0, -1], [1, 0], [0, 1], [-1, 0]]),
    "shield": np.array([[-0.8, -1], [0.8, -1], [0.8, 0.2], [0, 1], [-0.8, 0.2]]),
    "crown": np.array([[-1, 0.8], [-1, -0.5], [-0.4, 0.1], [0, -1], [0.4, 0.1], [1, -0.5],
                       [1, 0.8]]),
    "ship": np.array([[-1, 0.4], [-0.1, 0.4], [-0.1, -1], [0.8, 0.3], [1, 0.4], [0.6, 0.9],
                      [-0.7, 0.9]]),
    "horse": np.array([[-1, -0.2], [-0.4, -0.8], [0, -0.3], [0.6, -0.5], [1, -1], [0.8, 0],
                       [0.5, 1], [0.2, 0.3], [-0.4, 0.4], [-0.7, 1], [-0.6, 0.1]]),
    "liberty": np.array([[-0.1, -1], [0.1, -1], [0.2, -0.4], [0.5, 0], [0.5, 1], [-0.5, 1],
                         [-0.4, -0.2]]),
}  # fmt: skip


def emblem(canvas: Canvas, kind: str, box: Box, ink: Bgr, rng: Rng) -> None:
    """Draw the sign between two groups of a serial within a box x0, y0, x1, y1."""
    at = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
    height = box[3] - box[1]
    room = min(height, box[2] - box[0]) / 2
    if kind in _SHAPES:
        size = room * (0.95 if kind in ("texas", "keystone", "shield") else 0.85)
        other = one_of("bgrmk", rng) if rng.random() < 0.3 else ink
        canvas.polygon(_SHAPES[kind] * size * rng.uniform(0.8, 1.05) + np.array(at), other)
    elif kind in ("orange", "peach"):
        _fruit(canvas, at, room, rng)
    elif kind == "tree":
        _tree(canvas, (at[0], at[1] + height * 0.55), height * 1.15, one_of("gg", rng))
    elif kind == "sun":
        _sun(canvas, at, room, one_of("ory", rng))
    elif kind in ("star", "seal"):
        canvas.disc(at, room * 0.85, ink, 2)
        star(canvas, at, room * 0.7, ink)
    elif kind == "flag":
        _flag(canvas, at, room, rng)
    elif kind == "heart":
        _heart(canvas, at, room, ink)
    elif kind in ("state", "bird", "bear", "snake"):
        blob(canvas, at, room * 0.9, ink if rng.random() < 0.7 else one_of("rgbk", rng), rng)
    else:
        _dot(canvas, at, height, ink)


def _dot(canvas: Canvas, at: tuple[float, float], height: float, ink: Bgr) -> None:
    half = max(1.5, height * 0.06)
    canvas.rectangle((at[0] - half, at[1] - half, at[0] + half, at[1] + half), ink)


def _fruit(canvas: Canvas, at: tuple[float, float], room: float, rng: Rng) -> None:
    """Two fruits, leaves and a blossom, as between the groups of Florida plates."""
    room *= rng.uniform(0.9, 1.25)
    ink = one_of("oo", rng)
    canvas.disc((at[0] - room * 0.3, at[1] + room * 0.35), room * 0.55, ink)
    canvas.disc((at[0] + room * 0.25, at[1] - room * 0.35), room * 0.5, ink)
    for _ in range(4):
        spot = (at[0] + rng.uniform(-0.7, 0.7) * room, at[1] + rng.uniform(-0.9, 0.2) * room)
        blob(canvas, spot, room * 0.28, one_of("g", rng), rng)
    canvas.disc((at[0] + room * 0.35, at[1] + room * 0.3), room * 0.2, one_of("w", rng))


def _sun(canvas: Canvas, at: tuple[float, float], room: float, ink: Bgr) -> None:
    canvas.disc(at, room * 0.45, ink, 2)
    for offset in (-0.2, 0.0, 0.2):
        for sign in (-1, 1):
            near, far, side = sign * room * 0.5, sign * room * 0.95, offset * room
            for a, b in (((near, side), (far, side)), ((side, near), (side, far))):
                p = (round(at[0] + a[0]), round(at[1] + a[1]))
                q = (round(at[0] + b[0]), round(at[1] + b[1]))
                cv2.line(canvas.image, p, q, ink, 1, cv2.LINE_AA)


def _flag(canvas: Canvas, at: tuple[float, float], room: float, rng: Rng) -> None:
    x0, x1 = at[0] - room * 0.9, at[0] + room * 0.9
    step = room * 1.1 / 5
    for k in range(5):
        y = at[1] - room * 0.55 + k * step
        canvas.rectangle((x0, y, x1, y + step), colour("rw"[k % 2], rng))
    if rng.random() < 0.6:
        canvas.rectangle((x0, at[1] - room * 0.55, at[0] - room * 0.1, at[1]), colour("n", rng))


def _heart(canvas: Canvas, at: tuple[float, float], room: float, ink: Bgr) -> None:
    turn = np.linspace(0, 2 * math.pi, 24)
    x = np.sin(turn) ** 3
    y = -(13 * np.cos(turn) - 5 * np.cos(2 * turn) - 2 * np.cos(3 * turn) - np.cos(4 * turn)) / 16
    canvas.polygon(np.stack([x, y], 1) * room * 0.9 + np.array(at), ink)


def side_picture(canvas: Canvas, box: Box, rng: Rng) -> None:
    """A picture at a side of a special plate: a few overlapping shapes, a flag or a letter sign."""
    at = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
    room = min(box[2] - box[0], box[3] - box[1]) / 2
    if rng.random() < 0.25:
        _flag(canvas, at, room, rng)
        return
    if rng.random() < 0.4:
        canvas.disc(at, room * 0.95, one_of("nrgbmk", rng), 2)
    for _ in range(int(rng.integers(2, 6))):
        spot = (at[0] + rng.uniform(-0.4, 0.4) * room, at[1] + rng.uniform(-0.4, 0.4) * room)
        blob(canvas, spot, room * rng.uniform(0.2, 0.7), one_of("rgbnokypmt", rng), rng)


# --- stickers, holes, bands ----------------------------------------------------------------------


def stickers(canvas: Canvas, rng: Rng, spots: tuple[str, ...]) -> None:
    """Month and year stickers; `spots` names the corners: `tl tr bl br`."""
    width, height = canvas.width * rng.uniform(0.13, 0.19), canvas.height * rng.uniform(0.11, 0.17)
    for spot in spots:
        x = canvas.width * rng.uniform(0.02, 0.06)
        y = canvas.height * rng.uniform(0.03, 0.08)
        x = x if spot[1] == "l" else canvas.width - x - width
        y = y if spot[0] == "t" else canvas.height - y - height
        month = spot[1] == "l"
        text = MONTHS[int(rng.integers(12))] if month else str(int(rng.integers(1995, 2027)))
        if rng.random() < 0.25:
            text = text[-2:] if not month else str(int(rng.integers(1, 13)))
        _sticker(canvas, (x, y, x + width, y + height), text, rng)


def _sticker(canvas: Canvas, box: Box, text: str, rng: Rng) -> None:
    roll = rng.random()
    ink = one_of("knnr", rng)
    x0, y0, x1, y1 = box
    if roll < 0.12:  # the empty place for a sticker
        canvas.rectangle(box, ink, 1)
        return
    if roll < 0.75:
        canvas.rectangle(box, one_of("orygtwlpcy", rng))
    height = y1 - y0
    inner = (x0 + 2, y0 + height * 0.12, x1 - 2, y1 - height * 0.12)
    if rng.random() < 0.45 and height > 14:  # a line of small print
        small = (x0 + 2, y1 - height * 0.3, x1 - 2, y1 - height * 0.08)
        canvas.caption(str(int(rng.integers(10**6, 10**7))), small, ink, "din")
        inner = (x0 + 2, y0 + height * 0.1, x1 - 2, y1 - height * 0.38)
    canvas.caption(text, inner, ink, caption_font(rng))


def holes(canvas: Canvas, rng: Rng, *, american: bool) -> None:
    """Bolt holes, bolts and screw caps."""
    dx = canvas.width * (0.21 if american else rng.uniform(0.03, 0.3))
    rows = (0.07, 0.93) if american else (0.5,)
    shown = rng.random(len(rows)) < 0.75
    size = canvas.height * rng.uniform(0.022, 0.045)
    ink = one_of("kasw", rng)
    slot = american and rng.random() < 0.4
    for row, seen in zip(rows, shown, strict=True):
        for x in (dx, canvas.width - dx):
            if not seen:
                continue
            y = row * canvas.height
            if slot:
                canvas.rectangle(
                    (x - size * 1.8, y - size * 0.7, x + size * 1.8, y + size * 0.7), ink
                )
            else:
                canvas.disc((x, y), size * (1.0 if american else 1.3), ink)
            if rng.random() < 0.3:
                canvas.disc((x - size * 0.3, y - size * 0.3), size * 0.4, one_of("ws", rng))


def band(canvas: Canvas, box: Box, letters: str, rng: Rng) -> None:
    """The blue band with a ring of stars above the country's letters."""
    canvas.rectangle(box, colour("b", rng) if rng.random() < 0.8 else (200, 90, 10))
    x0, y0, x1, y1 = box
    width, height = x1 - x0, y1 - y0
    at = ((x0 + x1) / 2, y0 + height * 0.32)
    if rng.random() < 0.92:
        ring, ink = min(width * 0.36, height * 0.2), one_of("yyw", rng)
        for k in range(12):
            turn = k * math.pi / 6
            spot = (at[0] + ring * math.cos(turn), at[1] + ring * math.sin(turn))
            canvas.disc(spot, max(0.9, ring * 0.15), ink)
    text = (x0 + width * 0.14, y0 + height * 0.64, x1 - width * 0.14, y0 + height * 0.9)
    canvas.caption(letters, text, colour("w", rng), caption_font(rng))


def seals(canvas: Canvas, box: Box, rng: Rng) -> None:
    """The inspection seal above the registration seal between two groups (Germany)."""
    x0, y0, x1, y1 = box
    radius = min((x1 - x0) * 0.5, (y1 - y0) * 0.27)
    centre = (x0 + x1) / 2
    for share, inks in ((0.24, "oybgpe"), (0.74, "sswl")):
        at = (centre, y0 + (y1 - y0) * share)
        if rng.random() < 0.08:
            continue
        canvas.disc(at, radius, one_of(inks, rng))
        canvas.disc(at, radius, one_of("akn", rng), 1)
        canvas.disc(at, radius * 0.5, one_of("akorbw", rng), 1)
        if share > 0.5:
            blob(canvas, at, radius * 0.5, one_of("rybk", rng), rng)
