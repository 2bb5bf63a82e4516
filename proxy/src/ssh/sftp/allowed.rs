//! What has to be allowed for a request to pass.

use super::operation::Operation;
use super::packet::{self, Request};
use super::{Access, Judge};

/// Whether everything may be touched that a request touches.
pub(super) fn is_allowed(request: &Request<'_>, operation: &Operation, judge: Judge<'_>) -> bool {
    let (path, to) = (&operation.path, &operation.to);
    match request {
        Request::Open { flags, .. } => {
            let reads = *flags & packet::READS != 0 || !packet::writes(*flags);
            (!reads || judge(Access::Read, path))
                && (!packet::writes(*flags) || judge(Access::Write, path))
        }
        Request::OpenDirectory { .. } => judge(Access::Read, path),
        Request::Look { action, .. } if !names(action) => judge(Access::Look, path),
        Request::Change { .. }
        | Request::OnHandle {
            attributes: Some(_),
            ..
        } => judge(Access::Write, path),
        // By a link, what may be read elsewhere can be read here.
        Request::Link {
            action: "hardlink" | "symlink",
            ..
        } => judge(Access::Read, path) && judge(Access::Write, path) && judge(Access::Write, to),
        Request::Link { .. } => judge(Access::Write, path) && judge(Access::Write, to),
        Request::Unknown { .. } => judge(Access::Read, &[]) && judge(Access::Write, &[]),
        // Whoever has a handle was allowed what it is for.
        Request::OnHandle {
            attributes: None, ..
        }
        // Where a name leads, a client has to know to name anything.
        | Request::Look { .. }
        | Request::Ask { .. }
        | Request::Close { .. }
        | Request::Copy { .. }
        | Request::Init
        | Request::Read { .. }
        | Request::Write { .. }
        | Request::ReadDirectory { .. } => true,
    }
}

/// Whether this looks at nothing but where a name leads.
fn names(action: &str) -> bool {
    matches!(action, "realpath" | "expand-path")
}
