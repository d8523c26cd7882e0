"""The kinds of signed documents. Pure.

The kind enters what is signed, so that a signature for one kind is worth nothing for another.
"""

from __future__ import annotations

from enum import StrEnum


class DocumentType(StrEnum):
    """Kinds of documents. A value is never reused for something else."""

    PERSONS = "persons"
    """Who may do what: names, roles and keys. Signed by the city."""
    MASK_RECORD = "mask-record"
    """What one camera never reads. Signed by technicians or the city."""
    MASK_STATE = "mask-state"
    """Which mask records are in force. Signed by the device itself."""
    CONFIG = "config"
    """Signature beside a device's TOML file."""
    MODELS = "models"
    """The models that may load."""
    REGISTER = "register"
    """The protected premises."""
    COMMISSIONING = "commissioning"
    """A camera's position, calibration and reference view."""
    ORDER = "order"
    """An order of the city to a device."""
    UPDATE = "update"
    """Signature beside a file with other software."""
    COMMAND = "command"
    """A command to a device over the network."""
    CHECKPOINT = "checkpoint"
    """A state of the ledger."""
    ATTESTATION = "attestation"
    """What a device says of itself."""
    REPORT = "report"
    """Evidence and audit reports."""

    @property
    def payload_type(self) -> str:
        """The media type that stands in the envelope and is signed with the payload."""
        return f"application/vnd.alpr-edge.{self.value}+json"
