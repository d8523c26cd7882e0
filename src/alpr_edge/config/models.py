"""The frozen configuration of a device, one model per section of its TOML file.

Ranges live here, beside the fields; `parse` turns every violation into a line for people. Nothing
here reads a file, resolves a name or looks at the environment: paths stay as written (`FilePath`),
secrets are only ever named. Rules:

- Unknown keys are refused, nothing is converted (`"5"` is not 5), every value is frozen.
- A field that can weaken exclusion has no default (`exclusion.mask_store`) or a safe one.
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    ValidationInfo,
    model_validator,
)

from alpr_edge.config import rules


@dataclass(frozen=True, slots=True)
class FilePath:
    """A path as written in a configuration, and the folder it is relative to.

    Is an `os.PathLike`: give it to `open` or `Path`. Only `written` enters the digest, so that a
    configuration keeps its digest wherever it is installed.
    """

    written: str
    folder: str = ""

    def __fspath__(self) -> str:
        return posixpath.join(self.folder, self.written)

    def __str__(self) -> str:
        return self.__fspath__()


def _file_path(value: Any, info: ValidationInfo) -> FilePath:
    if isinstance(value, FilePath):
        return value
    if not isinstance(value, str):
        raise ValueError("must be a path in quotes")
    if not value or "\0" in value or len(value) > 1024:
        raise ValueError("must be a path of 1 to 1024 characters")
    folder = (info.context or {}).get("folder", "")
    return FilePath(value, folder)


def _model_file(value: Any, info: ValidationInfo) -> FilePath | Literal["default"]:
    return "default" if value == "default" else _file_path(value, info)


def _written(value: FilePath | str) -> str:
    return value.written if isinstance(value, FilePath) else value


PathField = Annotated[
    FilePath, PlainValidator(_file_path), PlainSerializer(_written, return_type=str)
]
ModelField = Annotated[
    FilePath | Literal["default"],
    PlainValidator(_model_file),
    PlainSerializer(_written, return_type=str),
]
"""`default` is the model that was shipped; anything else is the path of an ONNX file."""

Fraction = Annotated[float, Field(ge=0, le=1)]
Precision = Annotated[float | str, PlainValidator(rules.precision)]
Threads = Annotated[int, Field(ge=0, le=64)]
FrameWidth = Annotated[int, Field(ge=64, le=8192)]
FrameHeight = Annotated[int, Field(ge=64, le=8192)]
ModelSide = Annotated[int, Field(ge=32, le=4096), AfterValidator(rules.multiple_of_32)]
Backoff = Annotated[float, Field(ge=0.05, le=300)]
TimeOut = Annotated[float, Field(ge=0.1, le=60)]
Name = Annotated[str, Field(min_length=1, max_length=128), AfterValidator(rules.printable)]
GpioName = Annotated[str, Field(min_length=1, max_length=31), AfterValidator(rules.printable)]
"""Source: kernel include/uapi/linux/gpio.h, GPIO_MAX_NAME_SIZE: 32 bytes with the zero."""
Ident = Annotated[str, AfterValidator(rules.identifier)]
EnvName = Annotated[str, AfterValidator(rules.environment_name)]


class Section(BaseModel):
    """What all sections share: frozen, strict, no unknown keys, no input in pydantic's errors."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        allow_inf_nan=False,
        hide_input_in_errors=True,
        use_attribute_docstrings=False,
        protected_namespaces=(),
    )


class Device(Section):
    """[device]: who this is. All three appear in every event."""

    id: Ident
    """Unique in the fleet; letters, digits, `-`, `_`, `.`; at most 64."""
    site: Name
    """Where the unit stands, for people."""
    camera: Ident = "cam0"
    """Name of the view, when a unit has several."""


class VideoSource(Section):
    """[source] kind = "video": a video file, every frame once."""

    kind: Literal["video"]
    path: PathField
    """The file."""
    fps: Annotated[float, Field(gt=0, le=240)] | None = None
    """Frames per second; without it the file's own."""
    realtime: bool = False
    """Wait for each frame's time, as a camera would, instead of going as fast as possible."""
    loop: bool = False
    """Begin again at the end."""
    width: FrameWidth | None = None
    """Pixels. With `height`: frames of any other size are refused."""
    height: FrameHeight | None = None
    """Pixels."""


class FolderSource(Section):
    """[source] kind = "folder": photos of a folder in the order of their names, as a video."""

    kind: Literal["folder"]
    path: PathField
    """The folder."""
    fps: Annotated[float, Field(gt=0, le=240)] = 10.0
    """Frames per second that the photos stand for."""
    realtime: bool = False
    """Wait for each frame's time."""
    loop: bool = False
    """Begin again at the end."""
    width: FrameWidth | None = None
    """Pixels. With `height`: photos of any other size are refused."""
    height: FrameHeight | None = None
    """Pixels."""


class RtspSource(Section):
    """[source] kind = "rtsp": a network camera."""

    kind: Literal["rtsp"]
    url: Annotated[str, Field(max_length=2048), AfterValidator(rules.rtsp_url)]
    """`rtsp://host:port/path` or `rtsps://…`, without user name and password."""
    transport: Literal["tcp", "udp"] = "tcp"
    """UDP loses packets and decoders smear what is missing: TCP unless the network forbids it."""
    username_env: EnvName | None = None
    """Environment variable that holds the user name."""
    password_env: EnvName | None = None
    """Environment variable that holds the password."""
    open_timeout_s: TimeOut = 5.0
    """Seconds to wait for the camera to answer."""
    read_timeout_s: TimeOut = 5.0
    """Seconds without a frame after which the stream counts as lost."""
    backoff_min_s: Backoff = 0.5
    """Seconds before the first new attempt; doubled each time."""
    backoff_max_s: Backoff = 30.0
    """Seconds that the wait never exceeds."""
    fps: Annotated[float, Field(gt=0, le=240)] | None = None
    """Frames per second to take at most; without it all that come."""
    width: FrameWidth | None = None
    """Pixels. With `height`: a stream of any other size is refused."""
    height: FrameHeight | None = None
    """Pixels."""


class V4l2Source(Section):
    """[source] kind = "v4l2": a camera of this machine. Size and rate are asked of the driver."""

    kind: Literal["v4l2"]
    device: PathField = FilePath("/dev/video0")
    """The device; prefer a name in `/dev/v4l/by-path`, which survives a reboot."""
    fourcc: Annotated[str, AfterValidator(rules.fourcc)] = "MJPG"
    """Pixel format: `MJPG`, `YUYV`, `NV12`, …: four characters."""
    width: FrameWidth
    """Pixels. A driver that gives another size is refused."""
    height: FrameHeight
    """Pixels."""
    fps: Annotated[float, Field(gt=0, le=240)] = 30.0
    """Frames per second asked for; the driver may give fewer."""
    backoff_min_s: Backoff = 0.5
    """Seconds before the first new attempt; doubled each time."""
    backoff_max_s: Backoff = 30.0
    """Seconds that the wait never exceeds."""


class StreetSource(Section):
    """[source] kind = "street": the simulated street, no hardware."""

    kind: Literal["street"]
    seed: Annotated[int, Field(ge=0, le=2**32 - 1)] = 1
    """Same seed, same street."""
    vehicles: Annotated[int, Field(ge=1, le=10000)] | None = None
    """Vehicles in the whole run; without it a steady traffic."""
    light: Literal["day", "dusk", "night", "rain"] = "day"
    """Time of day, or rain by day."""
    duration_s: Annotated[float, Field(gt=0, le=86400)] = 60.0
    """Seconds of street."""
    fps: Annotated[float, Field(gt=0, le=60)] = 15.0
    """Frames per second."""
    realtime: bool = False
    """Wait for each frame's time."""
    width: FrameWidth = 1280
    """Pixels."""
    height: FrameHeight = 720
    """Pixels."""


Source = Annotated[
    VideoSource | FolderSource | RtspSource | V4l2Source | StreetSource,
    Field(discriminator="kind"),
]


class Exclusion(Section):
    """[exclusion]: what is never read. The defaults are the careful ones."""

    mask_store: PathField | None = None
    """The folder of signed mask records (`alpr-edge masks commit`). Required, unless this is a
    bench with `mask_file`."""
    mask_file: PathField | None = None
    """Instead, for a bench: an unsigned file of masks, be it one that states that nothing protected
    is in view. Needs `trust.require_signatures = false`."""
    band: Annotated[float, Field(ge=0, le=0.25)] = 0.02
    """Width of the taint band round every mask, as a fraction of the frame's width. Wider reads
    less."""
    hold_s: Annotated[float, Field(ge=1, le=60)] = 4.0
    """Seconds that a closed track is held before its read is released. Longer reads less."""
    max_hold_s: Annotated[float, Field(ge=1, le=3600)] = 120.0
    """Seconds after which a track that is still not settled is dropped, not released."""
    max_gap_s: Annotated[float, Field(ge=0.1, le=10)] = 1.5
    """Longest pause between two frames, in seconds, across which tracks are believed."""
    reference_file: PathField | None = None
    """The reference view (`alpr-edge reference take`). With it, nothing is read unless the view is
    the one of the reference; without it, a camera that was moved is not noticed."""
    drift_margin: Annotated[float, Field(ge=0.003, le=0.05)] = 0.01
    """Shift of the view, as a fraction of the frame's width, beyond which the camera counts as
    moved. At most half of `band`. Wider reads more."""
    doubt_s: Annotated[float, Field(ge=5, le=600)] = 120.0
    """Seconds that a view may stay unrecognised (a lorry before the lens, glare) before reading
    stops. Reads wait meanwhile. Longer reads more."""
    self_test_every_s: Annotated[float, Field(ge=60, le=3600)] = 3600.0
    """Seconds between two self-tests."""


class Detector(Section):
    """[detector]: finds plates."""

    model: ModelField = "default"
    """`default` or the path of an ONNX file."""
    width: ModelSide = 640
    """Input width in pixels, a multiple of 32."""
    height: ModelSide = 384
    """Input height in pixels, a multiple of 32."""
    min_score: Fraction = 0.4
    """Detections below are passed over."""
    second_looks: Annotated[int, Field(ge=0, le=8)] = 0
    """Further looks a frame, at full resolution, where something moved: finds smaller plates in
    frames larger than the input. Each costs as much as the first look; 0 is off."""
    threads: Threads = 0
    """Threads of this model; 0 means `run.threads`."""


class Recogniser(Section):
    """[recogniser]: reads plates."""

    model: ModelField = "default"
    """`default` or the path of an ONNX file."""
    min_confidence: Fraction = 0.5
    """Reads below are not published."""
    precision: Precision | None = None
    """Instead of `min_confidence`: the share of right reads among those published, `balanced`
    (0.95), `strict` (0.99) or a number. The model's own measurements give the confidence."""
    threads: Threads = 0
    """Threads of this model; 0 means `run.threads`."""


class Models(Section):
    """[models]: whose signature the models need."""

    keys: PathField | None = None
    """Public keys in PEM, oldest first: then a model loads only if `model.sig` beside it (OpenSSF
    model signing) was made with one of them. Without it the manifest's digests count alone."""


class Tracker(Section):
    """[tracker]: follows plates from frame to frame."""

    min_sightings: Annotated[int, Field(ge=1, le=100)] = 3
    """Sightings that a track needs to give a read."""
    max_gap_s: Annotated[float, Field(ge=0.05, le=30)] = 0.8
    """Seconds without a sighting after which a track closes."""
    max_tracks: Annotated[int, Field(ge=1, le=1000)] = 64
    """Tracks at a time; beyond, the gate suppresses what cannot be followed."""


class Tls(Section):
    """[mqtt.tls]: its presence turns TLS on."""

    ca: PathField
    """PEM file of the authorities that may have signed the broker's certificate."""
    cert: PathField | None = None
    """PEM file of this device's certificate; with `key`."""
    key: PathField | None = None
    """PEM file of this device's private key."""


class Broker(Section):
    """[[mqtt.others]]: a broker that is tried when those before it do not answer."""

    host: Annotated[str, AfterValidator(rules.host_name)]
    """Name or address."""
    port: Annotated[int, Field(ge=1, le=65535)] = 1883
    """TCP port."""


class Mqtt(Section):
    """[mqtt]: where reads go."""

    host: Annotated[str, AfterValidator(rules.host_name)]
    """Name or address of the broker."""
    port: Annotated[int, Field(ge=1, le=65535)] = 1883
    """TCP port; brokers with TLS mostly listen on 8883."""
    topic_prefix: Annotated[str, AfterValidator(rules.topic_prefix)] = "alpr-edge"
    """What topics begin with, without wildcards and outer slashes."""
    client_id: Ident | None = None
    """Without it `device.id`."""
    keepalive_s: Annotated[int, Field(ge=5, le=3600)] = 30
    """Seconds; a dead broker is noticed after about twice this."""
    protocol: Literal["5", "3.1.1", "auto"] = "auto"
    """MQTT version; `auto` tries 5 first."""
    others: Annotated[tuple[Broker, ...], Field(strict=False, max_length=8)] = ()
    """More brokers, with the same credentials and certificates, in the order of preference."""
    session_s: Annotated[int, Field(ge=0, le=2_592_000)] = 86_400
    """Seconds that the broker keeps receipts and requests for a device that is away."""
    will_delay_s: Annotated[int, Field(ge=0, le=3600)] = 10
    """Seconds that the broker waits before it says that the device is gone (MQTT 5)."""
    max_bytes_per_s: Annotated[int, Field(ge=0, le=2**40)] = 0
    """Most that is sent, for links paid by volume; 0 is no limit."""
    encoding: Literal["cloudevents", "onvif", "openalpr", "minimal"] = "cloudevents"
    """How reads are written. All but `cloudevents` carry less: see docs/delivery.md."""
    content_mode: Literal["auto", "structured"] = "auto"
    """`auto`: CloudEvents in binary mode with MQTT 5. `structured`: one JSON document always, for
    subscribers that do not see user properties."""
    settle_on: Literal["puback", "receipt"] = "receipt"
    """When a read leaves the outbox. `puback` only with a broker that is durable or replicated: a
    PUBACK alone is not delivery. With `receipt` the receiving application answers
    (docs/delivery.md)."""
    username_env: EnvName | None = None
    """Environment variable that holds the user name."""
    password_env: EnvName | None = None
    """Environment variable that holds the password."""
    tls: Tls | None = None
    """Certificates."""


class Outbox(Section):
    """[outbox]: reads that wait for the broker."""

    path: PathField = Field("outbox.sqlite3", validate_default=True)
    """The SQLite file."""
    max_rows: Annotated[int, Field(ge=1, le=10_000_000)] = 100_000
    """Rows; beyond, the oldest goes first, counted."""
    max_bytes: Annotated[int, Field(ge=65_536, le=2**40)] = 256 * 2**20
    """Bytes on disk; beyond, the oldest goes first, counted."""
    retention_days: Annotated[float, Field(gt=0, le=30)] = 30.0
    """Days that a read may wait; the city's rule is thirty."""
    max_written_bytes_a_day: Annotated[int, Field(ge=2**20, le=2**50)] = 2 * 2**30
    """Bytes that may be written to flash a day; beyond, reads are stored in larger batches, once a
    minute, and what was delivered before that is never written."""
    key_file: PathField | None = None
    """Where the key of the encrypted rows lies; without it beside `path`, ending in `.key`."""
    keep_key_in: Literal["auto", "tpm", "file"] = "auto"
    """What protects the key: `tpm` needs tpm2-tools, `auto` takes a TPM where there is one."""


class Health(Section):
    """[health]: what the device tells of itself, never a plate."""

    every_s: Annotated[float, Field(ge=5, le=3600)] = 60.0
    """Seconds between two messages on the state topic."""
    home_assistant_prefix: Annotated[str, AfterValidator(rules.topic_prefix)] | None = None
    """Publishes a discovery message for health under this topic (`homeassistant`); none without."""
    metrics_port: Annotated[int, Field(ge=0, le=65535)] = 0
    """TCP port on 127.0.0.1 that serves Prometheus text at /metrics; 0 for none."""


class Commands(Section):
    """[commands]: requests of the city over MQTT; without this section none is heard."""

    city_keys: PathField
    """File with the city's public keys: only requests that one of them signed count."""
    number_file: PathField = Field("commands.number", validate_default=True)
    """Keeps the number of the last request that counted, so that none counts twice."""


class Usage(Section):
    """[usage]: what receivers may do with a read; stands in every event."""

    purposes: Annotated[tuple[Ident, ...], Field(strict=False, max_length=16)] = ()
    """What reads may be used for, in the operator's words: `stolen-vehicle-search`. Training, sale,
    face recognition and biometric analysis are prohibited in any case."""


class Ledger(Section):
    """[ledger]: the record that outsiders check."""

    enabled: bool = True
    """Without a ledger nothing that leaves is on record; only for benches."""
    path: PathField = Field("ledger", validate_default=True)
    """Its folder."""
    identity: PathField = Field("identity", validate_default=True)
    """The folder of the device's own key, made on the first start."""
    flush_s: Annotated[float, Field(ge=0.01, le=60)] = 1.0
    """Longest that an entry waits for the disk. What leaves the device is synced before it does."""
    checkpoint_s: Annotated[float, Field(ge=0.05, le=3600)] = 10.0
    """Longest that a synced entry waits for a signature."""
    publish: bool = True
    """Publish checkpoints, alarms and the attestation by MQTT."""
    publish_every_s: Annotated[float, Field(ge=0.05, le=86_400)] = 60.0
    """Longest between two looks for a new checkpoint to publish."""
    serial: PathField | None = None
    """A serial line to write every checkpoint to as well."""
    witnesses: PathField | None = None
    """Verifier keys of the witnesses, one a line: their cosignatures are verified, and missed."""
    witness_within_s: Annotated[float, Field(ge=1, le=604_800)] = 7200.0
    """Longest that a checkpoint goes without a cosignature before health warns."""
    attest_every_s: Annotated[float, Field(ge=1, le=604_800)] = 21_600.0
    """Longest between two attestations; a fact that changes makes one at once."""


class Sentry(Section):
    """[sentry]: signs that someone is at the unit become alarms, and are on record."""

    every_s: Annotated[float, Field(ge=0.1, le=3600)] = 10.0
    """Seconds between two looks at case, files and ports."""
    case_switch: PathField | None = None
    """What tells whether the case is open: a GPIO chip such as `/dev/gpiochip0` with `case_line`, a
    GPIO's `value` in sysfs, or a pipe that gets 0 and 1."""
    case_line: Annotated[int, Field(ge=0, le=1023)] | GpioName | None = None
    """The chip's line, by its number or the name that the board gives it; without it a file."""
    case_bias: Literal["as_is", "pull_up", "pull_down", "disabled"] = "as_is"
    """The chip's own resistor on that line."""
    case_open: Literal["0", "1"] = "1"
    """What the switch says when the case is open."""
    ports: (
        Annotated[
            tuple[Annotated[int, Field(ge=1, le=65535)], ...], Field(strict=False, max_length=64)
        ]
        | None
    ) = None
    """TCP ports that may listen to the outside; without it those that did at the start."""


class Trust(Section):
    """[trust]: whose signatures count. On a unit with the file /etc/alpr-edge/city-keys, that file
    is taken, and this section can weaken nothing unless the city signed it."""

    require_signatures: bool = True
    """False on a bench only: unsigned configuration and masks are then taken, and told as such."""
    city_keys: PathField | None = None
    """The city's public keys, one a line, oldest first."""
    persons: PathField | None = None
    """Who may set masks: the list that the city signed."""
    identity: PathField = Field("identity", validate_default=True)
    """Folder of the unit's own key, made on the first start; for the service's user only."""
    keep_key_in: Literal["auto", "tpm", "tpm_as_started", "file"] = "auto"
    """What protects that key: `tpm` needs tpm2-tools, `auto` takes a TPM where there is one.
    `tpm_as_started` opens it only after the same firmware and boot loader (PCRs 0 to 7): go back
    to `tpm` for one start before those are updated."""


class Head(Section):
    """[site.head]: the pan-tilt head, asked by ONVIF where it points (PTZ service, GetStatus)."""

    url: Annotated[str, Field(max_length=2048), AfterValidator(rules.http_url)]
    """Address of the PTZ service, such as `http://192.168.50.10/onvif/ptz_service`."""
    profile: Annotated[str, Field(min_length=1, max_length=64), AfterValidator(rules.printable)]
    """Token of the media profile whose head it is."""
    username_env: EnvName | None = None
    """Environment variable that holds the user name."""
    password_env: EnvName | None = None
    """Environment variable that holds the password."""
    every_s: Annotated[float, Field(ge=0.05, le=5)] = 0.2
    """Seconds between two questions."""
    timeout_s: Annotated[float, Field(ge=0.05, le=10)] = 1.0
    """Seconds to wait for an answer."""
    max_age_s: Annotated[float, Field(ge=0.1, le=10)] = 1.0
    """Seconds after which an answer no longer counts. Longer reads more."""
    turns_deg_per_s: Annotated[float, Field(ge=1, le=720)] = 120.0
    """The fastest that the head turns. Slower reads more."""
    error_deg: Annotated[float, Field(ge=0.05, le=45)] = 1.0
    """How far a stated position may be off."""
    pan_range_deg: tuple[float, float] = Field((-180.0, 180.0), strict=False)
    """What -1 and 1 mean where the head speaks of ranges and not of degrees."""
    zero_deg: Annotated[float, Field(ge=-360, le=360)] = 0.0
    """Where the head's zero looks against the heading of post or vehicle, clockwise."""


class Site(Section):
    """[site]: what is protected here, and where the camera stands (docs/placement.md)."""

    required: bool = True
    """False states that no register applies to this unit. Counts only if the city signed the
    configuration, or on a bench, and is told with every verdict."""
    premises: PathField | None = None
    """The signed register of premises."""
    commissioning: PathField | None = None
    """The signed commissioning record. Needed where the camera stands still."""
    camera: PathField | None = None
    """The calibrated camera. Beside a record it must be the record's; a pan-tilt head's post needs
    it."""
    position: Literal["fixed", "nmea", "gpsd"] = "fixed"
    """Where the place comes from: `fixed`: it never moves. `nmea`: a receiver on a serial port.
    `gpsd`: by way of gpsd."""
    nmea_device: PathField | None = None
    """The serial port of the receiver."""
    nmea_baud: Annotated[int, Field(ge=1200, le=921_600)] = 9600
    """Its speed."""
    gpsd_host: Annotated[str, AfterValidator(rules.host_name)] = "127.0.0.1"
    """Where gpsd listens."""
    gpsd_port: Annotated[int, Field(ge=1, le=65535)] = 2947
    """Its TCP port."""
    hfov_deg: Annotated[float, Field(ge=0.5, le=180)] | None = None
    """Of a camera that moves or turns: its widest horizontal field of view."""
    offset_deg: Annotated[float, Field(ge=-360, le=360)] = 0.0
    """Where it looks against the vehicle's heading, clockwise."""
    offset_error_deg: Annotated[float, Field(ge=0, le=180)] = 5.0
    """How far that may be off. Less reads more."""
    reach_m: Annotated[float, Field(ge=20, le=2000)] = 60.0
    """How far a plate may be read, with some to spare. Less reads more."""
    max_accuracy_m: Annotated[float, Field(ge=1, le=100)] = 15.0
    """A fix that may be farther off counts as none. More reads more."""
    head: Head | None = None
    """A pan-tilt head."""

    @property
    def moves(self) -> bool:
        """Whether the view changes while it runs."""
        return self.position != "fixed" or self.head is not None


class Clock(Section):
    """[clock]: when the time is believed."""

    accept: Literal["synchronised", "rtc", "assumed"] = "synchronised"
    """`synchronised`: NTP, PTP or GNSS has set it. `rtc`: a hardware clock that set it at the start
    is enough. `assumed`, on a bench: any time is taken, and told as such."""


class Run(Section):
    """[run]: the process."""

    on_stop: Literal["exit", "idle"] = "exit"
    """What to do while nothing may be read: `exit` with status 3, or stay, tell why over MQTT, and
    go on when it has passed."""
    status_file: PathField | None = None
    """Where `alpr-edge status` finds what the service does; without it nowhere."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """What is logged, always without plates."""
    tier: Literal["accurate", "fast"] = "accurate"
    """`accurate` looks closely at what the first look found, and again at doubtful plates; `fast`
    looks once (docs/models.md says what each costs)."""
    threads: Annotated[int, Field(ge=1, le=64)] = 2
    """Threads of a model that does not say otherwise."""
    execution_providers: Annotated[
        tuple[Ident, ...], Field(strict=False, min_length=1, max_length=8)
    ] = ("CPUExecutionProvider",)
    """ONNX Runtime's execution providers in the order of preference."""


class Console(Section):
    """[console]: the serial line for a technician."""

    port: PathField | None = None
    """The serial port that the service itself serves, such as `/dev/ttyGS0`; none without."""
    baud: Literal[9600, 19200, 38400, 57600, 115200, 230400, 460800, 921600] = 115200
    """Bits per second."""
    flow: Literal["none", "rtscts", "xonxoff"] = "none"
    """Flow control."""
    folder: PathField = Field("console", validate_default=True)
    """Where users, their sealed keys and failed attempts are kept; for the service's user only."""
    network_file: PathField | None = None
    """Lets a technician set address, gateway and name servers: the file of systemd-networkd that
    the console writes, such as `/etc/systemd/network/05-alpr-edge.network`. Only with `mqtt.tls`,
    which proves the broker whatever the network is (ADR 0029)."""
    network_link: Annotated[str, AfterValidator(rules.link_name)] = "eth0"
    """The link that the file is for."""


class DeviceConfig(Section):
    """A whole device. `parse.parse` makes it from TOML, `parse.config_digest` names it."""

    device: Device
    source: Source
    exclusion: Exclusion
    mqtt: Mqtt
    detector: Detector = Detector()
    recogniser: Recogniser = Recogniser()
    models: Models = Models()
    tracker: Tracker = Tracker()
    # Validated like a written section, so that its paths are relative to the file's folder.
    outbox: Outbox = Field({}, validate_default=True)
    health: Health = Health()
    commands: Commands | None = None
    usage: Usage = Usage()
    ledger: Ledger = Field({}, validate_default=True)
    sentry: Sentry = Sentry()
    trust: Trust = Field({}, validate_default=True)
    clock: Clock = Clock()
    console: Console = Field({}, validate_default=True)
    site: Site | None = None
    run: Run = Run()

    @model_validator(mode="after")
    def _values_agree(self) -> Self:
        problems = rules.disagreements(self.model_dump())
        if problems:
            raise ValueError("; ".join(problems))
        return self
