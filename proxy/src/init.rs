//! `tidegate init`: everything a server needs to start, made once: configuration, policies, the
//! authority's keys, the store, the first administrator.
//!
//! It never overwrites. Run twice, it refuses the second time and touches nothing; where it does not get to its end, it
//! takes away what it made, and can be run again.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use ca::{Authority, Passphrase};
use control::change::{PolicyText, PolicyTexts};
use control::identity::registered_key;
use control::store::Backend;
use control::{Clock, bootstrap::bootstrap, entropy};
use policies::words::server::Initialised;
use policies::{
    Document, GroupName, HostPort, Principal, PrincipalKind, PrincipalName, RegisteredKey,
};

use crate::config::{self, Config};
use crate::server::Failure;

/// The file of the passphrase, beside the configuration.
const PASSPHRASE: &str = "passphrase";

/// What `init` is told.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Where the configuration and the policies go.
    #[arg(
        long,
        env = "TIDEGATE_SERVER_CONFIG_DIR",
        default_value = "/etc/tidegate",
        value_name = "DIR"
    )]
    pub config_dir: PathBuf,
    /// Where the store, the authority's keys and the recordings go.
    /// `--state-dir` says the same.
    #[arg(
        id = "server_state_dir",
        long = "server-state-dir",
        env = "TIDEGATE_SERVER_STATE_DIR",
        default_value = "/var/lib/tidegate",
        value_name = "DIR"
    )]
    pub state_dir: PathBuf,
    /// The first administrator's name.
    #[arg(long, value_name = "NAME")]
    pub admin: PrincipalName,
    /// The first administrator's public SSH key.
    #[arg(long, value_name = "FILE")]
    pub admin_key: PathBuf,
    /// A name or address by which people reach this server. Can be given several times.
    #[arg(long = "host", value_name = "NAME", default_values_t = ["localhost".to_owned(), "127.0.0.1".to_owned()])]
    pub hosts: Vec<String>,
    /// Where to listen for SSH.
    #[arg(long, default_value = "127.0.0.1:2222", value_name = "ADDRESS:PORT")]
    pub ssh: std::net::SocketAddr,
    /// Where to listen for PostgreSQL.
    #[arg(long, default_value = "127.0.0.1:5432", value_name = "ADDRESS:PORT")]
    pub postgres: std::net::SocketAddr,
    /// Where to listen for HTTPS.
    #[arg(long, default_value = "127.0.0.1:3443", value_name = "ADDRESS:PORT")]
    pub api: std::net::SocketAddr,
}

/// Makes everything.
///
/// # Errors
///
/// When something of it is there already, or cannot be written.
pub async fn init(args: &Args) -> Result<Initialised, Failure> {
    let file = args.config_dir.join(config::FILE);
    for taken in [
        &file,
        &store_path(&args.state_dir),
        &authority_dir(&args.state_dir),
    ] {
        if taken.exists() {
            return Err(Failure::Initialised {
                path: taken.clone(),
            });
        }
    }
    // Whoever has a server that cannot start with what it was told would have to find out what of it to take away.
    let text = configuration(args);
    let document = file.display().to_string();
    Config::read(&document, &text, &args.config_dir, []).map_err(Failure::Config)?;
    let key = public_key(&args.admin_key)?;
    let mut made = Vec::new();
    let initialised = make(args, key, (&file, &text), &mut made).await;
    if initialised.is_err() {
        made.iter().rev().for_each(|path| take_away(path));
    }
    initialised
}

/// Makes all of it, the configuration last, and says in `made` what is there because of it.
async fn make(
    args: &Args,
    key: RegisteredKey,
    (file, text): (&Path, &str),
    made: &mut Vec<PathBuf>,
) -> Result<Initialised, Failure> {
    let clock = Clock::system();
    directory(&args.config_dir)?;
    directory(&args.state_dir)?;
    let mut rng = entropy::rng();
    let passphrase = Passphrase::generate(&mut rng);
    write(&args.config_dir.join(PASSPHRASE), passphrase.expose(), made)?;
    let keys = authority_dir(&args.state_dir);
    let authority = Authority::create(&keys, &passphrase, clock.now(), &mut rng)
        .map_err(Failure::CreateAuthority)?;
    made.push(keys);
    let texts = policies(&args.config_dir, made)?;
    let group = |name| GroupName::parse(name).map_err(|_shipped| Failure::Library);
    let admin = Principal {
        name: args.admin.clone(),
        kind: PrincipalKind::Person,
        groups: BTreeSet::from([group("admins")?]),
        keys: vec![key],
        added_at: clock.now(),
    };
    // Nobody else's by now: the keys beside it are ours.
    made.extend(store_files(&args.state_dir));
    let store = Backend::sqlite(&store_path(&args.state_dir))
        .await
        .map_err(Failure::Store)?;
    bootstrap(&store, admin, texts, &clock)
        .await
        .map_err(Failure::Bootstrap)?;
    write(file, text, made)?;
    Ok(Initialised {
        config: file.display().to_string(),
        config_dir: args.config_dir.display().to_string(),
        fingerprint: authority.trust_bundle().fingerprint(),
        bastion: bastion(args),
        admin: args.admin.clone(),
        passphrase: shown(&args.config_dir.join(PASSPHRASE)),
    })
}

/// What of a first attempt that did not get to its end would be in the way of the second one.
fn take_away(path: &Path) {
    let taken = if path.is_dir() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    };
    // What stays is what the next attempt names.
    drop(taken);
}

/// The store, and what SQLite and we keep beside it.
fn store_files(state_dir: &Path) -> [PathBuf; 4] {
    let store = store_path(state_dir);
    ["", "-wal", "-shm", ".lock"].map(|end| {
        let mut name = store.clone().into_os_string();
        name.push(end);
        name.into()
    })
}

/// Where people find the API.
fn bastion(args: &Args) -> String {
    let host = args.hosts.first().map_or("localhost", String::as_str);
    let (host, port) = (host.to_owned(), args.api.port());
    format!("https://{}", HostPort { host, port })
}

/// A path as it can be found from anywhere.
fn shown(path: &Path) -> String {
    absolute(path).display().to_string()
}

/// The administrator's key. A private one is refused with the advice that `user add` gives.
fn public_key(path: &Path) -> Result<RegisteredKey, Failure> {
    let line = fs::read_to_string(path).map_err(|source| Failure::Read {
        path: path.to_owned(),
        source,
    })?;
    if line.contains("PRIVATE KEY") {
        return Err(Failure::PrivateKey {
            path: path.to_owned(),
        });
    }
    registered_key(&line).map_err(Failure::Key)
}

/// Where the store is.
pub(crate) fn store_path(state_dir: &Path) -> PathBuf {
    state_dir.join("store.sqlite")
}

/// Where the authority's keys are.
pub(crate) fn authority_dir(state_dir: &Path) -> PathBuf {
    state_dir.join("authority")
}

/// Writes the shipped policies out for the administrator to edit, and hands them on for the log.
fn policies(config_dir: &Path, made: &mut Vec<PathBuf>) -> Result<PolicyTexts, Failure> {
    let dir = config_dir.join("policy");
    directory(&dir)?;
    let library = policies::library();
    let documents = library
        .policies
        .iter()
        .chain([&library.quorums, &library.schema]);
    for document in documents {
        write(&dir.join(&document.name), &document.text, made)?;
    }
    let text = |document: Document| PolicyText {
        name: document.name,
        text: document.text,
    };
    Ok(PolicyTexts {
        documents: library.policies.into_iter().map(text).collect(),
        quorums: Some(text(library.quorums)),
        zone: "UTC".to_owned(),
    })
}

/// A path as it is told and written down: `serve` takes relative ones from the configuration's directory,
/// and `init` from where it was typed.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_empty| path.to_owned())
}

fn directory(path: &Path) -> Result<(), Failure> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|source| Failure::Write {
            path: path.to_owned(),
            source,
        })
}

fn write(path: &Path, text: &str, made: &mut Vec<PathBuf>) -> Result<(), Failure> {
    let mut attempt = || {
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)?;
        made.push(path.to_owned());
        file.write_all(text.as_bytes())?;
        file.sync_all()
    };
    attempt().map_err(|source| Failure::Write {
        path: path.to_owned(),
        source,
    })
}

/// The first `tidegate.toml`: what was asked for, and what else could be said, as comments.
fn configuration(args: &Args) -> String {
    let quoted = |texts: &[String]| {
        let texts: Vec<String> = texts.iter().map(|text| format!("{text:?}")).collect();
        texts.join(", ")
    };
    format!(
        include_str!("init/tidegate.toml"),
        hosts = quoted(&args.hosts),
        state_dir = absolute(&args.state_dir).display().to_string(),
        ssh = args.ssh,
        postgres = args.postgres,
        api = args.api,
    )
}
