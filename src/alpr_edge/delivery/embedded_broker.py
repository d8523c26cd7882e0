"""A small MQTT broker inside the process, for the demo and for tests: amqtt on the loopback.

Not for service: it keeps nothing on disk, admits anyone on the machine, and speaks MQTT 3.1.1 only.
The link falls back by itself, but amqtt 0.12.1 leaves a CONNECT of MQTT 5 with a will unanswered
(seen 2026-11), so that takes `times.connect`: set `protocol="3.1.1"` to connect at once.
Comes with the extra `demo`.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import logging
import socket
import threading
import weakref
from types import TracebackType
from typing import Any

from alpr_edge.errors import PublishError

_HOST = "127.0.0.1"
_START_S = 10.0
_STOP_S = 10.0


class EmbeddedBroker:
    """Context manager: inside it, a broker listens on `host`:`port`, in a thread of its own."""

    host = _HOST

    def __init__(self, port: int = 0) -> None:
        """Nothing is opened yet.

        Args:
            port: 0 takes a free one.
        """
        self.port = port
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="embedded-broker", daemon=True)

    def __enter__(self) -> EmbeddedBroker:
        """Start.

        Raises:
            PublishError: amqtt is missing, or the port is taken (`delivery.broker.*`).
        """
        if importlib.util.find_spec("amqtt") is None:
            raise PublishError(
                "the embedded broker needs amqtt",
                code="delivery.broker.missing",
                hint="pip install 'alpr-edge[demo]'",
            )
        # amqtt logs whole messages at DEBUG: no plate may reach a log, whatever the root's level.
        for name in ("amqtt", "transitions"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        self.port = self.port or _free_port()
        self._thread.start()
        if not self._ready.wait(_START_S) or self._failure is not None:
            raise PublishError(
                f"the embedded broker did not start on {_HOST}:{self.port}",
                code="delivery.broker.start",
                hint="choose another port",
            ) from self._failure
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop; clients see the connection end."""
        if self._loop is not None and self._stop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(_STOP_S)

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except Exception as err:  # noqa: BLE001 - the thread's outermost loop; __enter__ raises it
            self._failure = err
            self._ready.set()

    async def _serve(self) -> None:
        from amqtt.broker import Broker  # type: ignore[import-untyped]

        config: dict[str, Any] = {
            "listeners": {"default": {"type": "tcp", "bind": f"{_HOST}:{self.port}"}},
            "plugins": {
                "amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}
            },
        }
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        broker = Broker(config)
        # amqtt 0.12.1 leaves connections open that never finished their CONNECT: we close them.
        taken: weakref.WeakSet[asyncio.StreamWriter] = weakref.WeakSet()
        accept = broker.stream_connected

        async def accept_noted(
            reader: asyncio.StreamReader, writer: asyncio.StreamWriter, listener_name: str
        ) -> None:
            taken.add(writer)
            await accept(reader, writer, listener_name)

        broker.stream_connected = accept_noted
        await broker.start()
        self._ready.set()
        await self._stop.wait()
        await broker.shutdown()
        for writer in list(taken):
            writer.close()
            with contextlib.suppress(OSError, asyncio.TimeoutError):
                await asyncio.wait_for(writer.wait_closed(), 1.0)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        return int(probe.getsockname()[1])
