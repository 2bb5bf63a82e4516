//! A PostgreSQL server that is known by a CA and by its name, as libpq's `sslmode=verify-full`: who else answers is
//! told apart before anything is sent there.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tests::{World, until};

use crate::pg_vault::fingerprint;
use crate::{err, out};

/// The name that certificates are made for, at whatever address.
const NAME: &str = "orders.internal";

/// What `openssl ca` wants to know.
const CONFIG: &str = "
[ca]
default_ca = ours
[ours]
new_certs_dir = .
database = index.txt
rand_serial = yes
unique_subject = no
default_md = sha256
policy = any
copy_extensions = copy
[any]
commonName = supplied
";

/// Long before and long after any test.
const LONG: [&str; 2] = ["20200101000000Z", "20991231000000Z"];

/// Over for years.
const OVER: [&str; 2] = ["20200101000000Z", "20210101000000Z"];

/// Authorities, and what they made for servers.
struct Desk {
    dir: PathBuf,
}

impl Desk {
    fn set_up(world: &World) -> Self {
        let dir = world.dir().join("authorities");
        fs::create_dir(&dir).expect("a directory");
        fs::write(dir.join("config"), CONFIG).expect("it is written");
        fs::write(dir.join("index.txt"), "").expect("it is written");
        let desk = Self { dir };
        for name in ["ours", "another"] {
            desk.openssl(&format!(
                "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 \
                 -subj /CN={name} -keyout {name}.key -out {name}.pem"
            ));
        }
        desk
    }

    fn openssl(&self, line: &str) {
        let mut openssl = Command::new("openssl");
        openssl.args(line.split_whitespace()).current_dir(&self.dir);
        let ran = openssl.output().expect("openssl runs");
        assert!(ran.status.success(), "{line}: {}", err(&ran));
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Has an authority sign for a key `NAME.key`, with these extensions; the certificate is `NAME.pem`.
    fn sign(&self, by: &str, name: &str, how: &str, [from, to]: [&str; 2]) {
        self.openssl(&format!(
            "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN={name} {how} \
             -keyout {name}.key -out {name}.csr"
        ));
        self.openssl(&format!(
            "ca -batch -notext -config config -cert {by}.pem -keyfile {by}.key -startdate {from} -enddate {to} \
             -in {name}.csr -out {name}.pem"
        ));
    }

    /// A server's certificate that is made out to these.
    fn server(&self, by: &str, name: &str, names: &str, window: [&str; 2]) {
        self.sign(by, name, &format!("-addext subjectAltName={names}"), window);
    }
}

/// Has the server show this certificate, with what stands behind it, and waits until it does.
fn shows(world: &World, desk: &Desk, name: &str, behind: Option<&str>) {
    let read = |path: PathBuf| fs::read_to_string(path).expect("it is there");
    let mut chain = read(desk.path(&format!("{name}.pem")));
    if let Some(behind) = behind {
        chain.push_str(&read(desk.path(&format!("{behind}.pem"))));
    }
    let dir = world.postgres().dir();
    // Written in place: the files stay the server's own.
    fs::write(dir.join("server.crt"), chain).expect("it is written");
    fs::write(
        dir.join("server.key"),
        read(desk.path(&format!("{name}.key"))),
    )
    .expect("it is written");
    world.sql("select pg_reload_conf()");
    let wanted = fingerprint(&desk.path(&format!("{name}.pem")));
    until("the server shows it", || {
        (shown(world) == wanted).then_some(())
    });
}

/// The SHA-256 of what the server shows to whoever asks.
fn shown(world: &World) -> String {
    let line = format!(
        "openssl s_client -starttls postgres -connect {} </dev/null 2>/dev/null \
         | openssl x509 -noout -fingerprint -sha256",
        world.postgres().addr()
    );
    let told = Command::new("bash").args(["-c", &line]).output();
    let told = out(&told.expect("bash runs"));
    let digits = told.rsplit('=').next().unwrap_or_default();
    digits.trim().replace(':', "").to_lowercase()
}

/// Bob adds a target that is known by this CA, and alice is let in.
fn add(world: &World, target: &str, authority: &Path, how: &[&str]) {
    let (addr, authority) = (
        world.postgres().addr().to_string(),
        authority.display().to_string(),
    );
    let line = [
        "tidegate",
        "target",
        "add",
        "pg",
        target,
        "--addr",
        &addr,
        "--dbname",
        "orders",
        "--role",
        "app",
        "--label",
        "env=dev",
        "--server-ca",
        &authority,
    ];
    let added = world.bob().output(&[&line, how].concat()).expect("it runs");
    assert!(added.status.success(), "{}", err(&added));
    world.grant(target, "app", "10m");
}

fn psql(world: &World, target: &str, sql: &str) -> Output {
    let place = format!("service=orders dbname={target}");
    world
        .alice()
        .output(&["psql", "-X", "-At", &place, "-c", sql])
        .expect("psql runs")
}

fn tested(world: &World, target: &str) -> Output {
    let line = ["tidegate", "target", "test", target];
    world.bob().output(&line).expect("it runs")
}

/// Who came as far as saying anything inside TLS, and who broke TLS off, as the server's log has it.
fn came(world: &World) -> (usize, usize) {
    let log =
        fs::read_to_string(world.postgres().dir().join("postgres.log")).expect("it has a log");
    let inside = [
        "connection authenticated",
        "connection authorized",
        "no pg_hba.conf entry",
        "certificate authentication failed",
    ];
    let tcp = |line: &&str| !line.contains("user=postgres");
    let inside = log
        .lines()
        .filter(tcp)
        .filter(|line| inside.iter().any(|sign| line.contains(sign)));
    (
        inside.count(),
        log.matches("could not accept SSL connection").count(),
    )
}

/// Alice gets in, and so does whoever tests it.
fn gets_in(world: &World, target: &str) {
    let ran = psql(
        world,
        target,
        "select session_user, ssl from pg_stat_ssl where pid = pg_backend_pid()",
    );
    assert_eq!(out(&ran), "app|t\n", "{target}: {}", err(&ran));
    let ran = tested(world, target);
    assert!(ran.status.success(), "{target}: {}", err(&ran));
}

/// How often somebody was to look at a target that is another one.
fn alarms(world: &World) -> usize {
    let log = world.server_log();
    log.matches("target.impostor").count()
}

/// Nobody gets in, both are told that it is not the target, and the server has heard nothing.
fn kept_away(world: &World, target: &str, (wrong, why): (&str, &str)) {
    let told = format!("does not prove to be the one that was added: its certificate{why}");
    let alarmed = alarms(world);
    let said = ["TG402", "nothing was sent to it"];
    turned_away(world, target, (wrong, &said, &told));
    assert_eq!(alarms(world).saturating_sub(alarmed), 1, "{wrong}");
}

/// Nobody gets in, both are told why there is no TLS with it, nobody is alarmed, and the server has heard nothing.
fn not_spoken_with(world: &World, target: &str, (wrong, why): (&str, &str)) {
    let alarmed = alarms(world);
    turned_away(
        world,
        target,
        (wrong, &["TG404", why], &format!("it {why}")),
    );
    assert_eq!(alarms(world), alarmed, "{wrong}");
    assert!(world.server_log().contains("target.handshake_failed"));
}

/// Nobody gets in, alice and bob are told this, and the server has heard nothing.
fn turned_away(world: &World, target: &str, (wrong, said, told): (&str, &[&str], &str)) {
    let before = came(world);
    let ran = psql(world, target, "select 1");
    let heard = err(&ran);
    assert!(!ran.status.success(), "{wrong}: {}", out(&ran));
    assert!(
        said.iter().all(|said| heard.contains(said)),
        "{wrong}: {heard}"
    );
    let ran = tested(world, target);
    let heard = err(&ran);
    assert!(
        !ran.status.success() && heard.contains(told),
        "{wrong}: {heard}"
    );
    until("the server has written it down", || {
        let now = came(world);
        assert_eq!(now.0, before.0, "{wrong}: it was told something");
        (now.1.saturating_sub(before.1) >= 2).then_some(())
    });
}

#[test]
fn a_server_is_known_by_its_ca_and_its_name() {
    let world = World::new();
    let desk = Desk::set_up(&world);
    desk.server("ours", "named", &format!("DNS:{NAME}"), LONG);
    desk.server("ours", "by_address", "IP:127.0.0.1", LONG);
    desk.sign(
        "ours",
        "amid",
        "-addext basicConstraints=critical,CA:TRUE",
        LONG,
    );
    desk.server("amid", "behind", &format!("DNS:{NAME}"), LONG);
    let ours = desk.path("ours.pem");
    shows(&world, &desk, "named", None);
    add(&world, "named", &ours, &["--server-name", NAME]);
    gets_in(&world, "named");
    // Its certificate is exchanged, and nobody has to know.
    shows(&world, &desk, "behind", Some("amid"));
    gets_in(&world, "named");
    // Without a name it is the one that it is reached by.
    shows(&world, &desk, "by_address", None);
    add(&world, "by-address", &ours, &[]);
    gets_in(&world, "by-address");
    kept_away(&world, "named", ("by_address", " is not for the name"));
}

/// What servers show: the right one, and one for each way to be wrong.
fn shown_certificates(desk: &Desk) {
    let name = format!("DNS:{NAME}");
    desk.server("ours", "right", &name, LONG);
    desk.server("another", "another_ca", &name, LONG);
    desk.server(
        "ours",
        "another_name",
        "DNS:orders.internal.example,DNS:internal",
        LONG,
    );
    desk.server("ours", "expired", &name, OVER);
    desk.server("another", "another_and_expired", &name, OVER);
    desk.server(
        "ours",
        "not_yet",
        &name,
        ["20900101000000Z", "20991231000000Z"],
    );
    // What is no authority signs for nobody.
    desk.server("right", "by_a_server", &name, LONG);
    desk.sign(
        "ours",
        "for_clients",
        &format!("-addext subjectAltName={name} -addext extendedKeyUsage=clientAuth"),
        LONG,
    );
    // Refused for their shape, before anybody asks who signed them.
    let authority =
        format!("-addext subjectAltName={name} -addext basicConstraints=critical,CA:TRUE");
    desk.sign("another", "another_authority", &authority, LONG);
    desk.sign("ours", "our_authority", &authority, LONG);
}

#[test]
fn who_is_not_the_server_of_that_ca_and_name_hears_nothing() {
    let world = World::new();
    let desk = Desk::set_up(&world);
    shown_certificates(&desk);
    shows(&world, &desk, "right", None);
    add(
        &world,
        "named",
        &desk.path("ours.pem"),
        &["--server-name", NAME],
    );
    gets_in(&world, "named");
    for (wrong, behind, why) in [
        ("another_ca", None, " is not by the CA"),
        ("another_name", None, " is not for the name"),
        // Over or not: whoever has it is not the one.
        ("another_and_expired", None, " is not by the CA"),
        (
            "by_a_server",
            Some("right"),
            " does not lead to the CA that was given",
        ),
        ("for_clients", None, " is not for servers"),
        (
            "another_authority",
            None,
            " is not shown to be by the CA that was given",
        ),
    ] {
        shows(&world, &desk, wrong, behind);
        kept_away(&world, "named", (wrong, why));
    }
    for (wrong, why) in [
        ("expired", "shows a certificate that has expired"),
        ("not_yet", "shows a certificate that does not hold yet"),
        (
            "our_authority",
            "shows a certificate that is not made as a server's has to be",
        ),
    ] {
        shows(&world, &desk, wrong, None);
        not_spoken_with(&world, "named", (wrong, why));
    }
    shows(&world, &desk, "right", None);
    gets_in(&world, "named");
}

#[test]
fn what_is_no_certificate_of_a_ca_is_refused_before_it_is_added() {
    let world = World::new();
    let desk = Desk::set_up(&world);
    let read = |name: &str| fs::read_to_string(desk.path(name)).expect("it is there");
    let (ours, key) = (read("ours.pem"), read("ours.key"));
    for (text, why) in [
        (String::new(), "there is no certificate in it"),
        (key.clone(), "BEGIN PRIVATE KEY"),
        (ours.clone() + &key, "BEGIN PRIVATE KEY"),
        (
            ours.replace("-----END", "AAAA\n-----END"),
            "the certificate of number 1",
        ),
    ] {
        let file = desk.path("odd.pem");
        fs::write(&file, &text).expect("it is written");
        let (addr, file) = (
            world.postgres().addr().to_string(),
            file.display().to_string(),
        );
        let line = [
            "tidegate",
            "target",
            "add",
            "pg",
            "odd",
            "--addr",
            &addr,
            "--dbname",
            "orders",
            "--role",
            "app",
            "--server-ca",
            &file,
        ];
        let added = world.bob().output(&line).expect("it runs");
        let said = err(&added);
        assert_eq!(added.status.code(), Some(2), "{text}: {said}");
        assert!(
            said.contains(why) && said.contains("--server-ca ca.crt"),
            "{text}: {said}"
        );
    }
}
