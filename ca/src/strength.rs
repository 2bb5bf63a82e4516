//! Which SSH keys are believed at all.

use russh::keys::ssh_key::public::KeyData;

/// The fewest bits of an RSA key that we believe (NIST SP 800-131A).
const RSA_BITS_MIN: u32 = 2048;

/// Why a key is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WeakKey {
    /// DSA.
    #[error("DSA keys are not accepted")]
    Dsa,
    /// RSA with too few bits.
    #[error("the RSA key has {bits} bits; at least {RSA_BITS_MIN} are needed")]
    Rsa {
        /// How many it has.
        bits: u32,
    },
    /// A certificate where a plain key belongs (as in CVE-2025-49825).
    #[error("a certificate stands where a plain key belongs")]
    Certificate,
    /// A key in a token, to be certified: where its certificate is shown, nobody sees whether it was touched.
    #[error(
        "keys in tokens (sk-…) are not certified: what they sign at the SSH door does not tell there whether they were touched"
    )]
    InToken,
    /// A kind that we do not know.
    #[error("keys of this kind are not accepted")]
    Unknown,
}

/// Whether signatures by this key prove anything.
pub(crate) fn believe(key: &KeyData) -> Result<(), WeakKey> {
    match key {
        KeyData::Ed25519(_)
        | KeyData::Ecdsa(_)
        | KeyData::SkEd25519(_)
        | KeyData::SkEcdsaSha2NistP256(_) => Ok(()),
        KeyData::Rsa(rsa) if rsa.key_size() >= RSA_BITS_MIN => Ok(()),
        KeyData::Rsa(rsa) => Err(WeakKey::Rsa {
            bits: rsa.key_size(),
        }),
        KeyData::Dsa(_) => Err(WeakKey::Dsa),
        KeyData::Certificate(_) => Err(WeakKey::Certificate),
        KeyData::Other(_) | _ => Err(WeakKey::Unknown),
    }
}

/// Whether it may have a certificate of its own: not where it is in a token (decision 42).
pub(crate) fn certifiable(key: &KeyData) -> Result<(), WeakKey> {
    let in_token = matches!(key, KeyData::SkEd25519(_) | KeyData::SkEcdsaSha2NistP256(_));
    if in_token {
        return Err(WeakKey::InToken);
    }
    believe(key)
}
