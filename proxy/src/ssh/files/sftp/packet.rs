//! What a packet says: SFTP version 3 (`draft-ietf-secsh-filexfer-02`) with the extensions of
//! `OpenSSH` (its `PROTOCOL` file, section 4).
//!
//! Reads and never builds, but for the one answer that we give ourselves. What follows the fields of
//! the version passes, as servers let it, and is told of.

use std::fmt::Write as _;

use bytes::Bytes;
use policies::words::Words;

use super::called::Span;
use crate::ssh::forward::answers::Bulk;

/// The version that is understood.
pub(super) const VERSION: u32 = 3;

/// The longest handle, in bytes (section 6.1).
pub(super) const HANDLE_MAX: usize = 256;

pub(super) const WRITE: u8 = 6;
pub(super) const DATA: u8 = 103;

/// The target does not allow it (`SSH_FX_PERMISSION_DENIED`).
const PERMISSION_DENIED: u32 = 3;

/// How much of an extension's request is written down as it came that we do not know, in bytes.
const UNKNOWN_MAX: usize = 256;

/// Why a conversation cannot be followed any further.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unclear {
    /// A packet's length that no packet has.
    #[error("a packet of {0} bytes")]
    Length(usize),
    /// A packet that ends before its last field.
    #[error("a packet that ends too early")]
    Short,
    /// A handle that was never given, or is too long.
    #[error("a handle that was not given")]
    Handle,
    /// A type of packet that version 3 does not have.
    #[error("a packet of type {0}, which SFTP version 3 does not have")]
    Kind(u8),
    /// Another version than ours.
    #[error("SFTP version {0}; version 3 is understood")]
    Version(u32),
    /// The greeting came twice, or not at all.
    #[error("a packet out of turn")]
    Turn,
    /// A number of a request that waits already, or an answer to none.
    #[error("request {0}, which is not the one")]
    Number(u32),
    /// More requests wait, or files are open, than any client needs.
    #[error("too much at once")]
    Flood,
    /// What passes is understood, and not allowed any more.
    #[error("{}", .0.what)]
    Shut(Box<Words>),
}

/// A packet of the client, without the contents of files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Request<'a> {
    Init,
    Open {
        path: &'a [u8],
        flags: u32,
        attributes: Attributes,
    },
    OpenDirectory {
        path: &'a [u8],
    },
    Close {
        handle: &'a [u8],
    },
    Read {
        handle: &'a [u8],
        offset: u64,
    },
    Write {
        handle: &'a [u8],
        offset: u64,
        length: u32,
    },
    ReadDirectory {
        handle: &'a [u8],
    },
    /// Looks at a path.
    Look {
        action: &'static str,
        path: &'a [u8],
    },
    /// Changes what a path is.
    Change {
        action: &'static str,
        path: &'a [u8],
        attributes: Attributes,
    },
    /// Does something with two paths. `path` is what there is, `to` is what there shall be.
    Link {
        action: &'static str,
        path: &'a [u8],
        to: &'a [u8],
    },
    /// Does something with an open file.
    OnHandle {
        action: &'static str,
        handle: &'a [u8],
        attributes: Option<Attributes>,
    },
    /// Copies between open files.
    Copy {
        from: &'a [u8],
        to: &'a [u8],
        span: Span,
    },
    /// Asks for what is no file.
    Ask {
        action: &'static str,
    },
    /// An extension that we do not know.
    Unknown {
        name: &'a [u8],
        fields: &'a [u8],
    },
}

/// What an open is for (section 6.3).
pub(super) const READS: u32 = 1;
const WRITES: [(u32, &str); 5] = [
    (2, "write"),
    (4, "append"),
    (8, "create"),
    (16, "truncate"),
    (32, "exclusive"),
];

/// Whether an open with these flags may change anything.
pub(super) fn writes(flags: u32) -> bool {
    WRITES.iter().any(|(flag, _)| flags & flag != 0)
}

/// What an open is for, in words.
pub(super) fn purpose(flags: u32) -> String {
    let mut words = Vec::new();
    if flags & READS != 0 {
        words.push("read");
    }
    words.extend(
        WRITES
            .iter()
            .filter(|(flag, _)| flags & flag != 0)
            .map(|(_, word)| *word),
    );
    words.join(" ")
}

/// What a request for contents is called.
pub(super) fn contents(request: &Request<'_>) -> &'static str {
    if matches!(request, Request::ReadDirectory { .. }) {
        "readdir"
    } else if matches!(request, Request::Write { .. }) {
        "write"
    } else {
        "read"
    }
}

/// What a client wants a file to be (section 5), as text: `mode=0644 size=0`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Attributes(pub(super) String);

impl Attributes {
    /// The size that the file is to have, if that is among them.
    pub(super) fn size(&self) -> Option<u64> {
        let size = self.0.strip_prefix("size=")?;
        size.split(' ').next()?.parse().ok()
    }
}

/// The number of a request, what it asks for, and what follows the fields that it has.
pub(super) fn request(kind: u8, fields: &[u8]) -> Result<(u32, Request<'_>, &[u8]), Unclear> {
    let mut from = Fields(fields);
    let id = from.u32()?;
    let request = match kind {
        1 => Request::Init,
        3 => Request::Open {
            path: from.string()?,
            flags: from.u32()?,
            attributes: from.attributes()?,
        },
        4 => Request::Close {
            handle: from.handle()?,
        },
        5 => Request::Read {
            handle: from.handle()?,
            offset: from.u64()?,
        },
        WRITE => Request::Write {
            handle: from.handle()?,
            offset: from.u64()?,
            length: from.u32()?,
        },
        7 => Request::Look {
            action: "lstat",
            path: from.string()?,
        },
        8 => Request::OnHandle {
            action: "fstat",
            handle: from.handle()?,
            attributes: None,
        },
        9 => change("setstat", &mut from)?,
        10 => Request::OnHandle {
            action: "fsetstat",
            handle: from.handle()?,
            attributes: Some(from.attributes()?),
        },
        11 => Request::OpenDirectory {
            path: from.string()?,
        },
        12 => Request::ReadDirectory {
            handle: from.handle()?,
        },
        13..=20 => on_paths(kind, &mut from)?,
        200 => extension(&mut from)?,
        other => return Err(Unclear::Kind(other)),
    };
    Ok((id, request, from.0))
}

/// The requests about paths, from `remove` to `symlink`.
fn on_paths<'a>(kind: u8, from: &mut Fields<'a>) -> Result<Request<'a>, Unclear> {
    Ok(match kind {
        13 => plain_change("remove", from)?,
        14 => change("mkdir", from)?,
        15 => plain_change("rmdir", from)?,
        16 => Request::Look {
            action: "realpath",
            path: from.string()?,
        },
        17 => Request::Look {
            action: "stat",
            path: from.string()?,
        },
        18 => link("rename", from)?,
        19 => Request::Look {
            action: "readlink",
            path: from.string()?,
        },
        // `OpenSSH` sends what the link shall say first; so does everybody since.
        20 => link("symlink", from)?,
        other => return Err(Unclear::Kind(other)),
    })
}

fn change<'a>(action: &'static str, from: &mut Fields<'a>) -> Result<Request<'a>, Unclear> {
    Ok(Request::Change {
        action,
        path: from.string()?,
        attributes: from.attributes()?,
    })
}

fn plain_change<'a>(action: &'static str, from: &mut Fields<'a>) -> Result<Request<'a>, Unclear> {
    let (path, attributes) = (from.string()?, Attributes::default());
    Ok(Request::Change {
        action,
        path,
        attributes,
    })
}

fn link<'a>(action: &'static str, from: &mut Fields<'a>) -> Result<Request<'a>, Unclear> {
    let (path, to) = (from.string()?, from.string()?);
    Ok(Request::Link { action, path, to })
}

fn extension<'a>(from: &mut Fields<'a>) -> Result<Request<'a>, Unclear> {
    let name = from.string()?;
    let on_handle = |action, from: &mut Fields<'a>| {
        let (handle, attributes) = (from.handle()?, None);
        Ok(Request::OnHandle {
            action,
            handle,
            attributes,
        })
    };
    match name {
        b"posix-rename@openssh.com" => link("posix-rename", from),
        b"hardlink@openssh.com" => link("hardlink", from),
        b"lsetstat@openssh.com" => change("lsetstat", from),
        b"statvfs@openssh.com" => Ok(Request::Look {
            action: "statvfs",
            path: from.string()?,
        }),
        b"expand-path@openssh.com" => Ok(Request::Look {
            action: "expand-path",
            path: from.string()?,
        }),
        b"fstatvfs@openssh.com" => on_handle("fstatvfs", from),
        b"fsync@openssh.com" => on_handle("fsync", from),
        b"copy-data" => {
            let source = from.handle()?;
            let (start, length) = (from.u64()?, from.u64()?);
            let to = from.handle()?;
            let at = from.u64()?;
            Ok(Request::Copy {
                from: source,
                to,
                span: Span { start, length, at },
            })
        }
        b"limits@openssh.com" => Ok(Request::Ask { action: "limits" }),
        b"home-directory" => Ok(Request::Ask {
            action: "home-directory",
        }),
        b"users-groups-by-id@openssh.com" => Ok(Request::Ask {
            action: "users-groups-by-id",
        }),
        name => Ok(Request::Unknown {
            name,
            fields: std::mem::take(&mut from.0),
        }),
    }
}

/// What an extension is called that we do not know, in quotes, and what it asks for: as it came, or its beginning and
/// the digest of all of it.
pub(super) fn unknown(name: &[u8], fields: &[u8]) -> String {
    let name = name.escape_ascii();
    match fields.split_at_checked(UNKNOWN_MAX) {
        _ if fields.is_empty() => format!("\"{name}\""),
        Some((begun, rest)) if !rest.is_empty() => {
            let begun = begun.escape_ascii();
            format!("\"{name}\" {begun}… {}", Bulk::of(fields))
        }
        _ => format!("\"{name}\" {}", fields.escape_ascii()),
    }
}

/// Which version an extension asks for, if it is the one that does, of a target that offered several with its
/// answer (`draft-ietf-secsh-filexfer-13`). One that is no number is 0.
pub(super) fn selected(name: &[u8], fields: &[u8]) -> Option<u32> {
    let version = || {
        std::str::from_utf8(Fields(fields).string().ok()?)
            .ok()?
            .parse()
            .ok()
    };
    (name == b"version-select").then(|| version().unwrap_or_default())
}

/// A packet of the target, without the contents of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer<'a> {
    Version,
    /// It is done, or not.
    Status {
        code: u32,
        message: &'a [u8],
    },
    /// It is open.
    Handle(&'a [u8]),
    /// Contents follow.
    Data {
        length: u32,
    },
    /// So many names, of which the first is this.
    Names {
        count: u32,
        first: &'a [u8],
    },
    /// What was asked for.
    Other,
}

/// The number of the request that is answered, and the answer.
pub(super) fn answer(kind: u8, fields: &[u8]) -> Result<(u32, Answer<'_>), Unclear> {
    let mut from = Fields(fields);
    let id = from.u32()?;
    let answer = match kind {
        2 if id != VERSION => return Err(Unclear::Version(id)),
        2 => Answer::Version,
        101 => {
            let code = from.u32()?;
            // Old servers leave the text out.
            let message = from.string().unwrap_or_default();
            Answer::Status { code, message }
        }
        102 => Answer::Handle(from.handle()?),
        DATA => Answer::Data {
            length: from.u32()?,
        },
        104 => {
            let count = from.u32()?;
            let first = if count == 0 {
                &[]
            } else {
                from.string().unwrap_or_default()
            };
            Answer::Names { count, first }
        }
        105 | 201 => Answer::Other,
        other => return Err(Unclear::Kind(other)),
    };
    Ok((id, answer))
}

/// The answer that something is not allowed, for this request.
pub(super) fn denied(id: u32, why: &str) -> Bytes {
    let mut fields = vec![101];
    fields.extend(id.to_be_bytes());
    fields.extend(PERMISSION_DENIED.to_be_bytes());
    for text in [why, "en"] {
        fields.extend(u32::try_from(text.len()).unwrap_or(0).to_be_bytes());
        fields.extend(text.as_bytes());
    }
    let mut packet = u32::try_from(fields.len())
        .unwrap_or(0)
        .to_be_bytes()
        .to_vec();
    packet.append(&mut fields);
    Bytes::from(packet)
}

/// What is left of a packet.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Unclear> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(Unclear::Short)?;
        self.0 = rest;
        Ok(*taken)
    }

    fn u32(&mut self) -> Result<u32, Unclear> {
        self.array().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Result<u64, Unclear> {
        self.array().map(u64::from_be_bytes)
    }

    fn string(&mut self) -> Result<&'a [u8], Unclear> {
        let length = usize::try_from(self.u32()?).map_err(|_wider| Unclear::Short)?;
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Unclear::Short)?;
        self.0 = rest;
        Ok(taken)
    }

    fn handle(&mut self) -> Result<&'a [u8], Unclear> {
        let handle = self.string()?;
        if handle.is_empty() || handle.len() > HANDLE_MAX {
            return Err(Unclear::Handle);
        }
        Ok(handle)
    }

    fn attributes(&mut self) -> Result<Attributes, Unclear> {
        let flags = self.u32()?;
        let mut text = String::new();
        let mut put = |name: &str, value: std::fmt::Arguments<'_>| {
            let space = if text.is_empty() { "" } else { " " };
            // A string takes whatever is written.
            write!(text, "{space}{name}={value}").ok();
        };
        if flags & 1 != 0 {
            put("size", format_args!("{}", self.u64()?));
        }
        if flags & 2 != 0 {
            put("owner", format_args!("{}:{}", self.u32()?, self.u32()?));
        }
        if flags & 4 != 0 {
            put("mode", format_args!("{:04o}", self.u32()? & 0o7777));
        }
        if flags & 8 != 0 {
            let (_accessed, modified) = (self.u32()?, self.u32()?);
            put("modified", format_args!("{modified}"));
        }
        Ok(Attributes(text))
    }
}
