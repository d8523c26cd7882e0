"""What a witness decides about one checkpoint. Pure.

A witness remembers, for each log, the largest head it has cosigned, and cosigns a larger one only
with a proof that it continues that. Two signed heads of one log that do not fit together are a
fork: the device, or whoever has its key, told two stories.

Source: C2SP tlog-witness (add-checkpoint), tlog-cosignature.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from alpr_edge.errors import AuditError
from alpr_edge.ledger.merkle import check_consistency
from alpr_edge.ledger.note import (
    Checkpoint,
    Submission,
    VerifierKey,
    parse_checkpoint,
    verified,
)


class Outcome(StrEnum):
    """`cosign` and `same` are answered with a cosignature, `ask` with the size to prove from."""

    COSIGN = "cosign"
    SAME = "same"
    ASK = "ask"
    OLDER = "older"
    FORK = "fork"
    RESTARTED = "restarted"
    UNKNOWN = "unknown"
    FORGED = "forged"
    MALFORMED = "malformed"


@dataclass(frozen=True, slots=True)
class Judgement:
    """Attributes:
    head: what the checkpoint says, once its signature has been verified.
    text: for people.
    """

    outcome: Outcome
    head: Checkpoint | None = None
    text: str = ""


def judge(
    device: str,
    data: bytes,
    keys: Mapping[str, tuple[VerifierKey, ...]],
    recorded: Callable[[str], Checkpoint | None],
    root_at: Callable[[str, int], bytes | None],
    latest_origin: str | None,
) -> Judgement:
    """What to do with a submission that came on the topic of `device`.

    Args:
        keys: per device, oldest to newest, without the revoked.
        recorded: the largest cosigned head of a log.
        root_at: the root once cosigned for a size of a log.
        latest_origin: the log that this device had last.
    """
    try:
        submission = Submission.parse(data)
        claimed = parse_checkpoint(submission.note.text)
    except AuditError as err:
        return Judgement(Outcome.MALFORMED, text=err.message)
    if device not in keys:
        return Judgement(Outcome.UNKNOWN, text=f"no key of {device} is known")
    try:
        verified(submission.note, keys[device])
    except AuditError as err:
        return Judgement(Outcome.FORGED, text=err.message)
    if not claimed.origin.startswith(f"alpr-edge/{device}/ledger/"):
        return Judgement(Outcome.FORGED, text=f"{claimed.origin} came on the topic of {device}")
    before = recorded(claimed.origin)
    if before is None:
        if submission.old:
            return Judgement(Outcome.ASK, claimed, "it is proven from a head that is not known")
        if latest_origin is not None:
            return Judgement(
                Outcome.RESTARTED, claimed, f"a new log {claimed.origin} after {latest_origin}"
            )
        return Judgement(Outcome.COSIGN, claimed)
    return _against(before, claimed, submission, root_at(claimed.origin, claimed.size))


def _against(
    before: Checkpoint, claimed: Checkpoint, submission: Submission, known_root: bytes | None
) -> Judgement:
    if known_root is not None and known_root != claimed.root:
        text = f"two roots are signed for size {claimed.size}"
        return Judgement(Outcome.FORK, claimed, text)
    if claimed.size == before.size:
        return Judgement(Outcome.SAME, claimed)
    if claimed.size < before.size:
        return Judgement(Outcome.OLDER, claimed, f"size {claimed.size} after {before.size}")
    if submission.old != before.size:
        return Judgement(Outcome.ASK, claimed, f"it is proven from {submission.old}")
    try:
        check_consistency(before.size, before.root, claimed.size, claimed.root, submission.proof)
    except AuditError as err:
        return Judgement(Outcome.FORK, claimed, err.message)
    return Judgement(Outcome.COSIGN, claimed)
