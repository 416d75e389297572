"""What scripts/bench measures: one module a case, in cases; what vdsprovd is measured beside is in floor."""

AS_SERVICE = {"MALLOC_ARENA_MAX": "1"}
"""The environment that systemd/vdsprovd.service gives a daemon."""
