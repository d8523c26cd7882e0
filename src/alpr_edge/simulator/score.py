"""Publications against the street's truth.

Does: counts what was read right, wrong, missed, kept back, and leaked.
Does not: know why something was kept back; it sees only what was published.

Rules, in the order in which a publication is judged; texts are compared folded (upper case, no
separators, O as 0, I as 1):

1. *Leak*: its text is within edit distance 1 of a protected vehicle's plate, and no unprotected
   readable vehicle that was in view at that time has a plate that is nearer to the text. Every such
   publication counts. A protected vehicle is one that touches the premises at any time of its
   life, also outside the view: its reads before and after the contact are leaks too.
2. *Right*: its text equals the plate of an unprotected vehicle. The vehicle counts once, however
   often it is published; among `read_right` if it was readable, among `read_extra` if it was not.
3. *Wrong*: everything else, reads of signs and one-off misreads included.

Of the vehicles, an unprotected readable one without a right publication is *missed*, whether it was
overlooked, misread or suppressed; a protected one without a leak is *suppressed*, whether it was
ever readable or not. So `read_right + missed` is the number of unprotected readable vehicles.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from alpr_edge.simulator.plate_art import edit_distance, fold
from alpr_edge.simulator.street import VehicleSummary

Published: TypeAlias = tuple[str, float, float]
"""Plate, first and last seen in the street's seconds (`StreetCamera.seconds`)."""

LEAK_DISTANCE: Final = 1
_SLACK_S: Final = 0.5
"""Tracks may begin a little before or end a little after a plate's last visible frame."""


@dataclass(frozen=True, slots=True)
class StreetScore:
    """The outcome; see the module's docstring for each count.

    Attributes:
        vehicles: all vehicles of the street.
        read_right, missed: unprotected readable vehicles.
        read_wrong, leaked: publications.
        suppressed: protected vehicles of which nothing was published.
        read_extra: unprotected vehicles published although they were hardly readable.
    """

    vehicles: int
    read_right: int
    read_wrong: int
    missed: int
    suppressed: int
    leaked: int
    read_extra: int = 0


def score(summary: Sequence[VehicleSummary], published: Iterable[Published]) -> StreetScore:
    """Judge what was published of a street."""
    right: set[int] = set()
    leaking: set[int] = set()
    wrong = leaked = 0
    by_plate = {fold(one.plate): one for one in summary if not one.protected}
    for text, first_s, last_s in published:
        source = leak_of(summary, (text, first_s, last_s))
        if source is not None:
            leaking.add(source.vehicle_id)
            leaked += 1
        elif fold(text) in by_plate:
            right.add(by_plate[fold(text)].vehicle_id)
        else:
            wrong += 1
    open_ids = {one.vehicle_id for one in summary if not one.protected and one.readable}
    protected = {one.vehicle_id for one in summary if one.protected}
    return StreetScore(
        vehicles=len(summary),
        read_right=len(right & open_ids),
        read_wrong=wrong,
        missed=len(open_ids - right),
        suppressed=len(protected - leaking),
        leaked=leaked,
        read_extra=len(right - open_ids),
    )


def leak_of(summary: Sequence[VehicleSummary], published: Published) -> VehicleSummary | None:
    """The protected vehicle that a publication gives away (rule 1), None if it gives none away."""
    text, first_s, last_s = published
    distances = [(edit_distance(fold(text), fold(one.plate)), one) for one in summary]
    given_away = [(d, one) for d, one in distances if one.protected and d <= LEAK_DISTANCE]
    if not given_away:
        return None
    distance, source = min(given_away, key=lambda pair: pair[0])
    for other_distance, one in distances:
        explains = not one.protected and one.readable and other_distance < distance
        if explains and _in_view(one, first_s, last_s):
            return None
    return source


def _in_view(one: VehicleSummary, first_s: float, last_s: float) -> bool:
    if one.first_seen_s is None or one.last_seen_s is None:
        return False
    return one.first_seen_s - _SLACK_S <= last_s and one.last_seen_s + _SLACK_S >= first_s
