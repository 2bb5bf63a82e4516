//! What a request is called in the recording.

use std::fmt;

use policies::words::files::copied;

use super::packet::{self, Request, Unclear};
use super::waiting::Then;
use super::{Operation, Talk};

/// What is copied between two open files: from where, how much (0: to its end), and to where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: u64,
    pub(super) length: u64,
    pub(super) at: u64,
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { start, length, at } = self;
        f.write_str(&copied(*start, *length, *at))
    }
}

impl Talk {
    /// What a request is called in the recording.
    pub(super) fn operation(&self, request: &Request<'_>) -> Result<(Operation, Then), Unclear> {
        let mut then = Then::Nothing;
        let operation = match request {
            Request::Open {
                path,
                flags,
                attributes,
            } => {
                then = Then::Opens;
                let mut detail = packet::purpose(*flags);
                if packet::writes(*flags) && !attributes.0.is_empty() {
                    detail.push(' ');
                    detail.push_str(&attributes.0);
                }
                Operation::new("open", path, &[], detail)
            }
            Request::OpenDirectory { path } => {
                then = Then::Opens;
                Operation::new("opendir", path, &[], String::new())
            }
            Request::Close { handle } => {
                then = Then::Closes(self.files.number(handle)?);
                let path = self.files.path(handle)?;
                Operation::new("close", path, &[], String::new())
            }
            Request::Look { action, path } => Operation::new(action, path, &[], String::new()),
            Request::Change {
                action,
                path,
                attributes,
            } => Operation::new(action, path, &[], attributes.0.clone()),
            Request::Link { action, path, to } => Operation::new(action, path, to, String::new()),
            Request::OnHandle {
                action,
                handle,
                attributes,
            } => {
                let detail = attributes.as_ref().map(|wanted| wanted.0.clone());
                let path = self.files.path(handle)?;
                Operation::new(action, path, &[], detail.unwrap_or_default())
            }
            Request::Copy { from, to, span } => {
                let (path, to) = (self.files.path(from)?, self.files.path(to)?);
                Operation::new("copy-data", path, to, span.to_string())
            }
            Request::Ask { action } => Operation::new(action, &[], &[], String::new()),
            // Its name is the client's own, so it is no name of an operation.
            Request::Unknown { name, fields } => {
                Operation::new("extended", &[], &[], packet::unknown(name, fields))
            }
            Request::Read { handle, .. }
            | Request::Write { handle, .. }
            | Request::ReadDirectory { handle } => {
                let path = self.files.path(handle)?;
                Operation::new(packet::contents(request), path, &[], String::new())
            }
            Request::Init => return Err(Unclear::Turn),
        };
        Ok((operation, then))
    }

    /// Has the sum of a file that changes otherwise than by what is written to it be that no more.
    pub(super) fn tears(&mut self, request: &Request<'_>) {
        let (handle, size) = if let Request::Copy { to, .. } = request {
            (to, None)
        } else if let Request::OnHandle {
            handle,
            attributes: Some(wanted),
            ..
        } = request
            && let Some(size) = wanted.size()
        {
            (handle, Some(size))
        } else {
            return;
        };
        let number = self.files.number(handle).ok();
        if let Some(file) = number.and_then(|number| self.files.asked(number)) {
            file.written.resize(size);
        }
    }
}
