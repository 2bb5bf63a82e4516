//! Looking at a server that is, or is to become, a target. The protocols live elsewhere; here is
//! only what is asked of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;

use policies::words::api::Unseen;
use policies::words::cli::doctor::{Power, Unentered};
use policies::{Algorithms, HostPort, Jump, Login, Protocol, Target};

use crate::api::wire::Probed;

/// What [`Probe::look`] gives.
pub type Seeing<'a> = Pin<Box<dyn Future<Output = Result<Probed, Unseen>> + Send + 'a>>;

/// What [`Probe::enter`] gives.
pub type Entering<'a> = Pin<Box<dyn Future<Output = Result<(), Unentered>> + Send + 'a>>;

/// What [`Probe::unasked`] gives.
pub type Unasking<'a> = Pin<Box<dyn Future<Output = BTreeSet<Login>> + Send + 'a>>;

/// What [`Probe::powers`] gives.
pub type Weighing<'a> = Pin<Box<dyn Future<Output = BTreeMap<Login, Vec<Power>>> + Send + 'a>>;

/// What [`Probe::own_roles`] gives.
pub type Owning<'a> = Pin<Box<dyn Future<Output = Option<Vec<RoleThere>>> + Send + 'a>>;

/// A role at a database that is called as those of grants are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleThere {
    /// What it is called.
    pub role: Login,
    /// Whether the target's admin role is a member of it, as of what it makes.
    pub is_kept: bool,
}

/// Connects to a server as far as it shows its identity, or as far as it lets us in, and no further.
/// Implemented by the crate that speaks the protocols; it sets its own time limit.
pub trait Probe: Debug + Send + Sync {
    /// Looks at what listens there, through the target in front of it if there is one, in
    /// these algorithms.
    fn look<'a>(
        &'a self,
        protocol: Protocol,
        addr: &'a HostPort,
        how: (Option<&'a Jump>, Algorithms),
    ) -> Seeing<'a>;

    /// Logs in at a target with a certificate that is made for this, and out again.
    fn enter<'a>(&'a self, target: &'a Target, login: &'a Login) -> Entering<'a>;

    /// As which logins the target lets in whoever reaches it from here, without asking for any proof. None
    /// where that cannot be found out.
    fn unasked<'a>(&'a self, target: &'a Target) -> Unasking<'a>;

    /// What the roles that are asked for at a database may do there beside reading and changing tables. Nothing where
    /// that cannot be found out.
    fn powers<'a>(&'a self, target: &'a Target) -> Weighing<'a>;

    /// The roles at a database that are called as those of grants are, as the role sees them that makes these. None
    /// where there is no such role, or that cannot be found out.
    fn own_roles<'a>(&'a self, target: &'a Target) -> Owning<'a>;
}
