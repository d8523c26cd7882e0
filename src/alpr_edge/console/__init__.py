"""Room `console`: the device's side of the serial line.

Read in this order: `device` (the port: what the unit can do), `access` (who may what), `seat` (who
is logged in), `grammar` and `commands` (the language), `session` (bytes in, bytes out). Those are
pure. Edges: `accounts` (users on disk), `serial_port`, `unit` (the real device).

In one sentence: a person with a cable logs in with password and code, and can do exactly what
`access` gives to the role, through the text or through the machine channel beside it.
"""
