"""`vdsprovctl`, the command line of vdsprovd."""
