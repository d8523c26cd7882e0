"""Room `host`: what runs on the technician's laptop, as `alpr-edge-tech`.

Read in this order: `wire` (the port), `link` (requests and answers), `moving` (files, resumed),
`unit` (what a unit can be asked), `cli`; then `shell` and `studio`.

It imports nothing that runs on a unit but the channel's own format and pure geometry; a device
install needs none of its libraries (extra `[host]`).
"""
