"""Where LUNs' bytes live."""
