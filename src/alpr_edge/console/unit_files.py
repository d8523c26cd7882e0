"""Edge: whole files of the real unit, fetched from it and brought to it over the console.

Rules:
- What is brought counts only with the signature that it needs: masks as `authority` judges them,
  register, configuration and update the city's. Numbers never go back, also not between two
  that come before the first one counts.
- Every file that is given out, comes or is refused here is on the ledger with who, why and its
  SHA-256; what takes the ledger along or changes the unit takes a reason (`device.REASONED`). It is
  told before the first byte goes: whether it arrived, the unit does not know. A ledger that cannot
  be written keeps nobody from repairing a unit.
- An update is kept, not installed: this version has no installer.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from alpr_edge.config.files import FileTrouble, read_regular_file
from alpr_edge.config.models import DeviceConfig
from alpr_edge.config.parse import config_digest, parse
from alpr_edge.console.device import (
    LEAST_REASON,
    NOT_HERE,
    REASONED,
    Committed,
    Document,
    Parcel,
)
from alpr_edge.errors import AlprEdgeError, ConsoleError, TrustError
from alpr_edge.ledger.export import export_log
from alpr_edge.ledger.settings import differing
from alpr_edge.ledger.signed_by import signed_by
from alpr_edge.ledger.telling import By, MovedAct, MovedFile, Tells
from alpr_edge.placement.site_files import SiteFiles
from alpr_edge.trust.checks import check_number
from alpr_edge.trust.documents import DocumentType
from alpr_edge.trust.durable_file import write_durably
from alpr_edge.trust.envelope import examine, verify_file
from alpr_edge.trust.kept_number import kept_number, take_number
from alpr_edge.trust.keyring import Keyring
from alpr_edge.trust.signed_pair import finish, put_pair, signed_about

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_LOG: Final = 16 << 20
"""Bytes of a packed ledger that go over the cable; half an hour at 115200 baud, and held in RAM."""
MASK_MINUTES: Final = 10.0
UPDATE: Final = "update"


@dataclass(frozen=True, slots=True)
class Masks:
    """The unit's mask store.

    Attributes:
        newest: the newest signed record in force; None: there is none.
        commit: puts a signed record in force, or raises.
    """

    newest: Callable[[], bytes | None]
    commit: Callable[[bytes, float], Committed]


class UnitFiles:
    """See the module's docstring.

    Args:
        config_file: the unit's TOML file; None: unknown.
        ring: whose signatures count now.
    """

    def __init__(
        self,
        config: DeviceConfig,
        config_file: Path | None,
        site: SiteFiles,
        masks: Masks,
        *,
        ring: Callable[[], Keyring],
        tells: Tells | None,
    ) -> None:
        self._config, self._config_file, self._site = config, config_file, site
        self._masks, self._ring, self._tells = masks, ring, tells

    def pull(self, what: Parcel, *, who: str, reason: str) -> bytes:
        """See `DeviceAccess.pull`."""
        does = {
            Parcel.MASKS: self._pull_masks,
            Parcel.REGISTER: self._pull_register,
            Parcel.CONFIG: self._pull_config,
            Parcel.LOG: self._pull_log,
        }
        by = By(who, reason=reason)
        with self.refusals("asked", what.value, b"", by):
            _check_reason("pull", what, reason)
            if what not in does:
                raise not_here(f"{what.value} cannot be pulled from this unit", "")
            data = does[what]()
        self.note("pulled", what.value, data, by)
        return data

    def push(
        self, what: Parcel, data: bytes, signature: bytes | None, *, who: str, reason: str
    ) -> Document:
        """See `DeviceAccess.push`."""
        by = By(who, reason=reason)
        does: dict[Parcel, Callable[[], Document]] = {
            Parcel.MASKS: lambda: self._push_masks(data),
            Parcel.REGISTER: lambda: self._push_register(data),
            Parcel.CONFIG: lambda: self._push_config(data, signature, by),
            Parcel.UPDATE: lambda: self._push_update(data, signature),
        }
        with self.refusals("refused", what.value, data, by):
            _check_reason("push", what, reason)
            if what not in does:
                raise not_here(f"{what.value} cannot be pushed to this unit", "")
            done = does[what]()
        self.note("pushed", what.value, data, by)
        return done

    # --- out ---------------------------------------------------------------------------------

    def _pull_masks(self) -> bytes:
        newest = self._masks.newest()
        if newest is None:
            raise not_here("no masks are in force", "commit some")
        return newest

    def _pull_register(self) -> bytes:
        path = self._site.register_path
        if path is None:
            raise not_here("there is no register on this unit", "site.premises")
        return _read(path, "register", 64 << 20)

    def _pull_config(self) -> bytes:
        if self._config_file is None:
            raise not_here("this unit does not know where its configuration lies", "")
        return _read(self._config_file, "configuration", 1 << 20)

    def _pull_log(self) -> bytes:
        """The ledger as its newest checkpoint signs it, as `alpr-edge ledger export` packs it."""
        if not self._config.ledger.enabled:
            raise not_here("the configuration has no ledger", "set [ledger] enabled = true")
        try:
            with tempfile.TemporaryDirectory(prefix="alpr-edge-pull-") as folder:
                packed = Path(folder) / "ledger.zip"
                export_log(Path(self._config.ledger.path), packed)
                if packed.stat().st_size > MAX_LOG:
                    raise ConsoleError(
                        f"the ledger is larger than {MAX_LOG >> 20} MiB: too long for a cable",
                        code="console.pull.too_large",
                        hint="alpr-edge ledger export, and take it away on a card",
                    )
                return packed.read_bytes()
        except OSError as err:
            raise disk(err) from err

    # --- in ----------------------------------------------------------------------------------

    def _push_masks(self, data: bytes) -> Document:
        done = self._masks.commit(data, MASK_MINUTES)
        pending = done.confirm_before is not None
        return {"number": done.number, "digest": done.digest, "pending": pending}

    def _push_register(self, data: bytes) -> Document:
        try:
            loaded = self._site.put_register(data)
        except OSError as err:
            raise disk(err) from err
        site = self._config.site
        judged = site is not None and site.required and not site.moves
        return {
            "register": loaded.register.title,
            "serial": loaded.register.serial,
            "sites": len(loaded.register.sites),
            "signed": bool(loaded.signers),
            "counts": "now; reading goes on once the place is commissioned for this register"
            if judged
            else "now",
        }

    def _push_config(self, data: bytes, signature: bytes | None, by: By) -> Document:
        """Put another configuration in place; it counts from the next start.

        Raises:
            ConfigError: it does not parse, or is another unit's.
            TrustError: the city did not sign it.
        """
        path = self._config_file
        if path is None:
            raise not_here("this unit does not know where its configuration lies", "")
        config = parse(data, source="the pushed configuration", folder=str(path.parent))
        if config.device.id != self._config.device.id:
            raise TrustError(
                f"it is for {config.device.id}", code="console.push.other_unit", hint=""
            )
        if signature is None:
            raise _unsigned("alpr-edge config sign; push FILE and FILE.sig")
        ring = self._ring()
        payload = verify_file(signature, data, DocumentType.CONFIG, ring.city)
        # The unit would refuse it at the next start (`watch.check_config_signature`).
        number = _number("configuration", payload)
        kept = kept_number(Path(self._config.trust.identity) / "config.number")
        highest = max(kept, _number_in_place(path, ring))
        if number != highest:
            check_number("configuration", number, highest)
        try:
            put_pair(path, data, signature)
        except OSError as err:
            raise disk(err) from err
        old, new = config_digest(self._config), config_digest(config)
        if self._tells is not None:
            keys = (*ring.city, *(key for person in ring.persons for key in person.keys))
            given = {"reason": by.reason, **payload}
            signed = signed_by(examine(signature, DocumentType.CONFIG, keys).signers, ring, given)
            values = config.model_dump(mode="json")
            changed = differing(self._config.model_dump(mode="json"), values)
            self._tells.config_changed(old, new, signed, settings=changed)
        return {"digest": new, "number": number, "counts": "from the next start"}

    def _push_update(self, data: bytes, signature: bytes | None) -> Document:
        """Keep other software, if the city signed it. Nothing is installed.

        Raises:
            TrustError: the city did not sign it, or a later one has been here.
        """
        if signature is None:
            raise _unsigned("alpr-edge keys sign-update; push FILE and FILE.sig")
        payload = verify_file(signature, data, DocumentType.UPDATE, self._ring().city)
        number = _number("update", payload)
        known = Path(self._config.trust.identity) / "update.number"
        highest = kept_number(known)
        if number < highest:
            check_number("update", number, highest)
        folder = Path(self._config.console.folder)
        path = folder / UPDATE
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_durably(path, data, mode=0o600)
            write_durably(path.with_name(f"{UPDATE}.sig"), signature, mode=0o600)
        except OSError as err:
            raise disk(err) from err
        take_number("update", number, known, code="console.disk")
        return {
            "kept": str(path),
            "number": number,
            "sha256": hashlib.sha256(data).hexdigest(),
            "installed": False,
            "next": "the signature holds; this version has no installer: install it by hand",
        }

    # --- the record --------------------------------------------------------------------------

    def note(
        self, act: MovedAct, what: MovedFile, data: bytes, by: By, *, code: str | None = None
    ) -> None:
        """Put on the ledger what was done with a file."""
        if self._tells is not None:
            self._tells.file_moved(act, what, hashlib.sha256(data).hexdigest(), by, code=code)

    @contextmanager
    def refusals(self, act: MovedAct, what: MovedFile, data: bytes, by: By) -> Iterator[None]:
        """Put on the ledger what is refused within."""
        try:
            yield
        except AlprEdgeError as err:
            self.note(act, what, data, by, code=err.code)
            raise


def not_here(message: str, hint: str) -> ConsoleError:
    """What this unit cannot do."""
    return ConsoleError(message, code=NOT_HERE, hint=hint)


def disk(err: OSError) -> ConsoleError:
    """What the disk refused."""
    return ConsoleError(
        f"it cannot be kept: {err.strerror}",
        code="console.disk",
        hint="look at the disk; what was in force is in force",
    )


def _unsigned(hint: str) -> TrustError:
    return TrustError("the city's signature is missing", code="console.push.unsigned", hint=hint)


def _number(what: str, payload: Mapping[str, Any]) -> int:
    """The number that a signature gives to a file.

    Raises:
        TrustError: `console.push.number`: it gives none.
    """
    number = payload.get("number")
    if not isinstance(number, int) or isinstance(number, bool) or number < 1:
        raise TrustError(
            f"the signature of the {what} has no number",
            code="console.push.number",
            hint="sign it again, with --number N",
        )
    return number


def _number_in_place(path: Path, ring: Keyring) -> int:
    """Of the configuration that waits for the next start, which alone keeps it; 0: of none."""
    content = read_regular_file(path, limit_bytes=1 << 20)
    if isinstance(content, FileTrouble):
        return 0
    finish(path, content, DocumentType.CONFIG, ring.city)
    beside = path.with_name(f"{path.name}.sig")
    number = (signed_about(beside, content, DocumentType.CONFIG, ring.city) or {}).get("number")
    return number if isinstance(number, int) else 0


def _check_reason(act: str, what: Parcel, reason: str) -> None:
    if (act, what) in REASONED and len(reason.strip()) < LEAST_REASON:
        raise ConsoleError(
            f"{act} of {what.value} takes a reason",
            code="console.reason",
            hint=f"say why in {LEAST_REASON} letters or more; it goes to the ledger",
        )


def _read(path: Path, what: str, limit_bytes: int) -> bytes:
    data = read_regular_file(path, limit_bytes=limit_bytes)
    if isinstance(data, FileTrouble):
        raise not_here(f"the {what} {data.detail}", "")
    return data
