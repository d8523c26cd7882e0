"""The ledger: what this device did, in an append-only Merkle log that outsiders can check.

Pure: `merkle`, `note`, `tiles`, `fields`, `kinds`, `entry`, `verify`, `facts`. Edges: `files`,
`store`. No entry can hold a plate: see `fields`.
"""
