"""Prometheus metrics: what is shown (`definitions`), how it is read (`scene`), and to whom it is served (`endpoint`)."""
