"""What all tests share: the real photos, mosquitto, free ports, and how skips are treated.

`ALPR_EDGE_PHOTOS` names the folder of real photos (with `measure/` and `train/` in it); without it
the tests marked `photos` are skipped. `ALPR_EDGE_NO_SKIPS=1`, as in CI, turns every skip into a
failure: there, everything that a test could miss is installed.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

NO_SKIPS = os.environ.get("ALPR_EDGE_NO_SKIPS", "") not in ("", "0")

settings.register_profile(
    "fast",
    max_examples=50,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("ci", settings.get_profile("fast"), max_examples=150, derandomize=True)
settings.register_profile("deep", settings.get_profile("fast"), max_examples=5_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if NO_SKIPS else "fast"))


def _no_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    if NO_SKIPS and report.outcome == "skipped" and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        why = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.longrepr = f"{why}\n(a skip is a failure here: ALPR_EDGE_NO_SKIPS is set)"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    _no_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _no_skip(report)
    return report


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-goldens",
        action="store_true",
        help="write the stored expected results anew, to be looked at with git diff",
    )


@pytest.fixture
def update_goldens(pytestconfig: pytest.Config) -> bool:
    return bool(pytestconfig.getoption("update_goldens"))


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout."""
    return Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def photos() -> Path:
    """The folder of real photos, read-only."""
    named = os.environ.get("ALPR_EDGE_PHOTOS", "")
    if not named:
        pytest.skip("needs real photos: set ALPR_EDGE_PHOTOS to their folder")
    folder = Path(named)
    if not (folder / "measure").is_dir():
        pytest.fail(f"ALPR_EDGE_PHOTOS={named} has no measure/ in it")
    return folder


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on just now."""
    return _free_port()


def _mosquitto_program() -> str:
    program = shutil.which("mosquitto", path=os.environ.get("PATH", "") + ":/usr/sbin")
    if program is None:
        pytest.skip("needs mosquitto: apt-get install mosquitto")
    return program


@dataclass
class Mosquitto:
    """A mosquitto of the test's own on a free port. Anonymous, nothing kept on disk."""

    program: str
    folder: Path
    port: int
    settings: str = ""
    base: str = ""
    """Instead of the plain listener, when set."""
    _process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        return self.folder / "mosquitto.log"

    def start(self, *, within_s: float = 10.0) -> None:
        """Start it and return when it takes connections."""
        config = self.folder / "mosquitto.conf"
        base = self.base or f"listener {self.port} 127.0.0.1\nallow_anonymous true\n"
        config.write_text(f"{base}{self.settings}\n", "utf-8")
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [self.program, "-v", "-c", str(config)], stdout=log, stderr=log
            )
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                break
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=0.2).close()
            except OSError:
                time.sleep(0.02)
            else:
                return
        self.stop()
        raise AssertionError("mosquitto does not start:\n" + self.log.read_text("utf-8"))

    def stop(self, *, in_order: bool = False) -> None:
        """End it at once, as a power cut would; or in order, so that it writes what it holds."""
        if self._process is not None:
            if in_order:
                self._process.terminate()
            else:
                self._process.kill()
            self._process.wait(60)
            self._process = None


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    """A running mosquitto; `stop()` and `start()` it as the test needs."""
    folder = tmp_path / "mosquitto"
    folder.mkdir()
    broker = Mosquitto(_mosquitto_program(), folder, _free_port())
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture(scope="session")
def system_python_with_rtsp() -> str:
    """Debian's python3 if it can serve RTSP by GStreamer."""
    python = "/usr/bin/python3"
    probe = (
        "import gi; gi.require_version('GstRtspServer', '1.0'); "
        "from gi.repository import GstRtspServer"
    )
    done = subprocess.run(
        [python, "-c", probe],
        capture_output=True,
        env={"PATH": "/usr/bin:/bin"},
        timeout=60,
        check=False,
    )
    if done.returncode:
        pytest.skip("needs gst-rtsp-server: apt-get install gir1.2-gst-rtsp-server-1.0 python3-gi")
    return python


@pytest.fixture(scope="module")
def tpm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A TPM in software; gives the TCTI that reaches it."""
    if shutil.which("swtpm") is None or shutil.which("tpm2_unseal") is None:
        pytest.skip("needs a TPM in software: apt-get install swtpm tpm2-tools")
    with software_tpm(tmp_path_factory.mktemp("tpm")) as tcti:
        yield tcti


@contextmanager
def software_tpm(folder: Path) -> Iterator[str]:
    """Runs one; its state lies in the folder."""
    socket_file = folder / "socket"
    control = folder / "socket.ctrl"
    with subprocess.Popen(
        [
            *("swtpm", "socket", "--tpm2", "--tpmstate", f"dir={folder}"),
            *("--server", f"type=unixio,path={socket_file}"),
            *("--ctrl", f"type=unixio,path={control}"),
            *("--flags", "not-need-init,startup-clear"),
        ]
    ) as process:
        try:
            end = time.monotonic() + 30
            while not (socket_file.exists() and control.exists()):
                assert process.poll() is None
                assert time.monotonic() < end
                time.sleep(0.01)
            yield f"swtpm:path={socket_file}"
        finally:
            process.terminate()
