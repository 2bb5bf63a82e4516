//! Where the files of a transfer are: what was asked for, and the directories at hand.

use super::invocation::cut;
use super::line::{self, Kind};
use super::{Invocation, Lost, Role};
use crate::ssh::files::path::{self, Vague};

/// How deep directories may lie in one another.
const DEPTH_MAX: usize = 256;

/// How long their names may be together, in bytes.
const NAMES_MAX: usize = 16 * 1024;

/// How much is told of the directory at hand with each complaint, in bytes: a complaint itself says what it is
/// about, and two bytes are one.
const HERE_MAX: usize = 256;

/// What was asked for, and how far one is in it.
#[derive(Debug)]
pub(super) struct Tree {
    invocation: Invocation,
    /// The directories that the next file is in, from the outermost.
    folders: Vec<Box<[u8]>>,
}

impl Tree {
    /// Outside of every directory.
    pub(super) fn new(invocation: Invocation) -> Self {
        Self {
            invocation,
            folders: Vec::new(),
        }
    }

    /// What the target's end does.
    pub(super) fn role(&self) -> Role {
        self.invocation.role()
    }

    /// Goes into a directory.
    pub(super) fn enter(&mut self, name: Box<[u8]>) -> Result<(), Lost> {
        let names = self.folders.iter().map(|folder| folder.len());
        let names = names.fold(name.len(), usize::saturating_add);
        if self.folders.len() >= DEPTH_MAX || names > NAMES_MAX {
            return Err(Lost::Nested);
        }
        self.folders.push(name);
        Ok(())
    }

    /// Leaves the innermost directory.
    pub(super) fn leave(&mut self) -> Result<(), Lost> {
        self.folders.pop().map(drop).ok_or(Lost::Nested)
    }

    /// Whether the source sends what it was not asked for.
    pub(super) fn is_stray(&self, name: &[u8]) -> bool {
        self.role() == Role::Source
            && self.folders.is_empty()
            && self.invocation.is_certain()
            && !self.invocation.asks_for(name)
    }

    /// Where a name of the directory at hand is. Where only the target knows, the second is what is
    /// below the first, unless that is the file itself.
    pub(super) fn place(&self, name: &[u8]) -> (Box<[u8]>, Box<[u8]>) {
        let said = self.invocation.said();
        let name = (!name.is_empty()).then_some(name);
        let mut names = self.folders.iter().map(AsRef::as_ref).chain(name);
        let certain = match self.role() {
            Role::Sink => self.invocation.is_directory(),
            Role::Source => self.invocation.is_certain(),
        };
        if certain && self.role() == Role::Source {
            // The first is what was asked for itself.
            names.next();
        }
        let rest = names.collect::<Vec<_>>().join(&b'/');
        if !certain || rest.is_empty() {
            return (said.into(), rest.into());
        }
        let mut path = said;
        if !path.ends_with(b"/") {
            path.push(b'/');
        }
        path.extend(rest);
        (path.into(), Box::default())
    }

    /// The directory at hand, as far as it has to be told again and again.
    pub(super) fn here(&self) -> (Box<[u8]>, Box<[u8]>) {
        let (path, to) = self.place(b"");
        (cut(&path, HERE_MAX).into(), cut(&to, HERE_MAX).into())
    }

    /// Every place where a name of the directory at hand may be, for policy to look at.
    pub(super) fn candidates(&self, kind: Kind, name: &[u8]) -> Vec<Result<String, Vague>> {
        let base = match self.invocation.place() {
            Ok(base) if line::is_name(name) => base,
            Ok(_) => return vec![Err(Vague::Climbs)],
            Err(vague) => return vec![Err(vague)],
        };
        if self.is_stray(name) {
            return vec![Err(Vague::Stray)];
        }
        let folders = self.folders.iter().map(AsRef::as_ref);
        let names = folders.chain([name]).collect::<Vec<&[u8]>>();
        let below = |names: &[&[u8]]| {
            let place = path::settle(&names.join(&b'/'), Some(&base))?;
            Ok(match (kind, self.role()) {
                (Kind::Directory, Role::Source) => path::inside(&place),
                _ => place,
            })
        };
        let inner = names.get(1..).unwrap_or_default();
        match self.role() {
            Role::Source => vec![below(inner)],
            Role::Sink if self.invocation.is_directory() => vec![below(&names)],
            Role::Sink => vec![below(&names), below(inner)],
        }
    }
}
