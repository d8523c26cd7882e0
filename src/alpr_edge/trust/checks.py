"""Rules that all signed documents share: validity, and numbers that only grow. Pure.

Times are aware UTC; in documents they are text, `2026-11-24T08:00:00Z`.
"""

from __future__ import annotations

from datetime import UTC, datetime

from alpr_edge.errors import Expired, Rollback, TrustError


def check_validity(
    what: str, now: datetime, *, valid_from: datetime | None, valid_to: datetime | None
) -> None:
    """Refuse what is not valid at `now`. `valid_to` itself is too late.

    Raises:
        Expired: `trust.not_yet_valid` or `trust.expired`.
    """
    if valid_from is not None and now < valid_from:
        raise Expired(
            f"the {what} is valid from {format_time(valid_from)} on",
            code="trust.not_yet_valid",
            hint="check the clock, or wait",
        )
    if valid_to is not None and now >= valid_to:
        raise Expired(
            f"the {what} has been valid until {format_time(valid_to)}",
            code="trust.expired",
            hint="check the clock, or sign a new one",
        )


def check_number(what: str, number: int, highest: int) -> None:
    """Refuse a number that has been used.

    Raises:
        Rollback: `trust.rollback`.
    """
    if number <= highest:
        raise Rollback(
            f"the {what} has number {number}, number {highest} has been here",
            code="trust.rollback",
            hint="an old document is never taken again: sign a new one with a higher number",
        )


def parse_time(value: object, what: str) -> datetime:
    """A UTC time from its text in a document.

    Raises:
        TrustError: `trust.time.invalid`.
    """
    try:
        if not isinstance(value, str) or not value.endswith("Z"):
            raise ValueError("must end with Z")
        return datetime.fromisoformat(value).astimezone(UTC)
    except (ValueError, OverflowError) as err:
        raise TrustError(
            f"{what} must be a UTC time such as 2026-11-24T08:00:00Z", code="trust.time.invalid"
        ) from err


def format_time(value: datetime) -> str:
    """The text of a UTC time in a document. `parse_time(format_time(t), …) == t`."""
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
