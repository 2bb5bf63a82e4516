//! What the command line says: troubles in three lines, and the sentences after a success.
//!
//! A trouble says what could not be done, why, and what to type next. A success ends in the next
//! command. Nothing here knows where it is printed.

mod accounts;
mod asked;
mod bastion;
pub mod connection;
pub mod doctor;
pub mod doing;
mod groups;
pub mod ledger;
pub mod left;
mod locks;
mod next;
mod onetime;
pub mod outcome;
mod policy;
pub mod prompts;
mod roles;
pub mod serving;
mod setup;
mod statements;
mod trouble;
pub mod usage;

pub use accounts::{account_lines, keeper_script};
pub use asked::{Asked, no_such_login, not_granted};
pub use bastion::{bastion_expired, bastion_misnamed, bastion_not_yet};
pub use groups::groups_set;
pub use locks::{target_locked, target_unlocked, user_locked, user_unlocked};
pub use next::{Refusal, next};
pub use onetime::{
    alias_given, alias_taken, no_database, no_role_in_force, onetime_made, several_roles,
};
pub use policy::{
    no_policies, policies_applied, policies_bad, policies_good, policies_question,
    policies_replaced, policies_would, policies_written, policy_misnamed, policy_there,
    policy_unread, rules_gone, zone_changes,
};
pub(super) use roles::OWN_ROLES;
pub use roles::{admin_script, no_script, whole_or_nothing};
pub use setup::{
    PostgresPlaces, block_removed, block_written, hba_word, jump_login_needed, not_ready,
    postgres_lines, postgres_target_added, ready_at_once, secret_kept, ssh_lines, ssh_target_added,
    standing_lines, standing_target_added, untried,
};
pub use statements::{
    answer_request, answer_statement, runs, seconded, statement_brief, statement_database,
};
pub use trouble::Trouble;

/// No bastion is known.
pub fn no_bastion() -> Trouble {
    Trouble::new(
        "no bastion is known",
        "there is no login in the state directory and none was named",
        "tidegate login --bastion https://HOST:3443   (or set TIDEGATE_BASTION)",
    )
}

/// Nothing that is in force matches.
pub fn nothing_to_revoke() -> Trouble {
    Trouble::new(
        "nothing was revoked",
        "no grant that you may see and that is in force matches",
        "tidegate grants ls",
    )
}

/// There is no login.
pub fn not_logged_in(what: &str, bastion: &str) -> Trouble {
    Trouble::new(
        what,
        "you are not logged in",
        format!("tidegate login --bastion {bastion}"),
    )
}

/// The login has ended.
pub fn login_expired(what: &str, bastion: &str, expired_at: &str) -> Trouble {
    Trouble::new(
        what,
        format!("your login ended at {expired_at}"),
        format!("tidegate login --bastion {bastion}"),
    )
}

/// Nobody answers at the bastion's address.
pub fn unreachable(bastion: &str, found: &str) -> Trouble {
    Trouble::new(
        format!("cannot reach the bastion at {bastion}"),
        found,
        "check the address, and on the server:  tidegate check-config, tidegate serve",
    )
}

/// Whoever answers is not the bastion that this state directory trusts.
pub fn another_bastion(bastion: &str) -> Trouble {
    Trouble::new(
        format!("what answers at {bastion} does not prove to be your bastion"),
        "its certificate is not by the CA you logged in with",
        format!(
            "ask your admin for the fingerprint (tidegate ca show), then  tidegate logout  and  \
             tidegate login --bastion {bastion} --ca-fingerprint SHA256:…"
        ),
    )
}

/// The pinned fingerprint is not that of the CA.
pub fn wrong_fingerprint(bastion: &str, want: &str, got: &str) -> Trouble {
    Trouble::new(
        format!("the CA of {bastion} is not the one you named"),
        format!("you named {want}; the server shows {got}"),
        "do not go on before your admin confirms one of the two (tidegate ca show)",
    )
}

/// A first contact needs a fingerprint and there is nobody to ask. `typed` is the line as it was typed.
/// What the server shows is no part of the next command: whoever pastes it has compared nothing.
pub fn fingerprint_needed(bastion: &str, got: &str, typed: &str) -> Trouble {
    Trouble::new(
        format!("cannot tell whether {bastion} is your bastion"),
        format!(
            "this is the first contact, and its CA shows {got}: compare that with the fingerprint \
             that your admin gave you (tidegate ca show)"
        ),
        format!("{typed} --ca-fingerprint SHA256:…   with your admin's (or --ca FILE)"),
    )
}

/// Asked on a terminal at first contact.
pub fn fingerprint_question(bastion: &str, got: &str) -> String {
    format!(
        "first contact with {bastion}\nits CA has the fingerprint {got}\n\
         is that what your admin told you (tidegate ca show)? [yes/no] "
    )
}

/// Something typed would need a prompt and there is no terminal.
pub fn flag_needed(what: &str, flag: &str) -> Trouble {
    Trouble::new(
        what,
        "there is no terminal to ask at",
        format!("add {flag}"),
    )
}

/// No key was accepted.
pub fn no_key_accepted(bastion: &str, tried: usize) -> Trouble {
    Trouble::new(
        format!("cannot log in at {bastion}"),
        match tried {
            1 => "the key that was tried is not accepted".to_owned(),
            several => format!("none of the {several} keys that were tried is accepted"),
        },
        "name the registered one with --identity FILE, or ask an admin:  tidegate user key add NAME --key FILE",
    )
}

/// One of several keys cannot be tried.
pub fn key_passed_over(trouble: &Trouble) -> String {
    format!("warning: {}: {}", trouble.what, trouble.why)
}

/// The bastion wants a key proven in another way than this program does, which is not done.
pub fn login_of_another_version(bastion: &str, older: bool) -> Trouble {
    let (found, next) = if older {
        (
            "the bastion is older than this tidegate: a login there could be used at other bastions too",
            "ask its admin to update it, or use the tidegate that came with it",
        )
    } else {
        (
            "the bastion asks for another kind of login than this tidegate knows",
            "update tidegate on this machine:  compare  tidegate --version  here and there",
        )
    };
    Trouble::new(format!("cannot log in at {bastion}"), found, next)
}

/// There is no key to try.
pub fn no_key_found() -> Trouble {
    Trouble::new(
        "cannot log in",
        "there is no key in the agent and none of the usual key files exists",
        "tidegate login --identity FILE   (make one:  ssh-keygen -t ed25519)",
    )
}

/// A file that was named as a key is none.
pub fn not_a_private_key(path: &str) -> Trouble {
    Trouble::new(
        format!("cannot log in with `{path}`"),
        "this is not a private SSH key",
        "name the private half, often ~/.ssh/id_ed25519:  tidegate login --identity FILE",
    )
}

/// A file cannot be read or written.
pub fn file(doing: &str, path: &str, found: &str) -> Trouble {
    Trouble::new(
        format!("cannot {doing} `{path}`"),
        found,
        "check that it exists and is yours",
    )
}

/// The server answered in a way that this program does not know.
pub fn odd_answer(found: &str) -> Trouble {
    Trouble::new(
        "the server's answer makes no sense",
        found,
        "compare  tidegate --version  here and on the server",
    )
}

/// What makes no sense in a server's answer.
pub mod odd {
    /// Its CA.
    pub const CA: &str = "the CA is not PEM";
    /// A recording.
    pub const RECORDING: &str = "it is of another session";
    /// How it looked at a server.
    pub const PROBE: &str = "it looked with another protocol";
    /// How much it is.
    pub const LENGTH: &str = "it is longer than any answer";
}

/// The server said no and gave its words.
pub fn refused(doing: &str, detail: &str, hint: Option<&str>) -> Trouble {
    Trouble::new(
        format!("cannot {doing}"),
        detail,
        hint.unwrap_or("tidegate doctor"),
    )
}

/// What was typed is no name, time or address.
pub fn not_understood(what: &str, found: &str, advice: &str) -> Trouble {
    Trouble::new(format!("`{what}` is not understood"), found, advice)
}

/// The confirmation was not given.
pub fn not_confirmed(doing: &str) -> Trouble {
    Trouble::new(
        format!("did not {doing}"),
        "it was not confirmed",
        "add --yes to go ahead",
    )
}

/// Nobody confirmed that this is the bastion.
pub fn bastion_not_confirmed() -> Trouble {
    Trouble::new(
        "did not log in",
        "it was not confirmed that this is your bastion",
        "ask your administrator for:  tidegate ca show   and compare the fingerprints",
    )
}

/// What was given as a fingerprint is none.
pub fn not_a_fingerprint(text: &str) -> Trouble {
    let of_hash = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/');
    let hash = text.strip_prefix("SHA256:");
    // 43 of them are 258 bits, of a hash of 256: most last ones are none's.
    let looks_right = hash.is_some_and(|hash| hash.len() == 43 && hash.chars().all(of_hash));
    let why = if looks_right {
        "no fingerprint ends so: its last letter is mistyped"
    } else {
        "a fingerprint is SHA256: and 43 letters, digits, + and /"
    };
    not_understood(text, why, "ask your administrator for:  tidegate ca show")
}

/// The bastion was named by an address that is not of HTTPS.
pub fn not_https(url: &str) -> Trouble {
    not_understood(
        url,
        "the bastion's address begins with https://",
        "tidegate login --bastion https://HOST:3443",
    )
}

/// Something answers at the bastion's address, and does not speak HTTPS.
pub fn not_the_api(bastion: &str) -> Trouble {
    Trouble::new(
        format!("cannot reach the bastion at {bastion}"),
        "what listens there is not tidegate's API",
        "name the port of [api] in tidegate.toml, 3443 if nobody chose another:  tidegate login --bastion https://HOST:3443",
    )
}

/// A passphrase does not open a key file.
pub fn wrong_passphrase(path: &str) -> Trouble {
    Trouble::new(
        format!("cannot open the key `{path}`"),
        "the passphrase is wrong",
        format!("type it again:  tidegate login --identity {path}   or:  ssh-add {path}"),
    )
}

/// The wait for an approval ran out.
pub fn still_pending(request: &str) -> Trouble {
    Trouble::new(
        format!("{request} is still pending"),
        "nobody has answered yet",
        format!("tidegate requests show {request} --wait"),
    )
}

/// After a login.
pub fn logged_in(principal: &str, bastion: &str, until: &str) -> String {
    format!("logged in at {bastion} as {principal} until {until}\n  tidegate ls")
}

/// After a logout.
pub fn logged_out() -> &'static str {
    "logged out: the keys and certificates of this machine are gone; which bastion it was, and its CA's fingerprint, stay\n  tidegate login"
}

/// After a request that waits for somebody.
pub fn filed(request: &str, login: &str, target: &str) -> String {
    format!(
        "{request} filed for {login} on {target}, and waits for an approval\n  \
         tidegate requests show {request} --wait\n  tidegate approve {request}      # to be typed by an approver"
    )
}

/// Before waiting for an answer.
pub fn waiting(request: &str, at_most: &str) -> String {
    format!(
        "{request}: waiting, for at most {at_most}, for an approver to type:  tidegate approve {request}"
    )
}

/// While waiting, in one line that is written again and again.
pub fn still_waiting(passed: &str, at_most: &str) -> String {
    format!("waiting, {passed} of {at_most}; Ctrl-C stops waiting, the request stays")
}

/// The bastion does not answer while somebody waits for the answer to a request.
pub fn unanswered(below: bool) -> String {
    let below = if below { "\n" } else { "" };
    format!(
        "{below}warning: the bastion does not answer at present; the request stands, and this goes on waiting"
    )
}

/// Somebody may have meant another target.
pub fn meant(target: &str) -> String {
    format!("did you mean {target}?  tidegate ls  shows what you may ask for")
}

/// Who approved; with nobody, a policy did.
pub fn approved_by(names: &[String]) -> String {
    match names {
        [] => "granted by policy".to_owned(),
        some => format!("approved by {}", some.join(", ")),
    }
}

/// Where a request ended that did not become a grant.
pub fn came_to(request: &str, state: &str) -> String {
    format!("{request} is {state}")
}

/// After a request became a grant.
pub fn granted(who: &str, login: &str, target: &str, until: &str, command: &str) -> String {
    format!("{who}: {login} on {target} until {until}\n  {command}")
}

/// After an approval that did not make a grant: others have to approve as well, or something keeps it out.
pub fn approved_in_part(request: &str) -> String {
    format!(
        "approved {request}; it needs a further approval, or what keeps it out just now has to go and you to approve once more\n  \
         tidegate requests show {request}"
    )
}

/// After an approval that made a grant.
pub fn approved(request: &str, grant: &str, until: &str) -> String {
    format!(
        "approved {request}: {grant} holds until {until}\n  tidegate revoke {grant} --reason '…'"
    )
}

/// After a denial.
pub fn denied(request: &str) -> String {
    format!("denied {request}\n  tidegate requests ls")
}

/// After a request was taken back.
pub fn withdrawn(request: &str) -> String {
    format!("withdrew {request}\n  tidegate requests ls")
}

/// After grants were revoked, with the number of sessions that were cut.
pub fn revoked(grants: &[String], cut: usize) -> String {
    let names = grants.join(", ");
    match (grants, cut) {
        ([], _) => "nothing to revoke: no such grant is in force\n  tidegate grants ls".to_owned(),
        (_, 0) => format!("revoked {names}\n  tidegate grants ls --all"),
        (_, 1) => format!("revoked {names}; 1 session is cut\n  tidegate sessions ls --all"),
        (_, some) => {
            format!("revoked {names}; {some} sessions are cut\n  tidegate sessions ls --all")
        }
    }
}

/// Asked before the grants of a person or a target are ended.
pub fn revoke_question(count: usize) -> String {
    match count {
        1 => "revoke 1 grant and cut its sessions? [yes/no] ".to_owned(),
        some => format!("revoke {some} grants and cut their sessions? [yes/no] "),
    }
}

/// Asked before a target is removed.
pub fn target_question(target: &str) -> String {
    format!("remove {target}, end its grants and requests, and cut its sessions? [yes/no] ")
}

/// Asked before somebody is removed.
pub fn user_question(name: &str) -> String {
    format!("remove {name}, end their grants and requests, and cut their sessions? [yes/no] ")
}

/// After sessions were killed.
pub fn killed(session: &str) -> String {
    format!("killed {session}\n  tidegate sessions show {session}")
}

/// After a target was removed.
pub fn target_removed(target: &str) -> String {
    format!("removed {target}; its sessions are cut\n  tidegate target ls")
}

/// After a principal was added.
pub fn user_added(name: &str, bastion: &str, fingerprint: &str) -> String {
    format!(
        "added {name}. They can now:\n  \
         tidegate login --bastion {bastion} --ca-fingerprint {fingerprint}"
    )
}

/// After a principal was removed.
pub fn user_removed(name: &str) -> String {
    format!("removed {name}; their sessions are cut\n  tidegate user ls")
}

/// After a key was registered.
pub fn key_added(name: &str) -> String {
    format!("added a key to {name}\n  tidegate user ls")
}

/// After a key was removed, with the number of sessions that were cut.
pub fn key_removed(name: &str, cut: usize) -> String {
    format!("removed a key of {name}; {cut} sessions are cut\n  tidegate user keys {name}")
}

/// A host key as its server showed it.
pub fn host_key_seen(kind: &str, fingerprint: &str) -> String {
    format!("pinned host key  {kind}  {fingerprint}")
}

/// A certificate as its server showed it.
pub fn certificate_seen(subject: &str, names: &[String], sha256: &str) -> String {
    let names = match names {
        [] => String::new(),
        some => format!("  ({})", some.join(", ")),
    };
    format!("pinned certificate  {subject}{names}  SHA-256 {sha256}")
}

/// A file that should hold a public key does not.
pub fn not_a_public_key(path: &str) -> Trouble {
    Trouble::new(
        format!("`{path}` is not a public key"),
        "it should be one line such as: ssh-ed25519 AAAA…",
        format!("name the public half, often {path}.pub"),
    )
}

/// The bastion does not speak a protocol.
pub fn not_spoken(protocol: &str, bastion: &str) -> Trouble {
    Trouble::new(
        format!("cannot write anything for {protocol}"),
        format!("{bastion} does not speak it"),
        "tidegate status -o wide",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Diagnosis;

    fn asked(login: &str) -> Asked<'_> {
        Asked {
            target: "web1",
            login,
            duration: "2h30m",
        }
    }

    #[test]
    fn the_words_of_troubles() {
        let all = [
            no_bastion(),
            not_logged_in("cannot list targets", "https://b:3443"),
            login_expired("cannot list targets", "https://b:3443", "14:30:00 UTC"),
            unreachable(
                "https://b:3443",
                "connection refused: nothing listens there",
            ),
            another_bastion("https://b:3443"),
            bastion_expired(
                "https://b:3443",
                "2026-03-02 14:30:05 UTC",
                "2026-11-29 21:00:00 UTC",
            ),
            bastion_not_yet(
                "https://b:3443",
                "2026-11-29 20:59:00 UTC",
                "2026-11-29 20:57:00 UTC",
            ),
            bastion_misnamed("https://b:3443", &["bastion.example", "192.0.2.1"], 3443),
            bastion_misnamed("https://b:3443", &[], 3443),
            wrong_fingerprint("https://b:3443", "SHA256:a", "SHA256:b"),
            fingerprint_needed(
                "https://b:3443",
                "SHA256:b",
                "tidegate login -i alice --bastion https://b:3443",
            ),
            no_key_accepted("https://b:3443", 2),
            login_of_another_version("https://b:3443", true),
            login_of_another_version("https://b:3443", false),
            no_key_found(),
            not_a_private_key("notes.txt"),
            file("read", "alice.pub", "No such file or directory"),
            not_confirmed("remove web1"),
            flag_needed("cannot remove web1", "--yes"),
            prompts::unasked(
                "cannot remove web1",
                "remove web1, and cut 2 sessions? [yes/no] ",
                "--yes",
            ),
            usage::both_ways("bob", "approvers"),
            still_pending("req_01"),
            not_granted("req_01", "denied by bob: not today", &asked("deploy")),
            nothing_to_revoke(),
            policies_bad(vec![Diagnosis::whole("a.cedar", "it is empty")], "pol"),
            usage::missing("request", &["`--reason <TEXT>`".to_owned()]),
            usage::no_such_verb("requst", Some("request")),
            usage::no_such_verb("xyzzy", None),
            usage::not_taken("deny", "--because"),
            bastion_not_confirmed(),
            not_a_fingerprint("SHA256:…"),
            not_https("http://b:3443"),
            not_the_api("https://b:22"),
            wrong_passphrase("id_ed25519"),
            no_such_login(&asked("depoy"), &["deploy"]),
            no_such_login(&asked("depoy"), &["deploy", "root"]),
            no_such_login(&asked("deploy"), &["deploy", "root"]),
        ];
        let text: Vec<String> = all.iter().map(ToString::to_string).collect();
        insta::assert_snapshot!("troubles", text.join("\n\n"));
    }

    #[test]
    fn the_words_after_success() {
        let places = PostgresPlaces {
            target: "orders",
            dbname: "orders",
            roles: &["app_ro".to_owned()],
            from: "192.0.2.1/32",
            target_ca: "-----BEGIN CERTIFICATE-----",
            admin: None,
            accounts: &[],
        };
        let administered = PostgresPlaces {
            admin: Some("tidegate_admin"),
            ..places
        };
        let all = [
            logged_in("alice", "https://b:3443", "14:30:00 UTC (in 8h)"),
            filed("req_01", "deploy", "web1"),
            waiting("req_01", "10m"),
            still_waiting("25s", "10m"),
            granted(
                "approved by bob",
                "deploy",
                "web1",
                "14:30:00 UTC (in 15m)",
                "ssh deploy+web1@b",
            ),
            approved("req_01", "grt_01", "14:30:00 UTC (in 15m)"),
            approved_in_part("req_01"),
            denied("req_01"),
            withdrawn("req_01"),
            revoked(&["grt_01".to_owned()], 1),
            revoke_question(2),
            target_question("web1"),
            user_question("alice"),
            policies_question(3, 2, "4f1c"),
            policies_applied(("4f1c", "Europe/Berlin"), 0),
            policies_applied(("4f1c", "UTC"), 2),
            rules_gone(&["night"]),
            rules_gone(&["r"; 22]),
            zone_changes("Europe/Berlin", "UTC"),
            policy_unread("pol/old/night.cedar"),
            policies_good(3, "pol"),
            policies_would(2, "pol --zone Europe/Berlin"),
            policies_written(3, "pol --zone Europe/Berlin"),
            ssh_target_added("web1", &["deploy".to_owned()], "ssh-ed25519 AAAA", None),
            postgres_target_added(&places),
            postgres_target_added(&administered),
            ready_at_once("it lets tidegate in as `app_ro`"),
            not_ready("orders", "no such role", Some("create it")),
            not_ready("orders", "no such role", None),
            untried("orders"),
            target_locked("web1", 0),
            target_locked("web1", 2),
            target_unlocked("web1", None),
            target_unlocked("db1", Some("edge1")),
            user_added("alice", "https://b:3443", "SHA256:b"),
            certificate_seen("CN=localhost", &[], "ab"),
        ];
        insta::assert_snapshot!("successes", all.join("\n\n"));
    }

    #[test]
    fn a_fingerprint_that_ends_as_none_does_is_said_to_be_mistyped() {
        let why = |text: &str| not_a_fingerprint(text).why;
        let right = "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuF";
        assert!(why(&format!("{right}U")).contains("last letter is mistyped"));
        assert!(why(right).contains("43 letters"));
    }

    #[test]
    fn the_words_of_findings() {
        use doctor::{clock, target_broken, target_good, target_shut, target_untried, unwell};
        let shut = |said: &str| target_shut("orders", crate::Protocol::Postgres, &["app_ro"], said);
        let all = [
            target_good("web1"),
            target_shut(
                "web1",
                crate::Protocol::Ssh,
                &["deploy", "root"],
                "it does not accept tidegate's certificate",
            ),
            shut("it asks for a SCRAM password, not for the certificate"),
            shut("28000: certificate authentication failed for user \"app_ro\""),
            shut("28000: Ident authentication failed for user \"app_ro\""),
            shut("28000: authentication failed for user \"app_ro\": host rejected"),
            shut("28000: no pg_hba.conf entry for host \"192.0.2.1\""),
            shut("3D000: database \"orders\" does not exist"),
            shut("TLS alert UnknownCA"),
            target_broken("web1"),
            target_untried("web1"),
            doctor::target_unlooked("web1"),
            doctor::trouble("server", Some(&refused("ask", "it took too long", None))),
            clock(90, false),
            doctor::recorder_short(3 << 20, 64 << 20),
            doctor::recorder_spent(80 << 20),
            doctor::recorder_hangs(),
            doctor::recorder_bad("No such file or directory"),
            doctor::server_clock_off(jiff::SignedDuration::from_secs(120)),
            doctor::server_clock_off(jiff::SignedDuration::from_hours(-49)),
            doctor::stopping(),
            doctor::role_unmade(
                "orders",
                "tg_01",
                "the server says: 42501: permission denied to create role",
            ),
            doctor::role_stuck("orders", "tg_01", "the server does not answer in time", 3),
            doctor::fences_differ("orders", "grt_01", "tg_01", &["insert", "delete"]),
        ];
        let line = |found: &doctor::Finding| {
            let hint = found.hint.as_deref().unwrap_or_default();
            format!("{}: {}: {}\n  {hint}", found.subject, found.ok, found.found)
        };
        let text: Vec<String> = all
            .iter()
            .map(line)
            .chain([unwell(2).to_string()])
            .collect();
        insta::assert_snapshot!("findings", text.join("\n"));
    }
}
