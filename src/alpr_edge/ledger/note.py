"""Signed notes, checkpoints and cosignatures as text. Pure, but for the arithmetic of Ed25519.

A checkpoint names a log, its size and its root, and is signed by the device; a cosignature is a
witness's statement that it saw only consistent checkpoints up to that time.

Rules:
- Text is ignored until a signature of a known key has been verified.
- A signature that carries a known key's name and id, but is wrong, spoils the whole note.
- Keys are a list, oldest to newest; a revoked key is simply not given.

Source: C2SP signed-note, tlog-checkpoint, tlog-cosignature, tlog-witness (add-checkpoint).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from alpr_edge.errors import AuditError
from alpr_edge.ledger.merkle import HASH_BYTES, MAX_PROOF

MAX_NOTE_BYTES = 16_384
MAX_SIGNATURES = 16
_ED25519 = b"\x01"
_COSIGNATURE = b"\x04"
_DASH = "— "


class Signer(Protocol):
    """Holds a private key; `trust` has the real ones."""

    @property
    def public_key(self) -> bytes:
        """The raw Ed25519 public key, 32 bytes."""
        ...

    def sign(self, message: bytes) -> bytes:
        """An Ed25519 signature, 64 bytes."""
        ...


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """Whose signature counts. As text: `name+keyid+base64`.

    Attributes:
        kind: 1 for the log itself, 4 for a witness.
    """

    name: str
    public_key: bytes
    kind: int = 1

    @property
    def key_id(self) -> bytes:
        """Four bytes that say which key a signature is of."""
        data = self.name.encode() + b"\n" + bytes([self.kind]) + self.public_key
        return hashlib.sha256(data).digest()[:4]

    def __str__(self) -> str:
        key = base64.b64encode(bytes([self.kind]) + self.public_key).decode()
        return f"{self.name}+{self.key_id.hex()}+{key}"

    @classmethod
    def parse(cls, text: str) -> VerifierKey:
        """From its text.

        Raises:
            AuditError: it is no verifier key (`ledger.key.invalid`).
        """
        name, _, rest = text.strip().partition("+")
        key_id, _, encoded = rest.partition("+")
        try:
            raw = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            raw = b""
        if _bad_name(name) or len(raw) != 33 or raw[0] not in (1, 4):
            raise AuditError(
                "not a verifier key: expected name+keyid+base64 of an Ed25519 key",
                code="ledger.key.invalid",
                hint="print it with `alpr-edge ledger key`",
            )
        key = cls(name, raw[1:], raw[0])
        if key.key_id.hex() != key_id:
            raise AuditError(
                f"the verifier key of {name} is damaged: its id should be {key.key_id.hex()}",
                code="ledger.key.invalid",
                hint="copy it again",
            )
        return key

    def holds(self, message: bytes, signature: bytes) -> bool:
        """Whether `signature` is this key's over `message`."""
        try:
            Ed25519PublicKey.from_public_bytes(self.public_key).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature line: `data` is what follows the key id."""

    name: str
    key_id: bytes
    data: bytes

    def __str__(self) -> str:
        return f"{_DASH}{self.name} {base64.b64encode(self.key_id + self.data).decode()}"


@dataclass(frozen=True, slots=True)
class Note:
    """A text with signatures that nobody has verified yet."""

    text: str
    signatures: tuple[Signature, ...]

    def __str__(self) -> str:
        return f"{self.text}\n" + "".join(f"{one}\n" for one in self.signatures)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The head of a log."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """The body that is signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


def parse_note(data: bytes) -> Note:
    """Split a note into text and signatures; verifies nothing.

    Raises:
        AuditError: it is no signed note (`ledger.note.invalid`).
    """
    try:
        whole = data.decode("utf-8")
    except UnicodeDecodeError as err:
        raise _bad("it is not UTF-8") from err
    if len(data) > MAX_NOTE_BYTES or any(c < " " and c != "\n" for c in whole):
        raise _bad("it is too long or holds control characters")
    text, found, lines = whole.rpartition("\n\n")
    if not found or not lines.endswith("\n"):
        raise _bad("it has no signatures")
    signatures = tuple(parse_signature(line) for line in lines[:-1].split("\n"))
    if len(signatures) > MAX_SIGNATURES:
        raise _bad("it has too many signatures")
    return Note(text + "\n", signatures)


def parse_signature(line: str) -> Signature:
    """A signature's line.

    Raises:
        AuditError: it is none (`ledger.note.invalid`).
    """
    name, _, encoded = line.removeprefix(_DASH).partition(" ")
    try:
        raw = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    canonical = base64.b64encode(raw).decode() == encoded
    if not line.startswith(_DASH) or _bad_name(name) or len(raw) < 5 or not canonical:
        raise _bad("a signature line is malformed")
    return Signature(name, raw[:4], raw[4:])


def verified(note: Note, keys: Sequence[VerifierKey]) -> tuple[VerifierKey, ...]:
    """The log keys whose signatures the note carries.

    Raises:
        AuditError: none, or one of them is wrong (`ledger.signature`).
    """
    good = []
    for signature in note.signatures:
        for key in keys:
            if (key.kind, key.name, key.key_id) != (1, signature.name, signature.key_id):
                continue
            if not key.holds(note.text.encode(), signature.data):
                raise _wrong(f"the signature of {key.name} does not hold")
            good.append(key)
    if not good:
        names = ", ".join(sorted({s.name for s in note.signatures}))
        raise _wrong(f"no known key signed it; signed by {names or 'nobody'}")
    return tuple(good)


def cosigned(note: Note, witnesses: Sequence[VerifierKey]) -> dict[VerifierKey, int]:
    """The witnesses whose cosignatures hold, with their times (Unix seconds).

    Raises:
        AuditError: a cosignature of a known witness is wrong (`ledger.signature`).
    """
    found = {}
    for signature in note.signatures:
        for key in witnesses:
            if (key.kind, key.name, key.key_id) != (4, signature.name, signature.key_id):
                continue
            seconds = int.from_bytes(signature.data[:8], "big")
            if not key.holds(_cosigned_message(note.text, seconds), signature.data[8:]):
                raise _wrong(f"the cosignature of {key.name} does not hold")
            found[key] = seconds
    return found


def parse_checkpoint(text: str) -> Checkpoint:
    """The head that a note's text tells; extension lines are passed over.

    Raises:
        AuditError: it is no checkpoint (`ledger.checkpoint.invalid`).
    """
    lines = text.split("\n")
    try:
        origin, digits, encoded = lines[:3]
        size = int(digits)
        root = base64.b64decode(encoded, validate=True)
        canonical = str(size) == digits and 0 <= size < 1 << 63 and len(root) == HASH_BYTES
        canonical = canonical and base64.b64encode(root).decode() == encoded
    except (ValueError, binascii.Error):
        canonical, origin, size, root = False, "", 0, b""
    if not canonical or not origin or lines[-1] != "" or "" in lines[:-1]:
        raise AuditError(
            "not a checkpoint: expected origin, size and root, one a line",
            code="ledger.checkpoint.invalid",
            hint="give the file that the device wrote or published, unchanged",
        )
    return Checkpoint(origin, size, root)


def sign(checkpoint: Checkpoint, name: str, signers: Iterable[Signer]) -> Note:
    """The checkpoint as a note, signed by each of the device's keys under one name."""
    message = checkpoint.text.encode()
    signatures = []
    for signer in signers:
        key = VerifierKey(name, signer.public_key)
        signatures.append(Signature(name, key.key_id, signer.sign(message)))
    return Note(checkpoint.text, tuple(signatures))


def cosign(text: str, name: str, signer: Signer, seconds: int) -> Signature:
    """A witness's cosignature over a checkpoint's text at Unix time `seconds`."""
    key = VerifierKey(name, signer.public_key, kind=4)
    data = seconds.to_bytes(8, "big") + signer.sign(_cosigned_message(text, seconds))
    return Signature(name, key.key_id, data)


@dataclass(frozen=True, slots=True)
class Submission:
    """A checkpoint with the proof that it continues the one of `old` entries."""

    old: int
    proof: tuple[bytes, ...]
    note: Note

    def encode(self) -> bytes:
        """As C2SP tlog-witness has it."""
        hashes = "".join(base64.b64encode(h).decode() + "\n" for h in self.proof)
        return f"old {self.old}\n{hashes}\n{self.note}".encode()

    @classmethod
    def parse(cls, data: bytes) -> Submission:
        """From its bytes; verifies nothing.

        Raises:
            AuditError: it is no submission (`ledger.submission.invalid`, `ledger.note.invalid`).
        """
        head, found, rest = data.partition(b"\n\n")
        lines = head.split(b"\n")
        try:
            digits = lines[0].removeprefix(b"old ").decode("ascii")
            old = int(digits)
            proof = tuple(base64.b64decode(line, validate=True) for line in lines[1:])
            good = lines[0] == f"old {old}".encode() and old >= 0 and len(proof) <= MAX_PROOF
            good = good and all(len(h) == HASH_BYTES for h in proof) and bool(found)
            good = good and [base64.b64encode(h) for h in proof] == lines[1:]
        except (ValueError, binascii.Error):
            good, old, proof = False, 0, ()
        if not good or len(data) > MAX_NOTE_BYTES:
            raise AuditError(
                "not a checkpoint submission: expected the old size, a proof and a checkpoint",
                code="ledger.submission.invalid",
                hint="it comes from the device's topic ledger/checkpoint; pass it on unchanged",
            )
        return cls(old, proof, parse_note(rest))


def _cosigned_message(text: str, seconds: int) -> bytes:
    return f"cosignature/v1\ntime {seconds}\n{text}".encode()


def _bad_name(name: str) -> bool:
    return not name or "+" in name or any(c.isspace() for c in name)


def _bad(why: str) -> AuditError:
    return AuditError(
        f"not a signed note: {why}",
        code="ledger.note.invalid",
        hint="give the file that the device or the witness wrote, unchanged",
    )


def _wrong(why: str) -> AuditError:
    return AuditError(
        f"the note's signatures do not verify: {why}",
        code="ledger.signature",
        hint="check that the verifier key is this device's; if it is, the note was forged",
    )
