"""The host's side of scripts/lab. The guest's side is in scripts/guest."""
