//! What only somebody who speaks PostgreSQL can read: `TG501` to `TG516`.

use super::cli::OWN_ROLES;
use super::{RULES, Shown, Words, named, sentence};

/// What a PostgreSQL client did that tidegate does not go along with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Complaint {
    /// It asked for a session without TLS.
    Plaintext,
    /// It showed no certificate.
    NoCertificate,
    /// Its certificate has expired.
    Expired,
    /// Its certificate is not one of ours, or not for this.
    NotOurs,
    /// Its first packet cannot be accepted.
    Startup {
        /// What is wrong with it, in PostgreSQL's own words.
        what: String,
    },
    /// It asked for a session parameter that is not on the list.
    Parameter {
        /// Which.
        name: String,
    },
    /// It asked for a session parameter as which it may not run the statement that sets it.
    Setting {
        /// Which.
        name: String,
        /// What is said of that statement; nothing where it takes a second person, for whom nobody waits while they
        /// connect.
        why: Option<String>,
    },
    /// It asked for replication.
    Replication,
    /// The database that it named cannot be a target's name, or the role cannot be a login.
    NotAName {
        /// What is wrong with it.
        what: String,
    },
    /// The host that it called and the database that it named are of two targets.
    TwoTargets {
        /// The target that the host's name is of.
        host: String,
        /// The target that the database names.
        database: String,
    },
    /// The target does not let us in.
    ShutOut {
        /// The target.
        target: String,
        /// As whom.
        login: String,
        /// Which lines there let that one in.
        lines: Lines,
    },
    /// It called a function by its number.
    FunctionCall,
    /// A statement that policy does not allow.
    Statement {
        /// What it would have done, in one word.
        kind: &'static str,
        /// The policy's `@id`, where one forbade it; empty where none allowed it.
        policy: String,
        /// The policy's `@reason`, or what is missing.
        reason: String,
    },
    /// A statement that could be anything, where policy does not allow everything.
    Unread {
        /// The policy's `@id`, where one forbade it; empty where none allowed it.
        policy: String,
        /// The policy's `@reason`, or what is missing.
        reason: String,
    },
    /// One side broke the protocol.
    Violation {
        /// Whether it was the client.
        by_client: bool,
    },
}

/// By which lines of its `pg_hba.conf` and `pg_ident.conf` a database server lets a session in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lines {
    /// By those of the role itself.
    Its,
    /// As a role that only the grant has, by those of this group, of which all such roles are members.
    OwnRoles {
        /// Which.
        group: String,
    },
    /// As an existing role, by those of this group, of which it is a member while it is elevated.
    Elevated {
        /// Which.
        group: String,
    },
}

/// How one comes with TLS and a certificate. libpq may try again in clear where it was refused without a
/// certificate, so that the refusal of either may be the last that is read.
const WAY_IN: &str = "tidegate login; tidegate config psql --write; psql -U ROLE service=TARGET   (or, without certificates: tidegate pg url TARGET)";

impl Shown for Complaint {
    fn words(&self) -> Words {
        let login = || Some("tidegate login".to_owned());
        let (code, what, hint) = match self {
            Self::Plaintext => (
                "TG501",
                "tidegate accepts no connection without TLS".to_owned(),
                Some(WAY_IN.to_owned()),
            ),
            Self::NoCertificate => (
                "TG502",
                "no client certificate was shown".to_owned(),
                Some(WAY_IN.to_owned()),
            ),
            Self::Expired => ("TG503", "your certificate has expired".to_owned(), login()),
            Self::NotOurs => ("TG504", "the certificate shown is not a login certificate of this bastion".to_owned(), login()),
            Self::Startup { what } => ("TG505", what.clone(), Some("tidegate config psql".to_owned())),
            Self::Parameter { name } => parameter(name, None),
            Self::Setting { name, why } => parameter(name, Some(why.as_deref().unwrap_or("that takes a second person"))),
            Self::Replication => (
                "TG512",
                "replication is not allowed through tidegate".to_owned(),
                Some("pg_dump takes a copy".to_owned()),
            ),
            Self::NotAName { what } => ("TG506", what.clone(), Some("tidegate ls pg".to_owned())),
            Self::TwoTargets { host, database } => two_targets(host, database),
            Self::ShutOut { target, login, lines } => shut_out(target, login, lines),
            Self::FunctionCall => (
                "TG508",
                "function calls outside of SQL (the fast-path interface) are not allowed through tidegate".to_owned(),
                Some("call the function with SELECT".to_owned()),
            ),
            Self::Statement { kind, policy, reason } => (
                "TG514",
                format!("statement refused ({kind}): {}{}", sentence(reason), named(policy)),
                Some(RULES.to_owned()),
            ),
            Self::Unread { policy, reason } => (
                "TG515",
                format!("statement refused (tidegate cannot tell what it does): {}{}", sentence(reason), named(policy)),
                Some("write it as plain SELECT, INSERT, UPDATE or DELETE".to_owned()),
            ),
            Self::Violation { by_client: true } => {
                ("TG509", "the client broke the PostgreSQL protocol, so the session was ended".to_owned(), Some("connect again".to_owned()))
            }
            Self::Violation { by_client: false } => {
                ("TG510", "the database server broke the PostgreSQL protocol, so the session was ended".to_owned(), Some("ask an administrator to run: tidegate doctor".to_owned()))
            }
        };
        Words { code, what, hint }
    }
}

fn shut_out(target: &str, login: &str, lines: &Lines) -> (&'static str, String, Option<String>) {
    let itself = format!("tidegate {login} {login}");
    let (who, ident, lost) = match lines {
        Lines::Its => (login.to_owned(), itself.as_str(), ""),
        Lines::Elevated { group } => (format!("+{group}"), itself.as_str(), ""),
        Lines::OwnRoles { group } => (
            format!("+{group}"),
            OWN_ROLES,
            "; a server that was restored from a dump has lost the role, then revoke the grant and ask again",
        ),
    };
    (
        "TG513",
        format!("the database server of `{target}` does not let tidegate in as `{login}`"),
        Some(format!(
            "an administrator looks for `hostssl … {who} … cert map=tidegate` in its pg_hba.conf, above other lines, and \
             `{ident}` in pg_ident.conf: tidegate target test {target}{lost}"
        )),
    )
}

/// Of a parameter that cannot be set while connecting: for anybody, or because of what is said of the statement that
/// would set it.
fn parameter(name: &str, why: Option<&str>) -> (&'static str, String, Option<String>) {
    let hint = match name {
        "options" => {
            "of `options` (PGOPTIONS) only -c NAME=VALUE and --NAME=VALUE are read: connect without the rest"
                .to_owned()
        }
        // The statement that sets it was refused as well, but where a name means something before the first statement.
        _setting if why.is_some() && !name.eq_ignore_ascii_case("search_path") => {
            "connect without it".to_owned()
        }
        _setting => format!("connect without it, then: SET {name} = …"),
    };
    let why = why.map_or(" through tidegate".to_owned(), |why| format!(": {why}"));
    let what = format!("the parameter \"{name}\" cannot be set while connecting{why}");
    ("TG511", what, Some(hint))
}

fn two_targets(host: &str, database: &str) -> (&'static str, String, Option<String>) {
    (
        "TG516",
        format!("the host name is that of `{host}`, the database is that of `{database}`"),
        Some(format!(
            "call the bastion by its own name with dbname={database}, or name a database of `{host}`"
        )),
    )
}

/// What is in the recording of a session that was cut where a pooler shares the server's processes.
pub const PROCESS_SHARED: &str = "a pooler has several sessions share the server's processes; whether the work stopped was not seen";

/// What became of the transaction of a session that was cut, as far as the server can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It had committed before its server process ended.
    Committed,
    /// It was rolled back.
    RolledBack,
    /// It had changed nothing when the server was first asked. What had committed before it, in the same text
    /// say, is another one.
    Unchanging,
    /// The server process was gone, or through with it, before it could be asked about.
    Unseen,
}

/// Why a server is another one than the one that was added, by the certificate that it shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CertificateFault {
    /// It is not the one that is pinned.
    Another,
    /// Nobody who signed it is the CA that was given.
    Stranger,
    /// It is made out to others.
    Misnamed,
    /// It is for something else than being a server: a client of the same CA shows its own.
    Misused,
    /// Whoever shows it does not have its key, or it is signed by another key than it says.
    Unsigned,
    /// What stands between it and the CA is not as it should be: signed by who is no CA, or by one that may not.
    Astray,
    /// It is refused for something that can be said of anybody's, and nothing shows that it is by the CA.
    Unproven,
}

impl CertificateFault {
    /// Why, for those who manage targets.
    pub fn fact(self) -> &'static str {
        match self {
            Self::Another => "its certificate is not the one that is pinned",
            Self::Stranger => "its certificate is not by the CA that was given",
            Self::Misnamed => {
                "its certificate is not for the name that was given: that has to be among its subjectAltName"
            }
            Self::Misused => "its certificate is not for servers",
            Self::Unsigned => {
                "it does not have the key of the certificate that it shows, or that is signed by another key than it says"
            }
            Self::Astray => {
                "its certificate does not lead to the CA that was given as one has to: it is a CA's own, or by one that may not sign it"
            }
            Self::Unproven => {
                "its certificate is not shown to be by the CA that was given: it cannot be read, is not made as a server's has to be, or is signed in a way that proves nothing, as with SHA-1"
            }
        }
    }
}

/// Why there is no TLS with a server of which nothing says that it is another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsFault {
    /// Its certificate is over.
    Expired,
    /// Its certificate holds later.
    Early,
    /// Its certificate cannot be judged.
    Unreadable,
    /// Its certificate is not made as a server's has to be: of version 1, or a CA's own.
    Malformed,
    /// It speaks nothing of what is spoken with it.
    Version,
    /// It gave up, and said so in TLS's own way.
    Alert,
    /// It sent more at once than TLS has.
    Oversized,
    /// It does not keep to the rules of TLS.
    Misbehaved,
    /// We cannot begin: what it is known by cannot be used.
    Unready,
    /// We cannot go on: the bastion has no randomness or no time, or its own certificate and key do not fit.
    Incapable,
}

impl TlsFault {
    /// What it does, behind its name.
    pub fn fact(self) -> &'static str {
        match self {
            Self::Expired => "shows a certificate that has expired",
            Self::Early => {
                "shows a certificate that does not hold yet, or the bastion's clock is behind"
            }
            Self::Unreadable => "shows a certificate that cannot be judged",
            Self::Malformed => {
                "shows a certificate that is not made as a server's has to be: of version 1, a CA's own, or with extensions that nobody knows"
            }
            Self::Version => {
                "speaks none of the versions and ciphers of TLS that are spoken with it"
            }
            Self::Alert => "gave TLS up with an alert",
            Self::Oversized => "sends records that are too long for TLS",
            Self::Misbehaved => "does not keep to the rules of TLS",
            Self::Unready => "is known by what cannot be read",
            Self::Incapable => "was not spoken with: the bastion itself cannot begin TLS",
        }
    }

    /// What to do about the target that is called this and is at this address, for those who manage targets.
    pub(in crate::words) fn advice(self, target: &str, address: &str) -> String {
        let advice = match self {
            Self::Expired => {
                "give the server a new certificate: ssl_cert_file in its postgresql.conf"
            }
            Self::Early => "see whether the clocks of the bastion and of the CA are right",
            Self::Unreadable => {
                "give the server a certificate with a key of ECDSA, Ed25519 or RSA of 2048 bits and more, signed with SHA-256"
            }
            Self::Malformed => {
                "give the server a certificate of version 3 with basicConstraints=CA:FALSE: openssl x509 -req … -extfile FILE, with that and subjectAltName in FILE"
            }
            Self::Version | Self::Alert => {
                "see in the server's own log why; it has to speak TLS 1.2 or 1.3: ssl_max_protocol_version, ssl_ciphers in its postgresql.conf"
            }
            Self::Oversized | Self::Misbehaved => {
                return format!(
                    "see what answers there, and what stands in between: openssl s_client -starttls postgres -connect {address}"
                );
            }
            Self::Unready => {
                return format!(
                    "name again what it is known by: tidegate target set {target} --server-ca FILE   (or --server-cert-sha256 HEX)"
                );
            }
            Self::Incapable => {
                "see why in tidegate's own log (target.handshake_failed), and run: tidegate doctor"
            }
        };
        advice.to_owned()
    }
}

impl Fate {
    /// The sentence in the recording.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Committed => {
                "the server process is gone; its transaction had committed before that"
            }
            Self::RolledBack => "the server process is gone; its transaction was rolled back",
            Self::Unchanging => {
                "the server process is gone; as it was ended it was in no transaction that had changed anything"
            }
            Self::Unseen => {
                "the server process is gone; whether its last transaction committed was not seen"
            }
        }
    }
}

/// Our code, and what the server said itself.
pub fn with_its_own(code: &str, text: &str) -> String {
    format!("{code}; the server says: {text}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_is_shut_out_hears_of_the_lines_that_would_let_them_in() {
        let hint = |login: &str, lines: Lines| {
            let (target, login) = ("orders".to_owned(), login.to_owned());
            let words = Complaint::ShutOut {
                target,
                login,
                lines,
            };
            words.words().hint.unwrap()
        };
        let group = || "app_ro".to_owned();
        let own = hint("tg_01", Lines::OwnRoles { group: group() });
        assert!(
            own.contains("`hostssl … +app_ro … cert map=tidegate`"),
            "{own}"
        );
        assert!(
            own.contains(OWN_ROLES) && own.contains("ask again"),
            "{own}"
        );
        assert!(!own.contains("tg_01"), "{own}");
        let elevated = hint("alice", Lines::Elevated { group: group() });
        assert!(elevated.contains("… +app_ro …"), "{elevated}");
        assert!(elevated.contains("`tidegate alice alice`"), "{elevated}");
        let its = hint("app_ro", Lines::Its);
        assert!(its.contains("… app_ro …"), "{its}");
    }

    #[test]
    fn in_clear_and_without_a_certificate_the_next_step_is_the_same() {
        let hint = |complaint: Complaint| complaint.words().hint;
        assert_eq!(hint(Complaint::Plaintext), hint(Complaint::NoCertificate));
    }

    #[test]
    fn what_is_to_be_done_names_the_target_and_its_address() {
        let advice = |fault: TlsFault| fault.advice("orders", "192.0.2.7:5432");
        assert!(advice(TlsFault::Unready).contains("target set orders"));
        assert!(advice(TlsFault::Misbehaved).ends_with("-connect 192.0.2.7:5432"));
        // Another target would be none the better.
        let own = advice(TlsFault::Incapable);
        assert!(own.contains("tidegate doctor") && !own.contains("target rm"));
        assert!(advice(TlsFault::Malformed).contains("basicConstraints=CA:FALSE"));
    }
}
