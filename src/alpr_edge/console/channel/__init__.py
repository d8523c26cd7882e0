"""The machine channel: frames beside the text on one serial wire. Pure; what both ends share, and
the unit's end.

Read in this order: `frames` (bytes ↔ packets), `packets` (packets ↔ requests and answers),
`parcels` (files in pieces, resumed), `requests` (what may be asked, and of whom), `end` (the unit's
end), `xmodem` (for plain terminal programs). ADR 0019 tells why the framing is what it is.

Does not: open a port (`console.serial_port`, `host.line`), decide who may what (`console.access`).
"""
