"""alpr-edge: licence-plate reading on the camera, and never at protected premises."""

__version__ = "0.1.0"
