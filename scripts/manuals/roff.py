"""The manuals in the form that `man` reads. go-md2man is small and in Debian, and knows lists and tables."""

import os
import re
import subprocess
import time
from pathlib import Path


def write(pages: Path, into: Path, version: str) -> None:
    """Make a manual of every page. Their date is that of $SOURCE_DATE_EPOCH, or now."""
    date = time.gmtime(int(os.environ.get("SOURCE_DATE_EPOCH", time.time())))
    into.mkdir(parents=True, exist_ok=True)
    for page in sorted(pages.glob("*.md")):
        name, _, section = page.stem.rpartition(".")
        title = f'% {name} {section} {time.strftime("%Y-%m-%d", date)} "vdsprovd {version}" "vdsprovd"\n'
        text = re.sub(r"<!--.*?-->\n", "", page.read_text().partition("\n")[2], flags=re.DOTALL)
        done = subprocess.run(["go-md2man"], input=title + text, capture_output=True, text=True, check=True)
        # It has a paragraph begin where a section has just begun, and a font for code that not every formatter knows; and
        # it forbids hyphens in names before the title, which allows them again.
        made = re.sub(r"\A\.nh\n(\.TH .*\n)", r"\1.nh\n.ad l\n", done.stdout)
        made = re.sub(r"(?m)^(\.S[HS] .*\n)\.PP\n", r"\1", made).replace("\\fC", "\\fB")
        (into / page.stem).write_text(made)
