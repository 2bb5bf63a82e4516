//! The policies that ship with tidegate, as `tidegate init` writes them out.

use crate::Document;

/// The schema: the words that policies are written in. Compiled in; the copy that is written out is
/// for reading.
pub(crate) const SCHEMA: &str = include_str!("../library/schema.cedarschema");

/// What ships, file by file.
#[derive(Debug, Clone)]
pub struct Library {
    /// The schema, for reading.
    pub schema: Document,
    /// The policies.
    pub policies: Vec<Document>,
    /// The named quorums.
    pub quorums: Document,
}

/// The shipped documents: guard rails, access and quorums.
pub fn library() -> Library {
    Library {
        schema: Document::new("schema.cedarschema", SCHEMA),
        policies: vec![
            Document::new("base.cedar", include_str!("../library/base.cedar")),
            Document::new("access.cedar", include_str!("../library/access.cedar")),
        ],
        quorums: Document::new("quorums.toml", include_str!("../library/quorums.toml")),
    }
}
