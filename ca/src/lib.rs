//! ca
pub mod applicant;
pub mod sshsig;
