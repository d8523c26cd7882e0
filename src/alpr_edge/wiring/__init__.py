"""From configuration to live objects. Only this room knows all rooms.

`device` makes the whole unit out of `camera`, `engine` (models to a pipeline), `guard` (what judges
before every frame) and the rooms of ledger and delivery; `signed_config` says what a configuration
is worth; `stills` reads photos.

It imports nothing itself: who reads a photo needs neither ledger nor link.
"""
