"""The exception tree: every error a user can meet, with a stable code and a hint.

Third-party exceptions are translated to these once, in the edge module that met them. A code never
changes its meaning; scripts and auditors may rely on it. A hint says what to do next.
"""

from __future__ import annotations


class AlprEdgeError(Exception):
    """Base of all own errors.

    Attributes:
        code: stable, lower-case, dotted: `room.what`, for example `capture.image.broken`.
        hint: what the reader can do about it.
        exit_status: what the command line ends with (design, section 5).
    """

    code = "internal"
    exit_status = 1

    def __init__(self, message: str, *, code: str | None = None, hint: str = "") -> None:
        super().__init__(message)
        self.code = code or type(self).code
        self.hint = hint

    @property
    def message(self) -> str:
        """The sentence without code and hint."""
        return str(self.args[0])

    def __str__(self) -> str:
        text = f"[{self.code}] {self.message}"
        return f"{text} ({self.hint})" if self.hint else text


class ConfigError(AlprEdgeError):
    """A configuration or mask file that cannot be used; holds every problem found, not the first.

    Attributes:
        problems: one line each, `detector.min_score: 1.7 is not within [0, 1]`.
    """

    code = "config.invalid"
    exit_status = 2

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        hint: str = "",
        problems: tuple[str, ...] = (),
    ) -> None:
        super().__init__(message, code=code, hint=hint)
        self.problems = problems

    def __str__(self) -> str:
        return "\n  - ".join([super().__str__(), *self.problems])


class TrustError(AlprEdgeError):
    """Something that must be proven is not: digest, signature, validity."""

    code = "trust.refused"
    exit_status = 3


class DigestMismatch(TrustError):
    """Bytes whose SHA-256 is not the one listed."""

    code = "trust.digest"


class BadSignature(TrustError):
    """Not signed, not by a key that counts here, or changed after signing."""

    code = "trust.signature"


class Expired(TrustError):
    """Signed, but not valid at this time."""

    code = "trust.expired"


class Rollback(TrustError):
    """Signed, but older than what has been here already."""

    code = "trust.rollback"


class KeyUnusable(TrustError):
    """A key file that is missing, open to others, or no key."""

    code = "trust.key.invalid"


class CaptureError(AlprEdgeError):
    """A picture or a camera that gives no usable frame."""

    code = "capture.failed"


class InferenceError(AlprEdgeError):
    """A model that does not load or does not run."""

    code = "vision.failed"


class PublishError(AlprEdgeError):
    """A read that cannot be stored or sent now. The outbox keeps it where it can."""

    code = "delivery.failed"


class ExclusionError(AlprEdgeError):
    """Exclusion cannot be guaranteed, so nothing may be read (fail closed, N3)."""

    code = "exclusion.refused"
    exit_status = 3


class AuditError(AlprEdgeError):
    """A record that does not hold: a ledger, a proof, an attestation."""

    code = "ledger.failed"


class ConsoleError(AlprEdgeError):
    """Something that was asked of the console and is not done."""

    code = "console.failed"
