"""What one read costs: bytes on the link and CPU, by encoding, plain and with mutual TLS.

    python -m bench.cost [--events 500]      (root, for a network namespace of its own; mosquitto)

Bytes are those of the loopback interface, TCP and IP headers and acknowledgements included, between
device and broker only. CPU is that of the whole device side: event, encryption, disk, MQTT.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "delivery"))
from delivery_samples import sample_event

from alpr_edge.delivery import foreign
from alpr_edge.delivery.courier import Courier, CourierSettings
from alpr_edge.delivery.encoding import Encode, cloudevents
from alpr_edge.delivery.health import Health
from alpr_edge.delivery.mqtt import MqttLink
from alpr_edge.delivery.mqtt_settings import MqttSettings, TlsFiles
from alpr_edge.delivery.outbox import Outbox
from alpr_edge.delivery.port import Phase, Topics

ROOT = Path(__file__).resolve().parents[1]
PORT, TLS_PORT = 1883, 8883


def lo_bytes() -> int:
    """Bytes that the loopback interface has carried."""
    line = next(x for x in Path("/proc/net/dev").read_text().splitlines() if "lo:" in x)
    return int(line.split()[1])


def cost(encode: Encode, settings: MqttSettings, folder: Path, events: int) -> dict[str, float]:
    """Averages over so many reads, one at a time, as traffic comes."""
    link = MqttLink(settings)
    outbox = Outbox(folder / "outbox.db")
    courier = Courier(
        outbox,
        link,
        encode,
        health=Health("cost", time.monotonic()),
        settings=CourierSettings(settle_on="puback", health_every_s=3600),
    )
    courier.start()
    while link.state.phase is not Phase.CONNECTED:
        time.sleep(0.05)
    time.sleep(0.5)
    before, cpu, written = lo_bytes(), time.process_time(), outbox.counts.written_bytes
    for _ in range(events):
        courier.submit(sample_event())
        while outbox.counts.rows:
            time.sleep(0.0005)
    found = {
        "bytes_on_the_link": round((lo_bytes() - before) / events),
        "device_cpu_ms": round(1000 * (time.process_time() - cpu) / events, 2),
        "flash_bytes": round((outbox.counts.written_bytes - written) / events),
    }
    courier.close(1.0)
    return found


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=500)
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    wanted = parser.parse_args()
    if not wanted.inside:
        inside = [sys.executable, "-m", "bench.cost", *sys.argv[1:], "--inside"]
        sys.exit(subprocess.run(["unshare", "--net", *inside], check=False).returncode)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    topics = Topics("cam-0001")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for words in ("ca", "broker --host localhost", "device cam-0001"):
            verb, *rest = words.split()
            command = [sys.executable, "scripts/provision", verb, name]
            command += rest if verb != "device" else ["cam-0001"]
            subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        config = folder / "both.conf"
        config.write_text(
            f"user root\nper_listener_settings true\nlistener {PORT} 127.0.0.1\n"
            f"allow_anonymous true\nlistener {TLS_PORT} 127.0.0.1\ncafile {name}/ca.pem\n"
            f"certfile {name}/broker.pem\nkeyfile {name}/broker.key\nrequire_certificate true\n"
            "use_identity_as_username true\n"
        )
        broker = subprocess.Popen(["/usr/sbin/mosquitto", "-c", str(config)],
                                  stderr=subprocess.DEVNULL)  # fmt: skip
        time.sleep(1.0)
        place = folder / "devices" / "cam-0001"
        tls = TlsFiles(folder / "ca.pem", place / "device.pem", place / "device.key")
        plain: dict[str, Any] = {"host": "127.0.0.1", "port": PORT, "topics": topics}
        secure: dict[str, Any] = {
            "host": "localhost",
            "port": TLS_PORT,
            "topics": topics,
            "tls": tls,
        }
        runs: list[tuple[str, Encode, dict[str, Any]]] = [
            ("cloudevents, MQTT 5, TLS", cloudevents(topics), {**secure, "protocol": "5"}),
            ("cloudevents, MQTT 5", cloudevents(topics), {**plain, "protocol": "5"}),
            ("cloudevents, MQTT 3.1.1", cloudevents(topics), {**plain, "protocol": "3.1.1"}),
            ("minimal, MQTT 5, TLS", foreign.minimal(topics), {**secure, "protocol": "5"}),
        ]
        found = {
            label: cost(encode, MqttSettings(**settings), folder / str(n), wanted.events)
            for n, (label, encode, settings) in enumerate(runs)
        }
        broker.terminate()
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
