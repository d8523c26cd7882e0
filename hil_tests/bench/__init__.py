"""The bench: accepts or refuses a unit before it goes on a pole.

Read in this order: `verdict` (why a unit is refused), `dialogue` (the console, as a person types),
`drivers` and `strategy` (labgrid), `city` (keys, broker, configuration), `scenario` (record and
replay), `report`, `accept` (the command). The tests are beside this folder, one file a station.

Runs in an environment of its own (`make hil`), without the device's packages: what the bench needs
of alpr-edge it asks from the `alpr-edge` command.
"""
