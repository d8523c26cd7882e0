"""Who holds which key, in which role: the city's keys and the list of persons. Pure.

City keys come with the unit (`key_files.load_city_keys`), oldest to newest. The persons' list is a
signed document (`DocumentType.PERSONS`) of the city:

    {"number": 4, "persons": [{"name": "A. Technician", "role": "technician",
                               "keys": ["ed25519:…", "ed25519:…"]}]}

Rules:
- A key belongs to one person only; a list that gives it to two is refused. So two signers with
  different keys of one person count as one person.
- A key of the city is nobody's personal key.
- Leaving a key or a person out revokes it; `number` must grow.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from alpr_edge.errors import KeyUnusable, TrustError
from alpr_edge.trust.documents import DocumentType
from alpr_edge.trust.envelope import examine
from alpr_edge.trust.keys import PublicKey

MAX_PERSONS: Final = 4096
MAX_KEYS: Final = 8


class Role(StrEnum):
    """What a person may do."""

    TECHNICIAN = "technician"
    """Sets masks; alone where nothing is uncovered."""
    SUPERVISOR = "supervisor"
    """Sets masks and countersigns them."""
    AUDITOR = "auditor"
    """Reads ledgers and reports; signs none of the device's records."""


@dataclass(frozen=True, slots=True)
class Person:
    """Someone with keys, oldest to newest."""

    name: str
    role: Role
    keys: tuple[PublicKey, ...]


@dataclass(frozen=True, slots=True)
class Keyring:
    """All keys that a device believes.

    Attributes:
        city: the city's keys, oldest to newest.
        persons: the persons' list.
        number: of the persons' list; 0 without one.
    """

    city: tuple[PublicKey, ...] = ()
    persons: tuple[Person, ...] = ()
    number: int = 0

    def keys_of(self, *roles: Role) -> tuple[PublicKey, ...]:
        """Keys of all persons with one of these roles."""
        return tuple(key for p in self.persons if p.role in roles for key in p.keys)

    def person(self, key: PublicKey) -> Person | None:
        """Whose key it is."""
        return next((p for p in self.persons if key in p.keys), None)

    def people(self, signers: Iterable[PublicKey], *roles: Role) -> tuple[Person, ...]:
        """The different persons with one of these roles among the signers."""
        keys = set(signers)
        return tuple(p for p in self.persons if p.role in roles and keys & set(p.keys))

    def is_city(self, signers: Iterable[PublicKey]) -> bool:
        """Whether a key of the city is among the signers."""
        return bool(set(signers) & set(self.city))


def persons_payload(number: int, persons: Sequence[Person]) -> dict[str, Any]:
    """The list as it is signed. `parse_persons(persons_payload(n, p), c) == (n, p)`."""
    return {
        "number": number,
        "persons": [
            {"name": p.name, "role": p.role.value, "keys": [str(k) for k in p.keys]}
            for p in persons
        ],
    }


def open_persons(data: bytes, city: Sequence[PublicKey]) -> Keyring:
    """The keyring of a signed persons' list.

    Raises:
        BadSignature: the city did not sign it.
        TrustError: `trust.persons.invalid`.
    """
    payload = examine(data, DocumentType.PERSONS, city).payload
    number, persons = parse_persons(payload, city)
    return Keyring(tuple(city), persons, number)


def parse_persons(
    payload: dict[str, Any], city: Sequence[PublicKey] = ()
) -> tuple[int, tuple[Person, ...]]:
    """Number and persons of a list.

    Raises:
        TrustError: `trust.persons.invalid`.
    """
    number, entries = payload.get("number"), payload.get("persons")
    if not isinstance(number, int) or isinstance(number, bool) or number < 1:
        raise _invalid("number must be a whole number from 1")
    if not isinstance(entries, list) or len(entries) > MAX_PERSONS:
        raise _invalid(f"persons must be a list of at most {MAX_PERSONS}")
    persons = tuple(_person(entry) for entry in entries)
    names = [p.name for p in persons]
    keys = [key for p in persons for key in p.keys] + list(city)
    if len(set(names)) != len(names):
        raise _invalid("a name is given twice")
    if len(set(keys)) != len(keys):
        raise _invalid(
            "a key is given twice: it belongs to one person only, and none is the city's"
        )
    return number, persons


def _person(entry: Any) -> Person:
    if not isinstance(entry, dict) or set(entry) != {"name", "role", "keys"}:
        raise _invalid("each person has name, role and keys")
    name, role, keys = entry["name"], entry["role"], entry["keys"]
    if not isinstance(name, str) or not 1 <= len(name) <= 128 or not name.isprintable():
        raise _invalid("a name must be text of 1 to 128 printable characters")
    if not isinstance(role, str) or role not in list(Role):
        raise _invalid(f"a role is one of {', '.join(Role)}")
    if not isinstance(keys, list) or not 1 <= len(keys) <= MAX_KEYS:
        raise _invalid(f"a person has 1 to {MAX_KEYS} keys")
    if not all(isinstance(key, str) for key in keys):
        raise _invalid("a key must be text")
    try:
        return Person(name, Role(role), tuple(PublicKey.parse(key) for key in keys))
    except KeyUnusable as err:
        raise _invalid(f"a key of {name!r} is not a public key") from err


def _invalid(reason: str) -> TrustError:
    return TrustError(
        f"the list of persons is not valid: {reason}",
        code="trust.persons.invalid",
        hint="make it with `alpr-edge keys persons`",
    )
