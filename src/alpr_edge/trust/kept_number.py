"""Edge: the highest number of a kind of document that was ever taken here, kept in a file.

A signed document that is older than one that was taken is not taken again, whoever puts it back.
"""

from __future__ import annotations

from pathlib import Path

from alpr_edge.config.files import FileTrouble, read_regular_file
from alpr_edge.errors import TrustError
from alpr_edge.trust.checks import check_number
from alpr_edge.trust.durable_file import write_durably


def kept_number(file: Path) -> int:
    """The highest number that was taken; 0 where none was."""
    known = read_regular_file(file, limit_bytes=32)
    text = b"" if isinstance(known, FileTrouble) else known.strip()
    return int(text) if text.isdigit() else 0


def take_number(what: str, number: int, file: Path, *, code: str) -> None:
    """Take a document's number: the kept one again, or a higher one, which is then kept.

    Raises:
        Rollback: `trust.rollback`: a higher one has been here.
        TrustError: `code`: the number cannot be kept.
    """
    highest = kept_number(file)
    if number == highest:
        return
    check_number(what, number, highest)
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_durably(file, b"%d\n" % number)
    except OSError as err:
        raise TrustError(
            f"the {what}'s number cannot be kept: {err.strerror}",
            code=code,
            hint="check the folder, its permissions and the space on the disk",
        ) from err
