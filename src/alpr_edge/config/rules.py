"""Rules of single values that a range cannot say, and of values that must agree with each other.

Pure. The functions for single values return the value or raise `ValueError` with a phrase that
follows the key's name. A phrase never repeats a value that may hold a secret.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

PRECISIONS: Final = {"balanced": 0.95, "strict": 0.99}
"""Names of wanted precisions: the share of right reads among those published."""

_IDENT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_ENVIRONMENT: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_LINK: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,14}")
"""Source: linux/if.h, IFNAMSIZ."""
_HOST: Final = re.compile(r"[A-Za-z0-9._-]{1,253}|[0-9A-Fa-f:.]{2,45}")
_FOURCC: Final = re.compile(r"[A-Za-z0-9 ]{4}")


def identifier(value: str) -> str:
    """Letters, digits, `-`, `_` and `.`: safe in topics, file names and logs."""
    if not _IDENT.fullmatch(value):
        raise ValueError(
            "must be 1 to 64 letters, digits, '-', '_' or '.', beginning with a letter or digit"
        )
    return value


def printable(value: str) -> str:
    """Text that can stand in a log line."""
    if not value.isprintable() or not value.strip():
        raise ValueError("must be text without control characters, and not blank")
    return value


def environment_name(value: str) -> str:
    """Name of an environment variable."""
    if not _ENVIRONMENT.fullmatch(value):
        raise ValueError(
            "must be the name of an environment variable (letters, digits, '_'), never the secret"
        )
    return value


def host_name(value: str) -> str:
    """Name or address, without scheme and port."""
    if not _HOST.fullmatch(value):
        raise ValueError("must be a host name or an IP address, without 'mqtt://' and port")
    return value


def link_name(value: str) -> str:
    """Name of a network link."""
    if not _LINK.fullmatch(value):
        raise ValueError("must be the name of a network link, such as 'eth0'")
    return value


def fourcc(value: str) -> str:
    """Four characters of a pixel format."""
    if not _FOURCC.fullmatch(value):
        raise ValueError("must be a pixel format of four characters, such as 'MJPG' or 'YUYV'")
    return value


def multiple_of_32(value: int) -> int:
    """A side of a model's input."""
    if value % 32:
        raise ValueError(f"{value} is not a multiple of 32")
    return value


def precision(value: object) -> float | str:
    """A wanted share of right reads, or the name of one."""
    if isinstance(value, str) and value in PRECISIONS:
        return value
    if isinstance(value, int | float) and not isinstance(value, bool) and 0.5 <= value <= 0.999:
        return float(value)
    raise ValueError(f"must be one of {', '.join(PRECISIONS)}, or a number within [0.5, 0.999]")


def topic_prefix(value: str) -> str:
    """What MQTT topics begin with. Source: MQTT 5.0, section 4.7."""
    levels = value.split("/")
    if not all(levels) or len(value) > 256 or value.startswith("$"):
        raise ValueError(
            "must be 1 to 256 characters, not begin with '$', and have no empty level between '/'"
        )
    if not value.isprintable() or set(value) & set("+#"):
        raise ValueError("must not hold '+', '#' or control characters")
    return value


def rtsp_url(value: str) -> str:
    """A camera's address without credentials."""
    try:
        parts = urlsplit(value)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ValueError("must be an address such as rtsp://10.0.0.5:554/stream") from None
    if parts.scheme not in ("rtsp", "rtsps") or not host or port == 0:
        raise ValueError("must be an address such as rtsp://10.0.0.5:554/stream")
    if "@" in parts.netloc:
        raise ValueError("must not hold a user name or password: use username_env and password_env")
    if not value.isprintable() or " " in value:
        raise ValueError("must not hold spaces or control characters")
    return value


def http_url(value: str) -> str:
    """A web service's address without credentials."""
    try:
        parts = urlsplit(value)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ValueError("must be an address such as http://10.0.0.5/onvif/ptz_service") from None
    if parts.scheme not in ("http", "https") or not host or port == 0:
        raise ValueError("must be an address such as http://10.0.0.5/onvif/ptz_service")
    if "@" in parts.netloc:
        raise ValueError("must not hold a user name or password: use username_env and password_env")
    if not value.isprintable() or " " in value:
        raise ValueError("must not hold spaces or control characters")
    return value


def disagreements(tables: Mapping[str, Any]) -> list[str]:
    """Values that are each in range but do not agree, as lines `section.key: …`.

    Takes the tables as written, so that these problems are reported beside all others; a value of
    the wrong type is passed over here, because it has its own line.
    """
    problems = []
    if "exclusion" in tables:
        masks = [key for key in ("mask_store", "mask_file") if _has(tables, "exclusion", key)]
        if not masks:
            problems.append(
                "exclusion.mask_store: missing: the folder of signed mask records (on a bench: "
                "mask_file)"
            )
        if len(masks) == 2:
            problems.append("exclusion.mask_file: not together with mask_store")
    hold = _number(tables, "exclusion", "hold_s", 4.0)
    max_hold = _number(tables, "exclusion", "max_hold_s", 120.0)
    if hold is not None and max_hold is not None and hold > max_hold:
        problems.append(f"exclusion.max_hold_s: {max_hold:g} is less than hold_s, {hold:g}")
    band = _number(tables, "exclusion", "band", 0.02)
    drift = _number(tables, "exclusion", "drift_margin", 0.01)
    is_watched = _has(tables, "exclusion", "reference_file")
    if is_watched and band is not None and drift is not None and drift > band / 2:
        problems.append(
            f"exclusion.drift_margin: {drift:g} is more than half of band, {band:g}: the band must "
            "cover a camera that has moved so far, and the error of the measurement"
        )
    least = _number(tables, "source", "backoff_min_s", 0.5)
    most = _number(tables, "source", "backoff_max_s", 30.0)
    if least is not None and most is not None and least > most:
        problems.append(f"source.backoff_max_s: {most:g} is less than backoff_min_s, {least:g}")
    for section in ("source", "mqtt"):
        if _has(tables, section, "password_env") and not _has(tables, section, "username_env"):
            problems.append(f"{section}.username_env: missing, but password_env is given")
    if _kind(tables) in ("video", "folder", "rtsp"):
        for given, missing in (("width", "height"), ("height", "width")):
            if _has(tables, "source", given) and not _has(tables, "source", missing):
                problems.append(f"source.{missing}: missing, but {given} is given")
    if _has(tables, "recogniser", "precision"):
        least_confidence = _number(tables, "recogniser", "min_confidence", 0.5)
        if least_confidence is not None and least_confidence != 0.5:
            problems.append("recogniser.min_confidence: given beside precision, which decides it")
    if _has(tables, "sentry", "case_line") and not _has(tables, "sentry", "case_switch"):
        problems.append("sentry.case_switch: missing, but case_line is given")
    problems += _site_disagreements(tables)
    tls = _table(tables, "mqtt").get("tls")
    if isinstance(tls, Mapping):
        for given, missing in (("cert", "key"), ("key", "cert")):
            if tls.get(given) is not None and tls.get(missing) is None:
                problems.append(f"mqtt.tls.{missing}: missing, but {given} is given")
    return problems


def _site_disagreements(tables: Mapping[str, Any]) -> list[str]:
    """Of the section [site]: a camera that moves is judged by other means than one that stands."""
    site = _table(tables, "site")
    if not site or site.get("required") is False:
        return []
    problems = []
    position, head = site.get("position", "fixed"), site.get("head")
    has_head = isinstance(head, Mapping)
    if not _has(tables, "site", "premises"):
        problems.append("site.premises: missing: the signed register of premises")
    if position == "nmea" and not _has(tables, "site", "nmea_device"):
        problems.append("site.nmea_device: missing, but position is nmea")
    if position != "fixed" or has_head:
        if not _has(tables, "site", "hfov_deg"):
            problems.append("site.hfov_deg: missing: the widest field of view of a moving camera")
        if _has(tables, "site", "commissioning"):
            problems.append("site.commissioning: only for a camera that stands still")
        if _has(tables, "exclusion", "reference_file"):
            problems.append("exclusion.reference_file: only for a camera that stands still")
    if has_head and position == "fixed" and not _has(tables, "site", "camera"):
        problems.append("site.camera: missing: where the post of the pan-tilt head stands")
    if isinstance(head, Mapping):
        if head.get("password_env") is not None and head.get("username_env") is None:
            problems.append("site.head.username_env: missing, but password_env is given")
        span = head.get("pan_range_deg", (-180.0, 180.0))
        numbers = isinstance(span, list | tuple) and all(isinstance(v, int | float) for v in span)
        if numbers and len(span) == 2 and not 0 < span[1] - span[0] <= 1080:
            problems.append("site.head.pan_range_deg: must rise, by at most 1080 degrees")
    return problems


def _table(tables: Mapping[str, Any], section: str) -> Mapping[str, Any]:
    table = tables.get(section)
    return table if isinstance(table, Mapping) else {}


def _kind(tables: Mapping[str, Any]) -> object:
    kind = _table(tables, "source").get("kind")
    return kind if isinstance(kind, str) else None


def _has(tables: Mapping[str, Any], section: str, key: str) -> bool:
    return _table(tables, section).get(key) is not None


def _number(tables: Mapping[str, Any], section: str, key: str, default: float) -> float | None:
    value = _table(tables, section).get(key, default)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None
