"""Room `capture`: photos, video files, RTSP and V4L2 cameras in, `Frame` values out.

`port` holds the protocol, `still` its shipped fake; `photos`, `video`, `rtsp` and `v4l2` are the
edges. No other room opens an image, a video or a camera. Nothing here looks at a picture.
"""
