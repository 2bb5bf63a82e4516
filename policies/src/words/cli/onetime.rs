//! What `pg url` says.

use super::Trouble;

/// Beside the URL.
pub fn onetime_made(target: &str, login: &str, uses: u16, until: &str) -> String {
    let connections = match uses {
        1 => "one connection".to_owned(),
        several => format!("{several} connections"),
    };
    format!("for {connections} to {target} as {login}, until {until}; whoever has it is you")
}

/// Nobody has granted it.
pub fn no_role_in_force(target: &str, role: Option<&str>) -> Trouble {
    let (told, wanted) = match role {
        Some(role) => (format!(" as `{role}`"), role),
        None => (String::new(), "ROLE"),
    };
    Trouble::new(
        format!("cannot make a URL for {target}"),
        format!("you hold no grant for the database `{target}`{told}"),
        format!("tidegate request {target} --as {wanted} --for 1h --reason '…'"),
    )
}

/// Several roles are granted, and none was named.
pub fn several_roles(target: &str, roles: &[String]) -> Trouble {
    Trouble::new(
        format!("cannot make a URL for {target}"),
        format!("you hold grants for several roles: {}", roles.join(", ")),
        format!(
            "tidegate pg url {target} --role {}",
            roles.first().map_or("ROLE", String::as_str)
        ),
    )
}
