//! What `pg url` and `target alias` say.

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
        format!(
            "tidegate request {target} --as {wanted} --for 1h --reason '…'   (what there is: tidegate ls pg)"
        ),
    )
}

/// It is no database: nobody comes there with a URL.
pub fn no_database(target: &str) -> Trouble {
    Trouble::new(
        format!("cannot make a URL for {target}"),
        format!("`{target}` is an SSH host, and a URL is for databases"),
        "tidegate config ssh   prints how one comes to it   (databases: tidegate ls pg)",
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

/// After a target was given another name.
pub fn alias_given(target: &str, alias: &str) -> String {
    format!("{alias} is {target} as well\n  tidegate target show {target}")
}

/// After that was taken from it.
pub fn alias_taken(target: &str, alias: &str) -> String {
    format!("{alias} is {target} no more\n  tidegate target show {target}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_misspelt_a_name_is_told_where_names_are() {
        let advice = no_role_in_force("ordres", Some("app_ro")).advice;
        assert_eq!(
            advice,
            "tidegate request ordres --as app_ro --for 1h --reason '…'   (what there is: tidegate ls pg)"
        );
    }
}
