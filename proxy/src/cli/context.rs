//! What every client verb works with: where it runs, how it prints, which bastion it means.

use control::Clock;
use jiff::Timestamp;
use policies::words::cli::{self, connection};
use zeroize::Zeroizing;

use crate::cli::client::{Client, trusting};
use crate::cli::failure::{Exit, Failure};
use crate::cli::printer::Printer;
use crate::cli::state::{Bastion, CA, State, TLS_CERTIFICATE, TLS_KEY};
use crate::cli::surroundings::Surroundings;
use crate::cli::tls::Login;
use crate::cli::when;

/// One call of the command line.
#[derive(Debug)]
pub(crate) struct Context {
    /// Where it runs.
    pub surroundings: Surroundings,
    /// How it prints.
    pub printer: Printer,
    /// The login of this machine.
    pub state: State,
    /// The bastion that was named, if one was.
    pub named: Option<String>,
    /// The clock.
    pub clock: Clock,
}

impl Context {
    /// What time it is.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The bastion to speak to, whether logged in there or not.
    pub(crate) fn url(&self) -> Result<String, Failure> {
        let url = match (self.named.as_deref(), self.state.bastion()?) {
            (Some(named), _) => named.to_owned(),
            (None, Some(bastion)) => bastion.url,
            (None, None) => match self.state.last()? {
                Some(last) => last.url,
                None => return Err(Failure::new(Exit::NotLoggedIn, cli::no_bastion())),
            },
        };
        if !url.starts_with("https://") {
            return Err(Failure::new(Exit::Usage, cli::not_https(&url)));
        }
        Ok(url)
    }

    /// The login, if it holds. `doing` completes "cannot …".
    pub(crate) fn login(&self, doing: &str) -> Result<Bastion, Failure> {
        let url = self.url()?;
        let what = connection::cannot(doing);
        match self.state.bastion()?.filter(|bastion| bastion.url == url) {
            None => Err(Failure::new(
                Exit::NotLoggedIn,
                cli::not_logged_in(&what, &url),
            )),
            Some(bastion) if !bastion.valid(self.now()) => {
                let ended = when::instant(bastion.expires_at, self.now());
                Err(Failure::new(
                    Exit::NotLoggedIn,
                    cli::login_expired(&what, &url, &ended),
                ))
            }
            Some(bastion) => Ok(bastion),
        }
    }

    /// The API, as the one who is logged in.
    pub(crate) fn client(&self, doing: &str) -> Result<Client, Failure> {
        let bastion = self.login(doing)?;
        let (ca, chain, key) = (
            self.state.read(CA)?,
            self.state.read(TLS_CERTIFICATE)?,
            Zeroizing::new(self.state.read(TLS_KEY)?),
        );
        trusting(
            &bastion.url,
            &ca,
            Some(Login {
                chain: &chain,
                key: &key,
            }),
        )
    }
}

/// A bastion as people type it: with or without scheme and trailing slash.
pub(crate) fn tidy_url(text: &str) -> String {
    let url = if text.contains("://") {
        text.to_owned()
    } else {
        format!("https://{text}")
    };
    url.trim_end_matches('/').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bastion_may_be_typed_without_its_scheme() {
        assert_eq!(tidy_url("bastion:3443"), "https://bastion:3443");
        assert_eq!(tidy_url("https://bastion:3443/"), "https://bastion:3443");
    }
}
