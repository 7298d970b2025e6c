-- The directory's schema for PostgreSQL, version 1. Statements are separated by lines of `--;` and are safe to run twice.
CREATE TABLE IF NOT EXISTS scope (
    kind TEXT COLLATE "C" NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    revision BIGINT NOT NULL,
    version BIGINT NOT NULL,
    plugins_revision BIGINT NOT NULL,
    owner TEXT COLLATE "C",
    listed BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    doc TEXT NOT NULL,
    PRIMARY KEY (kind, id)
)
--;
CREATE INDEX IF NOT EXISTS scope_owner ON scope (owner) WHERE owner IS NOT NULL
--;
CREATE TABLE IF NOT EXISTS entry (
    scope_kind TEXT COLLATE "C" NOT NULL,
    scope_id TEXT COLLATE "C" NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    key TEXT COLLATE "C" NOT NULL,
    version BIGINT NOT NULL,
    doc TEXT NOT NULL,
    PRIMARY KEY (scope_kind, scope_id, kind, key)
)
--;
CREATE INDEX IF NOT EXISTS entry_key ON entry (kind, key, scope_id)
--;
CREATE TABLE IF NOT EXISTS change (
    seq BIGINT PRIMARY KEY,
    kind TEXT COLLATE "C" NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    revision BIGINT NOT NULL
)
--;
CREATE TABLE IF NOT EXISTS audit (
    seq BIGINT PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    at_ms BIGINT NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    scope_kind TEXT COLLATE "C" NOT NULL,
    scope_id TEXT COLLATE "C" NOT NULL,
    target TEXT NOT NULL,
    revision BIGINT NOT NULL,
    change_seq BIGINT NOT NULL,
    detail TEXT NOT NULL
)
--;
CREATE INDEX IF NOT EXISTS audit_scope ON audit (scope_kind, scope_id, seq)
--;
CREATE TABLE IF NOT EXISTS attempt (
    bucket TEXT COLLATE "C" PRIMARY KEY,
    window_ms BIGINT NOT NULL,
    count BIGINT NOT NULL
)
--;
CREATE INDEX IF NOT EXISTS attempt_window ON attempt (window_ms)
--;
-- A transaction is one call of this function, and with it one statement. The lock makes transactions follow one another, so that the feed's
-- numbers become visible in their order: a reader that has seen one has seen all below it.
CREATE OR REPLACE FUNCTION jackfield_commit(
    new_id TEXT, new_at_ms BIGINT, new_actor TEXT, new_action TEXT, new_scope_kind TEXT, new_scope_id TEXT, new_target TEXT, new_detail TEXT,
    new_head TEXT, new_doc TEXT, new_owner TEXT, new_listed BIGINT, new_plugins BIGINT,
    new_checks TEXT, new_edits TEXT, new_users TEXT, bytes_max BIGINT, changes_kept BIGINT, audit_kept BIGINT
) RETURNS TABLE (revision BIGINT, change_seq BIGINT) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    found scope%ROWTYPE;
    step JSONB;
    next_revision BIGINT;
    next_seq BIGINT;
    next_audit BIGINT;
BEGIN
    PERFORM pg_advisory_xact_lock(7233173838382854773);
    SELECT * INTO found FROM scope s WHERE s.kind = new_scope_kind AND s.id = new_scope_id;
    FOR step IN SELECT value FROM jsonb_array_elements(new_checks::jsonb) LOOP
        CASE step->>'is'
            WHEN 'match' THEN
                IF (step->>'revision')::bigint <> coalesce(found.revision, 0) THEN RAISE EXCEPTION 'jackfield:stale'; END IF;
            WHEN 'revision' THEN
                IF (step->>'revision')::bigint <> coalesce(found.revision, 0) THEN RAISE EXCEPTION 'jackfield:changed'; END IF;
            WHEN 'head' THEN
                IF (step->>'version')::bigint <> coalesce(found.version, 0) THEN RAISE EXCEPTION 'jackfield:changed'; END IF;
            WHEN 'entry' THEN
                IF (step->>'version')::bigint <> coalesce((SELECT e.version FROM entry e WHERE e.scope_kind = new_scope_kind
                    AND e.scope_id = new_scope_id AND e.kind = step->>'kind' AND e.key = step->>'key'), 0)
                THEN RAISE EXCEPTION 'jackfield:changed'; END IF;
            WHEN 'room' THEN
                IF (step->>'max')::bigint <= (SELECT count(*) FROM entry e WHERE e.scope_kind = new_scope_kind
                    AND e.scope_id = new_scope_id AND e.kind = step->>'kind')
                THEN RAISE EXCEPTION 'jackfield:room'; END IF;
            WHEN 'owned' THEN
                IF (step->>'max')::bigint <= (SELECT count(*) FROM scope s WHERE s.owner = step->>'owner')
                THEN RAISE EXCEPTION 'jackfield:owned'; END IF;
        END CASE;
    END LOOP;

    SELECT coalesce(max(c.seq), 0) + 1 INTO next_seq FROM change c;
    SELECT coalesce(max(a.seq), 0) + 1 INTO next_audit FROM audit a;
    next_revision := coalesce(found.revision + 1, next_seq);
    INSERT INTO change VALUES (next_seq, new_scope_kind, new_scope_id, next_revision);
    INSERT INTO audit VALUES (next_audit, new_id, new_at_ms, new_actor, new_action, new_scope_kind, new_scope_id, new_target,
        next_revision, next_seq, new_detail);

    IF new_head = 'delete' THEN
        DELETE FROM scope s WHERE s.kind = new_scope_kind AND s.id = new_scope_id;
        DELETE FROM entry e WHERE e.scope_kind = new_scope_kind AND e.scope_id = new_scope_id;
    ELSIF new_head = 'put' THEN
        INSERT INTO scope VALUES (new_scope_kind, new_scope_id, next_revision, next_revision, next_revision, nullif(new_owner, ''),
            new_listed, new_at_ms, new_at_ms, new_doc)
        ON CONFLICT (kind, id) DO UPDATE SET version = excluded.version, owner = excluded.owner, listed = excluded.listed, doc = excluded.doc;
    END IF;
    UPDATE scope s SET revision = next_revision, updated_at = new_at_ms,
        plugins_revision = CASE WHEN new_plugins = 1 THEN next_revision ELSE s.plugins_revision END
    WHERE s.kind = new_scope_kind AND s.id = new_scope_id;

    FOR step IN SELECT value FROM jsonb_array_elements(new_edits::jsonb) LOOP
        IF step->>'doc' IS NULL THEN
            DELETE FROM entry e WHERE e.scope_kind = new_scope_kind AND e.scope_id = new_scope_id AND e.kind = step->>'kind' AND e.key = step->>'key';
        ELSE
            INSERT INTO entry VALUES (new_scope_kind, new_scope_id, step->>'kind', step->>'key', next_revision, step->>'doc')
            ON CONFLICT (scope_kind, scope_id, kind, key) DO UPDATE SET version = excluded.version, doc = excluded.doc;
        END IF;
    END LOOP;
    IF new_plugins = 1 AND bytes_max < (SELECT coalesce(sum(octet_length(e.doc)), 0) FROM entry e
        WHERE e.scope_kind = new_scope_kind AND e.scope_id = new_scope_id AND e.kind IN ('requirement', 'event'))
    THEN RAISE EXCEPTION 'jackfield:bytes'; END IF;

    INSERT INTO change SELECT next_seq + u.ordinality, 'user', u.value,
        coalesce((SELECT s.revision FROM scope s WHERE s.kind = 'user' AND s.id = u.value), 0)
    FROM jsonb_array_elements_text(new_users::jsonb) WITH ORDINALITY AS u(value, ordinality);

    DELETE FROM change c WHERE c.seq <= next_seq - changes_kept;
    DELETE FROM audit a WHERE a.seq <= next_audit - audit_kept;
    RETURN QUERY SELECT next_revision, next_seq;
END
$$
