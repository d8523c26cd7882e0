"""The commissioned view, as a value that can be stored: never a picture that could be read.

It holds the field of `view_field` (128 cells wide, edge directions without sign, fifteen steps a
number), two numbers, the frame's size and the mask record under which it was taken. It is made of
`MaskedFrame`s, so nothing inside the core mask is in it; and of many, so that what moves is not.

The file is JSON. Its digest is over the canonical JSON of all values but the file's layout.
It reads and writes no file.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from alpr_edge.errors import ExclusionError
from alpr_edge.exclusion.mask import MaskedFrame
from alpr_edge.exclusion.view_field import Field, Sampler, field_size
from alpr_edge.exclusion.zones import Zones

SCHEMA: Final = "alpr-edge/reference-view/1"
MAX_REFERENCE_BYTES: Final = 256 * 1024
"""A square frame's field takes 44 KiB."""
STEPS: Final = 7
"""Steps each way of a stored number: fifteen in all."""
_MAX_SIDE: Final = 8192
_HINT: Final = "take it again: alpr-edge reference take"


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """What the view looked like when it was commissioned.

    Attributes:
        width_px, height_px: of the frames it was made of.
        mask_digest: the mask record under which it was taken.
        frames: how many frames it was made of.
        steps: `(h, w, 2)` int8, the field times `STEPS`; zero where masked. Read-only.
        detail, sharpness: as in `view_field.Glance`.
    """

    width_px: int
    height_px: int
    mask_digest: str
    frames: int
    steps: NDArray[np.int8]
    detail: float
    sharpness: float | None

    @property
    def field(self) -> Field:
        """The field, as `view_field` has it."""
        return np.asarray(self.steps, np.float32) / np.float32(STEPS)

    @property
    def digest(self) -> str:
        """SHA-256 in hex; mask and commissioning records name the view by it."""
        return hashlib.sha256(_canonical(self)).hexdigest()


class ReferenceMaker:
    """Averages frames of one view as they come. A minute with traffic is better than one frame.

    Attributes:
        frames: how many were taken in; each counts the same.
    """

    def __init__(self, zones: Zones) -> None:
        self._zones, self._sampler = zones, Sampler(zones)
        self._total = np.zeros((*self._sampler.free.shape, 2), np.float64)
        self._sharps: list[float] = []
        self.frames = 0

    def add(self, frame: MaskedFrame) -> None:
        """Take in a frame that was masked under the same zones."""
        glance = self._sampler.take(frame.image)
        self._total += glance.field
        if glance.sharpness is not None:
            self._sharps.append(glance.sharpness)
        self.frames += 1

    def reference(self) -> Reference:
        """What they have in common.

        Raises:
            ExclusionError: `exclusion.reference.no_frames`.
        """
        if not self.frames:
            raise ExclusionError(
                "there is no frame to take a reference from",
                code="exclusion.reference.no_frames",
                hint="give a picture, a video or a source that delivers frames",
            )
        zones, free = self._zones, self._sampler.free
        steps = np.rint(self._total / self.frames * STEPS).astype(np.int8)
        steps.setflags(write=False)
        return Reference(
            zones.width_px,
            zones.height_px,
            zones.digest,
            self.frames,
            steps,
            detail=round(float(np.square(steps / STEPS).sum()) / max(int(free.sum()), 1), 6),
            sharpness=round(float(np.median(self._sharps)), 4) if self._sharps else None,
        )


def make_reference(frames: Iterable[MaskedFrame], zones: Zones) -> Reference:
    """A reference of some frames, masked under `zones`.

    Raises:
        ExclusionError: `exclusion.reference.no_frames`.
    """
    maker = ReferenceMaker(zones)
    for frame in frames:
        maker.add(frame)
    return maker.reference()


def draw_edges(reference: Reference, columns: int = 64) -> list[str]:
    """The edges as letters, for people: `| / - \\`, a space where there is none.

    At most 64 columns, half of what is stored: what cannot be read there cannot be read here.
    """
    rows, wide = reference.steps.shape[:2]
    columns = max(16, min(columns, 64, wide))
    # A letter is about twice as high as wide.
    lines = max(1, round(columns * rows / wide / 2))
    field = cv2.resize(reference.field, (columns, lines), interpolation=cv2.INTER_AREA)
    length = np.hypot(field[..., 0], field[..., 1])
    angle = np.arctan2(field[..., 1], field[..., 0]) / 2 % np.pi
    letters = np.array(list("|/-\\"))[np.rint(angle / (np.pi / 4)).astype(int) % 4]
    seen = length >= 0.25 * max(float(length.max()), 1e-6)
    return ["".join(row).rstrip() for row in np.where(seen, letters, " ")]


def reference_json(reference: Reference) -> bytes:
    """The file's bytes. `parse_reference(reference_json(r))` has the digest of `r`."""
    return _canonical(reference) + b"\n"


def parse_reference(data: bytes, *, source: str = "the reference view") -> Reference:
    """A stored reference.

    Args:
        source: its name, for messages.

    Raises:
        ExclusionError: `exclusion.reference.invalid`, with what is wrong first.
    """
    try:
        values = json.loads(data) if len(data) <= MAX_REFERENCE_BYTES else None
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict):
        raise _invalid(source, "it is not a JSON object of a reference view")
    problem, reference = _read(values)
    if reference is None:
        raise _invalid(source, problem)
    return reference


def _read(values: dict[str, Any]) -> tuple[str, Reference | None]:
    if values.get("schema") != SCHEMA:
        return f"schema must be {SCHEMA}", None
    known = {"schema", "width", "height", "mask", "frames", "field", "detail", "sharpness"}
    if set(values) != known:
        return "keys are missing or unknown", None
    width, height, frames = (values[key] for key in ("width", "height", "frames"))
    for number, most in ((width, _MAX_SIDE), (height, _MAX_SIDE), (frames, 10**9)):
        if type(number) is not int or not 1 <= number <= most:
            return "width, height and frames must be whole numbers in range", None
    detail, sharpness, mask = values["detail"], values["sharpness"], values["mask"]
    if not _is_share(detail) or not (sharpness is None or _is_share(sharpness)):
        return "detail and sharpness must be numbers within 0 and 4", None
    if not isinstance(mask, str) or len(mask) > 128:
        return "mask must be a digest", None
    columns, rows = field_size((width, height))
    steps = _steps(values["field"], (rows, columns, 2))
    if steps is None:
        return "the field is damaged or of another size", None
    return "", Reference(width, height, mask, frames, steps, float(detail), sharpness)


def _steps(text: object, shape: tuple[int, int, int]) -> NDArray[np.int8] | None:
    if not isinstance(text, str):
        return None
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    if len(raw) != int(np.prod(shape)):
        return None
    steps = np.frombuffer(raw, np.int8).reshape(shape)
    # A vector longer than one cannot have come from a picture.
    length = np.square(steps.astype(np.int32)).sum(-1)
    return steps if length.size == 0 or length.max() <= 2 * STEPS**2 else None


def _is_share(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 4


def _canonical(reference: Reference) -> bytes:
    values = {
        "schema": SCHEMA,
        "width": reference.width_px,
        "height": reference.height_px,
        "mask": reference.mask_digest,
        "frames": reference.frames,
        "field": base64.b64encode(reference.steps.tobytes()).decode("ascii"),
        "detail": reference.detail,
        "sharpness": reference.sharpness,
    }
    return json.dumps(values, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def _invalid(source: str, problem: str) -> ExclusionError:
    return ExclusionError(
        f"{source} cannot be used: {problem}", code="exclusion.reference.invalid", hint=_HINT
    )
