//! What a target asks of a lent agent (`draft-ietf-sshm-ssh-agent`): which keys there are, and to sign.
//!
//! Reads only the target's half of the conversation. Nothing else may be asked through tidegate:
//! keys are not put into an agent, taken out or locked from a target.

use aws_lc_rs::digest::{SHA256, digest};
use russh::keys::ssh_key::encoding::base64::{Base64Unpadded, Encoding};

use super::answers::Bulk;

/// The longest message, in bytes (`AGENT_MAX_LEN` of OpenSSH).
pub(super) const MESSAGE_MAX: usize = 256 * 1024;

/// `SSH_AGENTC_REQUEST_IDENTITIES`.
const LIST: u8 = 11;
/// `SSH_AGENTC_SIGN_REQUEST`.
const SIGN: u8 = 13;
/// `SSH_AGENTC_EXTENSION`: what binds a signature to the session that it is for.
const EXTENSION: u8 = 27;

/// One thing asked of an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    /// Which keys there are.
    List,
    /// A signature by the key with this fingerprint.
    Sign {
        /// As OpenSSH prints it, `SHA256:…`.
        key: String,
        /// What is to be signed, and with which flags.
        of: Bulk,
    },
    /// Something about how it is used.
    Extension {
        /// What.
        of: Bulk,
    },
}

/// What may not be asked of an agent through tidegate, or cannot be understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forbidden;

/// Reads what is asked, however it is cut into pieces.
#[derive(Debug, Default)]
pub struct Wishes {
    /// The message that has begun.
    message: Vec<u8>,
}

impl Wishes {
    /// Takes what came. Gives back what is wished with it, which must be written down before it goes on.
    pub fn take(&mut self, came: &[u8]) -> Result<Vec<Wish>, Forbidden> {
        self.message.extend_from_slice(came);
        let (mut wishes, mut done) = (Vec::new(), 0);
        while let Some(message) = next(self.message.get(done..).unwrap_or_default())? {
            done = done.saturating_add(message.len());
            wishes.push(wish(message).ok_or(Forbidden)?);
        }
        self.message.drain(..done);
        Ok(wishes)
    }

    /// How many bytes are held.
    #[cfg(any(test, tidegate_fuzzing))]
    pub(super) fn held(&self) -> usize {
        self.message.len()
    }
}

/// The first message with its head, once all of it is there. Its kind is judged as soon as that is there.
fn next(bytes: &[u8]) -> Result<Option<&[u8]>, Forbidden> {
    let Some((length, body)) = bytes.split_first_chunk::<4>() else {
        return Ok(None);
    };
    let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_huge| Forbidden)?;
    if length == 0 || length > MESSAGE_MAX {
        return Err(Forbidden);
    }
    match body.first() {
        None | Some(&(LIST | SIGN | EXTENSION)) => Ok(bytes.get(..length.saturating_add(4))),
        Some(_) => Err(Forbidden),
    }
}

/// What one message wishes.
fn wish(message: &[u8]) -> Option<Wish> {
    let (kind, body) = message.get(4..)?.split_first()?;
    match *kind {
        // A list has no contents; whatever came with it would be in no record.
        LIST => body.is_empty().then_some(Wish::List),
        EXTENSION => Some(Wish::Extension { of: Bulk::of(body) }),
        SIGN => {
            let (length, rest) = body.split_first_chunk::<4>()?;
            let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
            let (key, rest) = rest.split_at_checked(length)?;
            let digest = digest(&SHA256, key);
            let fingerprint = Base64Unpadded::encode_string(digest.as_ref());
            Some(Wish::Sign {
                key: format!("SHA256:{fingerprint}"),
                of: Bulk::of(rest),
            })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len()).unwrap().saturating_add(1);
        [&length.to_be_bytes()[..], &[kind], body].concat()
    }

    /// What is wished by these bytes, all at once and byte by byte.
    #[track_caller]
    fn check(bytes: &[u8], want: Result<&[Wish], Forbidden>) {
        let want = want.map(<[Wish]>::to_vec);
        assert_eq!(Wishes::default().take(bytes), want);
        let mut wishes = Wishes::default();
        let mut got = Ok(Vec::new());
        for byte in bytes {
            let more = wishes.take(std::slice::from_ref(byte));
            got = got.and_then(|mut all: Vec<Wish>| {
                all.extend(more?);
                Ok(all)
            });
        }
        assert_eq!(got, want);
    }

    #[test]
    fn listing_and_signing_are_understood() {
        let sign = message(SIGN, &[&[0, 0, 0, 3][..], b"key", b"the rest"].concat());
        // printf key | openssl dgst -sha256 -binary | base64
        let key = "SHA256:LHDhK3oGRvkiefQnx7OOczTY5Tic/xZ6HcMOc/gmtoM".to_owned();
        let of = Bulk::of(b"the rest");
        check(&sign, Ok(&[Wish::Sign { key, of }]));
        check(&message(LIST, b""), Ok(&[Wish::List]));
        let both = [message(LIST, b""), message(EXTENSION, b"x")].concat();
        check(
            &both,
            Ok(&[Wish::List, Wish::Extension { of: Bulk::of(b"x") }]),
        );
        check(&message(LIST, b"")[..4], Ok(&[]));
    }

    #[test]
    fn nothing_is_put_in_taken_out_or_locked() {
        for kind in [0, 1, 9, 17, 18, 19, 20, 21, 22, 23, 25, 26, 255] {
            check(&message(kind, b"x"), Err(Forbidden));
        }
        // Found out before the message is whole.
        assert_eq!(Wishes::default().take(&[0, 0, 1, 0, 17]), Err(Forbidden));
    }

    #[test]
    fn impossible_messages_are_forbidden() {
        check(&[0, 0, 0, 0], Err(Forbidden));
        check(&[0xff, 0xff, 0xff, 0xff], Err(Forbidden));
        check(&[0, 4, 0, 1, SIGN], Err(Forbidden));
        check(&message(SIGN, &[0, 0, 0, 9, 1]), Err(Forbidden));
        check(&message(LIST, b"x"), Err(Forbidden));
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(pieces: Vec<Vec<u8>>) {
            let mut wishes = Wishes::default();
            for piece in &pieces {
                if wishes.take(piece).is_err() {
                    break;
                }
            }
        }
    }
}
