"""Names of events: UUID version 7, which sort by the time they were made (RFC 9562, section 5.7).

It is apart from `event` because it reads the clock and the system's random numbers.
"""

from __future__ import annotations

import uuid

import uuid6


def made_at_s(event_id: str) -> float:
    """Unix time at which an id of version 7 was made; 0 for any other."""
    one = uuid.UUID(event_id)
    return (one.int >> 80) / 1000 if one.version == 7 else 0.0


def new_event_id() -> str:
    """A new id for `make_event`; later ids of one process sort after earlier ones."""
    return str(uuid6.uuid7())
