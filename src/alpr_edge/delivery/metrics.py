"""Health as Prometheus text, on a port of this machine only.

It tells what `health` tells, no more: no plate, suppressions coarse. It opens nothing but the one
listener on 127.0.0.1, answers GET /metrics and nothing else, and never holds a thread for long.

Source: Prometheus exposition formats, text format 0.0.4, as prometheus-client writes it.
"""

from __future__ import annotations

import http.server
import threading
from collections.abc import Callable, Iterable
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

from alpr_edge.delivery import wire
from alpr_edge.errors import PublishError

_HOST = "127.0.0.1"
_PATIENCE_S = 5.0
_PHASES = ("idle", "connecting", "connected", "waiting", "closed")


class _Collector:
    def __init__(self, state: wire.State) -> None:
        self._state = state

    def collect(self) -> Iterable[Metric]:
        """Every metric of one health document."""
        state = self._state
        for name, text, value in (
            ("uptime_seconds", "Since the start of the service.", state["uptime_s"]),
            ("frames_per_second", "Over the last complete minute.", state["frames_per_s"]),
            ("outbox_pending", "Events on disk.", state["pending"]),
            ("outbox_pending_in_memory", "Events not on disk.", state["pending_in_memory"]),
            ("outbox_oldest_seconds", "Age of the oldest event.", state["queue_age_s"]),
            ("temperature_celsius", "The hottest sensor.", state["host"]["temperature_c"]),
            ("disk_free_bytes", "Where the outbox lies.", state["host"]["disk_free_bytes"]),
            ("clock_believed", "1 if a time source disciplines it.",
             int(state["host"]["clock_believed"])),
            ("certificate_days_left", "Of the device's certificate.",
             state["host"]["certificate_days_left"]),
        ):  # fmt: skip
            if value is not None:
                yield GaugeMetricFamily(f"alpr_edge_{name}", text, value)
        for name, text, count in (
            ("published", "Events given to a broker, repeats included.", state["published"]),
            ("settled", "Events delivered and deleted.", state["settled"]),
            ("refused", "Publishes that a broker refused.", state["refused"]),
            ("flash_written_bytes", "Written by the outbox.",
             state["host"]["flash_written_bytes"]),
        ):  # fmt: skip
            yield CounterMetricFamily(f"alpr_edge_{name}", text, count)
        lost = CounterMetricFamily("alpr_edge_lost", "Will not arrive.", labels=["cause"])
        for cause, lost_count in dict[str, Any](state["lost"]).items():
            lost.add_metric([cause], lost_count)
        yield lost
        errors = CounterMetricFamily("alpr_edge_errors", "By stable code.", labels=["code"])
        for code, error_count in state["errors"].items():
            errors.add_metric([code], error_count)
        yield errors
        yield from self._labelled()

    def _labelled(self) -> Iterable[Metric]:
        state = self._state
        phase = GaugeMetricFamily(
            "alpr_edge_link_phase", "1 for the present one.", labels=["phase"]
        )
        for one in _PHASES:
            phase.add_metric([one], int(state["link"]["phase"] == one))
        yield phase
        drops = GaugeMetricFamily(
            "alpr_edge_suppressed_last_hour_at_most",
            "Tracks suppressed in the last complete hour: an upper bound, a power of two.",
            labels=["reason"],
        )
        for reason, most in (state["suppressed_last_hour_at_most"] or {}).items():
            drops.add_metric([reason], most)
        yield drops
        info = GaugeMetricFamily(
            "alpr_edge_info",
            "What runs.",
            labels=["software", "config", "models", "mask", "protocol", "link_code"],
        )
        versions, link = state["versions"], state["link"]
        info.add_metric(
            [
                versions["software"],
                versions["config"],
                versions["models"],
                versions["mask"],
                link["protocol"],
                link["code"],
            ],
            1,
        )
        yield info


def exposition(state: wire.State) -> bytes:
    """The health document in Prometheus' text format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(state))
    return generate_latest(registry)


class MetricsServer:
    """Serves `exposition` on 127.0.0.1 in a thread of its own."""

    def __init__(self, port: int, state: Callable[[], wire.State]) -> None:
        """Listen at once.

        Args:
            port: 0 takes a free one; see `port`.
            state: gives the health document; called for each request.

        Raises:
            PublishError: the port is taken (`delivery.metrics.port`).
        """

        class Handler(http.server.BaseHTTPRequestHandler):
            timeout = _PATIENCE_S

            def do_GET(self) -> None:
                if self.path != "/metrics":
                    self.send_error(404)
                    return
                body = exposition(state())
                self.send_response(200)
                self.send_header("Content-Type", CONTENT_TYPE_PLAIN_0_0_4)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing: a scrape every few seconds is no news."""

        try:
            self._server = http.server.ThreadingHTTPServer((_HOST, port), Handler)
        except OSError as err:
            raise PublishError(
                f"metrics cannot be served on {_HOST}:{port}: {err.strerror}",
                code="delivery.metrics.port",
                hint="choose another health.metrics_port, or 0 for none",
            ) from err
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(
            target=self._server.serve_forever, name="metrics", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stop. Safe to call twice."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
