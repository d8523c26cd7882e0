"""labgrid drivers of the bench: power, console, maintenance and link of a unit.

| driver | what it is |
| --- | --- |
| `LoopbackUnit` | the service as a process, its console on a pty: power, console, maintenance |
| `EmulatedUnit` | labgrid's QEMUDriver with every wait bounded: power, console |
| `AgentMaintenance` | commands on an emulated unit, over its second port |
| `ShellMaintenance` | commands on a real unit, by labgrid's SSHDriver or ShellDriver |
| `AlprConsoleDriver` | the console as a person uses it, on any ConsoleProtocol |
| `BrokerLink` | the relay between unit and broker, with its faults |
"""

from __future__ import annotations

import abc
import base64
import contextlib
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import tarfile
import time
import tty
from pathlib import Path
from typing import Any, ClassVar

import attr
import pexpect
from hil_tests.bench import verdict
from hil_tests.bench.city import Link, Places
from hil_tests.bench.dialogue import Dialogue
from hil_tests.bench.programs import Outcome, device_python, program, run
from hil_tests.bench.verdict import BenchError
from labgrid import target_factory
from labgrid.driver import Driver, QEMUDriver
from labgrid.driver.consoleexpectmixin import ConsoleExpectMixin
from labgrid.protocol import ConsoleProtocol, PowerProtocol


class MaintenanceProtocol(abc.ABC):
    """Commands on the unit that no technician has: how the bench looks inside and breaks things."""

    @abc.abstractmethod
    def places(self) -> Places:
        """Where things lie on this unit."""

    @abc.abstractmethod
    def wait_ready(self, timeout_s: float) -> None:
        """Until commands can be run."""

    @abc.abstractmethod
    def run(self, command: str, timeout_s: float = 60.0) -> Outcome:
        """A shell command, as root."""

    @abc.abstractmethod
    def put(self, path: str, data: bytes) -> None:
        """Write a file that the service may read."""

    @abc.abstractmethod
    def unpack(self, tar: Path) -> None:
        """Unpack what the city gives a unit."""

    @abc.abstractmethod
    def service(self, action: str) -> None:
        """`start`, `stop`, `restart` or `kill` the service. What it told of itself before goes, so
        that nobody takes it for news."""

    @abc.abstractmethod
    def python(self) -> str:
        """The Python that the unit's alpr-edge runs in."""

    @abc.abstractmethod
    def gnss(self) -> tuple[str, Any]:
        """The serial port of a satellite receiver, as the unit names it, and what the bench writes
        its sentences to: a function of bytes. An empty name: there is no such line."""


# --- loopback --------------------------------------------------------------------------------


@target_factory.reg_driver
@attr.s(eq=False)
class LoopbackUnit(ConsoleExpectMixin, Driver, PowerProtocol, ConsoleProtocol, MaintenanceProtocol):
    """No unit but the program: shows that suite and program agree; says nothing about a device.

    Power off is SIGKILL. Its files stay, as a unit's disk does.

    Args:
        stand_in: to try the bench itself: a kind of bad unit (`stand_ins.py`) on the line instead.
    """

    folder = attr.ib(validator=attr.validators.instance_of(str))
    stand_in = attr.ib(default="", validator=attr.validators.instance_of(str))
    txdelay = attr.ib(default=None)
    txchunk = attr.ib(default=1)

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        self._root = Path(self.folder).absolute()
        self._process: subprocess.Popen[bytes] | None = None
        self._is_on = False
        self._master = self._slave = -1
        self._gnss: list[int] = []

    def on_activate(self) -> None:
        self._root.mkdir(parents=True, exist_ok=True)
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)

    def on_deactivate(self) -> None:
        self.off()
        for end in (self._master, self._slave, *self._gnss):
            os.close(end)
        self._gnss.clear()

    # Power

    def on(self) -> None:
        self._is_on = True
        if (self._root / "etc" / "device.toml").exists():
            self.service("start")

    def off(self) -> None:
        self.service("kill")
        self._is_on = False

    def cycle(self) -> None:
        self.off()
        self.on()

    def reset(self) -> None:
        self.cycle()

    # Console

    def _read(self, size: int = 1, timeout: float = 10, max_size: int | None = None) -> bytes:
        if not select.select([self._master], [], [], timeout)[0]:
            if self._process is not None and self._process.poll() is not None:
                raise EOFError("the service ended")
            raise pexpect.TIMEOUT("nothing came")
        return os.read(self._master, min(4096, max_size or 4096))

    def _write(self, data: bytes) -> int:
        end = time.monotonic() + 10
        while time.monotonic() < end:
            with contextlib.suppress(BlockingIOError):
                return os.write(self._master, data)
            time.sleep(0.05)
        raise EOFError("nobody reads the line")

    # Maintenance

    def places(self) -> Places:
        root = self._root
        port = f'\n[console]\nport = "{os.ttyname(self._slave)}"\nfolder = "{root}/data/console"\n'
        return Places(
            *(str(root / name) for name in ("etc", "data", "run")), clock="assumed", more=port
        )

    def wait_ready(self, timeout_s: float) -> None:
        if not self._is_on:
            raise verdict.silent("the unit", 0)

    def run(self, command: str, timeout_s: float = 60.0) -> Outcome:
        # The unit's command is this checkout's: a shell function of that name would need bash.
        own = f"{device_python()} -m alpr_edge "
        shell = re.sub(r"(?<![\w/.-])alpr-edge (?=\S)", own, command)
        return run(["sh", "-c", shell], timeout_s=timeout_s)

    def put(self, path: str, data: bytes) -> None:
        file = Path(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        fresh = file.with_name(f".{file.name}.new")
        fresh.write_bytes(data)
        fresh.replace(file)

    def unpack(self, tar: Path) -> None:
        # Paths in it begin with this unit's own folder.
        with tarfile.open(tar) as archive:
            archive.extractall("/", filter="tar")
        (self._root / "run").mkdir(exist_ok=True)

    def python(self) -> str:
        return str(device_python())

    def gnss(self) -> tuple[str, Any]:
        if not self._gnss:
            self._gnss += os.openpty()
            tty.setraw(self._gnss[1])
            os.set_blocking(self._gnss[0], False)
        return os.ttyname(self._gnss[1]), lambda data: os.write(self._gnss[0], data)

    def service(self, action: str) -> None:
        process = self._process
        if process is not None and action in ("stop", "restart", "kill"):
            process.send_signal(signal.SIGKILL if action == "kill" else signal.SIGTERM)
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(60)
            self._process = process = None
        if process is None or process.poll() is not None:
            (self._root / "run" / "status.json").unlink(missing_ok=True)
        if action in ("start", "restart") and (process is None or process.poll() is not None):
            config = self._root / "etc" / "device.toml"
            script = Path(__file__).with_name("stand_ins.py")
            command = (
                [sys.executable, str(script), self.stand_in, os.ttyname(self._slave)]
                if self.stand_in
                else [str(device_python()), "-m", "alpr_edge", "run", "--config", str(config)]
            )
            with (self._root / "service.log").open("ab") as log:
                self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                )


# --- emulated --------------------------------------------------------------------------------


@target_factory.reg_driver
@attr.s(eq=False)
class EmulatedUnit(QEMUDriver):
    """A booted aarch64 unit. Power off is QEMU's `quit`: what the guest had not written is lost.

    Its disk is an overlay over the image, new with each run. `provision` is a second disk, raw: the
    tar file of what the city gives a unit.
    """

    overlay = attr.ib(default="", validator=attr.validators.instance_of(str))
    image = attr.ib(default="", validator=attr.validators.instance_of(str))
    provision = attr.ib(default="", validator=attr.validators.instance_of(str))

    def on_activate(self) -> None:
        image = Path(self.image)
        if not image.exists():
            raise BenchError(f"no {image}", code="bench.setup", hint="scripts/hil/build_image")
        overlay = Path(self.overlay)
        overlay.parent.mkdir(parents=True, exist_ok=True)
        overlay.unlink(missing_ok=True)
        tool = program("qemu-img", "qemu-utils")
        made = run([tool, "create", "-q", "-f", "qcow2", "-b", image, "-F", "raw", overlay])
        made.checked("qemu-img")
        Path(self.provision).touch()
        os.truncate(self.provision, max(64 << 20, os.path.getsize(self.provision)))
        super().on_activate()
        self._socket.settimeout(60)

    def off(self) -> None:
        if not self.status:
            return
        with contextlib.suppress(Exception):
            self.monitor_command("quit")
        try:
            self._child.wait(30)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait(30)
        for stream in (self._child.stdin, self._child.stdout):
            with contextlib.suppress(OSError):
                stream.close()
        self._clientsocket.close()
        self._child, self._clientsocket, self.status = None, None, 0

    def _read(self, size: int = 1, timeout: float = 10, max_size: int | None = None) -> bytes:
        if self._clientsocket is None:
            raise EOFError("the unit is off")
        data = super()._read(size, timeout, max_size)
        if not data:
            raise EOFError("the emulator ended")
        return bytes(data)

    def _write(self, data: bytes) -> int:
        if self._clientsocket is None:
            raise EOFError("the unit is off")
        self._clientsocket.settimeout(10)
        try:
            self._clientsocket.sendall(data)
        except OSError as err:
            raise EOFError("the emulator ended") from err
        finally:
            self._clientsocket.setblocking(False)
        return len(data)


class _LinuxUnit(MaintenanceProtocol):
    """A unit with systemd, laid out as `scripts/hil/build_image` lays it out."""

    def put(self, path: str, data: bytes) -> None:
        text = base64.b64encode(data).decode("ascii")
        folder = os.path.dirname(path)
        self.run(
            f"mkdir -p {folder} && echo {text} | base64 -d > {path}.new && "
            f"chown alpr-edge: {path}.new && mv {path}.new {path}"
        ).checked(f"writing {path}")

    def python(self) -> str:
        return "/opt/alpr-edge/bin/python3"

    def gnss(self) -> tuple[str, Any]:
        return "", None

    def service(self, action: str) -> None:
        forget = f"rm -f {self.places().run}/status.json"
        steps = {
            "kill": "systemctl kill --signal=SIGKILL alpr-edge.service",
            "stop": f"systemctl stop alpr-edge.service && {forget}",
            "start": f"{forget}; systemctl start alpr-edge.service",
        }
        steps["restart"] = f"{steps['stop']}; {steps['start']}"
        self.run(steps[action], 180).checked(f"{action} of the service")


@target_factory.reg_driver
@attr.s(eq=False)
class AgentMaintenance(_LinuxUnit, Driver):
    """Speaks to `bench-agent` of the bench's image, over a second port of the emulated unit."""

    # Not bound to EmulatedUnit: labgrid lets a console have one client at a time.
    socket_path = attr.ib(validator=attr.validators.instance_of(str))

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        self._number = 0

    def places(self) -> Places:
        port = '\n[console]\nport = "/dev/ttyAMA0"\nfolder = "/var/lib/alpr-edge/console"\n'
        return Places(host="10.0.2.2", clock="rtc", owner=990, more=port)

    def wait_ready(self, timeout_s: float) -> None:
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            with contextlib.suppress(OSError, BenchError):
                if self.run("true", 20).status == 0:
                    return
            time.sleep(1)
        raise verdict.silent("the unit's maintenance port", timeout_s)

    @Driver.check_active
    def run(self, command: str, timeout_s: float = 60.0) -> Outcome:
        self._number += 1
        mine = f"{self._number}-{time.monotonic_ns()}"
        request = {"id": mine, "command": command, "timeout_s": timeout_s}
        end, buffer = time.monotonic() + timeout_s + 30, b""
        with socket.socket(socket.AF_UNIX) as port:
            port.settimeout(10)
            port.connect(self.socket_path)
            port.sendall(json.dumps(request).encode() + b"\n")
            while time.monotonic() < end:
                try:
                    data = port.recv(65536)
                except TimeoutError:
                    continue
                if not data:
                    break
                buffer += data
                *lines, buffer = buffer.split(b"\n")
                for line in lines:
                    with contextlib.suppress(ValueError):
                        answer = json.loads(line)
                        if answer.get("id") == mine:
                            text = base64.b64decode(answer["out"]).decode("utf-8", "replace")
                            return Outcome(int(answer["status"]), text)
        raise verdict.late(f"the end of {command[:60]!r}", timeout_s + 30, repr(buffer[-60:]))

    def gnss(self) -> tuple[str, Any]:
        mine = "chgrp dialout /dev/hvc0 && chmod 660 /dev/hvc0 && stty -F /dev/hvc0 raw -echo"
        self.run(mine).checked("the receiver's port")
        line = socket.socket(socket.AF_UNIX)
        line.settimeout(10)
        line.connect(str(Path(self.socket_path).with_name("gnss.sock")))
        return "/dev/hvc0", line.sendall

    def unpack(self, tar: Path) -> None:
        self.run("tar -C / -xf /dev/vdb && mkdir -p /run/alpr-edge", 180).checked("unpacking")


@target_factory.reg_driver
@attr.s(eq=False)
class ShellMaintenance(_LinuxUnit, Driver):
    """A real unit's shell: any of labgrid's drivers that can run commands and put files."""

    bindings: ClassVar[dict[str, Any]] = {
        "shell": "CommandProtocol",
        "files": "FileTransferProtocol",
    }
    broker_host = attr.ib(validator=attr.validators.instance_of(str))
    console_port = attr.ib(default="/dev/ttyGS0", validator=attr.validators.instance_of(str))

    def places(self) -> Places:
        port = f'\n[console]\nport = "{self.console_port}"\nfolder = "/var/lib/alpr-edge/console"\n'
        return Places(host=self.broker_host, clock="synchronised", more=port, realtime=True)

    def wait_ready(self, timeout_s: float) -> None:
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            with contextlib.suppress(Exception):
                self.target.activate(self.shell)
                if self.run("true", 10).status == 0:
                    return
            time.sleep(1)
        raise verdict.silent("the unit's shell", timeout_s)

    def run(self, command: str, timeout_s: float = 60.0) -> Outcome:
        out, errors, status = self.shell.run(command, timeout=timeout_s)
        return Outcome(status, "\n".join([*out, *errors]))

    def unpack(self, tar: Path) -> None:
        self.files.put(str(tar), "/tmp/provision.tar")
        self.run("tar -C / -xf /tmp/provision.tar && rm /tmp/provision.tar").checked("unpacking")


# --- console and link ------------------------------------------------------------------------


class _ConsoleWire:
    """A ConsoleProtocol as `dialogue.Wire`."""

    def __init__(self, console: Any) -> None:
        self._console = console

    def read(self, timeout_s: float) -> bytes:
        try:
            return bytes(self._console.read(timeout=timeout_s))
        except pexpect.TIMEOUT:
            return b""
        except OSError as err:
            raise EOFError(str(err)) from err

    def write(self, data: bytes) -> None:
        try:
            self._console.write(data)
        except OSError as err:
            raise EOFError(str(err)) from err


@target_factory.reg_driver
@attr.s(eq=False)
class AlprConsoleDriver(Driver):
    """The restricted console over any ConsoleProtocol. labgrid's ShellDriver would type a shell's
    words into it."""

    bindings: ClassVar[dict[str, Any]] = {"console": ConsoleProtocol}
    answer_s = attr.ib(default=30.0, validator=attr.validators.instance_of(float))

    def on_activate(self) -> None:
        self.dialogue = Dialogue(_ConsoleWire(self.console), timeout_s=self.answer_s)


@target_factory.reg_driver
@attr.s(eq=False)
class BrokerLink(Driver):
    """The link's faults: `fault("cut")`, `"stalled"`, `"slow"`, `"up"`.

    Args:
        address: of this machine, as the unit sees it; a real unit needs one that it can reach.
    """

    address = attr.ib(default="127.0.0.1", validator=attr.validators.instance_of(str))

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        self.link: Link | None = None

    def open(self, broker_port: int) -> int:
        """Relay to the broker; the port where the unit connects."""
        self.link = Link(broker_port, address=self.address)
        self.link.start()
        return self.link.port

    def fault(self, kind: str, *, delay_s: float = 0.0) -> None:
        assert self.link is not None, "open first"
        self.link.fault(kind, delay_s=delay_s)

    def on_deactivate(self) -> None:
        if self.link is not None:
            self.link.close()
            self.link = None
