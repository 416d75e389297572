"""The cases: each module's `measure` takes how many LUNs there are, and gives its figures by name."""
