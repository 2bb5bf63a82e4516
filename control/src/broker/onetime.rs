//! One-time secrets: having one made for a grant of one's own, and coming in with it.
//!
//! Whoever comes in with one is its owner, as with a certificate; whether they are let in is decided
//! after that, where it is decided for all.

use std::net::IpAddr;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use policies::words::Shown;
use policies::words::broker::{Conflict, Invalid};
use policies::words::secret::SecretSaying;
use policies::{Grant, GrantId, Login, Part, Protocol, SecretId, TargetName};

use super::desk::draw;
use super::quota::may_have_secret;
use super::view::View;
use super::{Broker, BrokerError, Caller};
use crate::change::Change;
use crate::ledger::Happening;
use crate::onetime::{
    LIFETIME_MAX, OneTimePasswords, OneTimeSecret, SECRETS_MAX, SecretRecord, SecretText, USES_MAX,
    Verifier,
};

/// A secret that is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretWish {
    /// For which grant of the caller's.
    pub grant: GrantId,
    /// `SHA256:…` of the registered key by which the caller is logged in.
    pub by_key: String,
    /// For how many connections.
    pub uses: u16,
    /// For how long; never beyond the grant.
    pub lifetime: SignedDuration,
}

impl Broker {
    /// Makes a secret for a grant of the caller's that is in force. The text is nowhere else, and is
    /// not given a second time.
    ///
    /// # Errors
    ///
    /// [`BrokerError::NotFound`] for a grant that is not the caller's or not in force,
    /// [`BrokerError::Invalid`] for a wish beyond the limits, [`BrokerError::Conflict`] when the grant
    /// is for no database or has too many secrets.
    pub async fn make_onetime(
        &self,
        caller: &Caller,
        wish: &SecretWish,
    ) -> Result<(OneTimeSecret, SecretText), BrokerError> {
        self.healthy()?;
        self.offers_passwords()?;
        // Now too: nobody has thousands of hashes computed for nothing.
        let object = wish.grant.to_string();
        let deed = ("make a password", object.as_str());
        self.change(caller, deed, |view| {
            self.may_have(view, wish)?;
            Ok((Vec::new(), ()))
        })
        .await?;
        let random = draw()?;
        let text = SecretText::draw().map_err(|_refused| BrokerError::Unavailable {
            part: Part::Authority,
        })?;
        let id = SecretId::new(self.inner.clock.now(), random);
        let verifier = verifier_of(id, text.clone()).await?;
        let secret = self
            .change(caller, deed, |view| {
                let grant = self.may_have(view, wish)?;
                let by_itself = view.now.checked_add(wish.lifetime);
                let by_itself = by_itself.unwrap_or(grant.expires_at);
                let secret = OneTimeSecret {
                    id,
                    grant: grant.id,
                    principal: grant.principal.clone(),
                    target: grant.target.clone(),
                    login: grant.login.clone(),
                    by_key: wish.by_key.clone(),
                    verifier: verifier.clone(),
                    uses: wish.uses,
                    expires_at: by_itself.min(grant.expires_at),
                };
                let change = Change::OneTimeMade {
                    secret: secret.clone(),
                };
                Ok((vec![change], secret))
            })
            .await?;
        self.record(Happening::OneTimeMade {
            secret: id,
            grant: secret.grant,
            principal: secret.principal.clone(),
            source: caller.source,
            uses: secret.uses,
            expires_at: secret.expires_at,
        })
        .await?;
        Ok((secret, text))
    }

    /// By what a proof for this secret is checked, whether or not it is still good: that is told to
    /// whoever holds it, and to nobody else.
    pub fn verifier(&self, id: SecretId) -> Option<Verifier> {
        let state = self.state();
        let record = state.secrets.get(&id)?;
        Some(record.secret.verifier.clone())
    }

    /// Writes down that somebody at `source` came with a wrong proof of a secret that is still good. Of
    /// another there is nothing to tell: whoever has its name has nothing.
    pub async fn misproven_onetime(&self, id: SecretId, source: IpAddr) {
        let state = self.state();
        let Some(record) = state.secrets.get(&id) else {
            return;
        };
        if record.is_open(self.inner.clock.now()) {
            self.write_misuse(&record.secret, source, &SecretSaying::Wrong)
                .await;
        }
    }

    /// Writes down that somebody came with a secret and was not let in, with the code of what they hear.
    async fn write_misuse(&self, secret: &OneTimeSecret, source: IpAddr, told: &impl Shown) {
        let happening = Happening::OneTimeRefused {
            secret: secret.id,
            grant: secret.grant,
            principal: secret.principal.clone(),
            source,
            code: told.words().code.to_owned(),
        };
        self.write_refusal(&secret.principal, happening).await;
    }

    /// Takes one connection off a secret of which somebody at `source` has proven that they hold it.
    /// From then on they are its owner. It is taken off whether or not they are let in afterwards.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Conflict`] with why it is not good, or not for this target and role.
    pub async fn use_onetime(
        &self,
        id: SecretId,
        source: IpAddr,
        (target, login): (&TargetName, &Login),
    ) -> Result<OneTimeSecret, BrokerError> {
        // Before it is taken off: nobody is let in meanwhile.
        self.healthy()?;
        self.offers_passwords()?;
        let state = self.caught_up().await?;
        let Some(record) = state.secrets.get(&id) else {
            return Err(refused(SecretSaying::Wrong));
        };
        let caller = Caller {
            principal: record.secret.principal.clone(),
            source,
        };
        let used = self
            .change(&caller, ("use a password", &id.to_string()), |view| {
                let record = view.state.secrets.get(&id);
                let record = record.ok_or_else(|| refused(SecretSaying::Wrong))?;
                self.is_good(view, record, (target, login))
                    .map_err(refused)?;
                let left = record.left().saturating_sub(1);
                let change = Change::OneTimeUsed { id };
                Ok((vec![change], (record.secret.clone(), left)))
            })
            .await;
        let secret = &record.secret;
        let used = used.map_err(|no| match no {
            // They are locked or gone, which their own client is told as it would be with a certificate.
            BrokerError::NotFound { .. } => refused(SecretSaying::Over {
                target: secret.target.clone(),
                login: secret.login.clone(),
            }),
            BrokerError::Denied(_)
            | BrokerError::Conflict(_)
            | BrokerError::Invalid(_)
            | BrokerError::Unkept { .. }
            | BrokerError::Unavailable { .. } => no,
        });
        match &used {
            Ok((_same, left)) => {
                // As with a line of admission: no certificate is signed before it is durable.
                let line = self.queue(Happening::OneTimeUsed {
                    secret: id,
                    grant: secret.grant,
                    principal: secret.principal.clone(),
                    source,
                    left: *left,
                });
                line.await?;
            }
            Err(no) => self.write_misuse(secret, source, no).await,
        }
        used.map(|(secret, _left)| secret)
    }

    fn offers_passwords(&self) -> Result<(), BrokerError> {
        match self.inner.settings.one_time_passwords {
            OneTimePasswords::Offered => Ok(()),
            OneTimePasswords::Forbidden => Err(refused(SecretSaying::Forbidden)),
        }
    }

    /// The grant that the wish is for, where nothing is in its way.
    fn may_have<'v>(&self, view: &View<'v>, wish: &SecretWish) -> Result<&'v Grant, BrokerError> {
        let grant = self.own_grant(view, wish.grant)?;
        within_limits(wish)?;
        is_database(view, grant)?;
        has_room(view, grant)?;
        may_have_secret(view.state, &grant.principal, view.now)?;
        Ok(grant)
    }

    /// A grant of the caller's that is in force by the wall and by the uptime.
    fn own_grant<'v>(&self, view: &View<'v>, id: GrantId) -> Result<&'v Grant, BrokerError> {
        let found = view.state.facts.grants.get(&id);
        let own = found.filter(|grant| {
            view.is_self(&grant.principal) && self.holds(view.state, grant, view.now)
        });
        own.map(AsRef::as_ref).ok_or(BrokerError::NotFound {
            what: id.to_string(),
        })
    }

    fn holds(&self, state: &crate::state::State, grant: &Grant, now: Timestamp) -> bool {
        grant.in_force(now) && !state.is_outrun(grant.id, self.inner.clock.uptime())
    }

    /// Whether whoever holds this secret is let in by it there, as far as it itself says.
    fn is_good(
        &self,
        view: &View<'_>,
        record: &SecretRecord,
        (target, login): (&TargetName, &Login),
    ) -> Result<(), SecretSaying> {
        let OneTimeSecret {
            target: leads,
            login: role,
            ..
        } = &record.secret;
        let (target_of, login_of) = (leads.clone(), role.clone());
        let grant = view.state.facts.grants.get(&record.secret.grant);
        let holds = grant.is_some_and(|grant| self.holds(view.state, grant, view.now))
            && view
                .state
                .is_proof(&record.secret.credential(), &record.secret.principal);
        if view.state.called(target) != leads || login != role {
            return Err(SecretSaying::Elsewhere {
                target: target_of,
                login: login_of,
            });
        }
        if !holds {
            return Err(SecretSaying::Over {
                target: target_of,
                login: login_of,
            });
        }
        if record.left() == 0 {
            return Err(SecretSaying::Used {
                target: target_of,
                login: login_of,
            });
        }
        if view.now >= record.secret.expires_at {
            return Err(SecretSaying::Expired {
                target: target_of,
                login: login_of,
                at: record.secret.expires_at,
            });
        }
        Ok(())
    }
}

/// By what proofs of this secret are checked. Thousands of hashes: not on a thread that others wait for.
async fn verifier_of(id: SecretId, text: SecretText) -> Result<Verifier, BrokerError> {
    let hashing = tokio::task::spawn_blocking(move || Verifier::of(&id.to_string(), text.expose()));
    hashing.await.map_err(|_gone| BrokerError::Unavailable {
        part: Part::Authority,
    })
}

fn within_limits(wish: &SecretWish) -> Result<(), BrokerError> {
    let lifetime = SignedDuration::from_secs(1)..=LIFETIME_MAX;
    if (1..=USES_MAX).contains(&wish.uses) && lifetime.contains(&wish.lifetime) {
        return Ok(());
    }
    Err(BrokerError::Invalid(Invalid::OneTime(
        SecretSaying::Beyond {
            lifetime: LIFETIME_MAX,
            uses: USES_MAX,
        },
    )))
}

fn is_database(view: &View<'_>, grant: &Grant) -> Result<(), BrokerError> {
    let target = view.state.facts.targets.get(&grant.target);
    if target.is_some_and(|target| target.protocol() == Protocol::Postgres) {
        return Ok(());
    }
    Err(refused(SecretSaying::NoDatabase {
        target: grant.target.clone(),
    }))
}

fn has_room(view: &View<'_>, grant: &Grant) -> Result<(), BrokerError> {
    let of_grant =
        |record: &&Arc<SecretRecord>| record.secret.grant == grant.id && record.is_open(view.now);
    if view.state.secrets.values().filter(of_grant).count() < SECRETS_MAX {
        return Ok(());
    }
    Err(refused(SecretSaying::Many { limit: SECRETS_MAX }))
}

fn refused(saying: SecretSaying) -> BrokerError {
    BrokerError::Conflict(Conflict::Secret(saying))
}
