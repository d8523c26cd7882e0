"""Edge: register, commissioning record and camera of one unit, as they lie on its disk now.

Looks again when a file changes. What cannot be used is None with the reason beside it; nothing is
raised. A signed register never goes back to an older serial (`trust.kept_number`).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar

from alpr_edge.config.files import FileTrouble, display_name, read_regular_file
from alpr_edge.errors import AlprEdgeError, BadSignature, ConfigError
from alpr_edge.exclusion.camera_model import PlacedCamera
from alpr_edge.exclusion.premises import Register
from alpr_edge.exclusion.register_file import MAX_BYTES
from alpr_edge.placement.commissioning import Record
from alpr_edge.placement.files import (
    LoadedRegister,
    PathLike,
    load_camera,
    load_record,
    open_register,
    read,
)
from alpr_edge.trust.checks import check_number
from alpr_edge.trust.durable_file import write_durably
from alpr_edge.trust.kept_number import kept_number, take_number
from alpr_edge.trust.keys import PublicKey

Stamp = tuple[int, ...]
_ABSENT: Final[Stamp] = ()
_NOT_KEPT: Final = "placement.register.number"
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class SitePaths:
    """Where a unit's files lie; None: it has none.

    Attributes:
        register_number: keeps the highest serial of a signed register.
    """

    register: PathLike | None = None
    record: PathLike | None = None
    camera: PathLike | None = None
    register_number: Path | None = None


@dataclass(frozen=True, slots=True)
class SiteKeys:
    """Whose signatures count.

    Attributes:
        city: for the register.
        commissioners: for the record.
        unsigned: whether a register that nobody signed is taken, as on a bench.
    """

    city: tuple[PublicKey, ...] = ()
    commissioners: tuple[PublicKey, ...] = ()
    unsigned: bool = False


@dataclass(frozen=True, slots=True)
class OnDisk:
    """What was found. `trouble` says of each that cannot be used why; one that is not asked for, or
    not there, has none.

    Attributes:
        register, record, camera: None where there is none that can be used.
    """

    register: Register | None = None
    record: Record | None = None
    camera: PlacedCamera | None = None
    trouble: dict[str, str] = field(default_factory=dict)


class SiteFiles:
    """The files of one unit. `keys` is asked each time: lists of persons change."""

    def __init__(self, paths: SitePaths, keys: Callable[[], SiteKeys]) -> None:
        self._paths, self._keys = paths, keys
        self._names = [paths.register, paths.record, paths.camera]

    def stamp(self) -> tuple[Stamp, ...]:
        """Changes whenever `load` may give something else; some microseconds."""
        return tuple(_stamp(path) for path in self._names)

    def load(self) -> OnDisk:
        """All three as they are."""
        paths, trouble = self._paths, dict[str, str]()
        try:
            keys = self._keys()
        except AlprEdgeError as err:
            keys = SiteKeys()
            trouble["keys"] = err.message
        register = _loaded(lambda p: self._register(p, keys), paths.register, "register", trouble)
        record = _loaded(
            lambda p: load_record(p, keys.commissioners), paths.record, "record", trouble
        )
        camera = _loaded(load_camera, paths.camera, "camera", trouble)
        return OnDisk(register, record, camera, trouble)

    @property
    def register_path(self) -> Path | None:
        """Where the register lies, whether it is there or not; None: this unit keeps none."""
        return None if self._paths.register is None else Path(self._paths.register)

    def put_register(self, data: bytes) -> LoadedRegister:
        """Put another register in the place of the one that is there, if it may be.

        The unit judges its place by it from the next frame on.

        Raises:
            ConfigError: it is none, or this unit keeps none (`placement.register.none`).
            TrustError: the city did not sign it, or it is older than one that was here.
            OSError: it cannot be written; the old one is still there.
        """
        path = self.register_path
        if path is None:
            raise ConfigError(
                "the configuration names no register",
                code="placement.register.none",
                hint="set site.premises",
            )
        keys = self._keys()
        loaded = _opened(data, keys, "the register")
        number = self._paths.register_number
        # One that nobody has loaded since it came has been here, too.
        try:
            self._register(path, keys)
        except AlprEdgeError as err:
            if err.code == _NOT_KEPT:
                raise
        if not loaded.signers and number is not None and kept_number(number):
            raise BadSignature(
                "a register of the city has been here: one that nobody signed does not replace it",
                code="placement.register.unsigned",
                hint="sign it with `alpr-edge premises sign`",
            )
        if loaded.signers and number is not None:
            highest, serial = kept_number(number), loaded.register.serial
            if serial != highest or not _holds(path, data):
                check_number("register", serial, highest)
        write_durably(path, data)
        return loaded

    def _register(self, path: PathLike, keys: SiteKeys) -> Register:
        loaded = _opened(read(path, limit_bytes=MAX_BYTES), keys, display_name(path))
        number = self._paths.register_number
        if loaded.signers and number is not None:
            take_number("register", loaded.register.serial, number, code=_NOT_KEPT)
        return loaded.register


def _opened(data: bytes, keys: SiteKeys, source: str) -> LoadedRegister:
    try:
        return open_register(data, keys.city, source=source)
    except AlprEdgeError as err:
        if not keys.unsigned or err.code != "placement.register.unsigned":
            raise
        return open_register(data, source=source)


def _holds(path: Path, data: bytes) -> bool:
    """Whether what lies there is this, or nothing: then the same serial is no other register."""
    found = read_regular_file(path, limit_bytes=MAX_BYTES)
    return isinstance(found, FileTrouble) or found == data


def _stamp(path: PathLike | None) -> Stamp:
    if path is None:
        return _ABSENT
    try:
        status = os.stat(path)
    except OSError:
        return _ABSENT
    return (status.st_mtime_ns, status.st_ino, status.st_size)


def _loaded(
    load: Callable[[PathLike], _T], path: PathLike | None, what: str, trouble: dict[str, str]
) -> _T | None:
    if path is None:
        return None
    try:
        return load(path)
    except AlprEdgeError as err:
        trouble[what] = "; ".join([err.message, *getattr(err, "problems", ())[:3]])
        return None
