//! Rules about files: whom they bind, what they permit, and what they close.

#![expect(
    clippy::expect_used,
    reason = "a world that cannot be built fails the test"
)]

mod world;

use std::sync::Arc;

use jiff::tz::TimeZone;
use policies::{
    Capability, Carrier, Deed, Denial, Document, Extent, FileAccess, FileDeed, FileUse, PolicySet,
    Protocol, Scrutiny, Terms, Usage, decide, may,
};
use world::*;

const BASE: &str = r#"
    @id("connect") permit (principal, action == Jit::Action::"connect", resource);
    @id("ssh") permit (principal, action in [Jit::Action::"shell", Jit::Action::"exec",
        Jit::Action::"sftpRead", Jit::Action::"sftpWrite"], resource is Jit::SshHost);
"#;

const LOGS: &str = r#"
    @id("connect") permit (principal, action == Jit::Action::"connect", resource);
    @id("logs") permit (principal, action == Jit::Action::"readFile", resource is Jit::SshHost)
        when { context.path like "/var/log/*" };
    @id("in") permit (principal, action == Jit::Action::"writeFile", resource is Jit::SshHost)
        when { context.path == "/srv/in" || context.path like "/srv/in/*" };
    @id("sealed") @reason("Sealed.") forbid (principal, action in Jit::Action::"files", resource)
        when { context.path like "/srv/in/sealed/*" || context.path == "/srv/in/sealed" };
"#;

fn policies(text: &str) -> PolicySet {
    let documents = [Document::new("files.cedar", text)];
    PolicySet::load(&documents, None, TimeZone::UTC).expect("good policies")
}

fn terms(policies: &PolicySet) -> Terms {
    let ask = ask("alice", "web1", "deploy", Protocol::Ssh);
    let permit = decide(policies, &granted(), &ask, noon());
    permit.expect("a permit").spend()
}

fn file_use(policies: &PolicySet) -> FileUse {
    let terms = terms(policies);
    FileUse::of(policies, || {
        Usage::of(policies, &granted(), &terms, noon()).map(Arc::new)
    })
}

fn looked_at(policies: &PolicySet) -> Scrutiny {
    file_use(policies).scrutiny()
}

fn does(policies: &PolicySet, deed: &Deed) -> Result<(), Denial> {
    may(policies, &granted(), &terms(policies), deed, noon())
}

fn exec(command: &str) -> Deed {
    let command = command.to_owned();
    Deed::Exec { command }
}

fn sftp() -> Deed {
    let name = "sftp".to_owned();
    Deed::Subsystem { name }
}

fn file(access: FileAccess, path: &str, extent: Extent, carrier: Carrier) -> Deed {
    Deed::File(FileDeed {
        access,
        path: path.to_owned(),
        extent,
        carrier,
    })
}

#[track_caller]
fn check(policies: &PolicySet, access: FileAccess, path: &str, extent: Extent, want: bool) {
    for carrier in [Carrier::Sftp, Carrier::Command("scp -t x".to_owned())] {
        let deed = file(access, path, extent, carrier);
        let alone = does(policies, &deed);
        assert_eq!(alone.is_ok(), want, "{deed:?}");
        // Many may be asked about at once, and hear the same.
        let files = file_use(policies);
        if let (Scrutiny::Each, Deed::File(file)) = (files.scrutiny(), &deed) {
            assert_eq!(files.may(&terms(policies), file), alone, "{deed:?}");
        }
    }
}

#[test]
fn where_no_policy_is_about_files_all_is_as_without_such_rules() {
    let policies = policies(BASE);
    assert_eq!(looked_at(&policies), Scrutiny::Unread);
    for deed in [Deed::Shell, exec("id"), sftp(), exec("scp -t /etc")] {
        assert_eq!(does(&policies, &deed), Ok(()), "{deed:?}");
    }
    check(
        &policies,
        FileAccess::Write,
        "/etc/passwd",
        Extent::One,
        true,
    );
}

#[test]
fn a_file_that_is_asked_about_where_files_are_free_is_what_carries_it() {
    let policies = policies(&BASE.replace("Jit::Action::\"exec\",", ""));
    let command = Carrier::Command("scp -t /tmp".to_owned());
    let deed = file(FileAccess::Write, "/tmp", Extent::One, command);
    assert!(does(&policies, &deed).is_err());
    let deed = file(FileAccess::Write, "/tmp", Extent::One, Carrier::Sftp);
    assert!(does(&policies, &deed).is_ok());
}

#[test]
fn the_shipped_policies_leave_files_free() {
    let policies = shipped_and("");
    assert_eq!(looked_at(&policies), Scrutiny::Unread);
    assert_eq!(does(&policies, &Deed::Shell), Ok(()));
}

#[test]
fn a_permit_is_bound_to_paths_and_to_a_direction() {
    let policies = policies(LOGS);
    assert_eq!(looked_at(&policies), Scrutiny::Each);
    let (read, write) = (FileAccess::Read, FileAccess::Write);
    check(&policies, read, "/var/log/syslog", Extent::One, true);
    check(&policies, write, "/var/log/syslog", Extent::One, false);
    check(&policies, read, "/var/logs", Extent::One, false);
    check(&policies, read, "/etc/passwd", Extent::One, false);
    check(&policies, write, "/srv/in/a", Extent::One, true);
    check(&policies, read, "/srv/in/a", Extent::One, false);
    check(&policies, write, "/srv/in/sealed/a", Extent::One, false);
    check(&policies, read, "~/a", Extent::One, false);
}

#[test]
fn a_whole_directory_is_permitted_only_where_everything_below_it_is() {
    let policies = policies(LOGS);
    let (read, write) = (FileAccess::Read, FileAccess::Write);
    check(&policies, read, "/var/log/", Extent::Tree, true);
    check(&policies, read, "/var/log", Extent::Tree, false);
    check(&policies, read, "/var/log/apt", Extent::Tree, true);
    check(&policies, read, "/", Extent::Tree, false);
    check(&policies, write, "/srv/in", Extent::Tree, false);
    check(&policies, write, "/srv/in/open", Extent::Tree, true);
    check(&policies, write, "/srv/in/sealed", Extent::Tree, false);
    check(&policies, write, "/srv/in/sealed2", Extent::Tree, true);
}

#[test]
fn a_pattern_with_a_star_elsewhere_permits_files_and_no_directory() {
    let policies = policies(
        r#"@id("connect") permit (principal, action == Jit::Action::"connect", resource);
        @id("csv") permit (principal, action == Jit::Action::"readFile", resource is Jit::SshHost)
        when { context.path like "/srv/*.csv" };"#,
    );
    check(&policies, FileAccess::Read, "/srv/a.csv", Extent::One, true);
    check(
        &policies,
        FileAccess::Read,
        "/srv/a.csv",
        Extent::Tree,
        false,
    );
    check(
        &policies,
        FileAccess::Read,
        "/srv/a.txt",
        Extent::One,
        false,
    );
}

#[test]
fn whom_some_files_are_closed_to_has_no_shell_and_no_other_commands() {
    let bound = shipped_and(
        r#"@id("no-writes") @reason("Look, do not touch.")
        forbid (principal in Jit::Group::"sre", action == Jit::Action::"writeFile", resource);"#,
    );
    assert_eq!(looked_at(&bound), Scrutiny::Each);
    for deed in [Deed::Shell, exec("cat /etc/passwd"), exec("scp -t /tmp")] {
        assert!(does(&bound, &deed).is_err(), "{deed:?}");
    }
    assert_eq!(does(&bound, &sftp()), Ok(()));
    check(&bound, FileAccess::Read, "/etc/passwd", Extent::Tree, true);
    check(&bound, FileAccess::Write, "/tmp/a", Extent::One, false);
    let capabilities = terms(&bound).capabilities;
    assert_eq!(capabilities, [Capability::SftpRead].into());
    let eased = shipped_and(
        r#"@id("no-writes") forbid (principal in Jit::Group::"sre",
            action == Jit::Action::"writeFile", resource);
        @id("shells-all-the-same") permit (principal in Jit::Group::"sre",
            action == Jit::Action::"anyFile", resource);"#,
    );
    assert_eq!(does(&eased, &Deed::Shell), Ok(()));
    assert_eq!(does(&eased, &exec("cat /etc/passwd")), Ok(()));
}

#[test]
fn whoever_may_not_is_told_by_which_rule() {
    let only_look = r#"@id("look-only") @reason("People only look.")
        forbid (principal, action == Jit::Action::"writeFile", resource);
        @id("look") permit (principal, action == Jit::Action::"readFile", resource);"#;
    let policies = policies(&[BASE, only_look].concat());
    let write = file(FileAccess::Write, "/srv/in/a", Extent::One, Carrier::Sftp);
    let Err(Denial::Forbidden { policy, reason }) = does(&policies, &write) else {
        panic!("it is forbidden")
    };
    assert_eq!((&*policy, &*reason), ("look-only", "People only look."));
    let Err(Denial::Forbidden { policy, reason }) = does(&policies, &Deed::Shell) else {
        panic!("it is forbidden")
    };
    assert!(
        policy.is_empty() && reason.contains("sftp, scp and rsync"),
        "{reason}"
    );
    // By no rule of anybody's.
    let policies = self::policies(
        r#"@id("connect") permit (principal, action == Jit::Action::"connect", resource);"#,
    );
    let Err(Denial::Forbidden { policy, reason }) = does(&policies, &Deed::Shell) else {
        panic!("it is forbidden")
    };
    assert!(
        policy.is_empty() && reason.contains("does not include"),
        "{reason}"
    );
}

/// Where the account's home is, only the target knows.
#[test]
fn a_forbid_holds_for_the_other_names_that_a_file_may_have_by_its_home() {
    let closed = shipped_and(
        r#"@id("no-root") @reason("Not there.") forbid (principal, action in Jit::Action::"files", resource)
            when { context.path like "/srv/dee/*" };
        @id("no-one") forbid (principal, action in Jit::Action::"files", resource)
            when { context.path == "/etc/shadow" };
        @id("no-keys") forbid (principal, action in Jit::Action::"files", resource)
            when { context.path like "~/.ssh/*" };"#,
    );
    let read = FileAccess::Read;
    check(&closed, read, "/srv/dee/.bashrc", Extent::One, false);
    check(&closed, read, "~/.bashrc", Extent::One, false);
    check(&closed, read, "/etc/hosts", Extent::One, true);
    check(&closed, read, "/home/dee/.ssh/id", Extent::One, false);
    check(&closed, read, "/home/dee/.sshrc", Extent::One, true);
    check(&closed, read, "/home/dee", Extent::Tree, false);
    let deed = file(read, "~/.bashrc", Extent::One, Carrier::Sftp);
    let Err(Denial::Forbidden { policy, reason }) = does(&closed, &deed) else {
        panic!("it may be /srv/dee/.bashrc");
    };
    assert_eq!(policy, "no-root");
    assert!(reason.contains("give the whole name"), "{reason}");
    let one = shipped_and(
        r#"@id("no-one") forbid (principal, action in Jit::Action::"files", resource)
            when { context.path == "/etc/shadow" };"#,
    );
    check(&one, read, "~/notes", Extent::One, true);
    check(&one, read, "~/shadow", Extent::One, false);
    // A permit by one name is none for another.
    let permitted = policies(LOGS);
    check(&permitted, read, "~/syslog", Extent::One, false);
}

/// Others have their turn by how many questions there were.
#[test]
fn what_one_name_asks_is_counted_as_often_as_it_is_asked() {
    let closed = shipped_and(
        r#"@id("closed") forbid (principal, action in Jit::Action::"files", resource)
            when { context.path like "/srv/dee/*" || context.path == "/etc/shadow" };
        @id("no-keys") forbid (principal, action in Jit::Action::"files", resource)
            when { context.path like "~/.ssh/*" };"#,
    );
    let asks = |policies: &PolicySet, path, extent| {
        let Deed::File(file) = file(FileAccess::Read, path, extent, Carrier::Sftp) else {
            panic!("a file");
        };
        file_use(policies).questions(&file)
    };
    for (path, extent, want) in [
        ("/etc/hosts", Extent::One, 1),
        // It may be in either place.
        ("~/notes", Extent::One, 3),
        ("/home/dee/.ssh/id", Extent::One, 2),
        // Itself, what nobody wrote out, two of what is written, and two that may be the home's.
        ("/srv", Extent::Tree, 6),
    ] {
        assert_eq!(asks(&closed, path, extent), want, "{path}");
    }
    assert_eq!(asks(&policies(BASE), "~/notes", Extent::One), 0);
}

/// What is in a directory may be open where the directory itself is not, but not where a rule is about that very name.
#[test]
fn a_forbid_of_one_name_is_about_that_name() {
    let closed = shipped_and(
        r#"@id("no-secret") forbid (principal, action == Jit::Action::"readFile", resource)
            when { context.path == "/srv/secret" || context.path == "~/.netrc" };
        @id("only-out") forbid (principal, action == Jit::Action::"readFile", resource)
            unless { context.path like "/srv/*" || context.path like "~/*" };"#,
    );
    let files = file_use(&closed);
    let is_about = |path: &str| {
        let asked = file(FileAccess::Read, path, Extent::One, Carrier::Sftp);
        let denial = does(&closed, &asked).expect_err("it is closed");
        files.is_about(path, &denial)
    };
    assert!(is_about("/srv/secret"));
    assert!(is_about("~/.netrc"));
    assert!(!is_about("/srv"), "what is in it is open");
    assert!(!is_about("/etc"), "nobody wrote it out");
    let permitted = policies(LOGS);
    let asked = file(FileAccess::Read, "/srv/in", Extent::One, Carrier::Sftp);
    let denial = does(&permitted, &asked).expect_err("nothing permits it");
    let files = file_use(&permitted);
    assert!(
        !files.is_about("/srv/in", &denial),
        "it is permitted to write"
    );
}

#[test]
fn a_socket_in_the_file_system_is_a_file_where_files_are_bound() {
    let forwards = r#"@id("forwards") permit (principal,
        action in [Jit::Action::"forwardPort", Jit::Action::"reversePort"], resource is Jit::SshHost);"#;
    let to = |host: &str, port: u16| {
        let host = host.to_owned();
        [
            Deed::ForwardPort {
                host: host.clone(),
                port,
            },
            Deed::ReversePort { host, port },
        ]
    };
    let bound = policies(&format!("{LOGS} {forwards}"));
    for deed in to("/run/docker.sock", 0) {
        let refused = does(&bound, &deed).expect_err("it could read and write anything");
        let why =
            matches!(&refused, Denial::Forbidden { reason, .. } if reason.contains("sockets"));
        assert!(why, "{refused:?}");
    }
    for deed in to("localhost", 80) {
        assert_eq!(does(&bound, &deed), Ok(()));
    }
    let eased = policies(&format!(
        r#"{LOGS} {forwards} @id("any") permit (principal, action == Jit::Action::"anyFile", resource);"#
    ));
    let free = policies(&format!("{BASE} {forwards}"));
    for deed in to("/run/docker.sock", 0) {
        assert_eq!(does(&eased, &deed), Ok(()));
        assert_eq!(does(&free, &deed), Ok(()));
    }
}

#[test]
fn whom_a_rule_about_paths_is_not_about_stays_free() {
    let policies = shipped_and(
        r#"@id("others") forbid (principal in Jit::Group::"contractors",
            action in Jit::Action::"files", resource) when { !(context.path like "/srv/*") };"#,
    );
    assert_eq!(looked_at(&policies), Scrutiny::Unread);
    assert_eq!(does(&policies, &Deed::Shell), Ok(()));
}

#[test]
fn what_carries_files_needs_no_permit_where_files_are_bound_but_a_forbid_holds() {
    let bound = policies(LOGS);
    assert_eq!(does(&bound, &sftp()), Ok(()));
    let no_scp = policies(&format!(
        r#"{LOGS} @id("no-scp") forbid (principal, action == Jit::Action::"exec", resource)
        when {{ context.command like "scp *" }};
        @id("no-sftp-reads") forbid (principal, action == Jit::Action::"sftpRead", resource);"#
    ));
    let command = Carrier::Command("scp -f /var/log/a".to_owned());
    let read = |carrier| file(FileAccess::Read, "/var/log/a", Extent::One, carrier);
    assert!(does(&no_scp, &read(command)).is_err());
    assert!(does(&no_scp, &read(Carrier::Sftp)).is_err());
    let rsync = Carrier::Command("rsync --server --sender . /var/log/a".to_owned());
    assert_eq!(does(&no_scp, &read(rsync)), Ok(()));
    assert_eq!(does(&no_scp, &sftp()), Ok(()), "writing is open");
}

#[test]
fn a_session_keeps_to_what_it_was_let_in_for() {
    let connect_only = policies(
        r#"@id("connect") permit (principal, action == Jit::Action::"connect", resource);"#,
    );
    let old = terms(&connect_only);
    let now = policies(LOGS);
    let deed = file(FileAccess::Read, "/var/log/a", Extent::One, Carrier::Sftp);
    assert!(may(&now, &granted(), &old, &deed, noon()).is_err());
    let old = terms(&policies(BASE));
    assert_eq!(may(&now, &granted(), &old, &deed, noon()), Ok(()));
}
