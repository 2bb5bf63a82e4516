//! Who may do what, until when: the nouns of tidegate and the one function that says yes.
//!
//! Everything here is a pure function of what it is handed. This crate reads no clock, draws no
//! randomness, opens no file and awaits nothing; `decide` gets documents, facts, a question and
//! a time, and answers with a [`Permit`] or a [`Denial`].
//!
//! | Word | Type | Means |
//! |---|---|---|
//! | principal | [`Principal`] | a person or service, known by proof |
//! | login | [`Login`] | the account used *at* the target |
//! | target | [`Target`] | a thing one connects to |
//! | ask | [`Ask`] | one concrete question to decide |
//! | deed | [`Deed`] | one thing done inside a session |
//! | statement | [`SqlStatement`] | one SQL statement, as far as policy looks at it |
//! | file | [`FileDeed`] | one file that is touched, as far as policy looks at it |
//! | request | [`Request`] | asking other people for a grant |
//! | approval | [`Approval`] | one person's yes to a request |
//! | grant | [`Grant`] | a right with an end, as stored |
//! | lock | [`Lock`] | a no that beats every grant |
//! | permit | [`Permit`] | one decision's yes, to be spent |
//! | terms | [`Terms`] | what a permit allows, to be shown and enforced |

pub mod diagnose;
pub mod duration;
pub mod id;
pub mod name;
pub mod quorum;
pub mod words;

mod approval;
mod ask;
mod bastion;
mod budget;
mod capability;
mod conduct;
mod counted;
mod database;
mod decide;
mod denial;
mod document;
mod elevation;
mod facts;
mod file;
mod file_use;
mod foresight;
mod grant;
mod held;
mod hex;
mod host;
mod keeper;
mod library;
mod lock;
mod matrix;
mod office;
mod opening;
mod permit;
mod place;
mod principal;
mod privilege;
mod question;
mod request;
mod role;
mod sever;
mod slice;
mod statement;
mod target;
mod usage;
mod verdict;
mod workflow;

pub use approval::Approval;
pub use ask::{Ask, Protocol};
pub use bastion::BASTION_LOGIN;
pub use budget::{Limit, Measure, budget};
pub use capability::{Capabilities, Capability, Deed};
pub use conduct::{may, scrutiny};
pub use counted::{Void, agreed, counted, void};
pub use database::{DatabaseName, DatabaseNameError};
pub use decide::decide;
pub use denial::{Denial, Part};
pub use diagnose::{Diagnosis, Severity};
pub use document::{Document, PolicySet};
pub use elevation::{ELEVATIONS_MAX, Elevation, ElevationError, RoleElevation};
pub use facts::{Facts, Wayless};
pub use file::{Carrier, Extent, FileAccess, FileDeed};
pub use file_use::FileUse;
pub use grant::{Grant, GrantEnd, GrantOver};
pub use held::{HeldStatement, is_seconded};
pub use hex::{hex, unhex};
pub use host::{HOSTS_MAX, PostgresHost, SessionAttrs, SessionAttrsError};
pub use id::{GrantId, LockId, NodeId, RequestId, SecretId, SessionId};
pub use keeper::{KEEPER_PATH, Keeper, KeeperCommand, OrderEnd, is_plain_line, is_unix_name};
pub use library::{Library, library};
pub use lock::{Lock, LockScope};
pub use matrix::matrix;
pub use name::{GroupName, Label, Login, PrincipalName, Reason, TargetName, acts};
pub use office::{Office, may_office};
pub use opening::{OpenedAs, Opening, opening};
pub use permit::{InputRecording, Obligations, Permit, Terms};
pub use place::{Particulars, Place};
pub use principal::{Credential, Principal, PrincipalKind, RegisteredKey};
pub use privilege::{MARKER, PRIVILEGES_MAX, Privilege, PrivilegeError, Right, RolePrivilege};
pub use request::{Filing, Request, RequestError, RequestState};
pub use role::{FENCED, RolePlace, RolePlan, is_a_grants, role_of};
pub use sever::SeverReason;
pub use statement::{Scrutiny, SqlKind, SqlStatement};
pub use target::{
    Algorithms, Endpoint, Entry, Hop, HostKeyPin, HostPort, JUMPS_MAX, Jump, PostgresEndpoint,
    ServerPin, SshEndpoint, Target,
};
pub use usage::Usage;
pub use workflow::{Activation, activates, may_approve, may_request, may_revoke, may_see};
