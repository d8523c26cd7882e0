"""What the device makes of its witnesses' answers: cosignatures are verified, and missed.

A broker could answer anything. An answer counts only if a witness that the configuration names
(`ledger.witnesses`) signed the checkpoint that this ledger has at that size, now as then.

Rules:
- The first cosignature of a run, one after a silence, and then one an hour are on record, and the
  newest of them lies beside the tiles (`COSIGNED`), for whoever checks a copy.
- A head that no witness has cosigned for `within_s` is `missing`: in health, on record, stated.
- Only a cosignature of more entries than the last one counts as heard. Brokers deliver old ones
  again (retained, after each reconnect), and could do so on purpose: they hide no silence.
- An answer that does not verify is an alarm, once an hour; it changes nothing else.

Source: C2SP tlog-cosignature (cosignature/v1).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from alpr_edge.errors import AuditError
from alpr_edge.ledger.fields import host, stamp
from alpr_edge.ledger.kinds import Body, Trigger, Witnessed
from alpr_edge.ledger.note import (
    Checkpoint,
    Note,
    VerifierKey,
    cosigned,
    parse_signature,
)

_log = logging.getLogger(__name__)
MISSING: Final = "ledger.witness.missing"
HOUR_S: Final = 3600.0
_MOST_BYTES: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class Seen:
    """A cosignature that holds. `at`: Unix seconds, by the witness's clock."""

    witness: str
    size: int
    at: int


class WitnessWatch:
    """Judges answers; safe to use from several threads.

    Args:
        keys: of the witnesses.
        checkpoint: what this ledger says of its first so many entries; None: it has fewer.
        tell: puts on record.
        keep: keeps a cosigned checkpoint, given its head and the cosignature's line.
        warn: told whether witnesses are missing, whenever that changes.
        before: how many entries were cosigned before this run, as the ledger knows.
    """

    def __init__(
        self,
        keys: Sequence[VerifierKey],
        checkpoint: Callable[[int], Checkpoint | None],
        tell: Callable[[Body], None],
        *,
        keep: Callable[[Checkpoint, str], None],
        warn: Callable[[bool], None],
        within_s: float,
        monotonic: Callable[[], float],
        before: int = 0,
    ) -> None:
        self._keys, self._checkpoint, self._tell = keys, checkpoint, tell
        self._keep, self._warn = keep, warn
        self._within_s, self._monotonic = within_s, monotonic
        self._lock = threading.Lock()
        self._before = before
        self._uncosigned_s = monotonic()
        self._told_s = self._refused_s = float("-inf")
        self.latest: Seen | None = None
        self.is_missing = False

    def answered(self, size: int, line: str) -> bool:
        """An answer for the checkpoint of `size` entries. Returns whether it holds."""
        with self._lock:
            return self._answered(size, line)

    def look(self, size: int) -> None:
        """Called now and then: `size` is that of the newest checkpoint."""
        with self._lock:
            now_s = self._monotonic()
            if self.latest is not None and self.latest.size >= size:
                self._uncosigned_s = now_s
            elif not self.is_missing and now_s - self._uncosigned_s > self._within_s:
                self.is_missing = True
                seen = self.latest
                self._tell(Witnessed(state="missing", size=seen.size if seen else 0))
                _log.warning("no witness cosigns", extra={"code": MISSING})
                self._warn(True)

    def _answered(self, size: int, line: str) -> bool:
        head = self._checkpoint(size)
        now_s = self._monotonic()
        try:
            seen = None if head is None else self._verified(head, line)
        except AuditError:
            seen = None
        if seen is None:
            if now_s - self._refused_s > HOUR_S:
                self._refused_s = now_s
                self._tell(Trigger(what="witness_unverified", count=size))
            return False
        assert head is not None
        known = Seen("", self._before, 0) if self.latest is None else self.latest
        is_more = seen.size > known.size
        if not is_more and (seen.size < known.size or seen.at <= known.at):
            return True  # an old one once more
        self.latest = seen
        if is_more:
            self._uncosigned_s = now_s
        is_back = self.is_missing and is_more
        if is_back or now_s - self._told_s > HOUR_S:
            self._told_s = now_s
            self._tell(
                Witnessed(
                    state="cosigned",
                    witness=host(seen.witness),
                    size=seen.size,
                    at=stamp(datetime.fromtimestamp(seen.at, UTC)),
                )
            )
            self._keep(head, line)
        if is_back:
            self.is_missing = False
            self._warn(False)
        return True

    def _verified(self, head: Checkpoint, line: str) -> Seen | None:
        found = cosigned(Note(head.text, (parse_signature(line),)), self._keys)
        for key, seconds in found.items():
            # What entries can write as a time: an absurd one is no answer.
            if 946_684_800 < seconds < 4_102_444_800:
                return Seen(key.name, head.size, seconds)
        return None


def load_witnesses(path: Path) -> tuple[VerifierKey, ...]:
    """The witnesses' verifier keys, one a line; `#` begins a comment.

    Raises:
        AuditError: it cannot be read, a line is no key, or one is not a witness's.
    """
    try:
        with path.open("rb") as file:
            text = file.read(_MOST_BYTES).decode("utf-8", "replace")
    except OSError as err:
        raise AuditError(
            f"the witnesses' keys {path}: {err.strerror}",
            code="ledger.witness.keys",
            hint="check ledger.witnesses; `alpr-edge ledger witness` prints its key",
        ) from err
    lines = [line.partition("#")[0].strip() for line in text.splitlines()]
    keys = tuple(VerifierKey.parse(line) for line in lines if line)
    if not keys or any(key.kind != 4 for key in keys):
        raise AuditError(
            f"{path} must hold the verifier keys of witnesses, and holds another or none",
            code="ledger.witness.keys",
            hint="`alpr-edge ledger witness` prints its key when it starts",
        )
    return keys
