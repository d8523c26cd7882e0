"""The engines that `bench.cluster` sets cameras against: three nodes of NATS or RabbitMQ, or one
mosquitto for a quick test of the same machinery.

NATS and RabbitMQ come from Debian's packages and run inside the network namespace that
`bench.cluster` makes: fixed addresses, and a packet filter that cuts node 2 off from its peers
while clients still reach it.
"""

from __future__ import annotations

import http.client
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

NODES = ("127.0.1.1", "127.0.1.2", "127.0.1.3")
MQTT_PORT = 1883


class Engine(Protocol):
    """Nodes that can be killed and cut off; numbers from 1.

    Attributes:
        brokers: where cameras connect, host and port of each node.
        start_s: how long it took until every node was ready.
    """

    brokers: tuple[tuple[str, int], ...]
    start_s: float

    def start(self, n: int) -> None: ...

    def kill(self, n: int) -> None: ...

    def cut(self) -> None: ...

    def mend(self) -> None: ...

    def close(self) -> None: ...

    @property
    def cpu_s(self) -> float: ...

    def rss_mib(self) -> list[int]: ...

    @property
    def about(self) -> str: ...


def wait_for(what: str, check: Callable[[], bool], within_s: float) -> float:
    """Seconds until `check` is true."""
    began = time.monotonic()
    while not check():
        if time.monotonic() - began > within_s:
            sys.exit(f"did not happen within {within_s:.0f} s: {what}")
        time.sleep(0.2)
    return time.monotonic() - began


def listens(host: str, port: int) -> bool:
    """Whether somebody takes connections there."""
    with socket.socket() as probe:
        probe.settimeout(2.0)
        return probe.connect_ex((host, port)) == 0


def program(name: str, package: str) -> str:
    """Path of an installed program."""
    found = shutil.which(name, path="/usr/lib/rabbitmq/bin:/usr/sbin:/usr/bin")
    if found is None:
        sys.exit(f"needs {name}: apt-get install {package}")
    return found


def debian_version(package: str) -> str:
    """As dpkg knows it."""
    told = subprocess.run(
        ["dpkg-query", "-W", "-f", "${Package} ${Version}", package],
        capture_output=True,
        text=True,
        check=False,
    )
    return told.stdout or package


class Processes:
    """One process group a node, whose CPU time and memory are added up."""

    def __init__(self) -> None:
        self._groups: dict[int, subprocess.Popen[bytes]] = {}
        self._gone_cpu_s = 0.0

    def start(self, n: int, command: list[str], log: Path, more: dict[str, str]) -> None:
        with log.open("ab") as file:
            self._groups[n] = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                env=os.environ | more,
                start_new_session=True,
            )

    def kill(self, n: int) -> None:
        process = self._groups.pop(n)
        self._gone_cpu_s += self._of(process.pid)[0]
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def close(self) -> None:
        for n in list(self._groups):
            self.kill(n)

    @property
    def cpu_s(self) -> float:
        return self._gone_cpu_s + sum(self._of(one.pid)[0] for one in self._groups.values())

    def rss_mib(self) -> list[int]:
        return [self._of(one.pid)[1] for one in self._groups.values()]

    def _of(self, group: int) -> tuple[float, int]:
        """CPU seconds and resident MiB of a process group."""
        ticks = pages = 0
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            if int(fields[2]) == group:
                ticks += int(fields[11]) + int(fields[12])
                pages += int(fields[21])
        return ticks / os.sysconf("SC_CLK_TCK"), pages * os.sysconf("SC_PAGE_SIZE") // 2**20


def packet_filter(rules: str) -> None:
    """Load a table that drops what the rules name, on the receivers' side."""
    lines = rules.replace(";", "\n")
    table = (
        f"table inet cut {{\nchain input {{\ntype filter hook input priority 0\n{lines}\n}}\n}}\n"
    )
    subprocess.run(["nft", "-f", "-"], input=table.encode(), check=True)


def no_packet_filter() -> None:
    """Everything passes again."""
    subprocess.run(["nft", "delete", "table", "inet", "cut"], check=True)


NATS = """\
server_name: n{n}
listen: {host}:4222
http: {host}:8222
max_payload: 131072
jetstream {{ store_dir: "{store}", max_mem: 256M, max_file: 4G }}
cluster {{ name: alpr, listen: "0.0.0.0:622{n}", no_advertise: true, routes: [{routes}] }}
mqtt {{ listen: {host}:1883, stream_replicas: 3, ack_wait: "20s", max_ack_pending: 1000 }}
"""


class Nats:
    """Three nats-server. Node 2 reaches its peers by addresses that nobody else uses."""

    def __init__(self, folder: Path) -> None:
        self.brokers = tuple((host, MQTT_PORT) for host in NODES)
        self._program = program("nats-server", "nats-server")
        self._folder, self._processes = folder, Processes()
        began = time.monotonic()
        for n, host in enumerate(NODES, 1):
            net = "127.0.2" if n == 2 else "127.0.1"
            routes = ", ".join(
                f'"nats-route://{net}.{peer}:622{peer}"' for peer in (1, 2, 3) if peer != n
            )
            text = NATS.format(n=n, host=host, store=folder / f"n{n}", routes=routes)
            (folder / f"n{n}.conf").write_text(text)
            self.start(n)
        wait_for("three healthy nodes", self._healthy, 120)
        self.start_s = time.monotonic() - began
        time.sleep(3)

    def start(self, n: int) -> None:
        command = [self._program, "-c", str(self._folder / f"n{n}.conf")]
        self._processes.start(n, command, self._folder / f"n{n}.log", {})

    def kill(self, n: int) -> None:
        self._processes.kill(n)

    def cut(self) -> None:
        packet_filter(
            "ip daddr 127.0.1.2 tcp dport 6222 drop; ip saddr 127.0.1.2 tcp sport 6222 drop;"
            " ip daddr 127.0.2.0/24 drop; ip saddr 127.0.2.0/24 drop;"
        )

    def mend(self) -> None:
        no_packet_filter()

    def close(self) -> None:
        self._processes.close()

    @property
    def cpu_s(self) -> float:
        return self._processes.cpu_s

    def rss_mib(self) -> list[int]:
        return self._processes.rss_mib()

    @property
    def about(self) -> str:
        return debian_version("nats-server")

    def _healthy(self) -> bool:
        try:
            for host in NODES:
                connection = http.client.HTTPConnection(host, 8222, timeout=2)
                connection.request("GET", "/healthz")
                status = connection.getresponse().status
                connection.close()
                if status != 200:
                    return False
        except OSError:
            return False
        return True


RABBIT = """\
listeners.tcp.default = {host}:5672
mqtt.listeners.tcp.default = {host}:1883
mqtt.durable_queue_type = quorum
mqtt.prefetch = 200
mqtt.allow_anonymous = true
mqtt.default_user = guest
mqtt.default_pass = guest
loopback_users = none
cluster_formation.peer_discovery_backend = classic_config
cluster_formation.classic_config.nodes.1 = rabbit1@alpr-rmq1
cluster_formation.classic_config.nodes.2 = rabbit2@alpr-rmq2
cluster_formation.classic_config.nodes.3 = rabbit3@alpr-rmq3
cluster_partition_handling = pause_minority
net_ticktime = 10
"""
ERLANG = (
    "+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none"
    " -kernel inet_dist_use_interface {{127,0,1,{n}}}"
    " -kernel inet_dist_connect_options [{{ip,{{127,0,1,{n}}}}}]"
)
"""Two schedulers that do not spin; distribution listens at, and connects from, the node's address,
so that the packet filter tells a peer from a client."""


class RabbitMq:
    """Three rabbitmq-server with the MQTT plugin, sessions in quorum queues.

    What made earlier attempts fail, and is done here: one cookie and one home for all; short node
    names that resolve (the mount namespace has a hosts file of its own); one epmd; a distribution
    port, data, log and generated configuration for each node; no file below /etc/rabbitmq; one node
    after the other; and minutes of patience, as a node waits for its peers.
    """

    def __init__(self, folder: Path) -> None:
        self.brokers = tuple((host, MQTT_PORT) for host in NODES)
        self._program = program("rabbitmq-server", "rabbitmq-server")
        self._folder, self._processes = folder, Processes()
        hosts = "127.0.0.1 localhost\n" + "".join(
            f"{host} alpr-rmq{n}\n" for n, host in enumerate(NODES, 1)
        )
        (folder / "hosts").write_text(hosts)
        subprocess.run(["mount", "--bind", str(folder / "hosts"), "/etc/hosts"], check=True)
        cookie = folder / ".erlang.cookie"
        cookie.write_text(secrets.token_hex(16))
        cookie.chmod(0o400)
        (folder / "plugins").write_text("[rabbitmq_mqtt].\n")
        self._environment = {"HOME": str(folder)}
        subprocess.run(
            [program("epmd", "erlang-base"), "-daemon"],
            env=os.environ | self._environment,
            check=True,
        )
        began = time.monotonic()
        for n, host in enumerate(NODES, 1):
            (folder / f"n{n}").mkdir()
            (folder / f"n{n}" / "rabbitmq.conf").write_text(RABBIT.format(host=host))
            self.start(n)
            took_s = wait_for(f"node {n} is ready", lambda host=host: listens(host, MQTT_PORT), 400)
            print(f"node {n} ready after {took_s:.0f} s", file=sys.stderr)
        self._control("await_online_nodes", "3")
        self.start_s = time.monotonic() - began

    def start(self, n: int) -> None:
        folder = self._folder / f"n{n}"
        more = self._environment | {
            "RABBITMQ_NODENAME": f"rabbit{n}@alpr-rmq{n}",
            "RABBITMQ_NODE_IP_ADDRESS": NODES[n - 1],
            "RABBITMQ_NODE_PORT": "5672",
            "RABBITMQ_DIST_PORT": f"2567{n}",
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(folder / "advanced"),
            "RABBITMQ_GENERATED_CONFIG_DIR": str(folder / "generated"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self._folder / "plugins"),
            "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_PID_FILE": str(folder / "pid"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": ERLANG.format(n=n),
        }
        self._processes.start(n, [self._program], folder / "out", more)

    def kill(self, n: int) -> None:
        self._processes.kill(n)

    def cut(self) -> None:
        packet_filter(
            "ip saddr 127.0.1.2 ip daddr { 127.0.1.1, 127.0.1.3 } drop;"
            " ip daddr 127.0.1.2 ip saddr { 127.0.1.1, 127.0.1.3 } drop;"
        )

    def mend(self) -> None:
        no_packet_filter()

    def close(self) -> None:
        self._processes.close()
        # epmd is in this pid namespace and ends with it; asked to, it ends now.
        subprocess.run([program("epmd", "erlang-base"), "-kill"], capture_output=True, check=False)
        subprocess.run(["umount", "/etc/hosts"], check=False)

    @property
    def cpu_s(self) -> float:
        return self._processes.cpu_s

    def rss_mib(self) -> list[int]:
        return self._processes.rss_mib()

    @property
    def about(self) -> str:
        return debian_version("rabbitmq-server")

    def _control(self, *words: str) -> None:
        more = self._environment | {"RABBITMQ_CONF_ENV_FILE": "/dev/null"}
        subprocess.run(
            [program("rabbitmqctl", "rabbitmq-server"), "-n", "rabbit1@alpr-rmq1", *words],
            env=os.environ | more,
            stdout=subprocess.DEVNULL,
            check=True,
            timeout=300,
        )


MOSQUITTO = """\
listener {port} 127.0.0.1
allow_anonymous true
max_inflight_messages 100
max_queued_messages 10000
"""


class Mosquitto:
    """One mosquitto that forgets everything when it is killed: for a quick test of the machinery.

    Needs no root and no namespace. It has no peers, so it cannot be cut off.
    """

    def __init__(self, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        self.brokers = (("127.0.0.1", port),)
        self._program = program("mosquitto", "mosquitto")
        self._folder, self._processes = folder, Processes()
        (folder / "mosquitto.conf").write_text(MOSQUITTO.format(port=port))
        began = time.monotonic()
        self.start(1)
        wait_for("mosquitto listens", lambda: listens("127.0.0.1", port), 60)
        self.start_s = time.monotonic() - began

    def start(self, n: int) -> None:
        command = [self._program, "-c", str(self._folder / "mosquitto.conf")]
        self._processes.start(n, command, self._folder / "mosquitto.log", {})

    def kill(self, n: int) -> None:
        self._processes.kill(n)

    def cut(self) -> None:
        raise NotImplementedError("one broker has nobody to be cut off from")

    def mend(self) -> None:
        raise NotImplementedError("one broker has nobody to be joined with")

    def close(self) -> None:
        self._processes.close()

    @property
    def cpu_s(self) -> float:
        return self._processes.cpu_s

    def rss_mib(self) -> list[int]:
        return self._processes.rss_mib()

    @property
    def about(self) -> str:
        return debian_version("mosquitto")


ENGINES: dict[str, Callable[[Path], Engine]] = {
    "nats": Nats,
    "rabbitmq": RabbitMq,
    "mosquitto": Mosquitto,
}
