//! What is about to be touched, and who says whether it may be.

use policies::Extent;
use policies::words::Words;

use crate::ssh::files::path::Vague;

/// What a file is touched for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// To see that it is there, and what it is.
    Look,
    /// To see which names a directory has.
    List,
    /// To read what is in it.
    Read,
    /// To change it, or what it is.
    Write,
}

/// What is about to be touched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Touch {
    /// What for.
    pub access: Access,
    /// Where it is, as far as that can be told.
    pub place: Result<String, Vague>,
    /// Whether what is below it is meant too.
    pub extent: Extent,
}

/// Says whether files may be touched.
pub trait Warden {
    /// Whether this may be; if not, what the client is told.
    fn allows(&self, touch: &Touch) -> Result<(), Words>;

    /// Whether no file may be read at all.
    fn reads_nothing(&self) -> bool;

    /// How many questions it has put to the policies so far: what is remembered is none.
    fn asked(&self) -> usize;
}

/// Who says whether files may be touched.
pub type Judge<'a> = &'a dyn Warden;
