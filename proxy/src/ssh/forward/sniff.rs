//! What a forwarded connection begins with: whether it is a conversation that has to go through
//! tidegate's own doors, where it is recorded as what it is.
//!
//! Looks only at the first bytes, and at each direction by itself. Whoever wraps a conversation in
//! something else is not found out here; see `docs/decisions/0009-no-session-inside-a-forward.md`.

use policies::words::forward;

use super::greeting::Greeting;

/// How much of each direction is looked at, in bytes. OpenSSH takes other lines before an
/// identification (RFC 4253, section 4.2); a proxy's answer is such lines too.
pub(in crate::ssh) const LINES_MAX: usize = 8 * 1024;

/// The longest startup packet that PostgreSQL reads: `MAX_STARTUP_PACKET_LENGTH`, and the length itself, which it
/// does not count.
const STARTUP_MAX: u32 = 10_004;

/// How long a startup packet of version 2 is (`StartupPacket` of PostgreSQL before 14). Its servers take others too.
const STARTUP_2: u32 = 296;

/// How long the database's name is in one; the user's stands behind it.
const DATABASE_2: usize = 64;

/// The shortest startup packet of version 2 that names a user.
const STARTUP_2_MIN: u32 = 73;

/// `CANCEL_REQUEST_CODE`, `NEGOTIATE_SSL_CODE` and `NEGOTIATE_GSS_CODE` of PostgreSQL.
const REQUESTS: [u32; 3] = [80_877_102, 80_877_103, 80_877_104];

/// A conversation that is a session of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conversation {
    /// An SSH identification string.
    Ssh,
    /// A PostgreSQL startup packet, in clear or announced in a TLS greeting.
    Postgres,
}

impl Conversation {
    /// What it is called.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ssh => forward::AN_SSH_CONNECTION,
            Self::Postgres => forward::A_DATABASE_CONNECTION,
        }
    }
}

/// Looks at one direction of a connection.
#[derive(Debug, Default)]
pub struct Sniffer {
    /// What has come so far, until enough has.
    seen: Vec<u8>,
    /// How much of it has been looked through.
    looked: usize,
    /// How many bytes were looked through in all, some of them more than once.
    #[cfg(test)]
    work: usize,
    done: bool,
    greeting: Greeting,
}

impl Sniffer {
    /// Takes what came. Says what it is part of, once that is complete; what came must not go on
    /// then. Bytes before may have: what is incomplete says nothing to anybody.
    pub fn sniff(&mut self, came: &[u8]) -> Option<Conversation> {
        if self.done {
            return None;
        }
        let hello = self.greeting.take(came);
        let room = LINES_MAX.saturating_sub(self.seen.len());
        let look = came.get(..room).unwrap_or(came);
        self.seen.extend_from_slice(look);
        let found = self.found(hello);
        #[cfg(test)]
        {
            let again = self.seen.len().saturating_sub(back(self.looked, LINE));
            self.work = self.work.saturating_add(again);
        }
        self.looked = self.seen.len();
        let is_enough = self.seen.len() >= LINES_MAX && self.greeting.is_over();
        if found.is_some() || is_enough {
            self.done = true;
            self.seen = Vec::new();
        }
        found
    }

    /// How many bytes are held.
    #[cfg(any(test, tidegate_fuzzing))]
    pub(in crate::ssh) fn held(&self) -> usize {
        self.seen.len()
    }

    /// What it is, where a greeting has been found to end at this byte.
    fn found(&self, hello: Option<usize>) -> Option<Conversation> {
        // Nothing else can be complete before a startup packet is.
        if is_startup(&self.seen) {
            return Some(Conversation::Postgres);
        }
        match (identification(&self.seen, self.looked), hello) {
            (Some(line), Some(hello)) if hello < line => Some(Conversation::Postgres),
            (Some(_line), _) => Some(Conversation::Ssh),
            (None, hello) => hello.map(|_at| Conversation::Postgres),
        }
    }
}

/// Where the first line stands that begins as an identification string does.
fn identification(seen: &[u8], looked: usize) -> Option<usize> {
    if seen.starts_with(b"SSH-") {
        return Some(0);
    }
    place(seen, LINE, looked)
}

/// How a line with an identification begins that is not the first.
const LINE: &[u8] = b"\nSSH-";

/// Where a part stands first. It is known not to be in the bytes that were looked through, so only what
/// came since can complete it: a stream of single bytes costs no more than one piece.
fn place(seen: &[u8], part: &[u8], looked: usize) -> Option<usize> {
    let begin = back(looked, part);
    let mut windows = seen.get(begin..)?.windows(part.len());
    let at = windows.position(|window| window == part)?;
    begin.checked_add(at)
}

/// Where a part begins at the earliest that is not wholly in what was looked through.
fn back(looked: usize, part: &[u8]) -> usize {
    looked.saturating_sub(part.len().saturating_sub(1))
}

/// Whether it begins as a startup packet does, or a request that stands in for one. Other protocols
/// begin with a length and a small number too (Kafka's requests), but not with the rest.
fn is_startup(seen: &[u8]) -> bool {
    let Some((length, rest)) = seen.split_first_chunk::<4>() else {
        return false;
    };
    let Some((code, rest)) = rest.split_first_chunk::<4>() else {
        return false;
    };
    let (length, code) = (u32::from_be_bytes(*length), u32::from_be_bytes(*code));
    match code >> 16 {
        // Names and values follow, of which `user` must be one.
        3 => (8..=STARTUP_MAX).contains(&length) && rest.first().is_some_and(|byte| *byte != 0),
        2 => {
            (STARTUP_2_MIN..=STARTUP_MAX).contains(&length)
                && rest.get(DATABASE_2).is_some_and(|byte| *byte != 0)
                && (length == STARTUP_2 || is_database(rest.get(..DATABASE_2).unwrap_or_default()))
        }
        _ => (8..=STARTUP_MAX).contains(&length) && REQUESTS.contains(&code),
    }
}

/// Whether the name of a database may stand here: one, or none at all. Where Kafka asks for offsets, a small number and
/// a name behind it do.
fn is_database(field: &[u8]) -> bool {
    field.first() != Some(&0) || field.iter().all(|byte| *byte == 0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What is found in a stream, however it is cut, and that the piece that tells is the one that
    /// completes it.
    #[track_caller]
    fn check(stream: &[u8], want: Option<Conversation>) {
        assert_eq!(Sniffer::default().sniff(stream), want);
        let mut byte_by_byte = Sniffer::default();
        let found = stream
            .iter()
            .find_map(|byte| byte_by_byte.sniff(std::slice::from_ref(byte)));
        assert_eq!(found, want);
    }

    fn packet(length: u32, code: u32, rest: &[u8]) -> Vec<u8> {
        [&length.to_be_bytes()[..], &code.to_be_bytes(), rest].concat()
    }

    #[test]
    fn an_identification_is_found_behind_other_lines_too() {
        check(b"SSH-2.0-OpenSSH_9.2\r\n", Some(Conversation::Ssh));
        check(b"SSH-1.99-odd\n", Some(Conversation::Ssh));
        check(b"welcome\r\nSSH-2.0-x\r\n", Some(Conversation::Ssh));
        check(
            b"CONNECT web1:22 HTTP/1.1\r\n\r\nSSH-2.0-x\r\n",
            Some(Conversation::Ssh),
        );
        let long = [vec![b'a'; LINES_MAX - 5], b"\nSSH-".to_vec()].concat();
        check(&long, Some(Conversation::Ssh));
    }

    #[test]
    fn a_database_is_found_by_its_first_packet() {
        for request in [80_877_102, 80_877_103, 80_877_104] {
            check(&packet(8, request, b""), Some(Conversation::Postgres));
        }
        for version in [0x0003_0000, 0x0003_0002] {
            check(&packet(40, version, b"u"), Some(Conversation::Postgres));
        }
        // The longest that PostgreSQL takes: it does not count the length itself.
        check(
            &packet(10_004, 0x0003_0000, b"u"),
            Some(Conversation::Postgres),
        );
        check(
            &packet(10_004, 80_877_103, b""),
            Some(Conversation::Postgres),
        );
        // Version 2 had a place for each name; servers up to 13 take any length of it.
        for (length, version) in [(296, 0x0002_0000), (73, 0x0002_0007), (10_004, 0x0002_0000)] {
            let names = [&[0; 64][..], b"u"].concat();
            check(
                &packet(length, version, &names),
                Some(Conversation::Postgres),
            );
        }
        let names = [&b"orders"[..], &[0; 58], b"u"].concat();
        for length in [295, 296, 297] {
            let whole = packet(length, 0x0002_0000, &names);
            check(&whole, Some(Conversation::Postgres));
        }
        let hello = [
            &[22, 3, 1, 2, 0, 1, 0, 1, 252][..],
            &[0; 200],
            b"\x00\x10\x00\x0d\x00\x0b\x0apostgresql",
        ]
        .concat();
        check(&hello, Some(Conversation::Postgres));
    }

    /// A TLS record with a part of a handshake.
    fn record(kind: u8, part: &[u8]) -> Vec<u8> {
        let length = u16::try_from(part.len()).unwrap().to_be_bytes();
        [&[kind, 3, 1], &length[..], part].concat()
    }

    #[test]
    fn a_greeting_is_found_in_however_many_records_it_is() {
        let greeting = |before: usize| {
            let padding = vec![0; before];
            [&[1, 0, 1, 252][..], &padding, b"\x00\x0b\x0apostgresql"].concat()
        };
        for size in [1, 3, 200] {
            let cut = greeting(200);
            let records = cut.chunks(size).map(|part| record(22, part));
            let stream = records.collect::<Vec<_>>().concat();
            check(&stream, Some(Conversation::Postgres));
        }
        // A long one, and one that is asked for again.
        let cut = greeting(100_000);
        let records = cut.chunks(16 * 1024).map(|part| record(22, part));
        let long = records.collect::<Vec<_>>().concat();
        assert_eq!(
            Sniffer::default().sniff(&long),
            Some(Conversation::Postgres)
        );
        let again = [
            record(22, &[1, 0, 0, 40]),
            record(22, &[0; 40]),
            record(20, &[1]),
            record(22, &greeting(9)),
        ];
        check(&again.concat(), Some(Conversation::Postgres));
        // What is encrypted says nothing.
        let sealed = [
            record(22, &[1, 0, 0, 40]),
            record(22, &[0; 40]),
            record(23, b"\x0apostgre"),
            record(22, b"sql"),
        ];
        check(&sealed.concat(), None);
    }

    #[test]
    fn what_is_complete_first_is_what_it_is() {
        let startup = packet(40, 0x0003_0000, b"user\nSSH-2.0-x\r\n");
        check(&startup, Some(Conversation::Postgres));
        let hello = b"\x16\x03\x01\x02\x00\x0apostgresql\nSSH-2.0-x\r\n";
        check(hello, Some(Conversation::Postgres));
        let line = b"\x16\x03\nSSH-2.0-x\r\n\x0apostgresql";
        check(line, Some(Conversation::Ssh));
    }

    #[test]
    fn everything_else_passes() {
        check(b"GET / HTTP/1.1\r\nHost: SSH-2.0\r\n\r\n", None);
        check(b"an SSH-2.0 server\n", None);
        check(b"*1\r\n$4\r\nPING\r\n", None);
        check(b"SSH", None);
        check(&packet(40, 1, b"user"), None);
        check(&packet(7, 0x0003_0000, b"u"), None);
        check(&packet(10_005, 0x0003_0000, b"u"), None);
        check(&packet(10_005, 80_877_103, b""), None);
        check(&packet(72, 0x0002_0000, &[b'u'; 64]), None);
        check(&packet(296, 0x0002_0000, &[0; 80]), None);
        // What a Kafka client asks first: the list of topics, in version 1.
        check(&packet(40, 0x0003_0001, &[0, 0, 0, 1]), None);
        // What one asks first that knows the topics: from where a topic can be read, in version 1.
        let offsets = [
            &[0, 0, 0, 1, 0, 7][..],
            b"rdkafka",
            &[255; 4],
            &[0, 0, 0, 1, 0, 50],
            &[b't'; 50],
            &[0, 0, 0, 1, 0, 0, 0, 0],
            &[255; 8],
        ];
        check(&packet(93, 0x0002_0001, &offsets.concat()), None);
        check(b"\x16\x03\x01\x00\x05hello\x02h2\x08http/1.1", None);
        let late = [vec![b'a'; LINES_MAX], b"\nSSH-2.0-x\r\n".to_vec()].concat();
        check(&late, None);
    }

    #[test]
    fn a_stream_in_single_bytes_is_looked_through_once() {
        let mut sniffer = Sniffer::default();
        let stream = [&[22, 3][..], &vec![b'a'; 2 * LINES_MAX]].concat();
        for byte in &stream {
            assert_eq!(sniffer.sniff(std::slice::from_ref(byte)), None);
        }
        let most = stream.len() * LINE.len();
        assert!(sniffer.work <= most, "{}", sniffer.work);
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic_and_it_holds_little(pieces: Vec<Vec<u8>>) {
            let mut sniffer = Sniffer::default();
            for piece in &pieces {
                sniffer.sniff(piece);
                prop_assert!(sniffer.held() <= LINES_MAX);
            }
        }
    }
}
