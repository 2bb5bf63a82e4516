//! What is said of mistakes in `tidegate.toml`, and in the variables that override it. Where they stand is shown
//! beside it.

use crate::words::Words;

/// What mistakes in variables are told to stand in, as others stand in a file.
pub const ENVIRONMENT: &str = "the environment";

/// What is expected, where something else stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// One text.
    Text,
    /// Several.
    Texts,
}

/// A value is of another type, which TOML calls `kind`.
pub fn of_another_type(wanted: Wanted, kind: &str) -> String {
    let wanted = match wanted {
        Wanted::Text => "a text in quotes",
        Wanted::Texts => "a list of texts",
    };
    let article = match kind {
        "integer" | "array" => "an",
        _other => "a",
    };
    format!("{wanted} is needed, not {article} {kind}")
}

/// Something is wrong with the value of a setting.
pub fn of_setting(setting: &str, what: &str) -> String {
    format!("{setting}: {what}")
}

/// A section was given a value.
pub fn is_section(name: &str) -> String {
    format!("`{name}` is a section: write it as [{name}]")
}

/// Nothing is called so.
pub fn no_setting(name: &str) -> String {
    format!("`{name}` is not a setting")
}

/// A variable overrides nothing.
pub fn names_no_setting(variable: &str) -> String {
    format!("`{variable}` names no setting")
}

/// What was probably meant.
pub fn did_you_mean(meant: &str) -> String {
    format!("did you mean `{meant}`?")
}

/// It is not said where everything is.
pub const NO_STATE_DIR: &str =
    "`server.state_dir` is missing: say where the store, the keys and the recordings are";

/// It is not said how the keys are opened.
pub const NO_PASSPHRASE: &str = "`authority.passphrase_file`, `passphrase_cmd` or `passphrase_credential` is missing: \
     the authority's keys cannot be opened without";

/// It is said twice how the keys are opened.
pub const ONE_PASSPHRASE: &str = "the passphrase can come from one place only";

/// A length of time is below zero.
pub const NEGATIVE: &str = "a length of time cannot be negative";

/// The server cannot be called so.
pub fn not_a_host(text: &str) -> String {
    format!("`{text}` is not a host name or an address")
}

/// The server is called by nothing, or by too much.
pub fn hosts_not_as_many(most: usize) -> String {
    format!("name from one to {most} of what people call this server")
}

/// The same address again.
pub fn listened_twice(text: &str) -> String {
    format!("`{text}` stands here twice")
}

/// Not where one can listen.
pub fn not_an_address(text: &str) -> String {
    let port = text.rsplit_once(':').map(|(_, port)| port);
    let why = match port {
        Some(port) if port.parse::<u16>().is_err() => "port must be 0-65535",
        Some(_) => "the part before the port must be an address, such as 0.0.0.0 or [::]",
        None => "write ADDRESS:PORT, such as 0.0.0.0:2222",
    };
    format!("`{text}` is not an address: {why}")
}

/// Not an address without a port.
pub fn not_an_ip(text: &str) -> String {
    format!("`{text}` is not an IP address")
}

/// Neither of two words.
pub fn neither(text: &str, one: &str, other: &str) -> String {
    format!("`{text}` is neither `{one}` nor `{other}`")
}

/// Too short or too long a time.
pub fn not_between(from_s: u64, to_s: u64) -> String {
    format!("between {from_s} s and {to_s} s")
}

/// Not how many may sit at a door.
pub fn not_a_room(text: &str) -> String {
    format!("`{text}` is neither a number nor `START:RATE:FULL`")
}

/// No number.
pub fn not_a_number(text: &str) -> String {
    format!("`{text}` is not a number")
}

/// No number of bytes.
pub fn not_bytes(text: &str) -> String {
    format!("`{text}` is not a number of bytes, such as `64MiB`")
}

/// What a setting names cannot be used, as a start would say it, with its code.
pub fn named(words: &Words) -> String {
    format!("{} {}", words.code, words.what)
}

/// What opens the keys is a command, which `check-config` does not run.
pub fn command_not_run(command: &str) -> String {
    format!(
        "`{command}` was not run: whether what it prints opens the authority's keys shows at the start"
    )
}

/// What opens the keys is a credential that only the service is given.
pub fn credential_not_seen(name: &str) -> String {
    format!(
        "the systemd credential `{name}` is given to the service alone: whether it opens the authority's keys shows at the start"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_mistakes_in_the_configuration() {
        let said = [
            of_another_type(Wanted::Text, "array"),
            of_another_type(Wanted::Texts, "boolean"),
            of_setting("ssh.listen", &not_an_address("0.0.0.0:22222222")),
            not_an_address("localhost:22"),
            not_an_address("nowhere"),
            is_section("ssh"),
            no_setting("ssh.lissen"),
            names_no_setting("TIDEGATE__SSH__LISSEN"),
            did_you_mean("listen"),
            NO_STATE_DIR.to_owned(),
            NO_PASSPHRASE.to_owned(),
            ONE_PASSPHRASE.to_owned(),
            NEGATIVE.to_owned(),
            not_a_host("a/b"),
            hosts_not_as_many(64),
            listened_twice("127.0.0.1:22"),
            not_an_ip("there"),
            neither("maybe", "on", "off"),
            not_between(1, 300),
            not_a_room("many"),
            not_a_number("ten"),
            not_bytes("2 mega"),
            named(&Words::new("TG000", "`/etc/x` is gone")),
            command_not_run("pass show tidegate"),
            credential_not_seen("tidegate-passphrase"),
        ];
        insta::assert_snapshot!("config", said.join("\n"));
    }
}
