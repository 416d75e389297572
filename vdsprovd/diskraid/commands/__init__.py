"""DiskRAID's commands, a module for each family. `FORMS` is the table of all, in the order of Microsoft's reference."""

from typing import Final

from vdsprovd.diskraid.commands import (
    array,
    association,
    automagic,
    chap,
    initiator,
    looking,
    lun,
    paths,
    selection,
    talking,
    target,
)
from vdsprovd.diskraid.grammar import Form

FORMS: Final[tuple[Form, ...]] = tuple(
    sorted(
        (
            *array.FORMS,
            *association.FORMS,
            *automagic.FORMS,
            *chap.FORMS,
            *initiator.FORMS,
            *looking.FORMS,
            *lun.FORMS,
            *paths.FORMS,
            *selection.FORMS,
            *talking.FORMS,
            *target.FORMS,
        ),
        key=lambda form: form.name,
    )
)
"""Sorted by name; the forms of a command stay as they are in their module."""
