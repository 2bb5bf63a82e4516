//! Letting people in.
use super::{Admission, Broker};
use policies::*;
impl Broker {
    /// Lets someone in, or says why not. The lease is in the book before anything is decided, and
    /// the log's tail is read after that.
    ///
    /// # Errors
    /// The reason, as it may be told.
    #[expect(clippy::unused_async, reason = "signature first")]
    pub async fn admit(&self, ask: &Ask) -> Result<Admission, Denial> {
        let _ = ask;
        Err(Denial::Unavailable { part: Part::Store })
    }
    /// Whether this may be done in a session that was let in by these terms. In memory.
    ///
    /// # Errors
    /// The reason, as it may be told.
    pub fn may(&self, terms: &Terms, deed: &Deed) -> Result<(), Denial> {
        let _ = (terms, deed);
        Err(Denial::Unavailable { part: Part::Store })
    }
    /// Whose registered key this is: a line in OpenSSH's form, or a fingerprint `SHA256:…`. Nobody's
    /// if its owner is locked.
    pub fn identify_key(&self, key: &str) -> Option<PrincipalName> {
        let _ = key;
        None
    }
    /// Whether this is someone who may come in at all: known and not locked.
    pub fn knows(&self, name: &PrincipalName) -> bool {
        let _ = name;
        false
    }
}
