//! The first packets of a connection, as pure functions: which of the five openings it is, and
//! which session parameters a client may ask for.
//!
//! The parameters are an allow-list. A name that is not on it is refused with the name, never
//! dropped, so that nobody believes in a setting that does not hold. Some of those on it are asked
//! about later ([`settings`]). Does no I/O.

use super::settings::{self, Beginner};
use crate::postgres::wire::{BackendKey, Fields, Violation, message, put_text};

/// What a first packet asks for (`ProcessStartupPacket`,
/// `src/backend/tcop/backend_startup.c`).
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Opening {
    /// `SSLRequest`: TLS, please.
    Tls,
    /// `GSSENCRequest`: encryption by Kerberos, please.
    Gss,
    /// `CancelRequest`: stop what the session with this key is doing.
    Cancel(BackendKey),
    /// A session.
    Session(Startup),
}

/// A client's wish for a session.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Startup {
    /// The protocol's minor version that will be spoken.
    pub(crate) minor: u16,
    /// What the client asked for and we do not know: a newer minor version, or options `_pq_.…`.
    pub(crate) unknown: Option<Unknown>,
    /// The role.
    pub(crate) user: String,
    /// The database; where none was named, the role's name.
    pub(crate) database: String,
    /// Session parameters, in the client's order; behind them those of `options`. Each is there once.
    pub(crate) parameters: Vec<(String, String)>,
    /// Those of them that not everybody may begin with, each with the statement that it is judged as.
    pub(crate) asked: Vec<(String, String)>,
}

/// What is answered with `NegotiateProtocolVersion`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unknown {
    /// The minor version that is named: the one that was asked for, or the newest that we speak.
    pub(crate) minor: u16,
    /// Names of protocol options.
    pub(crate) options: Vec<String>,
}

/// Why a first packet leads nowhere. The words go to the client as they are.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum StartupError {
    /// It is not PostgreSQL's protocol, or a version that died long ago.
    #[error("unsupported frontend protocol {major}.{minor}: tidegate speaks 3.0 to 3.2")]
    Version {
        /// The first half of the code.
        major: u16,
        /// The second half.
        minor: u16,
    },
    /// The packet is cut short or has something behind its end.
    #[error("invalid startup packet layout")]
    Layout,
    /// A name or value is not UTF-8.
    #[error("a startup parameter is not UTF-8")]
    Encoding,
    /// No role.
    #[error("no PostgreSQL user name specified in startup packet")]
    NoUser,
    /// The same parameter twice: two readers could believe different ones.
    #[error("startup parameter \"{0}\" is given twice")]
    Twice(String),
    /// A parameter that is not on the list.
    #[error("startup parameter \"{0}\" is not allowed through tidegate")]
    Parameter(String),
    /// A replication connection.
    #[error("replication is not allowed through tidegate")]
    Replication,
}

/// The newest minor version we speak. 3.1 was never used; 3.2 has longer cancel keys.
const MINOR_MAX: u16 = 2;

/// `CANCEL_REQUEST_CODE`, `NEGOTIATE_SSL_CODE` and `NEGOTIATE_GSS_CODE` are minor versions of major
/// version 1234 (`src/include/libpq/pqcomm.h`).
const REQUEST_MAJOR: u16 = 1234;

/// Reads a first packet's body, which is what follows its length word.
pub(crate) fn opening(body: &[u8]) -> Result<Opening, StartupError> {
    let mut fields = Fields::new(0, body);
    let (major, minor) = (layout(fields.u16())?, layout(fields.u16())?);
    match (major, minor) {
        (REQUEST_MAJOR, 5679) => layout(fields.end()).map(|()| Opening::Tls),
        (REQUEST_MAJOR, 5680) => layout(fields.end()).map(|()| Opening::Gss),
        (REQUEST_MAJOR, 5678) => {
            let pid = layout(fields.i32())?;
            match fields.rest() {
                secret if (4..=256).contains(&secret.len()) => Ok(Opening::Cancel(BackendKey {
                    pid,
                    secret: secret.to_vec(),
                })),
                _other => Err(StartupError::Layout),
            }
        }
        (3, minor) => session(minor, fields).map(Opening::Session),
        (major, minor) => Err(StartupError::Version { major, minor }),
    }
}

fn layout<T>(read: Result<T, Violation>) -> Result<T, StartupError> {
    read.map_err(|_violation| StartupError::Layout)
}

fn session(minor: u16, mut fields: Fields<'_>) -> Result<Startup, StartupError> {
    let (mut user, mut database) = (None, None);
    let (mut options, mut settings) = (Vec::new(), Settings::default());
    let (mut names, mut given) = (Vec::new(), Vec::new());
    loop {
        let name = utf8(layout(fields.text())?)?;
        if name.is_empty() {
            break;
        }
        let value = utf8(layout(fields.text())?)?;
        let folded = name.to_ascii_lowercase();
        if names.contains(&folded) {
            return Err(StartupError::Twice(name));
        }
        match folded.as_str() {
            "user" => user = Some(value),
            "database" => database = Some(value),
            "replication" if is_off(&value) => {}
            "replication" => return Err(StartupError::Replication),
            "options" => {
                given = settings::options(&value).ok_or(StartupError::Parameter(name))?;
            }
            option if option.starts_with("_pq_.") => options.push(name),
            _setting => settings.take(name, value)?,
        }
        names.push(folded);
    }
    layout(fields.end())?;
    for (name, value) in given {
        // What is said by itself counts more, as at the server; what nobody may say is refused all the same.
        if names.contains(&name.to_ascii_lowercase()) {
            Settings::default().take(name, value)?;
        } else {
            settings.take(name, value)?;
        }
    }
    let user = user
        .filter(|user| !user.is_empty())
        .ok_or(StartupError::NoUser)?;
    let database = database
        .filter(|database| !database.is_empty())
        .unwrap_or_else(|| user.clone());
    let unknown = (minor > MINOR_MAX || !options.is_empty()).then_some(Unknown {
        minor: minor.min(MINOR_MAX),
        options,
    });
    // 3.1 is treated as PostgreSQL 18 does: as a version that nothing was ever built on.
    let minor = if minor >= MINOR_MAX { MINOR_MAX } else { 0 };
    Ok(Startup {
        minor,
        unknown,
        user,
        database,
        parameters: settings.parameters,
        asked: settings.asked,
    })
}

/// The settings that a session is to begin with, and which of them are to be asked about.
#[derive(Default)]
struct Settings {
    parameters: Vec<(String, String)>,
    asked: Vec<(String, String)>,
}

impl Settings {
    /// Takes one that may be begun with, if perhaps not by everybody.
    fn take(&mut self, name: String, value: String) -> Result<(), StartupError> {
        match settings::beginner(&name, &value) {
            Beginner::Anybody => {}
            Beginner::WhoMay(statement) => self.asked.push((name.clone(), statement)),
            Beginner::Nobody => return Err(StartupError::Parameter(name)),
        }
        self.parameters.push((name, value));
        Ok(())
    }
}

fn utf8(text: &[u8]) -> Result<String, StartupError> {
    String::from_utf8(text.to_vec()).map_err(|_bytes| StartupError::Encoding)
}

/// What PostgreSQL reads as "no replication" (`parse_bool`).
fn is_off(value: &str) -> bool {
    let value = value.to_ascii_lowercase();
    let word = |word: &str| word.starts_with(&value) && !value.is_empty();
    word("false") || word("no") || value == "off" || value == "of" || value == "0"
}

/// Appends `NegotiateProtocolVersion`: the newest minor that both speak, and the options we do not know.
pub(crate) fn put_negotiation(out: &mut Vec<u8>, unknown: &Unknown) {
    message(out, b'v', |body| {
        body.extend((3_u32 << 16 | u32::from(unknown.minor)).to_be_bytes());
        body.extend(
            u32::try_from(unknown.options.len())
                .unwrap_or(u32::MAX)
                .to_be_bytes(),
        );
        for option in &unknown.options {
            put_text(body, option.as_bytes());
        }
    });
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::postgres::target::back::put_startup;

    fn ask(version: u32, pairs: &[(&str, &str)]) -> Result<Startup, StartupError> {
        let mut body = version.to_be_bytes().to_vec();
        for (name, value) in pairs {
            put_text(&mut body, name.as_bytes());
            put_text(&mut body, value.as_bytes());
        }
        body.push(0);
        match opening(&body)? {
            Opening::Session(startup) => Ok(startup),
            other @ (Opening::Tls | Opening::Gss | Opening::Cancel(_)) => panic!("{other:?}"),
        }
    }

    const V3: u32 = 3 << 16;

    #[test]
    fn the_database_defaults_to_the_role() {
        assert_eq!(ask(V3, &[("user", "app")]).unwrap().database, "app");
        assert_eq!(
            ask(V3, &[("user", "app"), ("database", "orders")])
                .unwrap()
                .database,
            "orders"
        );
        assert_eq!(
            ask(V3, &[("database", "orders")]),
            Err(StartupError::NoUser)
        );
    }

    #[test]
    fn what_would_change_who_one_is_or_which_code_runs_is_refused() {
        for name in [
            "role",
            "Session_Authorization",
            "session_preload_libraries",
            "local_preload_libraries",
        ] {
            let refused = Err(StartupError::Parameter(name.to_owned()));
            assert_eq!(ask(V3, &[("user", "app"), (name, "x")]), refused);
            let option = format!("-c work_mem=5MB -c {name}=x");
            assert_eq!(ask(V3, &[("user", "app"), ("options", &option)]), refused);
        }
        let refused = ask(V3, &[("user", "app"), ("options", "-fs")]);
        assert_eq!(refused, Err(StartupError::Parameter("options".to_owned())));
        assert!(
            ask(
                V3,
                &[("user", "app"), ("DateStyle", "ISO"), ("options", "")]
            )
            .is_ok()
        );
    }

    #[test]
    fn what_options_say_is_said_by_itself_and_counts_less() {
        let options = "-c search_path=a -c timezone=CET -c Jit=off";
        let pairs = [("user", "app"), ("options", options), ("TimeZone", "UTC")];
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let startup = ask(V3, &pairs).unwrap();
        assert_eq!(
            startup.parameters,
            [
                pair("TimeZone", "UTC"),
                pair("search_path", "a"),
                pair("Jit", "off")
            ]
        );
        // Whoever is let in is asked for by what is here, and by nothing that is read once more.
        let asked: Vec<&str> = startup
            .asked
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        assert_eq!(asked, ["search_path"]);
    }

    #[test]
    fn what_is_overruled_and_nobody_may_say_is_refused() {
        let pairs = [
            ("user", "app"),
            ("options", "-c role=postgres"),
            ("role", "x"),
        ];
        let refused = Err(StartupError::Parameter("role".to_owned()));
        assert_eq!(ask(V3, &pairs), refused);
        let pairs = [
            ("user", "app"),
            ("options", "-c work_mem=1MB"),
            ("work_mem", "2MB"),
        ];
        let startup = ask(V3, &pairs).unwrap();
        assert_eq!((startup.parameters.len(), startup.asked.len()), (1, 1));
    }

    #[test]
    fn replication_is_refused_in_every_spelling() {
        for value in ["true", "on", "yes", "1", "database", "", "o"] {
            assert_eq!(
                ask(V3, &[("user", "app"), ("replication", value)]),
                Err(StartupError::Replication)
            );
        }
        for value in ["false", "off", "no", "0", "f", "N"] {
            assert!(ask(V3, &[("user", "app"), ("replication", value)]).is_ok());
        }
    }

    #[test]
    fn a_parameter_given_twice_is_refused() {
        let refused = ask(V3, &[("user", "app"), ("user", "postgres")]);
        assert_eq!(refused, Err(StartupError::Twice("user".to_owned())));
        let refused = ask(
            V3,
            &[("user", "app"), ("TimeZone", "UTC"), ("timezone", "CET")],
        );
        assert_eq!(refused, Err(StartupError::Twice("timezone".to_owned())));
    }

    #[test]
    fn a_newer_minor_version_is_negotiated_down() {
        let startup = ask(V3 + 9999, &[("user", "app"), ("_pq_.fancy", "1")]).unwrap();
        assert_eq!(startup.minor, 2);
        let mut out = Vec::new();
        put_negotiation(&mut out, &startup.unknown.unwrap());
        assert_eq!(out, b"v\0\0\0\x17\0\x03\0\x02\0\0\0\x01_pq_.fancy\0");
        let startup = ask(V3, &[("user", "app"), ("_pq_.fancy", "1")]).unwrap();
        out.clear();
        put_negotiation(&mut out, &startup.unknown.unwrap());
        assert_eq!(out, b"v\0\0\0\x17\0\x03\0\0\0\0\0\x01_pq_.fancy\0");
        assert_eq!(ask(V3 | 2, &[("user", "app")]).unwrap().unknown, None);
        assert_eq!(ask(V3, &[("user", "app")]).unwrap().minor, 0);
    }

    #[test]
    fn the_other_openings_are_told_apart() {
        assert_eq!(opening(&80_877_103_u32.to_be_bytes()), Ok(Opening::Tls));
        assert_eq!(opening(&80_877_104_u32.to_be_bytes()), Ok(Opening::Gss));
        let mut cancel = 80_877_102_u32.to_be_bytes().to_vec();
        cancel.extend(7_i32.to_be_bytes());
        assert_eq!(opening(&cancel), Err(StartupError::Layout));
        cancel.extend([1, 2, 3, 4]);
        assert_eq!(
            opening(&cancel),
            Ok(Opening::Cancel(BackendKey {
                pid: 7,
                secret: vec![1, 2, 3, 4]
            }))
        );
        assert_eq!(
            opening(&(2_u32 << 16).to_be_bytes()),
            Err(StartupError::Version { major: 2, minor: 0 })
        );
        assert_eq!(
            opening(b"GET / HT"),
            Err(StartupError::Version {
                major: 0x4745,
                minor: 0x5420
            })
        );
    }

    #[test]
    fn what_we_send_onwards_is_what_we_would_read() {
        let mut body = Vec::new();
        put_startup(
            &mut body,
            "app",
            "orders",
            &[("TimeZone".to_owned(), "UTC".to_owned())],
        );
        let Ok(Opening::Session(read)) = opening(&body) else {
            panic!()
        };
        assert_eq!(
            (read.user.as_str(), read.database.as_str()),
            ("app", "orders")
        );
        assert_eq!(
            read.parameters,
            vec![("TimeZone".to_owned(), "UTC".to_owned())]
        );
    }

    proptest! {
        #[test]
        fn no_packet_makes_the_reader_panic(version in prop_oneof![Just(V3), Just(80_877_102), any::<u32>()], tail in proptest::collection::vec(any::<u8>(), 0..60)) {
            let mut body = version.to_be_bytes().to_vec();
            body.extend(tail);
            drop(opening(&body));
        }
    }
}
