"""One entry of the ledger and its bytes. Pure: the caller gives the times.

Rules:
- An entry's bytes are canonical: the same entry always gives the same, and others are refused.
- `seq` is its place in the log, `boot` counts the runs, `up_ms` is the monotonic time since the run
  began: with them, a place, an order or a clock that was tampered with shows.
"""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict, ValidationError

from alpr_edge.errors import AuditError
from alpr_edge.ledger.fields import Count, Time, stamp
from alpr_edge.ledger.kinds import AnyBody, Body
from alpr_edge.ledger.tiles import MAX_ENTRY_BYTES


class Entry(BaseModel):
    """What happened, where in the log, and when."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)

    seq: Count
    at: Time
    boot: Count
    up_ms: Count
    body: AnyBody
    told: Time | None = None
    """When another process told it, where that was well before it was written."""

    def encode(self) -> bytes:
        """The bytes that are hashed and stored."""
        without = {"told"} if self.told is None else None
        return self.model_dump_json(exclude=without).encode()


def make_entry(
    body: Body, *, seq: int, at: datetime, boot: int, up_ms: int, told: str | None = None
) -> Entry:
    """An entry around `body`."""
    return Entry.model_construct(
        seq=seq, at=stamp(at), boot=boot, up_ms=up_ms, body=body, told=told
    )


def decode(data: bytes) -> Entry:
    """The entry that these bytes are.

    Raises:
        AuditError: they are no entry of this vocabulary, or not in canonical form
            (`ledger.entry.invalid`).
    """
    try:
        entry = Entry.model_validate_json(data)
    except ValidationError as err:
        first = err.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "entry"
        raise _bad(f"{where}: {first['type']}") from err
    # Fields that a body did not have yet when an entry was written are not in its bytes.
    again = entry.model_dump_json(exclude_unset=True).encode()
    empty = entry.told is None and "told" in entry.model_fields_set
    if len(data) > MAX_ENTRY_BYTES or again != data or empty:
        raise _bad("its bytes are not in canonical form")
    return entry


def _bad(why: str) -> AuditError:
    return AuditError(
        f"not an entry of this ledger: {why}",
        code="ledger.entry.invalid",
        hint="a newer alpr-edge may have written it; else the log was tampered with",
    )
