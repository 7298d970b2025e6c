//! The queries: the same text for both databases, apart from the commit.

use super::{Cell, Fault, Row, Store};
use directory::{
    Entry, Head, HeadEdit, Kind, Scope, State, Transaction, requirement::bytes_max, user::User,
};
use identifiers::UserId;
use limits::directory::{ATTEMPT_WINDOW_MS, AUDIT_KEPT_MAX, CHANGES_KEPT_MAX};

/// What to read of a scope besides its head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Want {
    /// One entry.
    One(Kind, String),
    /// All entries of a kind.
    All(Kind),
    /// How many members there are.
    Members,
}

/// The result of a commit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Committed {
    /// The scope's new revision.
    pub(crate) revision: u64,
    /// The position in the changes feed.
    pub(crate) seq: u64,
}

/// The attempts of one kind within a window.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attempts {
    /// How many there were, this one included.
    pub(crate) count: u64,
    /// The time of the first one, milliseconds since 1970.
    pub(crate) began_ms: u64,
}

/// One row of the changes feed.
pub(crate) struct Change {
    pub(crate) seq: u64,
    pub(crate) kind: String,
    pub(crate) id: String,
    pub(crate) revision: u64,
}

/// One page of the changes feed.
pub(crate) struct Changes {
    pub(crate) changes: Vec<Change>,
    pub(crate) oldest: u64,
    pub(crate) latest: u64,
}

/// What audit rows are about.
#[derive(Debug, Clone, Copy)]
pub(crate) enum AuditOf<'a> {
    /// Everything.
    Everything,
    /// All servers that have had this id.
    Id(&'a str),
    /// The server that has this id now, up to the revision at which its rules were read.
    Server {
        /// Its id.
        id: &'a str,
        /// The revision.
        revision: u64,
    },
}

/// One row of the audit.
pub(crate) struct AuditRow {
    pub(crate) seq: u64,
    pub(crate) at_ms: u64,
    pub(crate) actor: String,
    pub(crate) action: String,
    pub(crate) scope_kind: String,
    pub(crate) scope_id: String,
    pub(crate) target: String,
    pub(crate) revision: u64,
    pub(crate) detail: String,
}

/// Which servers to list.
pub(crate) struct Listing<'a> {
    /// The user whose private servers belong to the list; empty for a caller without identity.
    pub(crate) viewer: &'a str,
    /// All servers, for operators.
    pub(crate) all: bool,
    /// Only servers of which the viewer is a member.
    pub(crate) mine: bool,
    /// Ids above this one.
    pub(crate) after: &'a str,
    /// Most rows.
    pub(crate) limit: u64,
}

/// Why an identity may need proof.
pub(crate) struct UserFacts {
    /// It owns a server.
    pub(crate) owns: bool,
    /// It holds a role somewhere.
    pub(crate) holds_role: bool,
}

const HEAD: &str = "revision, version, plugins_revision, owner, created_at, updated_at, doc";

impl Store {
    /// Reads the head and the wanted entries of a scope, at one moment.
    pub(crate) async fn read(&self, scope: &Scope, wants: &[Want]) -> Result<State, Fault> {
        let mut statement =
            format!("SELECT 'head', '', {HEAD} FROM scope WHERE kind = ?1 AND id = ?2");
        let mut parameters: Vec<Cell> = vec![scope.kind().into(), scope.id().into()];
        for want in wants {
            let (kind, key) = match want {
                Want::One(kind, key) => (*kind, Some(key)),
                Want::All(kind) => (*kind, None),
                Want::Members => (Kind::Member, None),
            };
            let columns = match want {
                Want::Members => "'members', '', count(*), 0, 0, NULL, 0, 0, ''",
                Want::One(..) | Want::All(_) => "kind, key, 0, version, 0, NULL, 0, 0, doc",
            };
            statement.push_str(&format!(
                " UNION ALL SELECT {columns} FROM entry WHERE scope_kind = ?1 AND scope_id = ?2 AND kind = '{}'",
                kind.as_str()
            ));
            if let Some(key) = key {
                parameters.push(key.clone().into());
                statement.push_str(&format!(" AND key = ?{}", parameters.len()));
            }
        }
        statement.push_str(" ORDER BY 1, 2");
        let mut state = State::default();
        for row in self.run(&statement, parameters).await? {
            match row.first().map(Cell::text).as_deref() {
                Some("head") => state.head = sound_head(scope, &row[2..])?,
                Some("members") => state.members = row.get(2).map_or(0, Cell::int),
                Some(kind) => {
                    let kind = Kind::parse(kind).ok_or_else(|| {
                        Fault::Corrupt(format!("an entry of the unknown kind {kind:?}"))
                    })?;
                    state.entries.push(entry(kind, &row)?);
                }
                None => {}
            }
        }
        // A kind that was wanted whole and by key too came twice.
        state
            .entries
            .dedup_by(|one, other| one.kind == other.kind && one.key == other.key);
        Ok(state)
    }

    /// One page of a kind's entries, by key.
    pub(crate) async fn page(
        &self,
        scope: &Scope,
        kind: Kind,
        after: &str,
        limit: u64,
    ) -> Result<Vec<Entry>, Fault> {
        let statement = "SELECT kind, key, 0, version, 0, NULL, 0, 0, doc FROM entry \
            WHERE scope_kind = ?1 AND scope_id = ?2 AND kind = ?3 AND key > ?4 ORDER BY key LIMIT ?5";
        let parameters = vec![
            scope.kind().into(),
            scope.id().into(),
            kind.as_str().into(),
            after.into(),
            limit.into(),
        ];
        self.run(statement, parameters)
            .await?
            .iter()
            .map(|row| entry(kind, row))
            .collect()
    }

    /// One page of servers, by id.
    pub(crate) async fn servers(
        &self,
        listing: &Listing<'_>,
    ) -> Result<Vec<(String, Head)>, Fault> {
        let member = "id IN (SELECT scope_id FROM entry WHERE kind = 'member' AND scope_kind = 'server' AND key = ?2)";
        let visible = match (listing.mine, listing.all) {
            (true, _) => member.to_owned(),
            // The parameter keeps its place, so that every form takes the same ones.
            (false, true) => "(listed >= 0 OR owner = ?2)".to_owned(),
            (false, false) => format!("(listed = 1 OR {member})"),
        };
        let statement = format!(
            "SELECT id, {HEAD} FROM scope WHERE kind = 'server' AND id > ?1 AND {visible} ORDER BY id LIMIT ?3"
        );
        let rows = self
            .run(
                &statement,
                vec![
                    listing.after.into(),
                    listing.viewer.into(),
                    listing.limit.into(),
                ],
            )
            .await?;
        Ok(rows
            .iter()
            .filter_map(|row| Some((row.first()?.text(), head(&row[1..])?)))
            .collect())
    }

    /// Which of some identities are members of a server.
    pub(crate) async fn members_among(
        &self,
        scope: &Scope,
        users: &[UserId],
    ) -> Result<Vec<String>, Fault> {
        if users.is_empty() {
            return Ok(Vec::new());
        }
        let mut parameters: Vec<Cell> = vec![scope.kind().into(), scope.id().into()];
        parameters.extend(users.iter().map(|user| user.as_str().into()));
        let places: Vec<_> = (3..=parameters.len()).map(|at| format!("?{at}")).collect();
        let statement = format!(
            "SELECT key FROM entry WHERE scope_kind = ?1 AND scope_id = ?2 AND kind = 'member' AND key IN ({})",
            places.join(", ")
        );
        let rows = self.run(&statement, parameters).await?;
        Ok(rows
            .iter()
            .filter_map(|row| Some(row.first()?.text()))
            .collect())
    }

    /// Why an identity may need proof.
    pub(crate) async fn user_facts(&self, user: &str) -> Result<UserFacts, Fault> {
        let statement = "SELECT (SELECT count(*) FROM scope WHERE owner = ?1), (SELECT count(*) FROM entry WHERE kind = 'grant' AND key = ?1)";
        let rows = self.run(statement, vec![user.into()]).await?;
        let number = |index: usize| {
            rows.first()
                .and_then(|row| row.get(index))
                .map_or(0, Cell::int)
        };
        Ok(UserFacts {
            owns: number(0) > 0,
            holds_role: number(1) > 0,
        })
    }

    /// One page of the identities that something is known of, by id: owners, holders of roles, and identities with a
    /// scope of their own.
    pub(crate) async fn known_users(&self, after: &str, limit: u64) -> Result<Vec<String>, Fault> {
        let branches = [
            "SELECT DISTINCT owner AS id FROM scope WHERE owner > ?1 ORDER BY id LIMIT ?2",
            "SELECT DISTINCT key AS id FROM entry WHERE kind = 'grant' AND key > ?1 ORDER BY id LIMIT ?2",
            "SELECT id FROM scope WHERE kind = 'user' AND id > ?1 ORDER BY id LIMIT ?2",
        ];
        let union: Vec<_> = branches
            .iter()
            .enumerate()
            .map(|(at, branch)| format!("SELECT id FROM ({branch}) AS branch_{at}"))
            .collect();
        let statement = format!(
            "SELECT id FROM ({}) AS known ORDER BY id LIMIT ?2",
            union.join(" UNION ")
        );
        let rows = self
            .run(&statement, vec![after.into(), limit.into()])
            .await?;
        Ok(rows
            .iter()
            .filter_map(|row| Some(row.first()?.text()))
            .collect())
    }

    /// The changes above `after`, and both ends of the feed, at one moment.
    pub(crate) async fn changes(&self, after: u64, limit: u64) -> Result<Changes, Fault> {
        let statement = "SELECT first, kind, id, last FROM (SELECT coalesce(min(seq), 0) AS first, '' AS kind, '' AS id, \
            coalesce(max(seq), 0) AS last FROM change) AS ends \
            UNION ALL SELECT seq, kind, id, revision FROM (SELECT seq, kind, id, revision FROM change WHERE seq > ?1 ORDER BY seq LIMIT ?2) AS page";
        let mut feed = Changes {
            changes: Vec::new(),
            oldest: 0,
            latest: 0,
        };
        for row in self
            .run(statement, vec![after.into(), limit.into()])
            .await?
        {
            let [seq, kind, id, revision] = row.as_slice() else {
                continue;
            };
            match kind.text() {
                kind if kind.is_empty() => (feed.oldest, feed.latest) = (seq.int(), revision.int()),
                kind => feed.changes.push(Change {
                    seq: seq.int(),
                    kind,
                    id: id.text(),
                    revision: revision.int(),
                }),
            }
        }
        // A union need not keep the order of its parts.
        feed.changes.sort_by_key(|change| change.seq);
        Ok(feed)
    }

    /// The audit rows below `before`, newest first.
    pub(crate) async fn audit(
        &self,
        of: &AuditOf<'_>,
        before: u64,
        limit: u64,
    ) -> Result<Vec<AuditRow>, Fault> {
        let columns = "seq, at_ms, actor, action, scope_kind, scope_id, target, revision, detail";
        let mut parameters: Vec<Cell> = vec![before.into(), limit.into()];
        let filter = match of {
            AuditOf::Everything => "",
            AuditOf::Id(id) => {
                parameters.push((*id).into());
                "AND scope_kind = 'server' AND scope_id = ?3"
            }
            AuditOf::Server { id, revision } => {
                parameters.extend([(*id).into(), (*revision).into()]);
                // Below the newest deletion the id was another server's. Revisions of an id never go back.
                "AND scope_kind = 'server' AND scope_id = ?3 AND revision <= ?4 AND seq > coalesce((SELECT max(seq) FROM audit \
                WHERE scope_kind = 'server' AND scope_id = ?3 AND action = 'server.delete'), 0)"
            }
        };
        let statement = format!(
            "SELECT {columns} FROM audit WHERE seq < ?1 {filter} ORDER BY seq DESC LIMIT ?2"
        );
        let rows = self
            .run(&statement, std::mem::take(&mut parameters))
            .await?;
        let read = |row: &Row| AuditRow {
            seq: row[0].int(),
            at_ms: row[1].int(),
            actor: row[2].text(),
            action: row[3].text(),
            scope_kind: row[4].text(),
            scope_id: row[5].text(),
            target: row[6].text(),
            revision: row[7].int(),
            detail: row[8].text(),
        };
        Ok(rows.iter().filter(|row| row.len() == 9).map(read).collect())
    }

    /// When a scope changed last but `skipped`, milliseconds since 1970; `None` if it has not changed so often.
    pub(crate) async fn earlier_change(
        &self,
        scope: &Scope,
        skipped: u64,
    ) -> Result<Option<u64>, Fault> {
        let statement = "SELECT at_ms FROM audit WHERE seq = (SELECT seq FROM audit \
            WHERE scope_kind = ?1 AND scope_id = ?2 ORDER BY seq DESC LIMIT 1 OFFSET ?3)";
        let parameters = vec![scope.kind().into(), scope.id().into(), skipped.into()];
        let rows = self.run(statement, parameters).await?;
        Ok(rows.first().and_then(|row| row.first()).map(Cell::int))
    }

    /// Counts an attempt within a window of [`ATTEMPT_WINDOW_MS`] that begins with the first attempt; one statement, so
    /// that parallel attempts are all counted.
    pub(crate) async fn attempt(&self, bucket: &str, now_ms: u64) -> Result<Attempts, Fault> {
        let running = format!("attempt.window_ms + {ATTEMPT_WINDOW_MS} > excluded.window_ms");
        let statement = format!(
            "INSERT INTO attempt (bucket, window_ms, count) VALUES (?1, ?2, 1) ON CONFLICT (bucket) DO UPDATE SET \
            count = CASE WHEN {running} THEN attempt.count + 1 ELSE 1 END, \
            window_ms = CASE WHEN {running} THEN attempt.window_ms ELSE excluded.window_ms END RETURNING count, window_ms"
        );
        let rows = self
            .run(&statement, vec![bucket.into(), now_ms.into()])
            .await?;
        let cell = |at: usize| rows.first().and_then(|row| row.get(at)).map(Cell::int);
        let attempts = Attempts {
            count: cell(0).unwrap_or(1),
            began_ms: cell(1).unwrap_or(now_ms),
        };
        if attempts.count == 1 {
            let over_ms = now_ms.saturating_sub(ATTEMPT_WINDOW_MS);
            self.run(
                "DELETE FROM attempt WHERE window_ms <= ?1",
                vec![over_ms.into()],
            )
            .await?;
        }
        Ok(attempts)
    }

    /// Commits a transaction, whole or not at all. `id` is random: the audit row's own.
    pub(crate) async fn commit(
        &self,
        transaction: &Transaction,
        id: &str,
        now_ms: u64,
    ) -> Result<Committed, Fault> {
        let (head, doc, owner, listed) = match &transaction.head {
            HeadEdit::Keep => ("keep", "", "", false),
            HeadEdit::Delete => ("delete", "", "", false),
            HeadEdit::Put { doc, owner, listed } => (
                "put",
                doc.as_str(),
                owner.as_deref().unwrap_or_default(),
                *listed,
            ),
        };
        let parameters: Vec<Cell> = vec![
            id.into(),
            now_ms.into(),
            transaction.actor.as_str().into(),
            transaction.action.into(),
            transaction.scope.kind().into(),
            transaction.scope.id().into(),
            transaction.target.as_str().into(),
            transaction.detail.to_string().into(),
            head.into(),
            doc.into(),
            owner.into(),
            u64::from(listed).into(),
            u64::from(transaction.touches_plugins()).into(),
            transaction.checks_json().into(),
            transaction.edits_json().into(),
            transaction.users_json().into(),
            bytes_max().into(),
            CHANGES_KEPT_MAX.into(),
            AUDIT_KEPT_MAX.into(),
        ];
        let places = (1..=parameters.len())
            .map(|place| format!("?{place}"))
            .collect::<Vec<_>>()
            .join(", ");
        let rows = if self.is_postgres() {
            self.run(
                &format!("SELECT revision, change_seq FROM jackfield_commit({places})"),
                parameters,
            )
            .await?
        } else {
            let columns = "id, at_ms, actor, action, scope_kind, scope_id, target, detail, head, doc, owner, listed, plugins, \
                checks, edits, users, bytes_max, changes_kept, audit_kept";
            self.run(
                &format!("INSERT INTO mutation ({columns}) VALUES ({places})"),
                parameters,
            )
            .await?;
            self.run(
                "SELECT revision, change_seq FROM audit WHERE id = ?1",
                vec![id.into()],
            )
            .await?
        };
        let row = rows
            .first()
            .filter(|row| row.len() == 2)
            .ok_or_else(|| Fault::Unavailable("the commit left no audit row".to_owned()))?;
        Ok(Committed {
            revision: row[0].int(),
            seq: row[1].int(),
        })
    }
}

fn head(cells: &[Cell]) -> Option<Head> {
    let [
        revision,
        version,
        plugins_revision,
        owner,
        created_at,
        updated_at,
        doc,
    ] = cells
    else {
        return None;
    };
    Some(Head {
        revision: revision.int(),
        version: version.int(),
        plugins_revision: plugins_revision.int(),
        owner: Some(owner.text()).filter(|owner| !owner.is_empty()),
        created_at: created_at.int(),
        updated_at: updated_at.int(),
        doc: doc.text(),
    })
}

/// As [`head`]; the document of a user must be readable, because a lock that cannot be read would not protect. Those of
/// servers are checked by `Server::from_state`.
fn sound_head(scope: &Scope, cells: &[Cell]) -> Result<Option<Head>, Fault> {
    let head = head(cells);
    match (scope, &head) {
        (Scope::User(user), Some(head)) if serde_json::from_str::<User>(&head.doc).is_err() => {
            Err(Fault::Corrupt(format!(
                "the document of the user {:?} cannot be read: damaged",
                user.as_str()
            )))
        }
        _ => Ok(head),
    }
}

fn entry(kind: Kind, row: &Row) -> Result<Entry, Fault> {
    let damaged = |what: &str| {
        Fault::Corrupt(format!(
            "the document of an entry, {} {what:?}, cannot be read: damaged",
            kind.as_str()
        ))
    };
    let [_, key, _, version, _, _, _, _, doc] = row.as_slice() else {
        return Err(damaged("without columns"));
    };
    let entry = Entry {
        kind,
        key: key.text(),
        version: version.int(),
        doc: doc.text(),
    };
    if entry.is_sound() {
        Ok(entry)
    } else {
        Err(damaged(&entry.key))
    }
}
