"""Edge: tells the ledger from another process than the service: console, commands, installers.

    reporter = open_reporter(config)          # `ledger.setup`; None where there is no ledger
    reporter.login("anna", way="serial", factors=2)
    reporter.exported(Asked("anna", "Police", "stolen vehicle"), 12, first, last)   # may raise

While the service runs, what is told lies in the spool (`spool`) until the service takes it, within
a second. While it does not run, the reporter takes the ledger itself, writes what waits, signs, and
lets go at once: that is the entry `visit`.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Final, Literal

from alpr_edge.errors import AlprEdgeError, AuditError
from alpr_edge.ledger.kinds import Body, StorageFault, Visit
from alpr_edge.ledger.spool import Spool
from alpr_edge.ledger.store import Ledger
from alpr_edge.ledger.telling import Tells

_log = logging.getLogger(__name__)
Visitor = Literal["console", "command", "installer"]
_LONGEST_S: Final = 15.0
_PAUSE_S: Final = 0.02


class Reporter(Tells):
    """Tells one unit's ledger; safe to use from several threads.

    Args:
        spool: beside the ledger.
        open_ledger: opens the ledger; raises `ledger.in_use` while the service has it.
        who: stands in the entry `visit`.
        longest_s: how long `record_now` waits for the service to take what was told.
    """

    def __init__(
        self,
        spool: Spool,
        open_ledger: Callable[[], Ledger],
        *,
        who: Visitor = "command",
        longest_s: float = _LONGEST_S,
    ) -> None:
        self._spool, self._open_ledger, self._who = spool, open_ledger, who
        self._longest_s = longest_s
        self._lock = threading.Lock()
        self._lost, self._lost_code = 0, ""

    def record(self, body: Body) -> None:
        """See `Tells`. It is durable in the spool when this returns, if the disk takes it."""
        try:
            self._put(body)
            self._visit()
        except AlprEdgeError as err:
            _log.error("the ledger was not told", extra={"code": err.code, "hint": err.hint})

    def record_now(self, body: Body) -> None:
        """See `Tells`.

        Raises:
            AuditError: the disk does not take it, or nobody took it in time
                (`ledger.reporter.not_taken`).
        """
        name = self._put(body)
        end = time.monotonic() + self._longest_s
        while self._spool.holds(name):
            self._visit()
            if not self._spool.holds(name):
                return
            if time.monotonic() > end:
                raise AuditError(
                    "the service did not take the entry into the ledger in time",
                    code="ledger.reporter.not_taken",
                    hint="look at `alpr-edge status` and the ledger's fault, then ask again",
                )
            time.sleep(_PAUSE_S)

    def _put(self, body: Body) -> str:
        with self._lock:
            try:
                if self._lost:
                    fault = StorageFault(what="ledger", code=self._lost_code, lost=self._lost)
                    self._spool.put(fault)
                    self._lost = 0
                return self._spool.put(body)
            except AuditError as err:
                self._lost, self._lost_code = self._lost + 1, err.code
                raise

    def _visit(self) -> None:
        """Write what waits, if no other process holds the ledger.

        Raises:
            AlprEdgeError: the ledger cannot be opened or written; what waits goes on waiting.
        """
        try:
            ledger = self._open_ledger()
        except AuditError as err:
            if err.code == "ledger.in_use":
                return
            raise
        try:
            if self._spool.waiting():
                ledger.append(Visit(who=self._who))
                self._spool.take(ledger.take, ledger.make_durable)
        finally:
            ledger.close()
