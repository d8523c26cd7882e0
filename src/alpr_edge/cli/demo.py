"""`alpr-edge demo`: the whole way on the simulated street, with a broker of its own.

It runs the same service as a device. What is judged at the end is what arrived at the broker, read
back by a subscriber, against the street's ground truth.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alpr_edge.errors import AlprEdgeError, ConfigError

if TYPE_CHECKING:
    from alpr_edge.config.models import DeviceConfig
    from alpr_edge.simulator.street import Street
    from alpr_edge.trust.keys import PrivateKey, PublicKey
    from alpr_edge.wiring.signed_config import SignatureCheck

_EPILOG = """\
examples:
  alpr-edge demo
  alpr-edge demo --light night --seed 3
  alpr-edge demo --plain --out /tmp/demo

Files in --out: demo.json (the score), demo.png and demo.mp4 (annotated), reads.jsonl (the events).
"""


def register(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "demo",
        help="the whole way, without hardware",
        description="Simulated street, masks, models, tracks, gate, MQTT broker, score: a minute.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder for results (out)")
    parser.add_argument("--seed", type=int, default=7, help="which street (7)")
    parser.add_argument("--light", choices=["day", "dusk", "night", "rain"], default="day")
    parser.add_argument("--seconds", type=float, default=36.0, help="seconds of street (36)")
    parser.add_argument("--plain", action="store_true", help="no live view")
    parser.set_defaults(call=call)


def call(args: argparse.Namespace) -> int:
    """Run the demo; 3 if anything leaked, which must never happen."""
    _check_extras()
    from alpr_edge.cli.annotate import Recorder
    from alpr_edge.cli.demo_view import LiveView, final_table
    from alpr_edge.delivery.embedded_broker import EmbeddedBroker
    from alpr_edge.simulator.virtual_camera import StreetCamera
    from alpr_edge.wiring.device import make_service

    _make_folder(args.out)
    began = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="alpr-edge-demo-") as scratch,
        EmbeddedBroker() as broker,
    ):
        street = _street(args)
        config, check = _unit(args, street, broker.port, Path(scratch))
        camera = StreetCamera(street, start=_now())
        subscriber = Subscriber(broker.port, config.mqtt.topic_prefix)
        view = LiveView(street.config.frame_count, plain=args.plain or not sys.stdout.isatty())
        with Recorder(args.out, street.config.fps, street.mask_polygons()) as recorder, view:

            def observe(result: Any, events: Any) -> None:
                recorder.take(result, events)
                view.take(result, subscriber.events)

            service = make_service(config, check, observer=observe, source=camera)
            waiting = service.run()
            subscriber.wait_for(service.tally.published)
            view.finish(subscriber.events, service.tally.drops)
        subscriber.close()
    result = _score(street, camera, subscriber.events)
    _write(args.out, result, subscriber.events)
    final_table(result, service.tally, time.monotonic() - began, args.out, waiting)
    return 3 if result["leaked"] else 0


class Subscriber:
    """Collects every read that arrives at the broker and answers with receipts, as an application
    would. Takes reads in both CloudEvents modes."""

    def __init__(self, port: int, prefix: str) -> None:
        import paho.mqtt.client as mqtt
        from paho.mqtt.enums import CallbackAPIVersion

        self.events: list[dict[str, Any]] = []
        self._seen: set[str] = set()
        self._client = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id="demo-view", protocol=mqtt.MQTTv311
        )
        self._client.on_connect = lambda client, *_: client.subscribe(f"{prefix}/+/reads", qos=1)
        self._client.on_message = lambda _client, _data, message: self._take(message)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def _take(self, message: Any) -> None:
        from alpr_edge.delivery.receipts import make_receipt

        event = json.loads(message.payload)
        if "specversion" not in event:
            event = {"id": event["id"], "data": event}
        # At least once on the wire: the id tells a repeat.
        if event["id"] not in self._seen:
            self._seen.add(event["id"])
            self.events.append(event)
        topic = message.topic.removesuffix("reads") + "receipts"
        self._client.publish(topic, make_receipt([event["id"]]), qos=1)

    def wait_for(self, count: int, timeout_s: float = 5.0) -> None:
        """Wait until that many have come, or for the time given."""
        end = time.monotonic() + timeout_s
        while len(self.events) < count and time.monotonic() < end:
            time.sleep(0.05)

    def close(self) -> None:
        """Disconnect."""
        self._client.disconnect()
        self._client.loop_stop()


def _check_extras() -> None:
    missing = [name for name in ("rich", "amqtt") if find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"the demo needs {' and '.join(missing)}",
            code="demo.extra",
            hint="pip install 'alpr-edge[demo]', or `make demo` in a checkout",
        )


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as err:
        raise ConfigError(
            f"{folder} cannot be made: {err.strerror}", code="demo.out", hint="choose another --out"
        ) from err


def _now() -> Any:
    from datetime import UTC, datetime

    return datetime.now(UTC)


def _street(args: argparse.Namespace) -> Street:
    from alpr_edge.simulator.light import Light
    from alpr_edge.simulator.street import Street, StreetConfig

    try:
        return Street(
            StreetConfig(seed=args.seed, fps=12.0, duration_s=args.seconds, light=Light(args.light))
        )
    except ValueError as err:
        raise ConfigError(str(err), code="demo.street") from err


def _unit(
    args: argparse.Namespace, street: Street, port: int, scratch: Path
) -> tuple[DeviceConfig, SignatureCheck]:
    """A unit on this street, provisioned like any other: keys, a signed configuration and signed
    masks, made now and gone with the folder. Only its clock is taken as it is."""
    from alpr_edge.trust.documents import DocumentType
    from alpr_edge.trust.envelope import sign_file
    from alpr_edge.trust.keys import PrivateKey
    from alpr_edge.wiring.signed_config import load_config

    city = PrivateKey.generate()
    keys, file = scratch / "city-keys", scratch / "demo.toml"
    text = f"""
        [device]
        id = "demo"
        site = "simulated street"
        [source]
        kind = "street"
        seed = {args.seed}
        light = "{args.light}"
        [exclusion]
        mask_store = "masks"
        hold_s = 2.0
        [mqtt]
        host = "127.0.0.1"
        port = {port}
        protocol = "3.1.1"
        [outbox]
        path = "outbox.sqlite3"
        [site]
        required = false
        [trust]
        city_keys = "city-keys"
        [clock]
        accept = "assumed"
        [run]
        log_level = "error"
    """
    keys.write_text(f"{city.public}\n")
    file.write_text(text)
    Path(f"{file}.sig").write_bytes(sign_file(DocumentType.CONFIG, text.encode(), city, number=1))
    config, check = load_config(file, anchor=keys)
    _commission(config, street, city, check.keys)
    return config, check


def _commission(
    config: DeviceConfig, street: Street, city: PrivateKey, keys: tuple[PublicKey, ...]
) -> None:
    from datetime import timedelta

    from alpr_edge.authority.record import MaskRecord, record_payload
    from alpr_edge.authority.rules import Unit
    from alpr_edge.simulator.scene import zone_set
    from alpr_edge.trust.documents import DocumentType
    from alpr_edge.trust.envelope import sign
    from alpr_edge.trust.keyring import Keyring
    from alpr_edge.wiring.guard import make_mask_store

    now = _now()
    record = MaskRecord(
        1,
        config.device.id,
        config.device.camera,
        (street.config.width_px, street.config.height_px),
        zone_set(street.camera),
        valid_from=now - timedelta(days=1),
        authors=("the demo",),
    )
    make_mask_store(config).commit(
        sign(DocumentType.MASK_RECORD, record_payload(record), city),
        Keyring(keys),
        Unit(
            config.device.id,
            config.device.camera,
            config.exclusion.band,
            config.exclusion.reference_file is not None,
        ),
        confirm_before=now,
        now=now,
    )


def _score(street: Street, camera: Any, events: list[dict[str, Any]]) -> dict[str, int]:
    from datetime import datetime

    from alpr_edge.simulator.score import score

    def seconds(stamp: str) -> float:
        return float(camera.seconds(datetime.fromisoformat(stamp)))

    published = [
        (e["data"]["plate"], seconds(e["data"]["first_seen"]), seconds(e["data"]["last_seen"]))
        for e in events
    ]
    return asdict(score(street.summary(), published))


def _write(folder: Path, result: dict[str, int], events: list[dict[str, Any]]) -> None:
    try:
        (folder / "demo.json").write_text(json.dumps(result, indent=2) + "\n")
        lines = "".join(json.dumps(event) + "\n" for event in events)
        (folder / "reads.jsonl").write_text(lines)
    except OSError as err:
        raise AlprEdgeError(f"{folder} cannot be written: {err.strerror}", code="demo.out") from err
