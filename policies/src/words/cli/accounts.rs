//! What an administrator installs at an SSH target so that tidegate can make an account for each grant.

use crate::KEEPER_PATH;

/// The script, before it knows which groups it may give.
const SCRIPT: &str = include_str!("tidegate-target.sh");

/// The script that makes and removes accounts: for these groups and no others.
pub fn keeper_script(target: &str, groups: &[String]) -> String {
    SCRIPT
        .replace("@TARGET@", target)
        .replace("@GROUPS@", &groups.join(" "))
}

/// What has to be done at an SSH target besides its lines.
pub fn account_lines(target: &str, admin: &str) -> String {
    let install = format!(
        "Each grant gets an account of its own there. Have a group for each login, and install the script as root:\n\n  \
         tidegate target script {target} > tidegate-target\n  \
         install -o root -g root -m 0755 tidegate-target {KEEPER_PATH}"
    );
    if admin == "root" {
        format!(
            "{install}\n\nIts sshd lets tidegate in as root for this script alone with:\n\n  \
             PermitRootLogin forced-commands-only"
        )
    } else {
        format!(
            "{install}\n\nLet {admin} run it, in /etc/sudoers.d/tidegate:\n\n  \
             {admin} ALL=(root) NOPASSWD: {KEEPER_PATH}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_of_the_keeper_of_accounts() {
        let groups = ["deploy".to_owned(), "ops".to_owned()];
        let script = keeper_script("web1", &groups);
        for place in ["@TARGET@", "@GROUPS@"] {
            assert!(!script.contains(place), "everything is filled in");
        }
        insta::assert_snapshot!("keeper_script", script);
        insta::assert_snapshot!("account_lines_root", account_lines("web1", "root"));
        insta::assert_snapshot!("account_lines_sudo", account_lines("web1", "ops"));
    }
}
