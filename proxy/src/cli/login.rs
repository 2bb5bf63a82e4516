//! `login`, `logout`, `whoami`, `ensure`: getting short-lived certificates for a key, and looking at
//! them.

use std::path::PathBuf;
use std::time::Duration;

use ca::applicant::Applicant;
use ca::sshsig::{LOGIN_NAMESPACE, LOGIN_NAMESPACE_1, login_text};
use clap::Args;
use control::api::wire::{Challenge, ChallengeOrder, LoggedIn, LoginOrder, Trust, WhoAmI};
use policies::HostPort;
use policies::words::cli::{self, connection, doing};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use serde::Serialize;

use crate::cli::client::{Client, chain, trusting};
use crate::cli::context::Context;
use crate::cli::failure::{Exit, Failure, Outcome};
use crate::cli::keys::{Signer, candidates};
use crate::cli::printer::Row;
use crate::cli::state::{self, Bastion};
use crate::cli::{prompt, tls, when};

/// Prove a key and get certificates for ssh, psql and the API
#[derive(Debug, Args)]
pub(crate) struct LoginArgs {
    /// The registered key's file; else the agent's keys and the usual files are tried
    #[arg(long, short, value_name = "FILE")]
    identity: Option<PathBuf>,
    /// How long the certificates are to live, for example 8h
    #[arg(long, value_name = "DURATION", value_parser = when::duration)]
    ttl: Option<Duration>,
    /// The fingerprint of the bastion's CA, at first contact
    #[arg(long, env = "TIDEGATE_CA_FINGERPRINT", value_name = "SHA256:…")]
    ca_fingerprint: Option<String>,
    /// The bastion's CA certificate, at first contact
    #[arg(long, value_name = "FILE", conflicts_with = "ca_fingerprint")]
    ca: Option<PathBuf>,
}

/// Logs in.
pub(crate) async fn login(context: &Context, args: &LoginArgs) -> Outcome {
    let url = context.url()?;
    if let Some(text) = &args.ca_fingerprint
        && !tls::is_fingerprint(text)
    {
        return Err(Failure::new(Exit::Usage, cli::not_a_fingerprint(text)));
    }
    let (client, ca_pem) = trusted(context, &url, args).await?;
    let odd = |found: &str| Failure::new(Exit::Error, cli::refused(doing::LOG_IN, found, None));
    let ca = tls::fingerprint(ca_pem.as_bytes()).map_err(|error| odd(&chain(&error)))?;
    let applicant = applicant()?;
    let tried = candidates(&context.surroundings, args.identity.as_deref()).await?;
    let count = tried.len();
    let mut refused = 0_usize;
    let mut unshown = None;
    for candidate in tried {
        let signer = match candidate.open(&context.surroundings).await {
            Ok(signer) => signer,
            Err(failure) if count == 1 => return Err(failure),
            Err(locked) => {
                passed_over(context, &locked);
                unshown = Some(locked);
                continue;
            }
        };
        match prove((&client, &ca), &signer, &applicant, args.ttl).await {
            Ok(logged_in) => return keep(context, &url, &ca_pem, &applicant, logged_in),
            Err(Unproven::Unsigned(failure)) if count > 1 => {
                passed_over(context, &failure);
                unshown = Some(failure);
            }
            Err(Unproven::Refused(failure)) if failure.exit == Exit::NotLoggedIn => {
                refused = refused.saturating_add(1);
            }
            Err(Unproven::Unsigned(failure) | Unproven::Refused(failure)) => return Err(failure),
        }
    }
    match unshown {
        // The bastion was shown none, so it took none.
        Some(failure) if refused == 0 => Err(failure),
        Some(_) | None => Err(Failure::new(
            Exit::NotLoggedIn,
            cli::no_key_accepted(&url, refused),
        )),
    }
}

/// Says why a key was not tried, where there are others.
fn passed_over(context: &Context, failure: &Failure) {
    if let Some(trouble) = &failure.trouble {
        context.printer.warn(&cli::key_passed_over(trouble));
    }
}

/// Why a key proved nobody.
enum Unproven {
    /// It did not sign: nobody touched it, or whoever was asked said no.
    Unsigned(Failure),
    /// The bastion does not take it, or there was nothing to sign.
    Refused(Failure),
}

impl From<Failure> for Unproven {
    fn from(failure: Failure) -> Self {
        Self::Refused(failure)
    }
}

/// A client that has made sure whom it speaks to, and the CA that it believes.
async fn trusted(
    context: &Context,
    url: &str,
    args: &LoginArgs,
) -> Result<(Client, String), Failure> {
    let known = context
        .state
        .bastion()?
        .filter(|bastion| bastion.url == url);
    let pinned = args.ca.is_some() || args.ca_fingerprint.is_some();
    let ca = match (&args.ca, known) {
        (Some(path), _) => {
            std::fs::read(path).map_err(|error| Failure::unread(&path.to_string_lossy(), &error))?
        }
        (None, Some(_)) if !pinned => context.state.read(state::CA)?,
        (None, _) => first_contact(context, url, args.ca_fingerprint.as_deref())
            .await?
            .into_bytes(),
    };
    let client = trusting(url, &ca, None)?;
    let text = String::from_utf8(ca)
        .map_err(|_odd| Failure::new(Exit::Error, cli::odd_answer(cli::odd::CA)))?;
    Ok((client, text))
}

/// Asks the server which CA it is under, and compares that with what its user knows, or with what is
/// known from the login before. The CA is then used to verify a fresh connection, so a liar gains nothing by telling the truth here.
async fn first_contact(
    context: &Context,
    url: &str,
    named: Option<&str>,
) -> Result<String, Failure> {
    let last = context.state.last()?.filter(|last| last.url == url);
    let kept = last.as_ref().map(|last| last.fingerprint.as_str());
    let odd = |error: &tls::TlsError| Failure::new(Exit::Error, cli::odd_answer(&chain(error)));
    let stranger = Client::new(url, tls::first_contact().map_err(|error| odd(&error))?)?;
    let trust: Trust = stranger.get(doing::READ_CA, "/v1/trust").await?;
    let got = tls::fingerprint(trust.x509_login_ca.as_bytes()).map_err(|error| odd(&error))?;
    match (named, kept) {
        (Some(want), _) | (None, Some(want)) if want == got => {}
        (Some(want), _) => {
            return Err(Failure::new(
                Exit::Unproven,
                cli::wrong_fingerprint(url, want, &got),
            ));
        }
        (None, Some(_another)) => {
            return Err(Failure::new(Exit::Unproven, cli::another_bastion(url)));
        }
        (None, None) if context.surroundings.interactive => {
            let question = cli::fingerprint_question(url, &got);
            if !prompt::agreed(&question).await {
                let trouble = cli::bastion_not_confirmed();
                return Err(Failure::new(Exit::Error, trouble));
            }
        }
        (None, None) => {
            return Err(Failure::new(
                Exit::Usage,
                cli::fingerprint_needed(url, &got, &context.surroundings.typed),
            ));
        }
    }
    Ok(trust.x509_login_ca)
}

fn applicant() -> Result<Applicant, Failure> {
    let odd = |found: &str| Failure::new(Exit::Error, cli::refused(doing::MAKE_KEYS, found, None));
    Applicant::create().map_err(|error| odd(&chain(&error)))
}

/// Proves a key to the bastion whose CA has this fingerprint.
async fn prove(
    (client, ca): (&Client, &str),
    signer: &Signer,
    applicant: &Applicant,
    ttl: Option<Duration>,
) -> Result<LoggedIn, Unproven> {
    let odd = |found: &str| Failure::new(Exit::Error, cli::refused(doing::LOG_IN, found, None));
    let public_key = signer.public()?;
    let order = ChallengeOrder {
        public_key: public_key.clone(),
    };
    let given: Challenge = client
        .post(doing::LOG_IN, "/v1/login/challenge", &order)
        .await?;
    let ssh_public_key = applicant
        .ssh_public()
        .map_err(|error| odd(&chain(&error)))?;
    let csr = applicant
        .signing_request()
        .map_err(|error| odd(&chain(&error)))?;
    let text = to_sign(&given, ca, &ssh_public_key, &csr)
        .ok_or_else(|| another_version(client.url(), &given))?;
    let order = LoginOrder {
        signature: signer.sign(&text).await.map_err(Unproven::Unsigned)?,
        challenge: given.challenge,
        public_key,
        ssh_public_key,
        csr,
        ttl_seconds: ttl.map(|ttl| ttl.as_secs()),
    };
    Ok(client.post(doing::LOG_IN, "/v1/login", &order).await?)
}

/// What is signed. Nothing, where the server wants something else: it may want it for another bastion.
fn to_sign(given: &Challenge, ca: &str, ssh_public_key: &str, csr: &str) -> Option<String> {
    if given.namespace != LOGIN_NAMESPACE {
        return None;
    }
    login_text(&given.challenge, ca, ssh_public_key, csr)
}

fn another_version(url: &str, given: &Challenge) -> Failure {
    let older = given.namespace == LOGIN_NAMESPACE_1;
    Failure::new(Exit::Error, cli::login_of_another_version(url, older))
}

fn keep(
    context: &Context,
    url: &str,
    ca_pem: &str,
    applicant: &Applicant,
    logged_in: LoggedIn,
) -> Outcome {
    let odd = |found: &str| Failure::new(Exit::Error, cli::refused(doing::LOG_IN, found, None));
    let LoggedIn {
        principal,
        ssh_certificate,
        x509_chain,
        expires_at,
        trust,
        ..
    } = logged_in;
    let fingerprint = tls::fingerprint(ca_pem.as_bytes()).map_err(|error| odd(&chain(&error)))?;
    let known_hosts = known_hosts(&trust);
    let bastion = Bastion {
        url: url.to_owned(),
        principal,
        expires_at,
        fingerprint,
        ssh: trust.ssh,
        postgres: trust.postgres,
    };
    let ssh_private = applicant
        .ssh_private()
        .map_err(|error| odd(&chain(&error)))?;
    let ssh_public = applicant
        .ssh_public()
        .map_err(|error| odd(&chain(&error)))?;
    let tls_private = applicant.tls_private();
    let tls_der = PrivatePkcs8KeyDer::from_pem_slice(tls_private.as_bytes());
    let tls_der = tls_der.map_err(|error| odd(&chain(&error)))?;
    let files = [
        (state::CA, ca_pem),
        (state::KNOWN_HOSTS, &known_hosts),
        (state::SSH_KEY, &ssh_private),
        (state::SSH_PUBLIC, &line(&ssh_public)),
        (state::SSH_CERTIFICATE, &line(&ssh_certificate)),
        (state::TLS_KEY, &tls_private),
        (state::TLS_CERTIFICATE, &x509_chain),
    ];
    let texts = files.iter().map(|(name, text)| (*name, text.as_bytes()));
    let der = (state::TLS_KEY_DER, tls_der.secret_pkcs8_der());
    let files: Vec<(&str, &[u8])> = texts.chain([der]).collect();
    context.state.keep(&bastion, &files)?;
    let said = cli::logged_in(
        bastion.principal.as_str(),
        url,
        &when::ahead(expires_at, context.now()),
    );
    context.printer.done(
        &Status::of(&bastion, true),
        bastion.principal.as_str(),
        &said,
    )
}

/// `@cert-authority` in `sshd(8)`, section on the format of `ssh_known_hosts`, and the bastion's plain
/// key for clients that know no certificates.
fn known_hosts(trust: &Trust) -> String {
    let mut text = format!("@cert-authority * {}\n", trust.ssh_host_ca.trim());
    if let (Some(HostPort { host, port }), Some(key)) = (&trust.ssh, &trust.ssh_host) {
        let name = match port {
            22 => host.clone(),
            _other => format!("[{host}]:{port}"),
        };
        text.push_str(&[&name, " ", key.trim(), "\n"].concat());
    }
    text
}

fn line(text: &str) -> String {
    format!("{}\n", text.trim_end())
}

/// Logs out.
pub(crate) fn logout(context: &Context) -> Outcome {
    context.state.forget()?;
    context.printer.done(
        &serde_json::json!({"logged_in": false}),
        "",
        cli::logged_out(),
    )
}

/// The login of this machine, as it is printed.
#[derive(Debug, Clone, Serialize)]
struct Status {
    schema: &'static str,
    #[serde(flatten)]
    bastion: Bastion,
    valid: bool,
}

impl Status {
    fn of(bastion: &Bastion, valid: bool) -> Self {
        Self {
            schema: "tidegate.status/1",
            bastion: bastion.clone(),
            valid,
        }
    }
}

impl Row for Status {
    const COLUMNS: (&'static [&'static str], usize) = (
        &[
            "PRINCIPAL",
            "BASTION",
            "VALID",
            "UNTIL",
            "CA",
            "SSH",
            "POSTGRES",
        ],
        4,
    );

    fn cells(&self) -> Vec<String> {
        let at =
            |place: &Option<HostPort>| place.as_ref().map(ToString::to_string).unwrap_or_default();
        vec![
            self.bastion.principal.to_string(),
            self.bastion.url.clone(),
            if self.valid { "yes" } else { "no" }.to_owned(),
            when::stamp(self.bastion.expires_at),
            self.bastion.fingerprint.clone(),
            at(&self.bastion.ssh),
            at(&self.bastion.postgres),
        ]
    }
}

/// Shows the login from the files alone.
pub(crate) fn status(context: &Context) -> Outcome {
    let url = context.url()?;
    let bastion = context
        .state
        .bastion()?
        .filter(|bastion| bastion.url == url);
    let Some(bastion) = bastion else {
        let trouble = cli::not_logged_in(connection::NO_LOGIN_TO_SHOW, &url);
        return Err(Failure::new(Exit::NotLoggedIn, trouble));
    };
    let valid = bastion.valid(context.now());
    context.printer.one(&Status::of(&bastion, valid))?;
    if valid {
        Ok(())
    } else {
        let ended = when::instant(bastion.expires_at, context.now());
        let trouble = cli::login_expired(connection::LOGIN_ENDED, &url, &ended);
        Err(Failure::new(Exit::NotLoggedIn, trouble))
    }
}

impl Row for WhoAmI {
    const COLUMNS: (&'static [&'static str], usize) = (&["PRINCIPAL", "GROUPS"], 2);

    fn cells(&self) -> Vec<String> {
        let groups: Vec<&str> = self
            .groups
            .iter()
            .map(policies::GroupName::as_str)
            .collect();
        vec![self.principal.to_string(), groups.join(",")]
    }
}

/// Asks the server who the caller is.
pub(crate) async fn whoami(context: &Context) -> Outcome {
    let doing = doing::ASK_WHO;
    let me: WhoAmI = context.client(doing)?.get(doing, "/v1/whoami").await?;
    context.printer.one(&me)
}

/// Whether the login holds, from one small file: for `Match … exec` in `ssh_config(5)`.
pub(crate) fn ensure(context: &Context) -> Outcome {
    context.login(doing::GET_IN).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_signed_but_a_login_of_this_version_at_this_bastion() {
        let challenge = format!("tidegate login {}.1f.{}", "0".repeat(32), "a".repeat(64));
        let ca = ca::certificate_fingerprint(b"ca");
        let asked = |challenge: &str, namespace: &str| {
            let given = Challenge {
                schema: "tidegate.challenge/1".to_owned(),
                challenge: challenge.to_owned(),
                namespace: namespace.to_owned(),
            };
            to_sign(&given, &ca, "ssh", "csr")
        };
        let text = asked(&challenge, LOGIN_NAMESPACE).unwrap();
        assert!(text.contains(&ca), "{text}");
        for (challenge, namespace) in [
            (challenge.as_str(), LOGIN_NAMESPACE_1),
            (challenge.as_str(), "tidegate-login-3"),
            (challenge.as_str(), "git"),
            ("I owe you", LOGIN_NAMESPACE),
        ] {
            assert_eq!(asked(challenge, namespace), None);
        }
    }

    #[test]
    fn any_host_with_a_certificate_of_the_host_ca_is_known() {
        let text = known_hosts(&trust());
        assert_eq!(
            text,
            "@cert-authority * ssh-ed25519 AAAA tidegate-host-ca\n"
        );
    }

    #[test]
    fn the_bastion_is_known_by_its_plain_key_too() {
        let mut trust = trust();
        trust.ssh_host = Some("ssh-ed25519 BBBB".to_owned());
        for (at, name) in [
            ("bastion.example:2222", "[bastion.example]:2222"),
            ("bastion.example:22", "bastion.example"),
        ] {
            trust.ssh = Some(at.parse().unwrap());
            let text = known_hosts(&trust);
            let last = text.lines().last().unwrap();
            assert_eq!(last, format!("{name} ssh-ed25519 BBBB"));
        }
    }

    fn trust() -> Trust {
        Trust {
            schema: String::new(),
            fingerprint: String::new(),
            x509_login_ca: String::new(),
            x509_target_ca: String::new(),
            ssh_user_ca: String::new(),
            ssh_login_ca: String::new(),
            ssh_host_ca: "ssh-ed25519 AAAA tidegate-host-ca\n".to_owned(),
            ssh_host: None,
            seal: String::new(),
            ssh: None,
            postgres: None,
        }
    }
}
