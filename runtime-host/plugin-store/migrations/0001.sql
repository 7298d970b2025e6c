-- Everything that is kept about plugins. Times are milliseconds since 1970.

CREATE TABLE meta (
    name TEXT PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- Values of plugins. Rows, not a clustered index: values reach a mebibyte.
CREATE TABLE kv (
    plugin TEXT NOT NULL,
    key TEXT NOT NULL,
    value BLOB NOT NULL,
    UNIQUE (plugin, key)
) STRICT;

-- What each plugin takes up; kept in the transaction that changes it.
CREATE TABLE usage (
    plugin TEXT PRIMARY KEY,
    kv_bytes INTEGER NOT NULL DEFAULT 0,
    kv_values INTEGER NOT NULL DEFAULT 0,
    log_bytes INTEGER NOT NULL DEFAULT 0,
    log_lines INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

-- Encrypted with the key in the file beside the database.
CREATE TABLE secrets (
    plugin TEXT NOT NULL,
    name TEXT NOT NULL,
    sealed BLOB NOT NULL,
    PRIMARY KEY (plugin, name)
) STRICT;

CREATE TABLE plugins (
    id TEXT PRIMARY KEY,
    enabled INTEGER NOT NULL,
    reason TEXT,
    instance_id TEXT NOT NULL,
    token_digest TEXT,
    approved TEXT,
    settings TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX plugins_by_token ON plugins (token_digest) WHERE token_digest IS NOT NULL;

CREATE TABLE grants (
    plugin TEXT NOT NULL,
    capability TEXT NOT NULL,
    scope TEXT NOT NULL,
    deny INTEGER NOT NULL,
    by TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    expires_at_ms INTEGER,
    PRIMARY KEY (plugin, capability, scope, deny)
) STRICT;

CREATE TABLE consents (
    id TEXT PRIMARY KEY,
    plugin TEXT NOT NULL,
    capability TEXT NOT NULL,
    target TEXT NOT NULL,
    reason TEXT,
    asked_at_ms INTEGER NOT NULL,
    state TEXT NOT NULL,
    by TEXT,
    decided_at_ms INTEGER
) STRICT;
CREATE UNIQUE INDEX consents_waiting ON consents (plugin, capability, target) WHERE state = 'pending';
CREATE INDEX consents_by_plugin ON consents (plugin, state, decided_at_ms);

CREATE TABLE logs (
    id INTEGER PRIMARY KEY,
    plugin TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    level INTEGER NOT NULL,
    message TEXT NOT NULL,
    fields TEXT,
    bytes INTEGER NOT NULL
) STRICT;
CREATE INDEX logs_by_plugin ON logs (plugin, id);

-- The column `timestamp` is for those who look with the sqlite3 tool.
CREATE TABLE plugin_events (
    id INTEGER PRIMARY KEY,
    plugin_id TEXT NOT NULL,
    event_type TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    timestamp TEXT GENERATED ALWAYS AS (strftime('%Y-%m-%dT%H:%M:%fZ', at_ms / 1000.0, 'unixepoch')) VIRTUAL,
    details TEXT
) STRICT;
CREATE INDEX plugin_events_by_plugin ON plugin_events (plugin_id, id);
CREATE INDEX plugin_events_by_time ON plugin_events (at_ms);

-- Decisions about capabilities.
CREATE TABLE audit (
    id INTEGER PRIMARY KEY,
    plugin TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    capability TEXT NOT NULL,
    target TEXT,
    action TEXT NOT NULL,
    decision TEXT NOT NULL,
    layer INTEGER NOT NULL,
    reason TEXT NOT NULL,
    duration_us INTEGER
) STRICT;
CREATE INDEX audit_by_plugin ON audit (plugin, id);
CREATE INDEX audit_by_time ON audit (at_ms);
