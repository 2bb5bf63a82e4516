//! What is said where a bastion cannot prove itself, and the reason is no other bastion.

use super::Trouble;

/// What to do where two clocks do not agree.
const CLOCKS: &str = "see which clock is wrong, here and on the server:  timedatectl   Where neither is, restart the server. \
                      Your login stays as it is: do not log out for this";

/// Its certificate has ended by the clock here.
pub fn bastion_expired(bastion: &str, ended: &str, now: &str) -> Trouble {
    let why = format!("its certificate ended at {ended}, and the clock here shows {now}");
    Trouble::new(unproven(bastion), why, CLOCKS)
}

/// Its certificate has not begun by the clock here.
pub fn bastion_not_yet(bastion: &str, begins: &str, now: &str) -> Trouble {
    let why = format!("its certificate begins at {begins}, and the clock here shows {now}");
    Trouble::new(unproven(bastion), why, CLOCKS)
}

/// Its certificate is by the right CA, and for other names. It was reached at this port.
pub fn bastion_misnamed(bastion: &str, names: &[&str], port: u16) -> Trouble {
    let called = match names {
        [] => "it has other names".to_owned(),
        some => format!("it is called {}", some.join(", ")),
    };
    let other = match names.first() {
        None => "HOST".to_owned(),
        Some(address) if address.contains(':') => format!("[{address}]"),
        Some(name) => (*name).to_owned(),
    };
    Trouble::new(
        unproven(bastion),
        format!("its certificate is by the right CA, and not for that name: {called}"),
        format!(
            "tidegate login --bastion https://{other}:{port}   or let an admin add this name to `hosts` under [server] in \
             tidegate.toml, and restart the server"
        ),
    )
}

fn unproven(bastion: &str) -> String {
    format!("what answers at {bastion} cannot prove to be your bastion")
}
