"""Delivery: a released read becomes an event, survives on disk, and reaches the broker.

Read in this order: `event` (what leaves), `outbox` (where it waits), `port` (what a link to a
broker can do), `courier` (moves rows from the one to the other), `mqtt` (the real link),
`health` (what is said about it).

Nothing here decides what may leave: that is `exclusion.gate`. No plate is ever logged.
"""
