//! What a target asks of a lent agent (`draft-ietf-sshm-ssh-agent`): which keys there are, and to sign.
//!
//! Reads only the target's half of the conversation. Nothing else may be asked through tidegate:
//! keys are not put into an agent, taken out or locked from a target, nor made to sign by an extension.

use aws_lc_rs::digest::{SHA256, digest};
use bytes::{Bytes, BytesMut};
use ca::sshsig;
use russh::keys::ssh_key::encoding::base64::{Base64Unpadded, Encoding};

use super::answers::Bulk;

/// The longest message, in bytes (`AGENT_MAX_LEN` of OpenSSH).
pub(in crate::ssh) const MESSAGE_MAX: usize = 256 * 1024;

/// `SSH_AGENTC_REQUEST_IDENTITIES`.
const LIST: u8 = 11;
/// `SSH_AGENTC_SIGN_REQUEST`.
const SIGN: u8 = 13;
/// `SSH_AGENTC_EXTENSION`: anything, by a name (section 3.8).
const EXTENSION: u8 = 27;

/// Binds the connection to a session, so that the agent knows what its signatures are for (`PROTOCOL.agent` of
/// OpenSSH, section 1).
const BIND: &[u8] = b"session-bind@openssh.com";
/// Asks which extensions there are (section 3.8.1). Has no contents.
const QUERY: &[u8] = b"query";

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
    /// A signature by the key with this fingerprint that would log its owner in at a tidegate. Goes no
    /// further, nor does anything behind it.
    Login {
        /// As OpenSSH prints it, `SHA256:…`.
        key: String,
        /// What was to be signed, and with which flags.
        of: Bulk,
    },
    /// An extension that is known to sign nothing and to change no key.
    Extension {
        /// Its name.
        name: &'static str,
        /// What it carries.
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
    message: BytesMut,
}

impl Wishes {
    /// Takes what came. Gives back what is wished with it, which must be written down before it goes on, and
    /// the whole messages that do. One that has begun is held until all of it is there: what never ends
    /// would be in no record. Who is told of a login ends the conversation.
    pub fn take(&mut self, came: &[u8]) -> Result<(Vec<Wish>, Bytes), Forbidden> {
        self.message.extend_from_slice(came);
        let (mut wishes, mut done) = (Vec::new(), 0_usize);
        while let Some(message) = next(self.message.get(done..).unwrap_or_default())? {
            let wish = wish(message).ok_or(Forbidden)?;
            if matches!(wish, Wish::Login { .. }) {
                wishes.push(wish);
                self.message.truncate(done);
                break;
            }
            done = done.saturating_add(message.len());
            wishes.push(wish);
        }
        Ok((wishes, self.message.split_to(done).freeze()))
    }

    /// How many bytes are held.
    pub(in crate::ssh) fn held(&self) -> usize {
        self.message.len()
    }
}

/// The first of these messages that were taken, with its head.
pub(super) fn message(bytes: &[u8]) -> Option<&[u8]> {
    next(bytes).ok().flatten()
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
        EXTENSION => {
            let (name, rest) = string(body)?;
            let name = match name {
                BIND => "session-bind@openssh.com",
                QUERY if rest.is_empty() => "query",
                _ => return None,
            };
            let of = Bulk::of(rest);
            Some(Wish::Extension { name, of })
        }
        SIGN => {
            let (key, rest) = string(body)?;
            let digest = digest(&SHA256, key);
            let fingerprint = Base64Unpadded::encode_string(digest.as_ref());
            let (key, of) = (format!("SHA256:{fingerprint}"), Bulk::of(rest));
            // What an agent might read in another way than we do is not asked of it.
            let (signed, flags) = string(rest)?;
            if flags.len() != 4 {
                return None;
            }
            Some(if sshsig::is_login(signed) {
                Wish::Login { key, of }
            } else {
                Wish::Sign { key, of }
            })
        }
        _ => None,
    }
}

/// The string at the beginning (RFC 4251, section 5), and what follows it.
fn string(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len()).unwrap().saturating_add(1);
        [&length.to_be_bytes()[..], &[kind], body].concat()
    }

    /// An extension's name and what it carries.
    fn extension(name: &[u8], rest: &[u8]) -> Vec<u8> {
        let length = u32::try_from(name.len()).unwrap();
        message(EXTENSION, &[&length.to_be_bytes(), name, rest].concat())
    }

    /// Asks the key `key` to sign this.
    fn signing(data: &[u8]) -> Vec<u8> {
        let length = u32::try_from(data.len()).unwrap().to_be_bytes();
        let body = [&[0, 0, 0, 3][..], b"key", &length, data, &[0, 0, 0, 4]];
        message(SIGN, &body.concat())
    }

    /// What is wished by these bytes, all at once and byte by byte.
    #[track_caller]
    fn check(bytes: &[u8], want: Result<&[Wish], Forbidden>) {
        let want = want.map(<[Wish]>::to_vec);
        let at_once = Wishes::default().take(bytes);
        assert_eq!(at_once.map(|(wishes, _whole)| wishes), want);
        let mut wishes = Wishes::default();
        let mut got = Ok(Vec::new());
        for byte in bytes {
            let more = wishes.take(std::slice::from_ref(byte));
            got = got.and_then(|mut all: Vec<Wish>| {
                all.extend(more?.0);
                Ok(all)
            });
        }
        assert_eq!(got, want);
    }

    #[test]
    fn listing_and_signing_are_understood() {
        let rest = [&[0, 0, 0, 4][..], b"data", &[0, 0, 0, 4]].concat();
        let sign = signing(b"data");
        // printf key | openssl dgst -sha256 -binary | base64
        let key = "SHA256:LHDhK3oGRvkiefQnx7OOczTY5Tic/xZ6HcMOc/gmtoM".to_owned();
        let of = Bulk::of(&rest);
        check(&sign, Ok(&[Wish::Sign { key, of }]));
        check(&message(LIST, b""), Ok(&[Wish::List]));
        let both = [message(LIST, b""), extension(BIND, b"key and session")].concat();
        let (name, of) = ("session-bind@openssh.com", Bulk::of(b"key and session"));
        check(&both, Ok(&[Wish::List, Wish::Extension { name, of }]));
        let (name, of) = ("query", Bulk::of(b""));
        check(&extension(QUERY, b""), Ok(&[Wish::Extension { name, of }]));
        check(&message(LIST, b"")[..4], Ok(&[]));
    }

    #[test]
    fn a_login_at_a_tidegate_is_not_signed_and_nothing_behind_it_is() {
        for (namespace, login) in [
            (sshsig::LOGIN_NAMESPACE, true),
            (sshsig::LOGIN_NAMESPACE_1, true),
            ("tidegate-login-9", true),
            ("git", false),
            ("file", false),
        ] {
            let sign = signing(&sshsig::enveloped(namespace, b"x").unwrap());
            let asked = [message(LIST, b""), sign, message(LIST, b"")].concat();
            let (told, whole) = Wishes::default().take(&asked).unwrap();
            let is_login = matches!(told.get(1), Some(Wish::Login { .. }));
            assert_eq!((is_login, told.len()), (login, if login { 2 } else { 3 }));
            let passed = if login { 5 } else { asked.len() };
            assert_eq!(whole, asked[..passed], "{namespace}");
            // Byte by byte, as far as the conversation goes.
            let (mut wishes, mut passed) = (Wishes::default(), 0);
            for byte in &asked {
                let (told, whole) = wishes.take(std::slice::from_ref(byte)).unwrap();
                if told.iter().any(|wish| matches!(wish, Wish::Login { .. })) {
                    assert!(whole.is_empty());
                    break;
                }
                passed += whole.len();
            }
            assert_eq!(passed, if login { 5 } else { asked.len() }, "{namespace}");
        }
    }

    #[test]
    fn what_an_agent_could_read_in_another_way_is_not_asked_of_it() {
        let login = sshsig::enveloped(sshsig::LOGIN_NAMESPACE, b"x").unwrap();
        let length = u32::try_from(login.len()).unwrap().to_be_bytes();
        let key = [&[0, 0, 0, 3][..], b"key"].concat();
        for rest in [
            login.clone(),
            [&length[..], &login].concat(),
            [&length[..], &login, &[0; 3]].concat(),
            [&length[..], &login, &[0; 5]].concat(),
            [&[0xff; 4][..], &login, &[0; 4]].concat(),
        ] {
            check(&message(SIGN, &[&key[..], &rest].concat()), Err(Forbidden));
        }
    }

    #[test]
    fn no_extension_passes_that_could_sign() {
        for name in [
            &b"sign@goteleport.com"[..],
            b"session-bind@openssh.com.example",
            b"session-bind",
            b"session-bind@openssh.com\0",
            b"Query",
            b"",
            b"x",
        ] {
            check(&extension(name, b""), Err(Forbidden));
        }
        check(&extension(QUERY, b"x"), Err(Forbidden));
        // The name is not whole.
        check(&message(EXTENSION, b"x"), Err(Forbidden));
        check(&message(EXTENSION, &[0, 0, 0, 9, b'q']), Err(Forbidden));
    }

    #[test]
    fn what_has_no_end_goes_nowhere() {
        let mut wishes = Wishes::default();
        let sign = signing(&[7; 1000]);
        let (begun, rest) = sign.split_at(900);
        let with_list = [&message(LIST, b""), begun].concat();
        let (told, whole) = wishes.take(&with_list).unwrap();
        assert_eq!(
            (told, &whole[..]),
            (vec![Wish::List], &message(LIST, b"")[..])
        );
        let (told, whole) = wishes.take(rest).unwrap();
        assert_eq!((told.len(), &whole[..]), (1, &sign[..]));
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
