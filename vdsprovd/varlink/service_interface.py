"""`org.varlink.service`: the interface that every service has, and the errors that are not any interface's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from vdsprovd.varlink.interface import Error, Interface, Method, VarlinkError

NAME: Final = "org.varlink.service"


class Nothing(msgspec.Struct, forbid_unknown_fields=True):
    """No parameters."""


class Info(msgspec.Struct):
    """What a service says of itself."""

    vendor: str
    product: str
    version: str
    url: str
    interfaces: list[str]


class InterfaceName(msgspec.Struct, forbid_unknown_fields=True):
    """Names an interface."""

    interface: str


class Description(msgspec.Struct):
    """An interface in Varlink's interface definition language."""

    description: str


class MethodName(msgspec.Struct):
    """Names a method."""

    method: str


class ParameterName(msgspec.Struct):
    """Names a parameter."""

    parameter: str


ERRORS: Final = (
    Error("InterfaceNotFound", InterfaceName, "The service does not have this interface."),
    Error("MethodNotFound", MethodName, "The interface does not have this method."),
    Error("MethodNotImplemented", MethodName, "The interface has this method, the service does not carry it out."),
    Error("InvalidParameter", ParameterName, "A parameter is missing, unknown or not of its type."),
    Error("PermissionDenied", Nothing, "The client may not do this."),
    Error("ExpectedMore", Nothing, "The method must be called with 'more'."),
    Error("ExpectedUpgrade", Nothing, "The method must be called with 'upgrade'."),
)


def interface(get_info: Callable[[Any, Any], Info], get_description: Callable[[Any, Any], Description]) -> Interface:
    """The interface, answered by these two functions."""
    return Interface(
        NAME,
        (
            Method("GetInfo", Nothing, Info, get_info, doc="Tell about the service and list its interfaces."),
            Method(
                "GetInterfaceDescription",
                InterfaceName,
                Description,
                get_description,
                doc="Describe one interface of the service.",
            ),
        ),
        ERRORS,
        "Describes a Varlink service: who made it, and the interfaces it has.",
    )


def interface_not_found(name: str) -> VarlinkError:
    """The answer to a call of an interface that is not there."""
    return VarlinkError(f"{NAME}.InterfaceNotFound", InterfaceName(name))


def method_not_found(name: str) -> VarlinkError:
    """The answer to a call of a method that its interface does not have."""
    return VarlinkError(f"{NAME}.MethodNotFound", MethodName(name))


def method_not_implemented(name: str) -> VarlinkError:
    """The answer to a call that asks for what no method here does: to upgrade the connection."""
    return VarlinkError(f"{NAME}.MethodNotImplemented", MethodName(name))


def invalid_parameter(name: str) -> VarlinkError:
    """The answer to parameters of a wrong shape."""
    return VarlinkError(f"{NAME}.InvalidParameter", ParameterName(name))


def permission_denied() -> VarlinkError:
    """The answer to a caller who may not."""
    return VarlinkError(f"{NAME}.PermissionDenied")


def expected_more() -> VarlinkError:
    """The answer to a call without `more` whose answer does not fit into one reply."""
    return VarlinkError(f"{NAME}.ExpectedMore")
