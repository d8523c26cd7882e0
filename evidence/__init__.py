"""The exclusion battery in full, and the report of it. `make evidence`; see docs/exclusion.md."""
