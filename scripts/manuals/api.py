"""Of org.vdsprov.7: the interfaces and the errors, from the code."""

import re
from typing import cast

from vdsprovd.hresult import Hresult
from vdsprovd.provider.api import Rules
from vdsprovd.provider.context import Context
from vdsprovd.provider.interfaces import describe


def parts() -> dict[str, str]:
    """The generated parts, by the name in the comments around them."""
    return {"interfaces": _interfaces(), "errors": _errors()}


def _interfaces() -> str:
    """Every interface with its methods, their roles and the first sentence of their help."""
    parts = []
    # Describing binds no call to the context, so none is needed.
    for interface in describe(cast(Context, None)):
        parts.append(f"### {interface.name}\n\n{interface.doc}\n")
        for method in interface.methods:
            rules = method.metadata
            assert isinstance(rules, Rules)
            first = re.split(r"(?<=[.;:])\s", " ".join(method.doc.split()), maxsplit=1)[0].rstrip(";:")
            parts.append(f"**{method.name}** (*{rules.role.name.lower()}*)\n: {first.rstrip('.')}.\n")
    return "\n".join(parts)


def _errors() -> str:
    """Every error with the code of VDS that it stands for."""
    rows = [f"**org.vdsprov.{code.error_name}**\n: {code.name} 0x{code:08x}\n" for code in Hresult if code.failed]
    return "\n".join(["Each has the parameters `hresult`, `symbol`, `message` and `object`.\n", *rows])
