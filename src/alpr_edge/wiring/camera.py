"""The configured camera."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from alpr_edge.capture.port import FrameSource
    from alpr_edge.config.models import DeviceConfig


def make_source(config: DeviceConfig, environment: Mapping[str, str]) -> FrameSource:
    """The configured camera. Opens nothing yet.

    Raises:
        ConfigError: an environment variable that should hold a secret is not set.
    """
    from alpr_edge.capture.live import LiveOptions
    from alpr_edge.capture.playback import PlaybackOptions
    from alpr_edge.delivery.setup import secret

    source = config.source
    if source.kind == "street":
        from alpr_edge.simulator.light import Light
        from alpr_edge.simulator.street import Street, StreetConfig
        from alpr_edge.simulator.virtual_camera import StreetCamera

        street = Street(
            StreetConfig(
                seed=source.seed,
                width_px=source.width,
                height_px=source.height,
                fps=source.fps,
                duration_s=source.duration_s,
                light=Light(source.light),
                vehicles=source.vehicles,
            )
        )
        return StreetCamera(street, realtime=source.realtime, start=datetime.now(UTC))
    size = (source.width, source.height) if source.width and source.height else None
    if source.kind == "v4l2":
        from alpr_edge.capture.v4l2 import v4l2_source

        live = LiveOptions(backoff_min_s=source.backoff_min_s, backoff_max_s=source.backoff_max_s)
        return v4l2_source(
            source.device,
            size=(source.width, source.height),
            fourcc=source.fourcc,
            fps=source.fps,
            options=live,
        )
    if source.kind == "rtsp":
        from alpr_edge.capture.rtsp import rtsp_source, with_credentials

        username = secret(source.username_env, "source.username_env", environment)
        password = secret(source.password_env, "source.password_env", environment)
        return rtsp_source(
            with_credentials(source.url, username, password),
            transport=source.transport,
            open_timeout_s=source.open_timeout_s,
            read_timeout_s=source.read_timeout_s,
            options=LiveOptions(
                size=size,
                max_fps=source.fps,
                backoff_min_s=source.backoff_min_s,
                backoff_max_s=source.backoff_max_s,
            ),
        )
    from alpr_edge.capture.video import folder_source, video_file_source

    options = PlaybackOptions(realtime=source.realtime, loop=source.loop, size=size)
    if source.kind == "folder":
        return folder_source(source.path, fps=source.fps, options=options)
    return video_file_source(source.path, fps=source.fps, options=options)
