"""Removes folders of the cache; runs in the namespaces (labhost.namespaces)."""

import shutil
from typing import cast

from labhost.namespaces import Json


def inside(task: Json) -> int:
    for folder in cast(list[str], task["folders"]):
        shutil.rmtree(folder)
    return 0
