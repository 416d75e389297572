"""The store's tables, and what makes those of an older version into them."""

from vdsprovd.hardware import PRODUCT

SCHEMA = """
CREATE TABLE provider (
    id TEXT NOT NULL
) STRICT;
CREATE TABLE sub_system (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    friendly_name TEXT NOT NULL,
    online INTEGER NOT NULL
) STRICT;
CREATE TABLE storage_pool (
    id TEXT PRIMARY KEY,
    sub_system_id TEXT NOT NULL REFERENCES sub_system,
    name TEXT NOT NULL,
    UNIQUE (sub_system_id, name)
) STRICT;
CREATE TABLE lun (
    id TEXT PRIMARY KEY,
    sub_system_id TEXT NOT NULL REFERENCES sub_system,
    pool_id TEXT NOT NULL REFERENCES storage_pool,
    number INTEGER NOT NULL UNIQUE,
    path TEXT NOT NULL,
    name TEXT NOT NULL,
    size INTEGER NOT NULL CHECK (size > 0),
    type TEXT NOT NULL,
    mask TEXT NOT NULL,
    online INTEGER NOT NULL
) STRICT;
CREATE TABLE target (
    id TEXT PRIMARY KEY,
    sub_system_id TEXT NOT NULL REFERENCES sub_system,
    iscsi_name TEXT NOT NULL UNIQUE,
    friendly_name TEXT NOT NULL
) STRICT;
CREATE TABLE secret (
    target_id TEXT NOT NULL REFERENCES target ON DELETE CASCADE,
    mutual INTEGER NOT NULL,
    initiator TEXT NOT NULL,
    secret TEXT NOT NULL,
    PRIMARY KEY (target_id, mutual, initiator)
) STRICT, WITHOUT ROWID;
CREATE TABLE portal (
    id TEXT PRIMARY KEY,
    sub_system_id TEXT NOT NULL REFERENCES sub_system,
    address TEXT NOT NULL,
    port INTEGER NOT NULL,
    online INTEGER NOT NULL,
    UNIQUE (sub_system_id, address, port)
) STRICT;
CREATE TABLE portal_group (
    id TEXT PRIMARY KEY,
    target_id TEXT NOT NULL REFERENCES target,
    tag INTEGER NOT NULL,
    UNIQUE (target_id, tag)
) STRICT;
CREATE TABLE portal_group_portal (
    portal_group_id TEXT NOT NULL REFERENCES portal_group ON DELETE CASCADE,
    portal_id TEXT NOT NULL REFERENCES portal,
    place INTEGER NOT NULL,
    PRIMARY KEY (portal_group_id, portal_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE association (
    lun_id TEXT NOT NULL REFERENCES lun ON DELETE CASCADE,
    target_id TEXT NOT NULL REFERENCES target,
    lun_index INTEGER NOT NULL,
    place INTEGER NOT NULL,
    PRIMARY KEY (lun_id, target_id),
    UNIQUE (target_id, lun_index)
) STRICT, WITHOUT ROWID;
CREATE TABLE import_target (
    computer TEXT NOT NULL,
    sub_system_id TEXT NOT NULL REFERENCES sub_system ON DELETE CASCADE,
    iscsi_name TEXT NOT NULL,
    PRIMARY KEY (computer, sub_system_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE deleted (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    type TEXT NOT NULL
) STRICT;
CREATE TABLE step (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    detail TEXT NOT NULL,
    began REAL NOT NULL
) STRICT;
"""


# What each version adds to the one before it, from the second on.
MIGRATIONS = (
    """
ALTER TABLE lun ADD COLUMN active INTEGER NOT NULL DEFAULT 1;
ALTER TABLE lun ADD COLUMN hints TEXT NOT NULL DEFAULT '{}';
CREATE TABLE lun_plex (
    id TEXT PRIMARY KEY,
    lun_id TEXT NOT NULL REFERENCES lun ON DELETE CASCADE,
    place INTEGER NOT NULL,
    hints TEXT NOT NULL
) STRICT;
CREATE INDEX lun_plex_lun ON lun_plex (lun_id);
CREATE TABLE controller (
    id TEXT PRIMARY KEY,
    sub_system_id TEXT NOT NULL REFERENCES sub_system ON DELETE CASCADE,
    online INTEGER NOT NULL
) STRICT;
CREATE TABLE port (
    id TEXT PRIMARY KEY,
    controller_id TEXT NOT NULL REFERENCES controller ON DELETE CASCADE,
    online INTEGER NOT NULL
) STRICT;
CREATE TABLE drive (
    id TEXT PRIMARY KEY,
    sub_system_id TEXT NOT NULL REFERENCES sub_system ON DELETE CASCADE,
    identification TEXT NOT NULL,
    slot INTEGER NOT NULL,
    hot_spare INTEGER NOT NULL,
    online INTEGER NOT NULL,
    UNIQUE (sub_system_id, identification),
    UNIQUE (sub_system_id, slot)
) STRICT;
""",
    """
ALTER TABLE drive ADD COLUMN member TEXT NOT NULL DEFAULT '';
""",
    """
CREATE TABLE digest (
    name TEXT PRIMARY KEY,
    sum INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
""",
    f"""
ALTER TABLE lun ADD COLUMN product TEXT NOT NULL DEFAULT '{PRODUCT}';
ALTER TABLE secret ADD COLUMN user TEXT NOT NULL DEFAULT '';
""",
)
VERSION = 1 + len(MIGRATIONS)
