"""Varlink: JSON over Unix sockets, with introspection and streamed replies (https://varlink.org, UAPI.20).

Knows nothing of storage. `interface` says what a service offers, `server` serves it, `client` calls it, `activation`
finds or makes the socket.
"""

from vdsprovd.varlink.interface import Error, Interface, Last, Method, More, VarlinkError, lazily

__all__ = ["Error", "Interface", "Last", "Method", "More", "VarlinkError", "lazily"]
