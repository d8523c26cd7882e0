"""A camera for the tests: Debian's gst-rtsp-server, run by the system's Python, not by pytest's.

    /usr/bin/python3 rtsp_server.py PORT [--user NAME --password SECRET] [--size WxH] [--frames N]

Serves a moving test pattern as H.264 at /cam and prints "ready" when it listens.
"""

import argparse

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

parser = argparse.ArgumentParser()
parser.add_argument("port")
parser.add_argument("--user")
parser.add_argument("--password")
parser.add_argument("--size", default="320x240")
parser.add_argument("--frames", type=int, default=-1, help="end of stream after this many")
arguments = parser.parse_args()

Gst.init(None)
if not all(Gst.ElementFactory.find(name) for name in ("videotestsrc", "x264enc", "rtph264pay")):
    raise SystemExit(3)
width, height = arguments.size.split("x")
server = GstRtspServer.RTSPServer()
server.set_address("127.0.0.1")
server.set_service(arguments.port)
factory = GstRtspServer.RTSPMediaFactory()
factory.set_launch(
    f"( videotestsrc is-live=true num-buffers={arguments.frames} "
    f"! video/x-raw,width={width},height={height},framerate=15/1 "
    "! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=15 "
    "! rtph264pay name=pay0 pt=96 config-interval=1 )"
)
if arguments.user:
    auth = GstRtspServer.RTSPAuth()
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "user")
    basic = GstRtspServer.RTSPAuth.make_basic(arguments.user, arguments.password)
    auth.add_basic(basic, token)
    server.set_auth(auth)
    permissions = GstRtspServer.RTSPPermissions()
    permissions.add_permission_for_role("user", "media.factory.access", True)
    permissions.add_permission_for_role("user", "media.factory.construct", True)
    factory.set_permissions(permissions)
server.get_mount_points().add_factory("/cam", factory)
if server.attach(None) == 0:
    raise SystemExit("the port is taken")
print("ready", flush=True)  # noqa: T201
GLib.MainLoop().run()
