"""Measurements for people to read: `make bench`. Never part of the tests."""
