"""The city's side of a bench: keys, persons, certificates, broker, configuration, signed masks.

All of it is made anew for every run, in the run's own folder, and is worth nothing outside it.
`provision` gives what a unit gets before it is commissioned, as one tar file.
"""

from __future__ import annotations

import io
import json
import os
import socket
import subprocess
import tarfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
from hil_tests.bench.programs import alpr_edge, program, run_many
from hil_tests.bench.verdict import BenchError
from paho.mqtt.enums import CallbackAPIVersion

PREFIX = "bench/alpr"
CONFIG = """\
# Written by the bench.
[device]
id = "{unit}"
site = "the bench"
camera = "mast-1"

[source]
kind = "video"
path = "{data}/street.avi"
realtime = {realtime}
loop = true
width = 1280
height = 720

[exclusion]
mask_store = "{data}/masks"
hold_s = {hold_s}
{exclusion}

[recogniser]
min_confidence = 0.3

[tracker]
min_sightings = 2

[mqtt]
host = "{host}"
port = {port}
topic_prefix = "{prefix}"
settle_on = "receipt"
content_mode = "structured"
{mqtt}
[mqtt.tls]
ca = "{etc}/tls/ca.pem"
cert = "{etc}/tls/device.pem"
key = "{etc}/tls/device.key"

[health]
every_s = 5.0

[site]
{site}

[ledger]
path = "{data}/ledger"
identity = "{data}/identity"

[outbox]
path = "{data}/outbox.sqlite3"

[run]
on_stop = "idle"
status_file = "{run}/status.json"
threads = 2

[trust]
city_keys = "{etc}/city-keys"
persons = "{etc}/persons.json"
identity = "{data}/identity"

[clock]
accept = "{clock}"
{more}"""


NO_SITE = "required = false"
"""The bench's street lies on no map: no register applies, and the city signs that."""


@dataclass(frozen=True)
class Places:
    """Where things lie on the unit, and how it reaches the bench."""

    etc: str = "/etc/alpr-edge"
    data: str = "/var/lib/alpr-edge"
    run: str = "/run/alpr-edge"
    host: str = "127.0.0.1"
    port: int = 8883
    clock: str = "rtc"
    realtime: bool = False
    hold_s: float = 1.0
    owner: int = 0
    more: str = ""
    mqtt: str = ""
    exclusion: str = ""
    site: str = NO_SITE


def free_port() -> int:
    """A TCP port of this machine that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class City:
    """See the module's docstring.

    Args:
        folder: empty; everything goes there.
        hosts: names under which units reach the broker.
    """

    def __init__(self, folder: Path, unit: str, hosts: Sequence[str]) -> None:
        self.folder, self.unit = folder, unit
        self.ca = folder / "ca"
        self._number = 0
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        names = ("city", "anna", "ben")
        provision, new = "scripts/provision", ("alpr-edge", "keys", "new", "--out")
        said = run_many(
            [
                (provision, "ca", self.ca),
                (provision, "broker", self.ca, *(x for host in hosts for x in ("--host", host))),
                (provision, "device", self.ca, unit),
                (provision, "app", self.ca, "bench"),
                (
                    *(provision, "mosquitto", self.ca, "--port", str(self.port)),
                    *("--address", "127.0.0.1", "--prefix", PREFIX),
                ),
                *((*new, folder / f"{name}.key") for name in names),
            ]
        )
        self.public = dict(zip(names, map(_public_key, said[-3:]), strict=True))
        self.persons = self._persons({"anna": "technician", "ben": "supervisor"}, self.public)

    def _persons(self, roles: dict[str, str], keys: dict[str, str]) -> Path:
        self._number += 1
        out = self.folder / f"persons-{self._number}.json"
        listed = [f"{name}:{role}:{keys[name]}" for name, role in roles.items()]
        alpr_edge(
            *("keys", "persons", "--number", str(self._number), "--out", out),
            *("--key", self.folder / "city.key"),
            *(x for one in listed for x in ("--person", one)),
        )
        return out

    def list_console_users(self, people: dict[str, tuple[str, str]]) -> bytes:
        """The list of persons anew, with keys that the unit made: name → role, public key."""
        roles = {name: role for name, (role, _) in people.items()}
        keys = {name: key for name, (_, key) in people.items()}
        return self._persons(roles, keys).read_bytes()

    # --- what a unit gets --------------------------------------------------------------------

    def configure(self, places: Places, number: int = 1) -> dict[str, bytes]:
        """Configuration and its signature, by path below the unit's `etc`."""
        text = CONFIG.format(
            unit=self.unit,
            prefix=PREFIX,
            realtime=str(places.realtime).lower(),
            **{k: v for k, v in vars(places).items() if k not in ("realtime", "owner")},
        )
        file = self.folder / "device.toml"
        file.write_text(text)
        alpr_edge(
            "config", "sign", file, "--number", str(number), "--key", self.folder / "city.key"
        )
        sig = file.with_name("device.toml.sig")
        return {"device.toml": text.encode(), "device.toml.sig": sig.read_bytes()}

    def premises(self, register: Path) -> bytes:
        """A register of protected premises, signed."""
        out = self.folder / "premises.json"
        out.unlink(missing_ok=True)
        alpr_edge("premises", "sign", register, "--key", self.folder / "city.key", "--out", out)
        return out.read_bytes()

    def provision(self, places: Places, videos: Sequence[Path], out: Path) -> Path:
        """A tar file with all that a unit has before it is commissioned; `videos` to its data."""
        device = self.ca / "devices" / self.unit
        etc: dict[str, bytes] = {
            **self.configure(places),
            "city-keys": f"{self.public['city']}\n".encode(),
            "persons.json": self.persons.read_bytes(),
            "tls/ca.pem": (self.ca / "ca.pem").read_bytes(),
            "tls/device.pem": (device / "device.pem").read_bytes(),
            "tls/device.key": (device / "device.key").read_bytes(),
        }
        with tarfile.open(out, "w") as tar:
            for folder in (places.etc, f"{places.etc}/tls", places.data):
                _add(tar, folder, None, places.owner)
            for name, data in etc.items():
                _add(tar, f"{places.etc}/{name}", data, places.owner)
            for video in videos:
                _add(tar, f"{places.data}/{video.name}", video.read_bytes(), places.owner)
        return out

    # --- masks -------------------------------------------------------------------------------

    def sign_masks(self, masks: dict[str, Any], places: Places, **how: Any) -> bytes:
        """A mask record for the unit.

        Args:
            how: `frame` (width, height), `number`, `previous` (digest), `by`: names of keys.
        """
        file, out = self.folder / "masks.json", self.folder / "record.json"
        file.write_text(json.dumps(masks))
        first, *others = how.get("by", ("anna", "ben"))
        width, height = how["frame"]
        more = ["--previous", how["previous"]] if how.get("previous") else []
        config = self.folder / "device.toml"
        out.unlink(missing_ok=True)
        alpr_edge(
            *("masks", "sign", file, "--config", config, "--frame", f"{width}x{height}"),
            *(x for name in (first, *others) for x in ("--author", name)),
            *("--number", str(how["number"]), *more, "--reason", "bench"),
            *("--key", self.folder / f"{first}.key", "--out", out),
        )
        for name in others:
            alpr_edge(
                *("masks", "countersign", out, "--config", config),
                *("--key", self.folder / f"{name}.key"),
            )
        return out.read_bytes()


def _public_key(text: str) -> str:
    found = [word for word in text.split() if word.startswith("ed25519:")]
    if not found:
        raise BenchError(f"no public key in {text!r}", code="bench.setup", hint="keys new")
    return found[0]


def _add(tar: tarfile.TarFile, path: str, data: bytes | None, owner: int) -> None:
    info = tarfile.TarInfo(path.lstrip("/"))
    info.uid = info.gid = owner
    info.mtime = int(time.time())
    if data is None:
        info.type, info.mode = tarfile.DIRTYPE, 0o755
        tar.addfile(info)
        return
    info.size, info.mode = len(data), 0o600 if path.endswith(".key") else 0o644
    tar.addfile(info, io.BytesIO(data))


# --- the broker ------------------------------------------------------------------------------


class Broker:
    """A real mosquitto with mutual TLS and the ACL of `scripts/provision`, and an application on it
    that keeps reads and answers with receipts.

    Attributes:
        reads, states: the messages' documents, in the order in which they came.
    """

    def __init__(self, city: City) -> None:
        self._city, self.port = city, city.port
        self._process: subprocess.Popen[bytes] | None = None
        self._client: paho.Client | None = None
        self._lock = threading.Lock()
        self._ids: dict[str, float] = {}
        self.reads: list[dict[str, Any]] = []
        self.states: list[dict[str, Any]] = []
        self.raw = b""
        self.is_receipting = True
        self.repeats = 0
        conf = city.ca / "mosquitto.conf"
        if os.geteuid() == 0:
            with conf.open("a") as file:
                file.write("user root\n")
        (city.ca / "state").mkdir(exist_ok=True)

    def start(self) -> None:
        """Start it and the application.

        Raises:
            BenchError: `bench.broker`: it does not come up.
        """
        log = (self._city.folder / "mosquitto.log").open("ab")
        with log:
            self._process = subprocess.Popen(
                [program("mosquitto", "mosquitto"), "-c", self._city.ca / "mosquitto.conf"],
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
            )
        end = time.monotonic() + 30
        while time.monotonic() < end:
            try:
                with socket.create_connection(("127.0.0.1", self.port), 1):
                    break
            except OSError:
                time.sleep(0.1)
        else:
            raise BenchError("mosquitto does not listen", code="bench.broker", hint="mosquitto.log")
        if self._client is None:
            self._join()

    def _join(self) -> None:
        app = self._city.ca / "apps" / "bench"
        joined = threading.Event()
        client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id="app-bench", clean_session=False
        )
        client.tls_set(str(self._city.ca / "ca.pem"), str(app / "app.pem"), str(app / "app.key"))
        client.on_connect = lambda c, *_: c.subscribe(
            [(f"{PREFIX}/+/reads", 1), (f"{PREFIX}/+/state", 1)]
        )
        client.on_subscribe = lambda *_: joined.set()
        client.on_message = lambda _c, _d, message: self._take(message)
        client.reconnect_delay_set(1, 2)
        client.connect_async("127.0.0.1", self.port)
        client.loop_start()
        self._client = client
        if not joined.wait(30):
            raise BenchError("nobody hears the broker", code="bench.broker", hint="mosquitto.log")

    def _take(self, message: paho.MQTTMessage) -> None:
        with self._lock:
            self.raw += message.payload
        try:
            document = json.loads(message.payload)
        except ValueError:
            return
        if not message.topic.endswith("/reads"):
            self.states.append(document)
            return
        data = document.get("data", document)
        event_id = document.get("id") or data.get("id")
        properties = getattr(message, "properties", None)
        for name, value in getattr(properties, "UserProperty", None) or []:
            event_id = value if name == "id" else event_id
        if event_id in self._ids:
            self.repeats += 1
        else:
            self._ids[str(event_id)] = released_at(str(event_id))
            self.reads.append(data)
        if self.is_receipting and self._client is not None:
            topic = message.topic.removesuffix("reads") + "receipts"
            self._client.publish(topic, json.dumps({"ids": [event_id]}), qos=1)

    def released_between(self, begin: float, end: float) -> int:
        """How many reads came that the unit released in that time, by its own clock."""
        return sum(begin <= at <= end for at in self._ids.values())

    @property
    def plates(self) -> list[str]:
        """Plates of all reads so far, each once."""
        return sorted({str(read["plate"]) for read in self.reads})

    def kill(self) -> None:
        """As a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(30)
            self._process = None

    def close(self) -> None:
        """End it all."""
        if self._client is not None:
            self._client.disconnect()
            self._client.loop_stop()
            self._client = None
        self.kill()


def released_at(event_id: str) -> float:
    """Seconds since 1970 in an event's id. Source: RFC 9562, section 5.7 (UUID version 7)."""
    try:
        return int(event_id.replace("-", "")[:12], 16) / 1000
    except ValueError:
        return 0.0


# --- the link --------------------------------------------------------------------------------


@dataclass
class Link:
    """A TCP relay between unit and broker that can be cut, stalled and slowed: the link's faults.

    Attributes:
        port: where the unit connects.
        connections: how many were taken so far.
    """

    target: int
    address: str = "127.0.0.1"
    port: int = 0
    connections: int = 0
    _state: str = "up"
    _delay_s: float = 0.0
    _pairs: list[tuple[socket.socket, socket.socket]] = field(default_factory=list)
    _over: threading.Event = field(default_factory=threading.Event)
    _server: socket.socket | None = None
    _threads: list[threading.Thread] = field(default_factory=list)

    def start(self) -> None:
        """Begin to take connections."""
        self._server = socket.create_server((self.address, self.port))
        self._server.settimeout(0.2)
        self.port = self._server.getsockname()[1]
        self._begin(self._accept)

    def _begin(self, target: Any, *arguments: Any) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        assert self._server is not None
        while not self._over.is_set():
            try:
                unit, _ = self._server.accept()
            except (TimeoutError, OSError):
                continue
            try:
                if self._state == "cut":
                    raise OSError("cut")
                broker = socket.create_connection(("127.0.0.1", self.target), 5)
            except OSError:
                unit.close()
                continue
            self.connections += 1
            self._pairs.append((unit, broker))
            self._begin(self._carry, unit, broker)
            self._begin(self._carry, broker, unit)

    def _carry(self, source: socket.socket, sink: socket.socket) -> None:
        source.settimeout(0.2)
        try:
            while not self._over.is_set():
                if self._state == "stalled":
                    self._over.wait(0.1)
                    continue
                try:
                    data = source.recv(65536)
                except TimeoutError:
                    continue
                if not data:
                    break
                if self._delay_s:
                    self._over.wait(self._delay_s)
                sink.sendall(data)
        except OSError:
            pass
        for end in (source, sink):
            end.close()

    def fault(self, kind: str, *, delay_s: float = 0.0) -> None:
        """`up`, `cut` (connections end, none is taken), `stalled` (nothing moves), `slow`."""
        if kind not in ("up", "cut", "stalled", "slow"):
            raise ValueError(f"no such fault: {kind}")
        self._state, self._delay_s = kind, delay_s if kind == "slow" else 0.0
        if kind == "cut":
            for pair in self._pairs:
                for end in pair:
                    end.close()
            self._pairs.clear()

    def close(self) -> None:
        """End it."""
        self._over.set()
        self.fault("cut")
        if self._server is not None:
            self._server.close()
        for thread in self._threads:
            thread.join(5)
