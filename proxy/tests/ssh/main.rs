//! SSH with the real OpenSSH client on one side and a real sshd on the other.

mod flow;
mod house;
mod session;
