"""Keys, bodies and logs that the tests of this room share."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from alpr_edge.ledger.kinds import Body, Boot, Egress, Hour, Stop
from alpr_edge.ledger.store import Clock, Identity, Ledger
from alpr_edge.types import DropReason

DIGEST = "0123456789abcdef" * 4
EVENT = "0190ae6c-7b2a-7000-8000-00000000000a"


class TestSigner:
    """A key made for one test."""

    __test__ = False

    def __init__(self) -> None:
        self._key = Ed25519PrivateKey.generate()

    @property
    def public_key(self) -> bytes:
        return self._key.public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        return self._key.sign(message)


@dataclass
class HandClock:
    """A clock that goes when it is told to."""

    wall: datetime = datetime(2026, 11, 2, 8, 0, tzinfo=UTC)
    up_s: float = field(default=1000.0)

    def go(self, seconds: float) -> None:
        self.wall += timedelta(seconds=seconds)
        self.up_s += seconds

    def clock(self) -> Clock:
        return Clock(lambda: self.wall, lambda: self.up_s)


def boot(count: int = 1, *, clean: bool = True) -> Boot:
    return Boot(
        count=count,
        software="alpr-edge 0.1.0",
        config=DIGEST,
        mask=DIGEST,
        models=(DIGEST,),
        clean=clean,
    )


def egress(count: int = 3) -> Egress:
    return Egress(
        count=count, first=EVENT, last=EVENT, destination="broker.city.example", port=8883
    )


def hour(begin: str = "2026-11-02T08:00:00.000Z", published: int = 12) -> Hour:
    return Hour(
        begin=begin,
        seconds=3600,
        frames=54_000,
        failed_frames=0,
        published=published,
        delivered=published,
        suppressed_at_most={DropReason.TOUCHES_MASK: 16, DropReason.UNREAD: 8},
    )


def write_log(
    path: Path, bodies: list[Body], signer: TestSigner, *, device: str = "cam-0001"
) -> Identity:
    """A closed log of `boot`, the bodies a minute apart, and `stop`."""
    identity = Identity(device, (signer,))
    hand = HandClock()
    ledger = Ledger(path, identity, clock=hand.clock())
    ledger.append(boot(ledger.boot))
    for body in bodies:
        hand.go(60)
        ledger.append(body)
    ledger.close(Stop(reason="asked"))
    return identity
