//! What a command was about to do, as its troubles have it behind "cannot", and questions that nobody answered.

use std::fmt::Display;

/// Verify the audit log.
pub const VERIFY_AUDIT: &str = "verify the audit log";

/// List sessions.
pub const LIST_SESSIONS: &str = "list sessions";

/// Revoke.
pub const REVOKE: &str = "revoke";

/// Revoke them.
pub const REVOKE_THEM: &str = "revoke them";

/// List grants.
pub const LIST_GRANTS: &str = "list grants";

/// List requests.
pub const LIST_REQUESTS: &str = "list requests";

/// List recordings.
pub const LIST_RECORDINGS: &str = "list recordings";

/// Look the session up.
pub const LOOK_SESSION_UP: &str = "look the session up";

/// List people.
pub const LIST_PEOPLE: &str = "list people";

/// Read the audit log.
pub const READ_AUDIT: &str = "read the audit log";

/// Read the bastion's CAs.
pub const READ_CAS: &str = "read the bastion's CAs";

/// Read the bastion's CA.
pub const READ_CA: &str = "read the bastion's CA";

/// List targets.
pub const LIST_TARGETS: &str = "list targets";

/// Ask who you are.
pub const ASK_WHO: &str = "ask who you are";

/// Show the policies.
pub const SHOW_POLICIES: &str = "show the policies";

/// Apply the policies.
pub const APPLY_POLICIES: &str = "apply the policies";

/// Log in.
pub const LOG_IN: &str = "log in";

/// Make keys.
pub const MAKE_KEYS: &str = "make keys";

/// Get in by the login.
pub const GET_IN: &str = "get in by the login";

/// Look at the login.
pub const LOOK_AT_LOGIN: &str = "look at the login";

/// Ask the server.
pub const ASK_SERVER: &str = "ask the server";

/// Ask the server to look at itself.
pub const ASK_ABOUT_ITSELF: &str = "ask the server to look at itself";

/// Read the key.
pub const READ_KEY: &str = "read the key";

/// Sign with the SSH key.
pub const SIGN: &str = "sign with the SSH key";

/// Write the configuration.
pub const WRITE_CONFIG: &str = "write the configuration";

/// Say how to connect.
pub const SAY_HOW: &str = "say how to connect";

/// Kill this.
pub fn kill(this: &dyn Display) -> String {
    format!("kill {this}")
}

/// Show this.
pub fn show(this: &dyn Display) -> String {
    format!("show {this}")
}

/// Revoke this.
pub fn revoke(this: &dyn Display) -> String {
    format!("revoke {this}")
}

/// Ask for this.
pub fn ask_for(this: &dyn Display) -> String {
    format!("ask for {this}")
}

/// Wait for this.
pub fn wait_for(this: &dyn Display) -> String {
    format!("wait for {this}")
}

/// Approve this.
pub fn approve(this: &dyn Display) -> String {
    format!("approve {this}")
}

/// Deny this.
pub fn deny(this: &dyn Display) -> String {
    format!("deny {this}")
}

/// Withdraw this.
pub fn withdraw(this: &dyn Display) -> String {
    format!("withdraw {this}")
}

/// Read the recording this.
pub fn read_recording(this: &dyn Display) -> String {
    format!("read the recording {this}")
}

/// Go through this.
pub fn go_through(this: &dyn Display) -> String {
    format!("go through {this}")
}

/// Look at this.
pub fn look_at(this: &dyn Display) -> String {
    format!("look at {this}")
}

/// Add target this.
pub fn add_target(this: &dyn Display) -> String {
    format!("add target {this}")
}

/// Test this.
pub fn test(this: &dyn Display) -> String {
    format!("test {this}")
}

/// Lock this.
pub fn lock(this: &dyn Display) -> String {
    format!("lock {this}")
}

/// Unlock this.
pub fn unlock(this: &dyn Display) -> String {
    format!("unlock {this}")
}

/// List the keys of this.
pub fn list_keys(this: &dyn Display) -> String {
    format!("list the keys of {this}")
}

/// Remove user this.
pub fn remove_user(this: &dyn Display) -> String {
    format!("remove user {this}")
}

/// Add a key to this.
pub fn add_key(this: &dyn Display) -> String {
    format!("add a key to {this}")
}

/// Remove a key of this.
pub fn remove_key(this: &dyn Display) -> String {
    format!("remove a key of {this}")
}

/// Add this.
pub fn add(this: &dyn Display) -> String {
    format!("add {this}")
}

/// Change the groups of this.
pub fn change_groups(this: &dyn Display) -> String {
    format!("change the groups of {this}")
}

/// Make a URL for this.
pub fn make_url(this: &dyn Display) -> String {
    format!("make a URL for {this}")
}

/// Give a target another name, or take it away.
pub fn call(target: &dyn Display, alias: &dyn Display) -> String {
    format!("call {target} {alias}")
}

/// Remove this.
pub fn remove(this: &dyn Display) -> String {
    format!("remove {this}")
}

/// Lock target this.
pub fn lock_target(this: &dyn Display) -> String {
    format!("lock target {this}")
}

/// Unlock target this.
pub fn unlock_target(this: &dyn Display) -> String {
    format!("unlock target {this}")
}

/// Change this.
pub fn change(this: &dyn Display) -> String {
    format!("change {this}")
}

/// Exchange the credential of this.
pub fn exchange(this: &dyn Display) -> String {
    format!("exchange the credential of {this}")
}

/// Write the script of this.
pub fn write_script(this: &dyn Display) -> String {
    format!("write the script of {this}")
}
