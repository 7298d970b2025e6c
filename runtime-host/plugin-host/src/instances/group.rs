//! The instances that do the same work and share its mailbox.

use crate::instances::{jobs::Job, mailbox::Mailbox, store_data::Scope};
use std::sync::Arc;

/// What a group of instances does. Each kind of work has instances of its own, so that none waits for another kind.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Work {
    /// Requests on the plugin's route.
    Requests,
    /// Tools.
    Tools,
    /// Hooks.
    Hooks,
    /// Hooks that may wait for a user's answer.
    PermissionHooks,
    /// Envelopes and notices of one chat server, in their order.
    Server(Arc<str>),
}

impl Work {
    /// What the instances act for.
    pub(crate) fn scope(&self) -> Scope {
        match self {
            Self::Server(id) => Scope::Server(id.clone()),
            _ => Scope::Host,
        }
    }

    /// The kinds of work of the instances that act for `scope`.
    pub(super) fn of_scope(scope: &Scope) -> Vec<Self> {
        match scope {
            Scope::Server(id) => vec![Self::Server(id.clone())],
            Scope::Host => vec![
                Self::Requests,
                Self::Tools,
                Self::Hooks,
                Self::PermissionHooks,
            ],
        }
    }
}

/// Instances that share a mailbox. Dropped, its instances do what waits and end.
#[derive(Default)]
pub(super) struct Group {
    pub(super) jobs: Arc<Mailbox>,
    pub(super) members: Vec<Member>,
}

/// One instance.
pub(super) struct Member {
    pub(super) number: u64,
    /// What concerns this instance alone, or each one: it comes before the next job.
    pub(super) notices: Arc<Mailbox>,
}

impl Group {
    /// Ends it without doing what waits.
    pub(super) fn abandon(&self) {
        self.jobs.abandon();
        for member in &self.members {
            member.notices.abandon();
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.jobs.close();
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.notices.close();
    }
}

/// What an instance does next.
pub(super) enum Next {
    /// A job of its group; the instance is not free.
    Job(Job),
    /// A notice.
    Notice(Job),
    /// It ends.
    End,
}

/// Where an instance gets its work.
#[derive(Clone)]
pub(super) struct Source {
    pub(super) jobs: Arc<Mailbox>,
    pub(super) notices: Arc<Mailbox>,
}

impl Source {
    /// Waits for a notice or a job.
    pub(super) async fn next(&self) -> Next {
        tokio::select! {
            biased;
            Some(notice) = self.notices.next() => Next::Notice(notice),
            job = self.jobs.next() => job.map_or(Next::End, Next::Job),
        }
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.jobs.is_empty() && self.notices.is_empty()
    }
}
