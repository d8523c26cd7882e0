"""What a field of an entry may hold. Pure. No field can hold a plate.

How that is kept:
- What the device writes by itself is made of codes from closed lists, counts, digests, event ids,
  names from the configuration, and times. None of these takes a text.
- A count of suppressions is a power of two, eight at the least: the type refuses an exact one.
- What people type (a reason, an organisation, a user's name) is made of plain words. A word with a
  digit, or with capitals beyond its first letter, does not pass; `prose` puts `[withheld]` in its
  place, `person` the digest of the whole name. What remains possible is that a person types a plate
  that is a plain word: no rule can tell that from a word.

Lengths are bounded, so that an entry is.
"""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from itertools import pairwise
from typing import Annotated

from pydantic import AfterValidator, Field

from alpr_edge.types import DropReason

WITHHELD = "[withheld]"
NOBODY = "nobody"
MAX_PROSE = 200

_WORD = re.compile(r"[A-Za-zÀ-ÖØ-öø-ÿ]?[a-zß-öø-ÿ'’]*(?:-[a-zß-öø-ÿ'’]+)*")
_DATE = re.compile(r"20\d\d-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])")
_ID = re.compile(r"id:[0-9a-f]{64}")
_HOST = re.compile(
    r"(?:[a-z0-9-]{1,63}\.)+[a-z0-9-]{1,63}|[a-z-]{1,63}|id:[0-9a-f]{64}|\[[0-9a-f:]+\]"
)
_PUNCTUATION = ' ,.;:()/?!"“”–—'


def prose(text: str) -> str:
    """`text` as it may stand in an entry: words only, the rest replaced by `[withheld]`."""
    words = text.split()
    letters = [len(_bare(word)) == 1 for word in words]
    kept: list[str] = []
    for at, word in enumerate(words):
        # Letters set apart would spell what a word may not.
        spelt = letters[at] and any(letters[max(0, at - 1) : at] + letters[at + 1 : at + 2])
        shown = WITHHELD if spelt or not _plain(word) else word
        if not (shown == WITHHELD and kept and kept[-1] == WITHHELD):
            kept.append(shown)
    while len(" ".join(kept)) > MAX_PROSE:
        kept.pop()
    return " ".join(kept)


def person(name: str) -> str:
    """A user's name as it may stand in an entry; one that does not pass becomes its digest."""
    if not name:
        return NOBODY
    return name if _is_name(name) else digest_name(name)


def host(name: str) -> str:
    """A host's name or address as it may stand in an entry."""
    lower = name.lower()
    return lower if _HOST.fullmatch(lower) and len(lower) <= 253 else digest_name(name)


def digest_name(text: str) -> str:
    """`id:` and the SHA-256 of a text: whoever knows the text can recognise it."""
    return "id:" + hashlib.sha256(text.encode()).hexdigest()


def stamp(moment: datetime) -> str:
    """RFC 3339 in UTC with milliseconds, as entries write it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def _bare(word: str) -> str:
    return word.strip(_PUNCTUATION)


def _plain(word: str) -> bool:
    bare = _bare(word)
    return not bare or bool(_WORD.fullmatch(bare) or _DATE.fullmatch(bare)) or word == WITHHELD


def _is_name(name: str) -> bool:
    if _ID.fullmatch(name):
        return True
    words = re.split(r"[ ._-]+", name.strip(" ."))
    short = [len(word) == 1 for word in words]
    spelt = any(one and other for one, other in pairwise(short))
    plain = all(word and _WORD.fullmatch(word) for word in words)
    return plain and not spelt and len(name) <= 64


def _is_person(name: str) -> str:
    if not _is_name(name):
        raise ValueError("must be a plain name or a digest: pass it through `person`")
    return name


def _is_prose(text: str) -> str:
    if text != prose(text):
        raise ValueError("must be plain words: pass it through `prose`")
    return text


def _power_of_two(value: int) -> int:
    if value < 8 or value & (value - 1):
        raise ValueError("must be a power of two, at least 8: counts of suppressions are coarse")
    return value


Count = Annotated[int, Field(ge=0, lt=1 << 53)]
CoarseCount = Annotated[int, Field(ge=0, lt=1 << 53), AfterValidator(_power_of_two)]
Milliseconds = Annotated[int, Field(gt=-(1 << 53), lt=1 << 53)]
Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
EventId = Annotated[
    str, Field(pattern="^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$")
]
Time = Annotated[
    str,
    Field(
        pattern=r"^20\d\d-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T([01]\d|2[0-3]):[0-5]\d:[0-5]\d\.\d{3}Z$"
    ),
]
Code = Annotated[str, Field(pattern=r"^[a-z]{3,16}(\.[a-z][a-z0-9_]{0,39}){1,4}$|^internal$")]
"""An error code as in docs/errors.md."""
Setting = Annotated[str, Field(pattern=r"^[a-z_]{2,32}(\.[a-z_]{2,40}){0,3}$")]
"""A key of the configuration: `exclusion.band`, or a section."""
Version = Annotated[
    str, Field(pattern=r"^[a-z]{2,16}(-[a-z]{2,16})* \d{1,4}\.\d{1,4}\.\d{1,4}([.+a-z0-9]{0,20})$")
]
"""`alpr-edge 0.1.0`."""
Person = Annotated[str, Field(max_length=67), AfterValidator(_is_person)]
Host = Annotated[str, Field(pattern=rf"^(?:{_HOST.pattern})$", max_length=253)]
Prose = Annotated[str, Field(max_length=MAX_PROSE), AfterValidator(_is_prose)]
Reasons = dict[DropReason, CoarseCount]
