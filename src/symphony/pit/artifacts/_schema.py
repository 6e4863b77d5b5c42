"""The tables of `artifacts.db`. What people and programs name is blinded to be found (`key`, `run`)
and sealed to be shown (`about`, `sealed`): see `_vault`."""

from __future__ import annotations

APPLICATION_ID = 0x53796D41  # "SymA"

_FIRST = """
    CREATE TABLE artifacts (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        size INTEGER NOT NULL,
        media_type TEXT NOT NULL,
        created REAL NOT NULL,
        content BLOB  -- NULL: in a file
    ) STRICT;
    CREATE TABLE uses (
        run TEXT NOT NULL,
        node TEXT NOT NULL,
        port TEXT NOT NULL,
        artifact INTEGER NOT NULL REFERENCES artifacts,
        name TEXT NOT NULL,
        PRIMARY KEY (run, node, port, artifact)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX uses_of_artifact ON uses (artifact);
"""
# What lies in the two old tables is stored again in the new ones when a store is opened.
_SECOND = """
    ALTER TABLE artifacts RENAME TO old_artifacts;
    ALTER TABLE uses RENAME TO old_uses;
    DROP INDEX uses_of_artifact;
    CREATE TABLE objects (
        number INTEGER PRIMARY KEY,
        key BLOB NOT NULL UNIQUE,     -- the digest, blinded
        chunk INTEGER NOT NULL,       -- 1: nobody stored it for itself, it is a part of others
        size INTEGER NOT NULL,
        stored INTEGER NOT NULL,      -- bytes that it takes on the disk
        place INTEGER NOT NULL,       -- 0 in `content`, 1 segment, 2 file, 3 chunks, in `content`
        segment INTEGER,
        start INTEGER,
        file TEXT,
        epoch INTEGER NOT NULL,       -- 0: not encrypted
        salt BLOB NOT NULL,
        created REAL NOT NULL,
        touched REAL NOT NULL,        -- when it was last put or referred to, give or take an hour
        marked REAL,                  -- when it was found to be garbage
        step INTEGER,                 -- what made it first; saves a row of `uses` and its page
        about BLOB NOT NULL,          -- sealed: digest, media type, creator, metadata
        content BLOB
    ) STRICT;
    CREATE INDEX objects_in_segment ON objects (segment, start) WHERE segment IS NOT NULL;
    CREATE INDEX objects_of_step ON objects (step) WHERE step IS NOT NULL;
    CREATE INDEX objects_marked ON objects (marked) WHERE marked IS NOT NULL;
    CREATE TABLE segments (
        number INTEGER PRIMARY KEY,
        size INTEGER NOT NULL,
        poisoned INTEGER NOT NULL     -- 1: a write or sync failed, so nothing is written to it
    ) STRICT;
    CREATE TABLE names (
        number INTEGER PRIMARY KEY,
        key BLOB NOT NULL UNIQUE,
        sealed BLOB NOT NULL
    ) STRICT;
    CREATE TABLE versions (
        name INTEGER NOT NULL REFERENCES names,
        number INTEGER NOT NULL,
        object INTEGER NOT NULL REFERENCES objects,
        parent INTEGER,
        created REAL NOT NULL,
        sealed BLOB NOT NULL,         -- message, creator
        PRIMARY KEY (name, number)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX versions_of_object ON versions (object);
    CREATE TABLE aliases (
        name INTEGER NOT NULL REFERENCES names,
        key BLOB NOT NULL,
        sealed BLOB NOT NULL,
        version INTEGER NOT NULL,
        PRIMARY KEY (name, key)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE tags (
        object INTEGER NOT NULL REFERENCES objects,
        key BLOB NOT NULL,
        sealed BLOB NOT NULL,
        PRIMARY KEY (object, key)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX tags_by_key ON tags (key);
    CREATE TABLE steps (
        number INTEGER PRIMARY KEY,
        key BLOB NOT NULL UNIQUE,     -- run and node, blinded
        run BLOB NOT NULL,            -- blinded
        created REAL NOT NULL,
        sealed BLOB NOT NULL          -- run, node, model, code
    ) STRICT;
    CREATE INDEX steps_of_run ON steps (run);
    CREATE TABLE uses (
        step INTEGER NOT NULL REFERENCES steps,
        output INTEGER NOT NULL,      -- 1: the step made it, 0: the step was given it
        object INTEGER NOT NULL REFERENCES objects,
        key BLOB NOT NULL,            -- the port, blinded
        sealed BLOB NOT NULL,         -- port, name
        PRIMARY KEY (step, output, object, key)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX uses_of_object ON uses (object, output);
    CREATE TABLE pins (
        object INTEGER PRIMARY KEY REFERENCES objects,
        created REAL NOT NULL,
        sealed BLOB NOT NULL          -- why
    ) STRICT;
    CREATE TABLE leases (
        number INTEGER PRIMARY KEY,
        object INTEGER NOT NULL REFERENCES objects,
        until REAL NOT NULL
    ) STRICT;
    CREATE INDEX leases_of_object ON leases (object);
    -- The epoch in force: who knows of an older one only must read the keys again, and write again
    -- what it has encrypted. So nothing appears under a key that is about to be forgotten.
    CREATE TABLE state (epoch INTEGER NOT NULL) STRICT;
    INSERT INTO state VALUES (0);
    -- To be indexed again for search, or gone. What is new is known by its number.
    CREATE TABLE outbox (number INTEGER PRIMARY KEY, object INTEGER NOT NULL) STRICT;
"""
MIGRATIONS = (_FIRST, _SECOND)
