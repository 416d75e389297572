"""What scripts/bench measures: one module a case, in cases; what vdsprovd is measured beside is in floor."""
