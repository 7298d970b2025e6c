-- The directory's schema for SQLite, version 1. Statements are separated by lines of `--;` and are safe to run twice.
CREATE TABLE IF NOT EXISTS scope (
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    revision INTEGER NOT NULL,
    version INTEGER NOT NULL,
    plugins_revision INTEGER NOT NULL,
    owner TEXT,
    listed INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    doc TEXT NOT NULL,
    PRIMARY KEY (kind, id)
) WITHOUT ROWID
--;
CREATE INDEX IF NOT EXISTS scope_owner ON scope (owner) WHERE owner IS NOT NULL
--;
CREATE TABLE IF NOT EXISTS entry (
    scope_kind TEXT NOT NULL,
    scope_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    version INTEGER NOT NULL,
    doc TEXT NOT NULL,
    PRIMARY KEY (scope_kind, scope_id, kind, key)
) WITHOUT ROWID
--;
CREATE INDEX IF NOT EXISTS entry_key ON entry (kind, key, scope_id)
--;
CREATE TABLE IF NOT EXISTS change (
    seq INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    revision INTEGER NOT NULL
)
--;
CREATE TABLE IF NOT EXISTS audit (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    at_ms INTEGER NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    scope_kind TEXT NOT NULL,
    scope_id TEXT NOT NULL,
    target TEXT NOT NULL,
    revision INTEGER NOT NULL,
    change_seq INTEGER NOT NULL,
    detail TEXT NOT NULL
)
--;
CREATE INDEX IF NOT EXISTS audit_scope ON audit (scope_kind, scope_id, seq)
--;
CREATE TABLE IF NOT EXISTS attempt (
    bucket TEXT PRIMARY KEY,
    window_ms INTEGER NOT NULL,
    count INTEGER NOT NULL
) WITHOUT ROWID
--;
CREATE INDEX IF NOT EXISTS attempt_window ON attempt (window_ms)
--;
-- A transaction is one row inserted here. The view holds nothing; its trigger does everything, within the one statement.
CREATE VIEW IF NOT EXISTS mutation AS
SELECT '' AS id, 0 AS at_ms, '' AS actor, '' AS action, '' AS scope_kind, '' AS scope_id, '' AS target, '' AS detail,
    'keep' AS head, '' AS doc, '' AS owner, 0 AS listed, 0 AS plugins,
    '[]' AS checks, '[]' AS edits, '[]' AS users, 0 AS bytes_max, 0 AS changes_kept, 0 AS audit_kept
WHERE 0
--;
CREATE TRIGGER IF NOT EXISTS mutation_commit INSTEAD OF INSERT ON mutation
BEGIN
    -- What has to hold. The words after `jackfield:` are read by the store.
    SELECT RAISE(ABORT, 'jackfield:stale') WHERE EXISTS (
        SELECT 1 FROM json_each(NEW.checks) AS c
        WHERE json_extract(c.value, '$.is') = 'match' AND json_extract(c.value, '$.revision')
            <> coalesce((SELECT revision FROM scope WHERE kind = NEW.scope_kind AND id = NEW.scope_id), 0));
    SELECT RAISE(ABORT, 'jackfield:changed') WHERE EXISTS (
        SELECT 1 FROM json_each(NEW.checks) AS c
        WHERE json_extract(c.value, '$.is') = 'revision' AND json_extract(c.value, '$.revision')
            <> coalesce((SELECT revision FROM scope WHERE kind = NEW.scope_kind AND id = NEW.scope_id), 0));
    SELECT RAISE(ABORT, 'jackfield:changed') WHERE EXISTS (
        SELECT 1 FROM json_each(NEW.checks) AS c
        WHERE json_extract(c.value, '$.is') = 'head' AND json_extract(c.value, '$.version')
            <> coalesce((SELECT version FROM scope WHERE kind = NEW.scope_kind AND id = NEW.scope_id), 0));
    SELECT RAISE(ABORT, 'jackfield:changed') WHERE EXISTS (
        SELECT 1 FROM json_each(NEW.checks) AS c
        WHERE json_extract(c.value, '$.is') = 'entry' AND json_extract(c.value, '$.version')
            <> coalesce((SELECT version FROM entry WHERE scope_kind = NEW.scope_kind AND scope_id = NEW.scope_id
                AND kind = json_extract(c.value, '$.kind') AND key = json_extract(c.value, '$.key')), 0));
    SELECT RAISE(ABORT, 'jackfield:room') WHERE EXISTS (
        SELECT 1 FROM json_each(NEW.checks) AS c
        WHERE json_extract(c.value, '$.is') = 'room' AND json_extract(c.value, '$.max')
            <= (SELECT count(*) FROM entry WHERE scope_kind = NEW.scope_kind AND scope_id = NEW.scope_id
                AND kind = json_extract(c.value, '$.kind')));
    SELECT RAISE(ABORT, 'jackfield:owned') WHERE EXISTS (
        SELECT 1 FROM json_each(NEW.checks) AS c
        WHERE json_extract(c.value, '$.is') = 'owned' AND json_extract(c.value, '$.max')
            <= (SELECT count(*) FROM scope WHERE owner = json_extract(c.value, '$.owner')));

    -- The feed. A new scope starts above every revision that was ever given, so that an id used again never goes back.
    INSERT INTO change (kind, id, revision) VALUES (NEW.scope_kind, NEW.scope_id, coalesce(
        (SELECT revision + 1 FROM scope WHERE kind = NEW.scope_kind AND id = NEW.scope_id),
        (SELECT coalesce(max(seq), 0) + 1 FROM change)));
    INSERT INTO audit (id, at_ms, actor, action, scope_kind, scope_id, target, revision, change_seq, detail)
    SELECT NEW.id, NEW.at_ms, NEW.actor, NEW.action, NEW.scope_kind, NEW.scope_id, NEW.target, c.revision, c.seq, NEW.detail
    FROM change AS c ORDER BY c.seq DESC LIMIT 1;

    -- The head.
    DELETE FROM scope WHERE NEW.head = 'delete' AND kind = NEW.scope_kind AND id = NEW.scope_id;
    DELETE FROM entry WHERE NEW.head = 'delete' AND scope_kind = NEW.scope_kind AND scope_id = NEW.scope_id;
    INSERT INTO scope (kind, id, revision, version, plugins_revision, owner, listed, created_at, updated_at, doc)
    SELECT NEW.scope_kind, NEW.scope_id, a.revision, a.revision, a.revision, nullif(NEW.owner, ''), NEW.listed, NEW.at_ms, NEW.at_ms, NEW.doc
    FROM audit AS a WHERE a.id = NEW.id AND NEW.head = 'put'
    ON CONFLICT (kind, id) DO UPDATE SET version = excluded.version, owner = excluded.owner, listed = excluded.listed, doc = excluded.doc;
    UPDATE scope SET
        revision = (SELECT revision FROM audit WHERE id = NEW.id),
        plugins_revision = CASE WHEN NEW.plugins = 1 THEN (SELECT revision FROM audit WHERE id = NEW.id) ELSE plugins_revision END,
        updated_at = NEW.at_ms
    WHERE kind = NEW.scope_kind AND id = NEW.scope_id;

    -- The entries: an edit without a document deletes.
    DELETE FROM entry WHERE scope_kind = NEW.scope_kind AND scope_id = NEW.scope_id AND (kind, key) IN (
        SELECT json_extract(e.value, '$.kind'), json_extract(e.value, '$.key') FROM json_each(NEW.edits) AS e
        WHERE json_extract(e.value, '$.doc') IS NULL);
    INSERT INTO entry (scope_kind, scope_id, kind, key, version, doc)
    SELECT NEW.scope_kind, NEW.scope_id, json_extract(e.value, '$.kind'), json_extract(e.value, '$.key'), a.revision, json_extract(e.value, '$.doc')
    FROM json_each(NEW.edits) AS e, audit AS a WHERE a.id = NEW.id AND json_extract(e.value, '$.doc') IS NOT NULL
    ON CONFLICT (scope_kind, scope_id, kind, key) DO UPDATE SET version = excluded.version, doc = excluded.doc;
    SELECT RAISE(ABORT, 'jackfield:bytes') WHERE NEW.plugins = 1 AND NEW.bytes_max < (
        SELECT coalesce(sum(length(CAST(doc AS BLOB))), 0) FROM entry
        WHERE scope_kind = NEW.scope_kind AND scope_id = NEW.scope_id AND kind IN ('requirement', 'event'));

    -- Users whose need of proof may have changed.
    INSERT INTO change (kind, id, revision)
    SELECT 'user', u.value, coalesce((SELECT revision FROM scope WHERE kind = 'user' AND id = u.value), 0) FROM json_each(NEW.users) AS u;

    -- What is kept.
    DELETE FROM change WHERE seq <= (SELECT max(seq) FROM change) - NEW.changes_kept;
    DELETE FROM audit WHERE seq <= (SELECT max(seq) FROM audit) - NEW.audit_kept;
END
