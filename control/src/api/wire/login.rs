//! Logging in, and whom to trust.

use std::collections::BTreeSet;

use jiff::Timestamp;
use policies::{GroupName, HostPort, PrincipalName};
use serde::{Deserialize, Serialize};

/// What anyone may know: whom to trust and where to go.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Trust {
    /// Always `tidegate.trust/1`.
    pub schema: String,
    /// The fingerprint of the login CA's certificate, `SHA256:…`.
    pub fingerprint: String,
    /// The CA of login certificates and of the bastion's own TLS certificate, PEM.
    pub x509_login_ca: String,
    /// The CA that PostgreSQL targets trust, PEM.
    pub x509_target_ca: String,
    /// The CA that SSH targets trust, one line.
    pub ssh_user_ca: String,
    /// The CA of people's SSH certificates, one line.
    pub ssh_login_ca: String,
    /// The CA of host certificates, one line.
    pub ssh_host_ca: String,
    /// The host key that it certifies, one line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssh_host: Option<String>,
    /// The key that seals recordings, as the recorder prints it.
    pub seal: String,
    /// Where SSH is spoken, as people reach it.
    pub ssh: Option<HostPort>,
    /// Where PostgreSQL is spoken, as people reach it.
    pub postgres: Option<HostPort>,
}

/// Asks for a challenge.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChallengeOrder {
    /// The key that will be proven, one line.
    pub public_key: String,
}

/// What has to be signed, as a part of what [`ca::sshsig::login_text`] puts together.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Challenge {
    /// Always `tidegate.challenge/1`.
    pub schema: String,
    /// Good once and for 60 s.
    pub challenge: String,
    /// The SSHSIG namespace to sign it for.
    pub namespace: String,
}

/// Proves a key and asks for certificates.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoginOrder {
    /// The registered key, one line.
    pub public_key: String,
    /// The challenge that was signed.
    pub challenge: String,
    /// The armoured SSH signature of the text that names it, the bastion and the fresh keys.
    pub signature: String,
    /// The fresh SSH key to certify, one line.
    pub ssh_public_key: String,
    /// The signing request for the fresh TLS key, PEM.
    pub csr: String,
    /// For how long, in seconds; the server's most when absent.
    pub ttl_seconds: Option<u64>,
}

/// What a login gave.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LoggedIn {
    /// Always `tidegate.login/1`.
    pub schema: String,
    /// Who they are.
    pub principal: PrincipalName,
    /// The SSH certificate, one line.
    pub ssh_certificate: String,
    /// The X.509 certificate and what is above it, PEM.
    pub x509_chain: String,
    /// When both end.
    pub expires_at: Timestamp,
    /// Whom to trust and where to go.
    pub trust: Trust,
}

/// Who the caller is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WhoAmI {
    /// Always `tidegate.whoami/1`.
    pub schema: String,
    /// Their name.
    pub principal: PrincipalName,
    /// Their groups.
    pub groups: BTreeSet<GroupName>,
    /// The server's time.
    pub now: Timestamp,
}
