"""The VDS rules: one file for each object, one class for each interface, one function for each method."""
