//! Files on their way over a session channel: sftp, scp and rsync, understood while they pass, judged where a permit
//! is bound to paths, and told of.

pub mod command;
pub mod filetap;
pub mod operation;
pub mod path;
pub mod rsync;
pub mod scp;
pub mod sftp;
mod sum;
pub(in crate::ssh) mod warrant;
