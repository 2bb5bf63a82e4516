//! What has to be allowed for a request to pass.

use policies::Extent;
use policies::words::Words;

use super::packet::{self, Request};
use super::{Access, Judge, Touch};
use crate::ssh::files::operation::Operation;
use crate::ssh::files::path::{self, Vague};

/// Whether everything may be touched that a request touches, as seen from the account's home.
pub(super) fn allowed(
    request: &Request<'_>,
    operation: &Operation,
    home: Option<&str>,
    judge: Judge<'_>,
) -> Result<(), Words> {
    let bench = Bench { home, judge };
    let (path, to) = (&operation.path, &operation.to);
    match request {
        Request::Open { flags, .. } => {
            if *flags & packet::READS != 0 || !packet::writes(*flags) {
                bench.one(Access::Read, path)?;
            }
            if packet::writes(*flags) {
                bench.one(Access::Write, path)?;
            }
            Ok(())
        }
        Request::OpenDirectory { .. } | Request::ReadDirectory { .. } => {
            bench.one(Access::List, path)
        }
        Request::Look { action, .. } if !names(action) => bench.one(Access::Look, path),
        Request::Read { .. } => bench.one(Access::Read, path),
        Request::Write { .. }
        | Request::Change { .. }
        | Request::OnHandle {
            attributes: Some(_),
            ..
        } => bench.one(Access::Write, path),
        Request::Copy { .. } => {
            bench.one(Access::Read, path)?;
            bench.one(Access::Write, to)
        }
        Request::Link { action, .. } => bench.link(action, path, to),
        Request::Unknown { .. } => judge.allows(&Touch {
            access: Access::Write,
            place: Err(Vague::Nameless),
            extent: Extent::One,
        }),
        // Whoever has a handle was allowed what it is for.
        Request::OnHandle {
            attributes: None, ..
        }
        // Where a name leads, a client has to know to name anything.
        | Request::Look { .. }
        | Request::Ask { .. }
        | Request::Close { .. }
        | Request::Init => Ok(()),
    }
}

/// Whether one file may still be touched whose contents are on their way.
pub(super) fn still(
    access: Access,
    path: &[u8],
    home: Option<&str>,
    judge: Judge<'_>,
) -> Result<(), Words> {
    Bench { home, judge }.one(access, path)
}

/// Where one asks.
struct Bench<'a> {
    home: Option<&'a str>,
    judge: Judge<'a>,
}

impl Bench<'_> {
    fn one(&self, access: Access, name: &[u8]) -> Result<(), Words> {
        self.ask(access, path::settle(name, self.home), Extent::One)
    }

    fn tree(&self, access: Access, name: &[u8]) -> Result<(), Words> {
        self.ask(access, path::settle(name, self.home), Extent::Tree)
    }

    fn ask(
        &self,
        access: Access,
        place: Result<String, Vague>,
        extent: Extent,
    ) -> Result<(), Words> {
        self.judge.allows(&Touch {
            access,
            place,
            extent,
        })
    }

    /// By a second name, what may be done elsewhere can be done here. Whether it is a directory only
    /// the target knows, so all that is below counts.
    fn link(&self, action: &str, path: &[u8], to: &[u8]) -> Result<(), Words> {
        match action {
            // Which of the two is the link's name depends on the target: OpenSSH's sshd and the draft
            // (draft-ietf-secsh-filexfer-02, section 6.10) differ, and clients follow what they take it for.
            "symlink" => {
                for end in [path, to] {
                    if end.starts_with(b"/") {
                        self.tree(Access::Read, end)?;
                    } else {
                        // It would lead elsewhere wherever it is moved.
                        self.ask(Access::Write, Err(Vague::Relative), Extent::Tree)?;
                    }
                }
            }
            "hardlink" => self.tree(Access::Read, path)?,
            // Who reads nothing reads nothing by another name either.
            _ if self.judge.reads_nothing() => {}
            _ => self.tree(Access::Read, path)?,
        }
        self.tree(Access::Write, path)?;
        self.tree(Access::Write, to)
    }
}

/// Whether this looks at nothing but where a name leads.
fn names(action: &str) -> bool {
    matches!(action, "realpath" | "expand-path")
}
