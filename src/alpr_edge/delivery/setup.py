"""From configuration to a courier with its outbox, link, encoding and desk. `wiring` calls it.

It opens files; it connects nowhere before the courier is started.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from alpr_edge.config.models import DeviceConfig
from alpr_edge.delivery import foreign
from alpr_edge.delivery.clocks import Clocks, SystemClocks
from alpr_edge.delivery.courier import Courier, CourierSettings
from alpr_edge.delivery.desk import Abilities, Desk
from alpr_edge.delivery.encoding import Encode, cloudevents
from alpr_edge.delivery.health import Facts, Health
from alpr_edge.delivery.home_assistant import discovery
from alpr_edge.delivery.host_facts import disk_free_bytes, temperature_c
from alpr_edge.delivery.key_store import open_key_store
from alpr_edge.delivery.mqtt import MqttLink
from alpr_edge.delivery.mqtt_settings import Credentials, MqttSettings, MqttTimes, TlsFiles
from alpr_edge.delivery.observer import Observer
from alpr_edge.delivery.outbox import Outbox
from alpr_edge.delivery.outbox_values import OutboxLimits
from alpr_edge.delivery.port import Topics
from alpr_edge.delivery.vault import Vault
from alpr_edge.errors import ConfigError
from alpr_edge.trust.key_files import load_public_keys


def make_courier(
    config: DeviceConfig,
    health: Health,
    environment: Mapping[str, str],
    *,
    software: str,
    abilities: Abilities | None = None,
    observer: Observer | None = None,
    clocks: Clocks | None = None,
) -> Courier:
    """Outbox, link, and what moves events between them.

    Args:
        clocks: instead of the kernel's.

    Raises:
        ConfigError: an environment variable that should hold a secret is not set.
        KeyUnusable: the file of the city's keys cannot be used.
        PublishError: the outbox or its key cannot be opened.
    """
    topics = Topics(config.device.id, config.mqtt.topic_prefix)
    clocks = clocks or SystemClocks()
    settings = mqtt_settings(config, environment)
    desk = None
    if config.commands is not None and abilities is not None:
        desk = Desk(
            topics,
            load_public_keys(config.commands.city_keys),
            abilities,
            number_file=Path(config.commands.number_file),
            clocks=clocks,
            trouble=health.error,
        )
        settings = dataclasses.replace(settings, requests=True)
    folder = Path(config.outbox.path).parent

    def facts() -> Facts:
        days = None if settings.tls is None else settings.tls.days_left(clocks.wall_s())
        return Facts(temperature_c(), disk_free_bytes(folder), certificate_days_left=days)

    greetings: tuple[tuple[str, bytes], ...] = ()
    if config.health.home_assistant_prefix is not None:
        prefix = config.health.home_assistant_prefix
        greetings = (discovery(topics, site=config.device.site, software=software, prefix=prefix),)
    return Courier(
        make_outbox(config, clocks),
        MqttLink(settings),
        make_encoding(config, topics),
        health=health,
        settings=CourierSettings(
            settle_on=config.mqtt.settle_on,
            health_every_s=config.health.every_s,
            max_bytes_per_s=config.mqtt.max_bytes_per_s,
        ),
        observer=observer,
        facts=facts,
        desk=desk,
        greetings=greetings,
    )


def make_outbox(config: DeviceConfig, clocks: Clocks) -> Outbox:
    """The encrypted outbox with its key.

    Raises:
        PublishError: file or key cannot be opened or made (`delivery.outbox.*`, `delivery.key.*`).
    """
    wanted = config.outbox
    path = Path(wanted.path)
    key_file = path.with_name(path.name + ".key") if wanted.key_file is None else wanted.key_file
    store = open_key_store(Path(key_file), wanted.keep_key_in)
    return Outbox(
        path,
        OutboxLimits(
            wanted.max_rows, wanted.max_bytes, max_written_a_day=wanted.max_written_bytes_a_day
        ),
        vault=Vault(store, clocks.wall_s()),
        clocks=clocks,
    )


def make_encoding(config: DeviceConfig, topics: Topics) -> Encode:
    """The configured encoding."""
    match config.mqtt.encoding:
        case "onvif":
            return foreign.onvif(topics)
        case "openalpr":
            return foreign.openalpr(topics)
        case "minimal":
            return foreign.minimal(topics)
    return cloudevents(topics, config.mqtt.content_mode)


def mqtt_settings(config: DeviceConfig, environment: Mapping[str, str]) -> MqttSettings:
    """How to reach the brokers.

    Raises:
        ConfigError: an environment variable that should hold a secret is not set.
    """
    mqtt = config.mqtt
    username = secret(mqtt.username_env, "mqtt.username_env", environment)
    password = secret(mqtt.password_env, "mqtt.password_env", environment)
    tls = None
    if mqtt.tls is not None:
        cert, key = (None if f is None else Path(f) for f in (mqtt.tls.cert, mqtt.tls.key))
        tls = TlsFiles(Path(mqtt.tls.ca), cert, key)
    return MqttSettings(
        mqtt.host,
        mqtt.port,
        Topics(config.device.id, mqtt.topic_prefix),
        client_id=mqtt.client_id,
        credentials=None if username is None else Credentials(username, password),
        tls=tls,
        receipts=mqtt.settle_on == "receipt",
        others=tuple((one.host, one.port) for one in mqtt.others),
        protocol=mqtt.protocol,
        times=MqttTimes(
            keepalive=mqtt.keepalive_s, session=mqtt.session_s, will_delay=mqtt.will_delay_s
        ),
    )


def secret(name: str | None, key: str, environment: Mapping[str, str]) -> str | None:
    """The value of the environment variable that a configuration names.

    Raises:
        ConfigError: it is not set (`config.secret.missing`).
    """
    if name is None:
        return None
    value = environment.get(name)
    if not value:
        raise ConfigError(
            f"{key} names the environment variable {name}, which is not set",
            code="config.secret.missing",
            hint="set it in the service's environment file",
        )
    return value
