"""The score's own cases: every count, one at a time."""

from __future__ import annotations

from alpr_edge.simulator.score import StreetScore, leak_of, score
from alpr_edge.simulator.street import VehicleSummary
from alpr_edge.simulator.vehicles import Pattern


def vehicle(
    vehicle_id: int,
    plate: str,
    *,
    protected: bool = False,
    readable: bool = True,
    seen: tuple[float, float] = (1.0, 5.0),
) -> VehicleSummary:
    return VehicleSummary(
        vehicle_id=vehicle_id,
        plate=plate,
        pattern=Pattern.ENTER if protected else Pattern.PASS,
        protected=protected,
        readable=readable,
        readable_frames=9 if readable else 0,
        first_readable_s=seen[0] if readable else None,
        last_readable_s=seen[1] if readable else None,
        first_seen_s=seen[0],
        last_seen_s=seen[1],
    )


STREET = (
    vehicle(0, "7ABC123"),
    vehicle(1, "QUX9O41"),
    vehicle(2, "SECRET1", protected=True),
    vehicle(3, "HIDDEN", protected=True, readable=False),
    vehicle(4, "FARAWAY", readable=False),
)


def test_nothing_published() -> None:
    assert score(STREET, []) == StreetScore(5, 0, 0, 2, 2, 0)


def test_all_right_with_folding_and_separators() -> None:
    got = score(STREET, [("7abc 123", 1, 5), ("QUX9041", 1, 5)])
    assert got == StreetScore(5, 2, 0, 0, 2, 0)


def test_a_vehicle_counts_once() -> None:
    assert score(STREET, [("7ABC123", 1, 2), ("7ABC123", 3, 5)]) == StreetScore(5, 1, 0, 1, 2, 0)


def test_a_misread_is_wrong_and_its_vehicle_missed() -> None:
    assert score(STREET, [("7ABC128", 1, 5)]) == StreetScore(5, 0, 1, 2, 2, 0)


def test_a_sign_is_wrong() -> None:
    assert score(STREET, [("CONSULATE", 1, 5)]).read_wrong == 1


def test_a_hardly_readable_vehicle_read_right_is_extra() -> None:
    got = score(STREET, [("FARAWAY", 1, 5)])
    assert (got.read_right, got.read_wrong, got.read_extra, got.missed) == (0, 0, 1, 2)


def test_a_protected_plate_leaks_whenever_it_is_published() -> None:
    for first, last in ((1, 5), (200, 201)):
        got = score(STREET, [("SECRET1", first, last)])
        assert (got.leaked, got.suppressed, got.read_wrong) == (1, 1, 0)


def test_an_unreadable_protected_plate_leaks_too() -> None:
    assert score(STREET, [("HIDDEN", 1, 5)]).leaked == 1


def test_near_misses_leak_too() -> None:
    for text in ("SECRETI", "SECRET2", "SECRET", "SECRET12", "ECRET1"):
        assert score(STREET, [(text, 1, 5)]).leaked == 1, text
    assert score(STREET, [("SECRE22", 1, 5)]).leaked == 0


def test_every_leaking_publication_counts_but_its_vehicle_once() -> None:
    got = score(STREET, [("SECRET1", 1, 2), ("SECRET7", 3, 4)])
    assert (got.leaked, got.suppressed) == (2, 1)


def test_a_nearer_open_vehicle_in_view_explains_a_text() -> None:
    street = (vehicle(0, "AAA1111", protected=True), vehicle(1, "AAA1112"))
    assert score(street, [("AAA1112", 2, 3)]).leaked == 0
    assert score(street, [("AAA1112", 2, 3)]).read_right == 1
    # Not nearer, not in view, or not readable: it explains nothing.
    assert score(street, [("AAA1113", 2, 3)]).leaked == 1
    assert score(street, [("AAA1112", 60, 61)]).leaked == 1
    blind = (street[0], vehicle(1, "AAA1112", readable=False))
    assert score(blind, [("AAA1112", 2, 3)]).leaked == 1


def test_leak_names_the_vehicle() -> None:
    source = leak_of(STREET, ("SECRET1", 1, 5))
    assert source is not None
    assert source.vehicle_id == 2
    assert leak_of(STREET, ("7ABC123", 1, 5)) is None


def test_an_empty_street() -> None:
    assert score([], [("7ABC123", 0, 1)]) == StreetScore(0, 0, 1, 0, 0, 0)
