"""When the device states anew what it is: whenever a fact has changed, and now and then anyway."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from datetime import datetime
from typing import Final

from alpr_edge.errors import AlprEdgeError
from alpr_edge.ledger.kinds import Attested
from alpr_edge.ledger.recorder import Recorder
from alpr_edge.trust.attestation import Statement, attest
from alpr_edge.trust.keys import PrivateKey

_log = logging.getLogger(__name__)
PAUSE_S: Final = 5.0
"""Facts that change together make one statement."""
Quote = Callable[[bytes], dict[str, str]]


class Attester:
    """Makes statements and gives them to `publish`.

    Args:
        key: the device's.
        state: the facts of now.
        quote: a TPM's word over a digest; None: there is no TPM.
        every_s: longest between two statements.
    """

    def __init__(
        self,
        key: PrivateKey,
        recorder: Recorder,
        state: Callable[[], Statement],
        publish: Callable[[bytes], None],
        *,
        quote: Quote | None,
        every_s: float,
    ) -> None:
        self._key, self._recorder, self._state, self._publish = key, recorder, state, publish
        self._quote, self._every_s = quote, every_s
        self._seen = -1
        self._at_s = float("-inf")

    def look(self, now: datetime, monotonic_s: float) -> bool:
        """Make a statement if it is time for one. Returns whether one was made."""
        passed_s = monotonic_s - self._at_s
        revision = self._recorder.revision
        if passed_s < self._every_s and (revision == self._seen or passed_s < PAUSE_S):
            return False
        self._seen, self._at_s = revision, monotonic_s
        token = attest(self._state(), self._key, int(now.timestamp()), quote=self._quoted())
        self._recorder.record(Attested(digest=hashlib.sha256(token).hexdigest()))
        self._publish(token)
        return True

    def _quoted(self) -> Quote | None:
        quote = self._quote
        if quote is None:
            return None

        def careful(digest: bytes) -> dict[str, str]:
            try:
                return quote(digest)
            except AlprEdgeError as err:
                # A statement without the TPM's word is better than none, and shows that it lacks.
                _log.error("the TPM gives no quote", extra={"code": err.code, "hint": err.hint})
                return {}

        return careful
