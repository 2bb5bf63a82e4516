//! Everything that an authority issues, read with stock tools.

#![expect(
    clippy::arithmetic_side_effects,
    reason = "tests compute with times of their own"
)]

mod journal;
mod logins;
mod own;
mod passes;

use std::net::IpAddr;
use std::sync::{LazyLock, Mutex};

use jiff::SignedDuration;
use policies::{Capabilities, Capability, PrincipalName};
use proptest::prelude::*;
use russh::keys::ssh_key::private::Ed25519Keypair;

use super::*;
use crate::applicant::Applicant;
use crate::fixtures::{Bench, Dice, KEY, NOW, Notebook, Step, at, run, session, terms};
use crate::{
    Intent, LOGIN_LIFETIME_MAX, Outcome, check_login_certificate, check_login_x509, credential,
};
use crate::{PassKey, SessionKey};

const HOUR: SignedDuration = SignedDuration::from_hours(1);

fn shell() -> Capabilities {
    [Capability::Shell, Capability::Exec].into()
}

impl Bench {
    fn pass(&mut self, terms: Terms) -> Result<Pass, IssueError> {
        let order = PassOrder {
            session: session(),
            now: at(NOW),
            source_address: Some("127.0.0.1".parse().unwrap()),
            rng: &mut self.dice,
        };
        run(self.authority.pass(terms, order, &self.journal))
    }

    fn halt(&mut self, terms: &Terms) -> Result<Pass, IssueError> {
        let order = PassOrder {
            session: session(),
            now: at(NOW),
            source_address: None,
            rng: &mut self.dice,
        };
        run(self.authority.issue_halt(terms, order, &self.journal))
    }

    fn login(
        &mut self,
        key: &str,
        request: &str,
        lifetime: SignedDuration,
    ) -> Result<LoginCertificates, IssueError> {
        let order = LoginOrder {
            principal: &PrincipalName::parse("alice").unwrap(),
            by_key: KEY,
            ssh_public_key: key,
            csr_pem: request,
            lifetime,
            now: at(NOW),
            rng: &mut self.dice,
        };
        run(self.authority.issue_login(order, &self.journal))
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    fn host(&mut self, names: &[&str]) -> Result<HostIdentity, IssueError> {
        let names = Self::names(names);
        let order = HostOrder {
            names: &names,
            now: at(NOW),
            lifetime: HOUR,
            rng: &mut self.dice,
        };
        run(self.authority.issue_host(order, &self.journal))
    }

    fn server(&mut self, names: &[&str]) -> Result<ServerIdentity, IssueError> {
        let names = Self::names(names);
        let order = HostOrder {
            names: &names,
            now: at(NOW),
            lifetime: HOUR,
            rng: &mut self.dice,
        };
        run(self.authority.issue_server(order, &self.journal))
    }

    fn intent(&self) -> Intent {
        self.journal.intents.lock().unwrap().last().unwrap().clone()
    }

    /// What `ssh-keygen -L` says, without the name of the file.
    fn keygen_list(&self, line: &str) -> Option<String> {
        self.scratch.write("key-cert.pub", line);
        let printed = self
            .scratch
            .tool("ssh-keygen", &["-L", "-f", "key-cert.pub"])?;
        assert!(printed.good, "{}", printed.text);
        Some(printed.text)
    }
}

fn applicant() -> Applicant {
    Applicant::create().unwrap()
}

fn ssh_of(pass: &Pass) -> (&SessionKey, &Certificate) {
    match &pass.key {
        PassKey::Ssh { key, certificate } => (key, certificate),
        PassKey::Postgres { .. }
        | PassKey::StandingKey { .. }
        | PassKey::Password { .. }
        | PassKey::Own => {
            panic!("not a pass for ssh")
        }
    }
}

fn der_of(pass: &Pass) -> &[u8] {
    match &pass.key {
        PassKey::Postgres { chain_der, .. } => &chain_der[0],
        PassKey::Ssh { .. }
        | PassKey::StandingKey { .. }
        | PassKey::Password { .. }
        | PassKey::Own => {
            panic!("not a pass for PostgreSQL")
        }
    }
}
