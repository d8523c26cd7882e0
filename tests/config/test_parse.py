"""TOML → `DeviceConfig`: every problem at once, nothing converted, nothing secret shown."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from alpr_edge.config.models import (
    Detector,
    DeviceConfig,
    Exclusion,
    FilePath,
    RtspSource,
    VideoSource,
)
from alpr_edge.config.parse import MAX_CONFIG_BYTES, config_digest, parse
from alpr_edge.config.store import load
from alpr_edge.errors import ConfigError

MINIMAL = """
[device]
id = "cam-1"
site = "Main Street"
[source]
kind = "video"
path = "a.mp4"
[exclusion]
mask_file = "masks.json"
[mqtt]
host = "localhost"
"""


def problems(text: str) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        parse(text, source="x.toml")
    assert caught.value.code == "config.invalid"
    assert caught.value.exit_status == 2
    return caught.value.problems


def problem(change: str, *, section: str) -> str:
    """The only problem of the minimal file with lines added to one section."""
    assert f"[{section}]\n" in MINIMAL or section not in MINIMAL
    text = MINIMAL.replace(f"[{section}]\n", f"[{section}]\n{change}\n")
    if f"[{section}]\n" not in MINIMAL:
        text = f"{MINIMAL}\n[{section}]\n{change}\n"
    (only,) = problems(text)
    return only


def code_of(text: str | bytes) -> tuple[str, str]:
    with pytest.raises(ConfigError) as caught:
        parse(text, source="x.toml")
    assert caught.value.hint
    assert "x.toml" in caught.value.message
    return caught.value.code, caught.value.message


def test_minimal_file_and_its_defaults() -> None:
    config = parse(MINIMAL, source="x", folder="/etc/alpr")
    assert isinstance(config.source, VideoSource)
    assert str(config.exclusion.mask_file) == "/etc/alpr/masks.json"
    assert Path(config.source.path) == Path("/etc/alpr/a.mp4")
    assert config.detector == Detector()
    assert config.exclusion.band == 0.02
    assert config.exclusion.hold_s == 4
    assert config.outbox.retention_days <= 30
    assert config.run.execution_providers == ("CPUExecutionProvider",)
    assert config.mqtt.tls is None


def test_values_are_frozen() -> None:
    config = parse(MINIMAL, source="x")
    with pytest.raises(ValidationError):
        config.exclusion.band = 0.0
    with pytest.raises(ValidationError):
        config.mqtt = None  # type: ignore[assignment]


def test_every_problem_at_once() -> None:
    text = """
[device]
id = "a b"
sit = "x"
[source]
kind = "rtsp"
url = "rtsp://user:hunter2@10.0.0.5/x"
open_timeout_s = 0
password_env = "P"
backoff_min_s = 60.0
[exclusion]
hold_s = 50
max_hold_s = 5
band = 0.9
[detector]
min_score = 1.7
min_scor = 0.5
width = 100
threads = true
[mqtt]
port = "1883"
protocol = "3.1"
tls = { ca = "ca.pem", cert = "c.pem" }
[run]
execution_providers = ["CPU", 5]
[outboks]
"""
    found = problems(text)
    assert found == (
        "device.id: must be 1 to 64 letters, digits, '-', '_' or '.', beginning with a letter "
        "or digit",
        "device.site: missing",
        "device.sit: unknown key; did you mean site?",
        "source.url: must not hold a user name or password: use username_env and password_env",
        "source.open_timeout_s: 0 is not within [0.1, 60]",
        "exclusion.band: 0.9 is not within [0, 0.25]",
        "mqtt.host: missing",
        'mqtt.port: must be a whole number, not the text "1883"',
        'mqtt.protocol: "3.1" is not one of 5, 3.1.1, auto; did you mean 3.1.1?',
        "detector.width: 100 is not a multiple of 32",
        "detector.min_score: 1.7 is not within [0, 1]",
        "detector.threads: must be a whole number, not true",
        "detector.min_scor: unknown key; did you mean min_score?",
        "run.execution_providers[1]: must be text in quotes, not 5",
        "outboks: unknown key; did you mean outbox?",
        "exclusion.mask_store: missing: the folder of signed mask records (on a bench: mask_file)",
        "exclusion.max_hold_s: 5 is less than hold_s, 50",
        "source.backoff_max_s: 30 is less than backoff_min_s, 60",
        "source.username_env: missing, but password_env is given",
        "mqtt.tls.key: missing, but cert is given",
    )


@pytest.mark.parametrize(
    ("section", "line", "said"),
    [
        ("detector", "min_score = -0.1", "detector.min_score: -0.1 is not within [0, 1]"),
        ("detector", "min_score = nan", "detector.min_score: must be a finite number, not nan"),
        ("detector", "model = ''", "detector.model: must be a path of 1 to 1024 characters"),
        ("detector", "model = 5", "detector.model: must be a path in quotes"),
        ("tracker", "max_gap_s = 1e9", "tracker.max_gap_s: 1000000000.0 is not within [0.05, 30]"),
        (
            "tracker",
            "min_sightings = 2.5",
            "tracker.min_sightings: must be a whole number, not 2.5",
        ),
        ("outbox", "retention_days = 31", "outbox.retention_days: 31 is not within (0, 30]"),
        ("run", "execution_providers = []", "run.execution_providers: must have at least 1 items"),
        (
            "run",
            "log_level = 'INFO'",
            'run.log_level: "INFO" is not one of debug, info, warning, error',
        ),
        ("run", "threads = 1979-05-27", "run.threads: must be a whole number, not a date or time"),
        (
            "mqtt",
            "topic_prefix = 'a/#'",
            "mqtt.topic_prefix: must not hold '+', '#' or control characters",
        ),
        ("mqtt", "tls = true", "mqtt.tls: must be a section, not true"),
        ("mqtt", "tls = {ca = 'a', x = 1}", "mqtt.tls.x: unknown key; known are ca, cert, key"),
        ("source", "fps = 0", "source.fps: 0 is not within (0, 240]"),
        ("source", "width = 640", "source.height: missing, but width is given"),
        ("source", "loop = 'yes'", 'source.loop: must be true or false, not the text "yes"'),
        ("exclusion", "bands = 0.1", "exclusion.bands: unknown key; did you mean band?"),
        ("exclusion", '"ban\\nd" = 0.1', 'exclusion."ban\\nd": unknown key; did you mean band?'),
    ],
)
def test_a_problem_is_named(section: str, line: str, said: str) -> None:
    assert problem(line, section=section) == said


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (
            'kind = "rtps"',
            'source.kind: "rtps" is not one of video, folder, rtsp, v4l2, street; '
            "did you mean rtsp?",
        ),
        (
            'url = "rtsp://h/x"',
            "source.kind: missing: it is one of video, folder, rtsp, v4l2, street",
        ),
        ("kind = 5", "source.kind: 5 is not one of video, folder, rtsp, v4l2, street"),
        ('kind = "rtsp"', "source.url: missing"),
        (
            'kind = "rtsp"\nurl = "http://h/x"',
            "source.url: must be an address such as rtsp://10.0.0.5:554/stream",
        ),
        (
            'kind = "rtsp"\nurl = "rtsp://h/x"\ntransport = "http"',
            'source.transport: "http" is not one of tcp, udp',
        ),
        (
            'kind = "rtsp"\nurl = "rtsp://h/x"\nusername_env = "bob secret"',
            "source.username_env: must be the name of an environment variable "
            "(letters, digits, '_'), never the secret",
        ),
        ('kind = "v4l2"\nwidth = 640', "source.height: missing"),
        (
            'kind = "v4l2"\nwidth = 640\nheight = 480\nfourcc = "MJPEG"',
            "source.fourcc: must be a pixel format of four characters, such as 'MJPG' or 'YUYV'",
        ),
        (
            'kind = "street"\nlight = "nigth"',
            'source.light: "nigth" is not one of day, dusk, night, rain; did you mean night?',
        ),
        (
            'kind = "folder"\npath = "x"\nurl = "y"',
            "source.url: unknown key; known are kind, path, fps, realtime, loop, width, height",
        ),
    ],
)
def test_a_problem_of_a_source_is_named(source: str, said: str) -> None:
    (only,) = problems(MINIMAL.replace('kind = "video"\npath = "a.mp4"', source))
    assert only == said


def test_a_url_never_shows() -> None:
    for url in ("rtsp://u:hunter2@h/x", "http://u:hunter2@h/", "rtsp://u:hunter2@[h", "hunter2"):
        text = MINIMAL.replace('kind = "video"\npath = "a.mp4"', f'kind = "rtsp"\nurl = "{url}"')
        with pytest.raises(ConfigError) as caught:
            parse(text, source="x")
        assert "hunter2" not in str(caught.value)
        assert "hunter2" not in repr(caught.value.__context__)


def test_secrets_are_not_accepted_as_keys() -> None:
    assert problem('password = "hunter2"', section="mqtt") == (
        "mqtt.password: unknown key; did you mean password_env?"
    )


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("", "config.empty", "empty"),
        ("  \n\t", "config.empty", "empty"),
        (b"\xef\xbb\xbf", "config.empty", "empty"),
        ("[mqtt]\nhost = localhost", "config.syntax", "line 2, column 8"),
        ("[mqtt]\n[mqtt]", "config.syntax", "line 2"),
        ('host = "a\nb"', "config.syntax", "line 1"),
        (b'# ok\nsite = "caf\xe9"', "config.encoding", "line 2, byte 16"),
        ("a = " + "[" * 20_000, "config.syntax", "nested too deeply"),
        ("a = " + "9" * 5_000, "config.syntax", "out of range"),
        ("a = 2026-02-30", "config.syntax", "line 1"),
        ("#" * (MAX_CONFIG_BYTES + 1), "config.too_large", "larger than"),
    ],
)
def test_what_is_no_toml(text: str | bytes, code: str, said: str) -> None:
    found, message = code_of(text)
    assert found == code
    assert said in message


def test_byte_order_mark_and_bytes_are_accepted() -> None:
    assert parse(b"\xef\xbb\xbf" + MINIMAL.encode(), source="x") == parse(MINIMAL, source="x")


def test_many_problems_stay_readable_and_fast() -> None:
    began = time.monotonic()
    found = problems(MINIMAL + "\n".join(f"key{i} = {i}" for i in range(4_000)))
    assert len(found) == 101
    assert found[-1] == "and 3900 more"
    assert time.monotonic() - began < 10


def test_digest_is_of_the_values() -> None:
    one = parse(MINIMAL, source="x", folder="/a")
    same = parse("# comment\n" + MINIMAL, source="y", folder="/b")
    spelled = parse(MINIMAL.replace("[mqtt]", "band = 0.02\n[mqtt]"), source="x")
    other = parse(MINIMAL.replace("[mqtt]", "band = 0.03\n[mqtt]"), source="x")
    assert config_digest(one) == config_digest(same) == config_digest(spelled)
    assert config_digest(other) != config_digest(one)
    assert len(config_digest(one)) == 64


def test_a_config_made_in_python_obeys_the_same_rules() -> None:
    good = parse(MINIMAL, source="x")
    with pytest.raises(ValidationError, match="less than hold_s"):
        DeviceConfig(
            device=good.device,
            source=good.source,
            mqtt=good.mqtt,
            exclusion=Exclusion(mask_file=FilePath("m.json"), hold_s=20, max_hold_s=10),
        )


@given(st.one_of(st.text(max_size=200), st.binary(max_size=200)))
def test_random_input_is_refused_with_a_code(text: str | bytes) -> None:
    code, _ = code_of(text)
    assert code.startswith("config.")


_SECTIONS = ["device", "source", "exclusion", "mqtt", "detector", "run", "outbox", "tracker", "x"]
_VALUES = st.one_of(
    st.integers(),
    st.floats(),
    st.booleans(),
    st.sampled_from(['"rtsp"', '"video"', '"default"', '"a.b"', "[]", "[1, 'x']", "{a = 1}"]),
)


@given(
    st.dictionaries(
        st.sampled_from(_SECTIONS),
        st.dictionaries(
            st.sampled_from(
                [
                    "kind",
                    "id",
                    "path",
                    "url",
                    "band",
                    "host",
                    "tls",
                    "width",
                    "hold_s",
                    "model",
                    "execution_providers",
                    "a",
                ]
            ),
            _VALUES,
        ),
    )
)
def test_random_tables_are_refused_with_problems(tables: dict[str, dict[str, Any]]) -> None:
    def toml(value: Any) -> str:
        return str(value).lower() if isinstance(value, bool | float) else str(value)

    text = "".join(
        f"[{name}]\n" + "".join(f"{key} = {toml(value)}\n" for key, value in table.items())
        for name, table in tables.items()
    )
    for line in problems(text or "a = 1"):
        assert line.isprintable()
        assert ": " in line


@pytest.mark.parametrize("name", ["street", "rpi-cm4-rtsp", "imx8mp-v4l2", "video-file"])
def test_shipped_configurations(repository: Path, name: str) -> None:
    path = repository / "configs" / "devices" / f"{name}.toml"
    config = load(path)
    if isinstance(config.source, RtspSource):
        assert "@" not in config.source.url
    masks = config.exclusion.mask_file
    # A bench's file is in the repository; a unit on a street has signed records and nothing waived.
    assert (masks is None) is config.trust.require_signatures
    assert (masks is None) is (config.clock.accept == "synchronised")
    assert masks is None or Path(masks).is_file()


def test_all_shipped_configurations_are_tested(repository: Path) -> None:
    names = {path.stem for path in (repository / "configs" / "devices").glob("*.toml")}
    assert names >= {"street", "rpi-cm4-rtsp", "imx8mp-v4l2", "video-file"}
    for name in names:
        load(repository / "configs" / "devices" / f"{name}.toml")


def test_files_that_are_not_named_lie_beside_the_configuration(tmp_path: Path) -> None:
    text = CONFIG_WITHOUT_PATHS
    config = parse(text, source="test", folder=str(tmp_path))
    assert config.commands is not None
    for path in (
        config.outbox.path,
        config.commands.number_file,
        config.ledger.path,
        config.trust.identity,
    ):
        assert Path(path).parent == tmp_path


CONFIG_WITHOUT_PATHS = """
[device]
id = "unit-1"
site = "s"
camera = "cam0"
[source]
kind = "street"
[exclusion]
mask_store = "masks"
[mqtt]
host = "127.0.0.1"
port = 1883
[commands]
city_keys = "city-keys"
"""


def test_load_resolves_paths_beside_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "x.toml").write_text(MINIMAL)
    (tmp_path / "masks.json").write_text("{}")
    assert Path(load(tmp_path / "x.toml").exclusion.mask_file).read_text() == "{}"
    monkeypatch.chdir(tmp_path)
    assert str(load("x.toml").exclusion.mask_file) == "masks.json"


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda path: None, "missing"),
        (lambda path: path.mkdir(), "not_a_file"),
        (lambda path: path.symlink_to(path), "unreadable"),
        (lambda path: path.write_bytes(bytes(MAX_CONFIG_BYTES + 1)), "too_large"),
        (lambda path: path.write_bytes(b""), "empty"),
        (lambda path: path.write_bytes(b"\xff"), "encoding"),
    ],
)
def test_files_that_cannot_be_loaded(tmp_path: Path, make: Any, code: str) -> None:
    path = tmp_path / "x.toml"
    make(path)
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert caught.value.code == f"config.{code}"
    assert str(path) in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(("value", "kept"), [('"balanced"', "balanced"), ("0.97", 0.97)])
def test_a_wanted_precision(value: str, kept: object) -> None:
    config = parse(f"{MINIMAL}\n[recogniser]\nprecision = {value}\n", source="x")
    assert config.recogniser.precision == kept
    assert config_digest(config) != config_digest(parse(MINIMAL, source="x"))


@pytest.mark.parametrize("value", ['"loose"', "0.2", "1", "true", "[]"])
def test_a_precision_that_is_none(value: str) -> None:
    told = problem(f"precision = {value}", section="recogniser")
    assert told.startswith("recogniser.precision: ")
    assert "balanced" in told


def test_a_precision_beside_a_threshold() -> None:
    told = problem('precision = "strict"\nmin_confidence = 0.7', section="recogniser")
    assert told == "recogniser.min_confidence: given beside precision, which decides it"


def test_second_looks_are_off_unless_asked_for() -> None:
    assert parse(MINIMAL, source="x").detector.second_looks == 0
    assert problem("second_looks = 9", section="detector").startswith("detector.second_looks: ")
