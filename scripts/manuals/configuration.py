"""vdsprovd.toml.5, which is docs/configuration.md: tables of keys as lists, and links as what they say."""

import re
from collections.abc import Iterator

HEAD = """\
# vdsprovd.toml(5)

<!-- Generated from docs/configuration.md by scripts/man-pages; do not edit. -->

## NAME

vdsprovd.toml - the configuration of vdsprovd

## DESCRIPTION

"""
TAIL = """\
## FILES

*/etc/vdsprovd/vdsprovd.toml*
: The configuration.

*/usr/share/doc/vdsprovd/examples/vdsprovd.toml*
: An example with every key.

## SEE ALSO

**vdsprovctl**(1), **vdsprovd**(8)
"""


def page(reference: str) -> str:
    """The manual that has what the reference has."""
    text = reference.partition("\n")[2].partition("\n## Under systemd")[0]
    text = re.sub(r" \(\[below\]\([^)]*\)\)", "", text)
    text = re.sub(r"\[([^][]+)\]\((https?:[^)]+)\)", r"\1 (\2)", text)
    text = re.sub(r"\[([^][]+)\]\([^)]*\)", r"\1", text)
    text = re.sub(r"^## `(\[+[a-z.]+\]+)`$", r"## \1", text, flags=re.MULTILINE)
    return HEAD + "\n".join(_without_key_tables(text.strip().splitlines())) + "\n\n" + TAIL


def _without_key_tables(lines: list[str]) -> Iterator[str]:
    in_table = False
    for line in lines:
        cells = [cell.strip() for cell in line.strip("|").split(" | ")] if line.startswith("|") else []
        if cells[:1] == ["key"]:
            in_table = True
        elif in_table and line.startswith("|---"):
            continue
        elif in_table and cells:
            name, *about, meaning = cells
            kind = ", ".join([*about[:-1], about[-1] if about[-1] == "required" else f"default {about[-1]}"])
            yield f"**{name.strip('`')}** ({kind})"
            yield f": {meaning.strip('| ')}"
            yield ""
        else:
            in_table = False
            yield line
