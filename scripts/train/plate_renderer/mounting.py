"""The plate on the car: relief lit from a side, wear, bolts and the frame around it.

Does: turns `PlateArt` into a BGRA picture with the plate's corners in it; alpha is 0 where neither
plate nor frame is.
Does not: know a camera; perspective and degradations are in `photo` and `camera`.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from .art import PlateArt
from .canvas import Bgr, Canvas, Image, caption_font, one_of

_DEALERS: Final = (
    "TOYOTA OF SUNNYVALE", "MERCEDES-BENZ", "HONDA", "BELLEVUE", "LEXUS", "www.carmax.example",
    "SANTA MONICA", "STANFORD UNIVERSITY", "ALUMNI", "FORD", "CARTER", "MY OTHER CAR IS", "SEATTLE",
    "GO BEARS", "DEALER GROUP", "SAN FRANCISCO", "UNIVERSITY OF TEXAS", "I LOVE MY DOG", "MAZDA",
    "PEARSON", "DRIVE SAFELY", "BMW CONCORD", "AUTOHAUS SCHMIDT", "AUTOMOBILES DUPONT", "TESLA",
    "CHEVROLET", "KRYSTAL ENTERPRISES", "DUNNING", "AUTO MOTOR GMBH  0123 456", "LONG ISLAND",
)  # fmt: skip


def mount(art: PlateArt, rng: np.random.Generator) -> tuple[Image, NDArray[np.float32]]:
    """Return the mounted plate (H, W, 4) uint8 BGRA and its corners (4, 2), from the top left."""
    face = _embossed(art, rng)
    _wear(face, rng)
    height, width = face.shape[:2]
    pad = round(0.16 * height)
    canvas = Canvas(height + 2 * pad, width + 2 * pad, (0, 0, 0))
    canvas.image[pad : pad + height, pad : pad + width] = face
    alpha = canvas.relief  # the height map is free here: it serves as the alpha channel
    alpha[pad : pad + height, pad : pad + width] = 255
    box = (pad, pad, pad + width, pad + height)
    american = art.region.startswith(("us", "ca-", "mx"))
    if rng.random() < (0.6 if american else 0.55):
        if american:
            _american_frame(canvas, box, rng)
        else:
            _european_holder(canvas, box, rng)
    _bolts(canvas, box, rng, american=american)
    x0, y0, x1, y1 = box
    corners = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], np.float32)
    mounted = np.asarray(cv2.cvtColor(canvas.image, cv2.COLOR_BGR2BGRA), np.uint8)
    mounted[:, :, 3] = alpha
    return mounted, corners


def bend(mounted: Image, rng: np.random.Generator) -> Image:
    """A bent plate (H, W, 4) BGRA: bowed as a whole, and dented in a place or two.

    The corners stay where they are: the bow is nil at the plate's ends.
    """
    height, width = mounted.shape[:2]
    xs, ys = np.meshgrid(
        np.linspace(-1, 1, width, dtype=np.float32), np.linspace(-1, 1, height, dtype=np.float32)
    )
    off = float(rng.normal(0, 0.035)) * height * np.clip(1 - (1.3 * xs) ** 2, 0, None)
    for _ in range(int(rng.integers(0, 3))):
        x, y = rng.uniform(-0.7, 0.7, 2)
        near = np.exp(-((xs - x) ** 2 / 0.03 + (ys - y) ** 2 / 0.15))
        off = off + float(rng.normal(0, 0.03)) * height * near
    columns, rows = (xs + 1) * (width - 1) / 2, (ys + 1) * (height - 1) / 2
    return np.asarray(
        cv2.remap(mounted, columns, (rows + off).astype(np.float32), cv2.INTER_LINEAR), np.uint8
    )


def _embossed(art: PlateArt, rng: np.random.Generator) -> Image:
    """Light the relief from a random side; flat plates stay as they are."""
    if not art.relief.any():
        return art.image.copy()
    size = 2 * int(rng.integers(0, 3)) + 3
    soft = cv2.GaussianBlur(art.relief, (size, size), 0)
    turn, reach = rng.uniform(0, 2 * np.pi), int(rng.integers(1, 4))
    dx, dy = round(reach * np.cos(turn)), round(reach * np.sin(turn))
    slope = np.zeros((7, 7), np.float32)
    strength = float(rng.uniform(0.04, 0.42))
    slope[3 + dy, 3 + dx] -= strength
    slope[3 - dy, 3 - dx] += strength
    if rng.random() < 0.3:  # paint worn off: lower ink contrast on the raised parts
        slope[3, 3] += rng.uniform(0.0, 0.12)
    shade = cv2.filter2D(soft, cv2.CV_16S, slope)
    lit = cv2.add(art.image, cv2.merge([shade, shade, shade]), dtype=cv2.CV_8U)
    return np.asarray(lit, np.uint8)


def _wear(face: Image, rng: np.random.Generator) -> None:
    """Dirt, splashes and scratches in place."""
    height, width = face.shape[:2]
    if rng.random() < 0.22:  # a film of dirt, thicker towards one side
        low = (rng.uniform(0, 1, (3, 5)) ** 2 * rng.uniform(0.15, 0.6)).astype(np.float32)
        film = cv2.resize(low, (width, height), interpolation=cv2.INTER_LINEAR)
        dirt = np.array(one_of("acsk", rng), np.float32) * 0.7
        face[:] = (face + (dirt - face) * film[:, :, None]).astype(np.uint8)
    if rng.random() < 0.2:
        ink = one_of("kacm", rng)
        for _ in range(int(rng.integers(3, 40))):
            at = (int(rng.integers(width)), int(rng.integers(height)))
            cv2.circle(face, at, int(rng.integers(1, 3)), ink, -1, cv2.LINE_AA)
    if rng.random() < 0.08:
        for _ in range(int(rng.integers(1, 5))):
            a = (int(rng.integers(width)), int(rng.integers(height)))
            b = (a[0] + int(rng.integers(-40, 41)), a[1] + int(rng.integers(-25, 26)))
            cv2.line(face, a, b, one_of("swak", rng), 1, cv2.LINE_AA)


def _ring(canvas: Canvas, outer: tuple[float, ...], inner: tuple[float, ...], ink: Bgr) -> None:
    """Paint the area between two boxes x0, y0, x1, y1 and make it opaque."""
    for x0, y0, x1, y1 in (
        (outer[0], outer[1], outer[2], inner[1]), (outer[0], inner[3], outer[2], outer[3]),
        (outer[0], inner[1], inner[0], inner[3]), (inner[2], inner[1], outer[2], inner[3]),
    ):  # fmt: skip
        rows, columns = slice(round(y0), round(y1)), slice(round(x0), round(x1))
        canvas.image[rows, columns] = ink
        canvas.relief[rows, columns] = 255


def _american_frame(
    canvas: Canvas, box: tuple[int, int, int, int], rng: np.random.Generator
) -> None:
    """A dealer's frame: a rim that covers the edges, often with a name above and below."""
    x0, y0, x1, y1 = box
    height = y1 - y0
    ink = one_of("kkksswaaymnr", rng)
    out = height * rng.uniform(0.02, 0.09)
    side = height * rng.uniform(-0.01, 0.035)
    top, foot = (height * rng.uniform(0.0, 0.13) for _ in range(2))
    outer = (x0 - out, y0 - out, x1 + out, y1 + out)
    inner = (x0 + side, y0 + top, x1 - side, y1 - foot)
    _ring(canvas, outer, inner, ink)
    light = float(np.mean(ink)) > 120
    edge = one_of("ak" if light else "wsa", rng)
    if rng.random() < 0.5:
        canvas.rectangle(inner, edge, 1)
    if rng.random() < 0.4:
        canvas.rectangle(outer, edge, 1)
    font, text = caption_font(rng), one_of("knr" if light else "wwysr", rng)
    for upper, room in ((outer[1], inner[1]), (inner[3], outer[3])):
        if room - upper < 0.08 * height or rng.random() < 0.2:
            continue
        name = _DEALERS[int(rng.integers(len(_DEALERS)))]
        width = (x1 - x0) * rng.uniform(0.25, 0.42)
        middle = (x0 + x1) / 2
        inset = (room - upper) * 0.14
        canvas.caption(
            name, (middle - width, upper + inset, middle + width, room - inset), text, font
        )


def _european_holder(
    canvas: Canvas, box: tuple[int, int, int, int], rng: np.random.Generator
) -> None:
    """A plastic holder: a thin dark rim, often with a strip and a dealer's name below."""
    x0, y0, x1, y1 = box
    height = y1 - y0
    ink = one_of("kkkkas", rng)
    out = height * rng.uniform(0.02, 0.08)
    cover = height * rng.uniform(-0.01, 0.03)
    foot = height * (rng.uniform(0.1, 0.15) if rng.random() < 0.6 else 0.05)
    _ring(canvas, (x0 - out, y0 - out, x1 + out, y1 + foot),
          (x0 + cover, y0 + cover, x1 - cover, y1 - cover), ink)  # fmt: skip
    if foot > 0.08 * height:
        name = _DEALERS[int(rng.integers(len(_DEALERS)))]
        width = (x1 - x0) * rng.uniform(0.2, 0.4)
        middle = (x0 + x1) / 2
        canvas.caption(name, (middle - width, y1 + 1, middle + width, y1 + foot - 2),
                       one_of("wwsy", rng), caption_font(rng))  # fmt: skip


def _bolts(canvas: Canvas, box: tuple[int, int, int, int], rng: np.random.Generator, *,
           american: bool) -> None:  # fmt: skip
    """Bolt heads over the plate."""
    if rng.random() < 0.45:
        return
    x0, y0, x1, y1 = box
    height, width = y1 - y0, x1 - x0
    size = height * rng.uniform(0.025, 0.055)
    ink, spot = one_of("kasw", rng), one_of("wsk", rng)
    xs = (0.21, 0.79) if american else (rng.uniform(0.03, 0.3), rng.uniform(0.7, 0.97))
    ys = (0.075,) if rng.random() < 0.5 else (0.075, 0.925)
    for x in xs:
        for y in ys if american else (rng.uniform(0.1, 0.9),):
            at = (x0 + x * width, y0 + y * height)
            canvas.disc(at, size, ink)
            canvas.disc((at[0] - size * 0.3, at[1] - size * 0.3), size * 0.35, spot)
