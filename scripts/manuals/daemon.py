"""Of vdsprovd.8: the options, as the daemon's help has them."""

from vdsprovd.__main__ import _parser


def parts() -> dict[str, str]:
    """The generated parts, by the name in the comments around them."""
    return {"options": _options()}


def _options() -> str:
    """The daemon's options, as its help has them."""
    entries = []
    for action in _parser()._actions:
        name = ", ".join(f"**{option}**" for option in action.option_strings)
        value = action.metavar if action.nargs != 0 else None
        if value:
            name += f" [*{value}*]" if action.nargs == "?" else f" *{value}*"
        text = (action.help or "").replace("%%", "%")
        entries.append(f"{name}\n: {text[0].upper()}{text[1:]}.\n")
    return "\n".join(entries)
