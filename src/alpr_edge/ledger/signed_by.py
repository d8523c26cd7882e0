"""On whose word a signed document stands: names from the list of persons. Pure.

A signature of the city says that the city agreed, not who did it. Who signed beside the city with
an own key is named; without one, the name that the city's signer stated (`by`) is told, and without
that only "city". What anybody else states is nobody's name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from alpr_edge.ledger.telling import By
from alpr_edge.trust.keyring import Keyring, Role
from alpr_edge.trust.keys import PublicKey

CITY: Final = "city"
_MOST: Final = 500


def signed_by(
    signers: Iterable[PublicKey], ring: Keyring, payload: Mapping[str, Any], *, by: str = "by"
) -> By:
    """Who, the second person, and the reason that the document gives.

    Args:
        signers: keys whose signatures hold.
        payload: may state a name under `by`, and a `reason`.
    """
    keys = tuple(signers)
    names = [person.name for person in ring.people(keys, *Role)]
    stated = _text(payload, by)
    if ring.is_city(keys):
        names = [*(names or ([stated] if stated else [])), CITY]
    who, second = [*names, "", ""][:2]
    return By(who, second, _text(payload, "reason"))


def _text(payload: Mapping[str, Any], name: str) -> str:
    value = payload.get(name)
    return value[:_MOST] if isinstance(value, str) else ""
