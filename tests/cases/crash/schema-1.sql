PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE meta (name TEXT PRIMARY KEY, value BIGINT NOT NULL);
INSERT INTO meta VALUES('schema_version',1);
CREATE TABLE scope (
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
) WITHOUT ROWID;
INSERT INTO scope VALUES('server','durable',13,1,13,'olga',1,1795242347320,1795242347447,'{"name":"Durable ✓","description":"kept","private":false,"iconUrl":"https://p.example/i.png","maxMembers":50}');
INSERT INTO scope VALUES('server','hidden',6,3,3,'olga',0,1795242347328,1795242347413,'{"name":"Hidden","private":true,"passwordHash":"$argon2id$v=19$m=19456,t=2,p=1$Uu9CVFb37e8J/aAwviuTww$f8zQgW0ll11Mz0QnltxRICnk3lpU13BlH4YD2QzCeig"}');
INSERT INTO scope VALUES('user','olga',23,23,23,NULL,0,1795242347460,1795242347460,'{"locked":false}');
INSERT INTO scope VALUES('user','zoe',22,22,22,NULL,0,1795242347457,1795242347457,'{"locked":true}');
CREATE TABLE entry (
    scope_kind TEXT NOT NULL,
    scope_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    version INTEGER NOT NULL,
    doc TEXT NOT NULL,
    PRIMARY KEY (scope_kind, scope_id, kind, key)
) WITHOUT ROWID;
INSERT INTO entry VALUES('server','durable','ban','troll',6,'{"reason":"spam","bannedBy":"olga","bannedAt":1795242347426}');
INSERT INTO entry VALUES('server','durable','event','example.plugin-0/poll.opened',13,'{"pluginId":"example.plugin-0","eventName":"poll.opened","direction":"serverRelay","scope":"server","schema":{"type": "object", "properties": {"q": {"type": "string"}}},"maxPayloadBytes":4096}');
INSERT INTO entry VALUES('server','durable','grant','mia',5,'{"roles":["people"]}');
INSERT INTO entry VALUES('server','durable','member','mia',2,'{"joinedAt":1795242347417,"way":"open"}');
INSERT INTO entry VALUES('server','durable','member','olga',1,'{"joinedAt":1795242347320,"way":"created"}');
INSERT INTO entry VALUES('server','durable','member','zoe',3,'{"joinedAt":1795242347419,"way":"open"}');
INSERT INTO entry VALUES('server','durable','requirement','example.plugin-0',7,'{"pluginId":"example.plugin-0","serverId":"durable","status":"required","installUrl":"https://p.example/0","sourceUrl":null,"manifest":null,"versionRange":null,"updatedAt":1795242347428,"updatedBy":"olga"}');
INSERT INTO entry VALUES('server','durable','requirement','example.plugin-1',8,'{"pluginId":"example.plugin-1","serverId":"durable","status":"optional","installUrl":"https://p.example/1","sourceUrl":null,"manifest":null,"versionRange":null,"updatedAt":1795242347431,"updatedBy":"olga"}');
INSERT INTO entry VALUES('server','durable','requirement','example.plugin-2',9,'{"pluginId":"example.plugin-2","serverId":"durable","status":"recommended","installUrl":"https://p.example/2","sourceUrl":null,"manifest":null,"versionRange":null,"updatedAt":1795242347433,"updatedBy":"olga"}');
INSERT INTO entry VALUES('server','durable','requirement','example.plugin-3',10,'{"pluginId":"example.plugin-3","serverId":"durable","status":"blocked","installUrl":"https://p.example/3","sourceUrl":null,"manifest":null,"versionRange":null,"updatedAt":1795242347435,"updatedBy":"olga"}');
INSERT INTO entry VALUES('server','durable','role','people',4,'{"name":"People","permissions":["manageMembers"]}');
INSERT INTO entry VALUES('server','hidden','invite','jvrh0r27zhKlUAhOofjZwg',5,'{"createdBy":"olga","createdAt":1795242347407,"expiresAt":1796106347407,"usesLeft":4}');
INSERT INTO entry VALUES('server','hidden','member','mia',5,'{"joinedAt":1795242347410,"way":"invite"}');
INSERT INTO entry VALUES('server','hidden','member','olga',3,'{"joinedAt":1795242347328,"way":"created"}');
INSERT INTO entry VALUES('server','hidden','request','tom',6,'{"message":"let me in","requestedAt":1795242347413}');
INSERT INTO entry VALUES('user','olga','block','tom',23,'{"blockedAt":1795242347460}');
INSERT INTO entry VALUES('user','olga','block','troll',23,'{"blockedAt":1795242347460}');
INSERT INTO entry VALUES('user','zoe','key','11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo',22,'{"boundAt":1795242347457}');
CREATE TABLE change (
    seq INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    revision INTEGER NOT NULL
);
INSERT INTO change VALUES(1,'server','durable',1);
INSERT INTO change VALUES(2,'user','olga',0);
INSERT INTO change VALUES(3,'server','hidden',3);
INSERT INTO change VALUES(4,'user','olga',0);
INSERT INTO change VALUES(5,'server','hidden',4);
INSERT INTO change VALUES(6,'server','hidden',5);
INSERT INTO change VALUES(7,'server','hidden',6);
INSERT INTO change VALUES(8,'server','durable',2);
INSERT INTO change VALUES(9,'server','durable',3);
INSERT INTO change VALUES(10,'server','durable',4);
INSERT INTO change VALUES(11,'server','durable',5);
INSERT INTO change VALUES(12,'user','mia',0);
INSERT INTO change VALUES(13,'server','durable',6);
INSERT INTO change VALUES(14,'user','troll',0);
INSERT INTO change VALUES(15,'server','durable',7);
INSERT INTO change VALUES(16,'server','durable',8);
INSERT INTO change VALUES(17,'server','durable',9);
INSERT INTO change VALUES(18,'server','durable',10);
INSERT INTO change VALUES(19,'server','durable',11);
INSERT INTO change VALUES(20,'server','durable',12);
INSERT INTO change VALUES(21,'server','durable',13);
INSERT INTO change VALUES(22,'user','zoe',22);
INSERT INTO change VALUES(23,'user','olga',23);
CREATE TABLE audit (
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
);
INSERT INTO audit VALUES(1,'Ow9s7LuW5kEer7FOJAfJ4g',1795242347320,'olga','server.create','server','durable','durable',1,1,'{}');
INSERT INTO audit VALUES(2,'xsNQLOHhmA6c2nhtz7XyDQ',1795242347328,'olga','server.create','server','hidden','hidden',3,3,'{}');
INSERT INTO audit VALUES(3,'QkqH8NpQ5qRfcUVYoVHdzQ',1795242347407,'olga','invite.create','server','hidden','jvrh',4,5,'{}');
INSERT INTO audit VALUES(4,'iDTLlY5XVWmsdMtA-sPN_g',1795242347410,'mia','member.join','server','hidden','mia',5,6,'{"way":"invite"}');
INSERT INTO audit VALUES(5,'tT6fPNznI-IZkKQ0kB2u7A',1795242347413,'tom','request.create','server','hidden','tom',6,7,'{}');
INSERT INTO audit VALUES(6,'6ehhdNB7ZnyOJSfrExJT3A',1795242347417,'mia','member.join','server','durable','mia',2,8,'{"way":"open"}');
INSERT INTO audit VALUES(7,'q8A8t_bgNNsnxn0xXEi5aQ',1795242347419,'zoe','member.join','server','durable','zoe',3,9,'{"way":"open"}');
INSERT INTO audit VALUES(8,'keDCWxWbna6g44eHkhobgA',1795242347421,'olga','role.put','server','durable','people',4,10,'{"permissions":["manageMembers"]}');
INSERT INTO audit VALUES(9,'qlWVwVXDU3i5WYT-KILcDg',1795242347424,'olga','role.grant','server','durable','mia',5,11,'{"role":"people"}');
INSERT INTO audit VALUES(10,'HBLr-p0IjlN1sarB-HIbZw',1795242347426,'olga','ban.put','server','durable','troll',6,13,'{}');
INSERT INTO audit VALUES(11,'Y5fik_pSp6UU2gom_TJijw',1795242347428,'olga','requirement.put','server','durable','example.plugin-0',7,15,'{"status":"required","versionRange":null}');
INSERT INTO audit VALUES(12,'oR3LaBVLYo3T8CrRRuP4Xw',1795242347431,'olga','requirement.put','server','durable','example.plugin-1',8,16,'{"status":"optional","versionRange":null}');
INSERT INTO audit VALUES(13,'186HrBVDFDGrEs5aTFR4jw',1795242347433,'olga','requirement.put','server','durable','example.plugin-2',9,17,'{"status":"recommended","versionRange":null}');
INSERT INTO audit VALUES(14,'vbptfQIIy3twwfKvltg7vw',1795242347435,'olga','requirement.put','server','durable','example.plugin-3',10,18,'{"status":"blocked","versionRange":null}');
INSERT INTO audit VALUES(15,'SRrHyfYscfayBttG0czdcg',1795242347437,'olga','requirement.put','server','durable','example.plugin-4',11,19,'{"status":"incompatible","versionRange":null}');
INSERT INTO audit VALUES(16,'_B4qjV4LYhA7C5QH301Sow',1795242347440,'olga','requirement.delete','server','durable','example.plugin-4',12,20,'{"cascade":false}');
INSERT INTO audit VALUES(17,'hDLWgefo9Ws5w6tLe7s8nw',1795242347447,'olga','event.put','server','durable','example.plugin-0/poll.opened',13,21,'{"direction":"serverRelay","maxPayloadBytes":4096,"scope":"server"}');
INSERT INTO audit VALUES(18,'gPzbqagt8tojTtGwOVI4Uw',1795242347457,'zoe','user.lock','user','zoe','zoe',22,22,'{}');
INSERT INTO audit VALUES(19,'bPmo7LkyxFS3GwQe6OTF7g',1795242347460,'olga','user.blocks','user','olga','olga',23,23,'{"blocks":2}');
CREATE TABLE attempt (
    bucket TEXT PRIMARY KEY,
    window_ms INTEGER NOT NULL,
    count INTEGER NOT NULL
) WITHOUT ROWID;
INSERT INTO attempt VALUES('set:olga',1795242300000,1);
CREATE INDEX scope_owner ON scope (owner) WHERE owner IS NOT NULL;
CREATE INDEX entry_key ON entry (kind, key, scope_id);
CREATE INDEX audit_scope ON audit (scope_kind, scope_id, seq);
CREATE INDEX attempt_window ON attempt (window_ms);
CREATE VIEW mutation AS
SELECT '' AS id, 0 AS at_ms, '' AS actor, '' AS action, '' AS scope_kind, '' AS scope_id, '' AS target, '' AS detail,
    'keep' AS head, '' AS doc, '' AS owner, 0 AS listed, 0 AS plugins,
    '[]' AS checks, '[]' AS edits, '[]' AS users, 0 AS bytes_max, 0 AS changes_kept, 0 AS audit_kept
WHERE 0;
CREATE TRIGGER mutation_commit INSTEAD OF INSERT ON mutation
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
;
COMMIT;
