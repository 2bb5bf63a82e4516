//! What the server is told to do: `tidegate.toml`, checked whole before anything starts.
//!
//! Every mistake is shown at once, each with file, line, column and caret. A setting that is not
//! known is a mistake, never ignored. No setting makes a session unrecorded, a grant outlive its
//! end or a target's key unknown.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use control::onetime::OneTimePasswords;
use policies::words::config as words;
use policies::{Diagnosis, duration};
use recorder::Limits;

use crate::listener::Room;
use crate::ssh::algorithms::Clients;

mod settings;

use settings::{Place, Settings};

/// A setting: its section and its key.
pub(crate) type Setting = (&'static str, &'static str);

/// The file's name inside the configuration directory.
pub const FILE: &str = "tidegate.toml";

/// The checked configuration of one server.
///
/// What is in it is for this crate alone, so that the compiler tells of a setting that nothing goes by.
#[derive(Debug, Clone)]
pub struct Config {
    /// The names and addresses by which people reach this server. They are on its certificates.
    pub(crate) hosts: Vec<String>,
    /// Where the store, the keys and the recordings are.
    pub(crate) state_dir: PathBuf,
    /// Where SSH is listened for.
    pub(crate) ssh: Vec<SocketAddr>,
    /// With which SSH clients is spoken.
    pub(crate) clients: Clients,
    /// Where `PostgreSQL` is listened for.
    pub(crate) postgres: Vec<SocketAddr>,
    /// Whether `PostgreSQL` clients without certificates may come in with one-time passwords.
    pub(crate) one_time_passwords: OneTimePasswords,
    /// Where HTTPS is listened for.
    pub(crate) api: Vec<SocketAddr>,
    /// How the passphrase of the authority's keys is got.
    pub(crate) passphrase: PassphraseSource,
    /// Where sessions are recorded.
    pub(crate) recordings: PathBuf,
    /// How many bytes of the recordings' disk are left alone: below that, nobody is let in.
    pub(crate) reserve_bytes: u64,
    /// How many bytes of each stream without a terminal are kept.
    pub(crate) stream_max: u64,
    /// How many bytes one recording may have on disk.
    pub(crate) recording_max: u64,
    /// The addresses from which targets see us. Certificates are bound to them.
    pub(crate) egress: Vec<IpAddr>,
    /// How long the store may be silent before live sessions end.
    pub(crate) blind_limit: Duration,
    /// The longest life of a login's certificates.
    pub(crate) login_lifetime: Duration,
    /// How many connections that have proven nothing may be open at each door, and for how long.
    pub(crate) unproven: Room,
    /// For how long a source is kept out at the most where too much went wrong.
    pub(crate) penalty_max: Duration,
    /// How many sessions one person or service may have at once, and how many connections to the
    /// bastion itself and to the API.
    pub(crate) per_principal_max: usize,
    /// How many of these sessions may be at one database server.
    pub(crate) per_database_max: usize,
    /// How long nothing may come from the client of a session before it ends, if that has a limit.
    pub(crate) idle_limit: Option<Duration>,
    /// How long sessions may go on after the server has been asked to stop.
    pub(crate) drain_timeout: Duration,
}

/// Where the passphrase of the authority's keys comes from. Never from the file itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PassphraseSource {
    /// The first line of a file.
    File(PathBuf),
    /// The first line that a command prints.
    Command(String),
    /// A systemd credential of this name (`LoadCredential=` in `systemd.exec(5)`).
    Credential(String),
}

impl Config {
    /// Reads the text of the file called `document`. Relative paths are taken from `base`.
    ///
    /// # Errors
    ///
    /// All mistakes, in the order of the file.
    pub fn read(
        document: &str,
        text: &str,
        base: &Path,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, Vec<Diagnosis>> {
        let mut settings = Settings::new(document, text, environment);
        let config = assemble(&mut settings, base);
        let mistakes = settings.finish();
        match (config, mistakes.is_empty()) {
            (Some(config), true) => Ok(config),
            _ => Err(mistakes),
        }
    }
}

/// What is wrong with what a setting names, where the setting stands: the first of `settings` that is in the text of the
/// file called `document`, or in the environment.
pub(crate) fn mistake(
    (document, text): (&str, &str),
    environment: impl IntoIterator<Item = (String, String)>,
    settings: &[Setting],
    what: impl std::fmt::Display,
) -> Diagnosis {
    let mut read = Settings::new(document, text, environment);
    let mut places = settings.iter();
    match places.find_map(|&(section, key)| read.place(section, key)) {
        Some(place) => read.diagnosis(&place, what),
        None => Diagnosis::whole(document, what.to_string()),
    }
}

fn assemble(settings: &mut Settings<'_>, base: &Path) -> Option<Config> {
    let path = |text: &str| base.join(text);
    let hosts = hosts(settings);
    let state_dir = settings
        .text("server", "state_dir")
        .map(|(text, _)| path(&text));
    let (ssh, postgres) = (listen(settings, "ssh"), listen(settings, "postgres"));
    let api = listen(settings, "api");
    let clients = settings.parsed("ssh", "clients", clients);
    let passwords = settings.parsed("postgres", "one_time_passwords", passwords);
    let passphrase = passphrase(settings, base);
    let recordings = settings
        .text("recordings", "dir")
        .map(|(text, _)| path(&text));
    let defaults = Limits::default();
    let reserve = settings.parsed("recordings", "reserve", bytes);
    let stream_max = settings.parsed("recordings", "stream_max", bytes);
    let recording_max = settings.parsed("recordings", "recording_max", bytes);
    let egress = egress(settings);
    let blind_limit = span(settings, "limits", "blind_limit", 30, 1..=300);
    let login_lifetime = span(settings, "limits", "login_lifetime", 8 * 3600, 60..=86_400);
    let drain_timeout = span(settings, "limits", "drain_timeout", 0, 0..=86_400);
    let idle = span(settings, "limits", "idle", 0, 0..=604_800);
    let unproven = room(settings);
    let penalty_max = span(settings, "limits", "penalty_max", 600, 0..=86_400);
    let per_principal_max = count(settings, "per_principal", 256);
    let per_database_max = count(settings, "per_database", 64);
    if state_dir.is_none() {
        settings.missing(words::NO_STATE_DIR);
    }
    let state_dir = state_dir?;
    Some(Config {
        hosts,
        recordings: recordings.unwrap_or_else(|| state_dir.join("recordings")),
        state_dir,
        ssh,
        clients: clients.unwrap_or_default(),
        postgres,
        one_time_passwords: passwords.unwrap_or_default(),
        api,
        passphrase: passphrase?,
        reserve_bytes: reserve.unwrap_or(defaults.reserve_bytes),
        stream_max: stream_max.unwrap_or(defaults.stream_max),
        recording_max: recording_max.unwrap_or(defaults.recording_max),
        egress,
        blind_limit,
        login_lifetime,
        unproven,
        penalty_max,
        per_principal_max,
        per_database_max,
        idle_limit: (!idle.is_zero()).then_some(idle),
        drain_timeout,
    })
}

fn hosts(settings: &mut Settings<'_>) -> Vec<String> {
    let Some(texts) = settings.texts("server", "hosts") else {
        return vec!["localhost".to_owned()];
    };
    let mut hosts = Vec::new();
    for (text, place) in &texts {
        // As the authority has it, which would refuse to make the server's own certificates; and no browser goes to a
        // name with `_`.
        if ca::is_host(text) && !text.contains('_') {
            hosts.push(text.to_ascii_lowercase());
        } else {
            settings.mistake(place, words::not_a_host(text));
        }
    }
    if !(1..=ca::HOST_NAMES_MAX).contains(&texts.len()) {
        let place = settings.place("server", "hosts");
        let what = words::hosts_not_as_many(ca::HOST_NAMES_MAX);
        if let Some(place) = place {
            settings.mistake(&place, what);
        }
    }
    hosts
}

fn listen(settings: &mut Settings<'_>, section: &'static str) -> Vec<SocketAddr> {
    let mut addresses = BTreeSet::new();
    for (text, place) in settings.texts(section, "listen").unwrap_or_default() {
        match text.parse::<SocketAddr>() {
            Ok(address) if addresses.contains(&address) => {
                settings.mistake(&place, words::listened_twice(&text));
            }
            Ok(address) => {
                addresses.insert(address);
            }
            Err(_) => settings.mistake(&place, words::not_an_address(&text)),
        }
    }
    addresses.into_iter().collect()
}

fn clients(text: &str) -> Result<Clients, String> {
    match text {
        "modern" => Ok(Clients::Modern),
        "old" => Ok(Clients::Old),
        _ => Err(words::neither(text, "modern", "old")),
    }
}

fn passwords(text: &str) -> Result<OneTimePasswords, String> {
    match text {
        "on" => Ok(OneTimePasswords::Offered),
        "off" => Ok(OneTimePasswords::Forbidden),
        _ => Err(words::neither(text, "on", "off")),
    }
}

fn egress(settings: &mut Settings<'_>) -> Vec<IpAddr> {
    let mut addresses = Vec::new();
    for (text, place) in settings.texts("egress", "addresses").unwrap_or_default() {
        match text.parse() {
            Ok(address) => addresses.push(address),
            Err(_) => settings.mistake(&place, words::not_an_ip(&text)),
        }
    }
    addresses
}

fn passphrase(settings: &mut Settings<'_>, base: &Path) -> Option<PassphraseSource> {
    let file = settings.text("authority", "passphrase_file");
    let command = settings.text("authority", "passphrase_cmd");
    let credential = settings.text("authority", "passphrase_credential");
    let mut found: Vec<(PassphraseSource, Place)> = Vec::new();
    found.extend(file.map(|(text, place)| (PassphraseSource::File(base.join(text)), place)));
    found.extend(command.map(|(text, place)| (PassphraseSource::Command(text), place)));
    found.extend(credential.map(|(text, place)| (PassphraseSource::Credential(text), place)));
    if let Some((_, place)) = found.get(1) {
        let place = place.clone();
        settings.mistake(&place, words::ONE_PASSPHRASE);
        return None;
    }
    if found.is_empty() {
        settings.missing(words::NO_PASSPHRASE);
    }
    found.pop().map(|(source, _)| source)
}

fn span(
    settings: &mut Settings<'_>,
    section: &'static str,
    key: &'static str,
    default_s: u64,
    allowed_s: std::ops::RangeInclusive<u64>,
) -> Duration {
    let read = |text: &str| {
        let span = duration::parse(text).map_err(|refused| refused.to_string())?;
        let span = Duration::try_from(span).map_err(|_negative| words::NEGATIVE.to_owned())?;
        let (from, to) = (allowed_s.start(), allowed_s.end());
        let allowed = allowed_s.contains(&span.as_secs());
        allowed
            .then_some(span)
            .ok_or_else(|| words::not_between(*from, *to))
    };
    settings
        .parsed(section, key, read)
        .unwrap_or(Duration::from_secs(default_s))
}

/// How many may sit at one door: `START:RATE:FULL` as in OpenSSH's `MaxStartups`, or a number alone.
fn room(settings: &mut Settings<'_>) -> Room {
    let read = |text: &str| {
        let refuse = || words::not_a_room(text);
        let numbers = text.split(':').map(str::parse::<usize>);
        let numbers: Vec<usize> = numbers
            .collect::<Result<_, _>>()
            .map_err(|_refused| refuse())?;
        match numbers[..] {
            [full] => Ok((full, 100, full)),
            [start, rate, full] if start <= full && rate <= 100 => Ok((start, rate, full)),
            _ => Err(refuse()),
        }
    };
    let unproven = settings.parsed("limits", "unproven", read);
    let (start, rate, full) = unproven.unwrap_or((500, 30, 1000));
    Room {
        start,
        rate,
        full,
        per_source: count(settings, "unproven_per_source", 100),
        greeting: span(settings, "limits", "greeting", 20, 2..=600),
    }
}

fn count(settings: &mut Settings<'_>, key: &'static str, default: usize) -> usize {
    let read = |text: &str| text.parse().map_err(|_refused| words::not_a_number(text));
    settings.parsed("limits", key, read).unwrap_or(default)
}

/// Reads a number of bytes: `64MiB`, `1GiB`, `4096`.
fn bytes(text: &str) -> Result<u64, String> {
    let refuse = || words::not_bytes(text);
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit: u64 = match text.get(digits.len()..).unwrap_or_default() {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return Err(refuse()),
    };
    let number: u64 = digits.parse().map_err(|_refused| refuse())?;
    number.checked_mul(unit).ok_or_else(refuse)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Config, String> {
        Config::read("tidegate.toml", text, Path::new("/etc/tidegate"), [])
            .map_err(|mistakes| mistakes.iter().map(|m| m.to_string() + "\n").collect())
    }

    const GOOD: &str =
        "[server]\nstate_dir = \"/var/lib/tidegate\"\n[authority]\npassphrase_file = \"pass\"\n";

    #[test]
    fn what_is_not_said_has_a_safe_default() {
        let config = read(GOOD).unwrap();
        assert_eq!(config.blind_limit, Duration::from_secs(30));
        assert_eq!(config.recordings, Path::new("/var/lib/tidegate/recordings"));
        assert_eq!(config.stream_max, 16 << 20);
        assert_eq!(
            config.passphrase,
            PassphraseSource::File("/etc/tidegate/pass".into())
        );
        assert!(config.ssh.is_empty());
    }

    #[test]
    fn every_mistake_is_shown_at_once_with_its_place() {
        let text = format!(
            "{GOOD}[ssh]\nlisten   = [\"0.0.0.0:22222222\"]\n[postgres]\nlisten = 5432\n\
             lissen = [\"127.0.0.1:1\"]\n[limits]\nblind_limit = \"2h\"\n[recrdings]\ndir = \"x\"\n"
        );
        let said = read(&text).unwrap_err();
        assert_eq!(
            said,
            "error: tidegate.toml:6:13: ssh.listen: `0.0.0.0:22222222` is not an address: port must be 0-65535\n\
             \x206 | listen   = [\"0.0.0.0:22222222\"]\n\
             \x20  |             ^^^^^^^^^^^^^^^^^^\n\
             error: tidegate.toml:8:10: postgres.listen: a list of texts is needed, not an integer\n\
             \x208 | listen = 5432\n\
             \x20  |          ^^^^\n\
             error: tidegate.toml:9:1: `postgres.lissen` is not a setting\n\
             \x209 | lissen = [\"127.0.0.1:1\"]\n\
             \x20  | ^^^^^^ did you mean `listen`?\n\
             error: tidegate.toml:11:15: limits.blind_limit: between 1 s and 300 s\n\
             \x2011 | blind_limit = \"2h\"\n\
             \x20   |               ^^^^\n\
             error: tidegate.toml:12:2: `recrdings` is not a setting\n\
             \x2012 | [recrdings]\n\
             \x20   |  ^^^^^^^^^ did you mean `recordings`?\n"
        );
    }

    #[test]
    fn a_variable_overrides_a_setting_and_a_wrong_one_is_a_mistake() {
        let environment = |name: &str, value: &str| [(name.to_owned(), value.to_owned())];
        let config = Config::read(
            "t",
            GOOD,
            Path::new("/"),
            environment("TIDEGATE__SSH__LISTEN", "127.0.0.1:22"),
        )
        .unwrap();
        assert_eq!(config.ssh, ["127.0.0.1:22".parse().unwrap()]);
        let check = |name: &str, meant: Option<&str>| {
            let read = Config::read("t", GOOD, Path::new("/"), environment(name, "x"));
            let mistakes = read.unwrap_err();
            let [mistake] = mistakes.as_slice() else {
                panic!("one mistake");
            };
            let advice = meant.map(|meant| format!("did you mean `{meant}`?"));
            assert_eq!(mistake.advice, advice);
        };
        check("TIDEGATE__SSH__LISTN", Some("TIDEGATE__SSH__LISTEN"));
        check("TIDEGATE__SHS__LISTEN", Some("TIDEGATE__SSH__LISTEN"));
        check("TIDEGATE__SSH__COLOUR", None);
    }

    #[test]
    fn how_much_of_a_stream_is_kept_is_what_the_file_says() {
        let max = |text: &str| {
            let text = format!("{GOOD}[recordings]\nstream_max = \"{text}\"\n");
            read(&text).map(|config| config.stream_max)
        };
        assert_eq!(max("2MiB"), Ok(2 << 20));
        assert_eq!(max("0"), Ok(0));
        assert!(max("2 mega").unwrap_err().contains("recordings.stream_max"));
    }

    #[test]
    fn one_time_passwords_are_offered_unless_they_are_turned_off() {
        let read = |text: &str| {
            let text = format!("{GOOD}[postgres]\n{text}\n");
            read(&text).map(|config| config.one_time_passwords)
        };
        assert_eq!(read(""), Ok(OneTimePasswords::Offered));
        assert_eq!(
            read("one_time_passwords = \"off\""),
            Ok(OneTimePasswords::Forbidden)
        );
        assert!(read("one_time_passwords = \"no\"").is_err());
    }

    #[test]
    fn a_passphrase_comes_from_one_place() {
        assert!(read(&format!("{GOOD}passphrase_cmd = \"cat x\"\n")).is_err());
        assert!(
            read("[server]\nstate_dir = \"x\"\n")
                .unwrap_err()
                .contains("passphrase_file")
        );
    }

    #[test]
    fn broken_toml_shows_where() {
        let said = read("[server]\nstate_dir = \n").unwrap_err();
        assert!(said.contains("tidegate.toml:2:"), "{said}");
    }
}
