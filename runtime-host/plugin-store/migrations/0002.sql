-- Kill switches; durable over restarts. The empty name stands for all plugins.
CREATE TABLE switches (
    name TEXT PRIMARY KEY NOT NULL,
    thrown_by TEXT NOT NULL,
    at_ms INTEGER NOT NULL
) STRICT;
