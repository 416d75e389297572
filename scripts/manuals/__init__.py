"""What scripts/man-pages makes of the code and of docs/configuration.md. Each module is about one page."""
