//! A throw-away pgbouncer in front of a throw-away PostgreSQL: the pooler that tidegate is compared
//! with. It looks at nothing, one session has one server connection, and both of its legs are TLS.

use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

use proxy::demo::{Daemon, Ending, PostgresServer, Signals, current_login, free_port};

/// Where Debian puts it.
const PROGRAM: &str = "/usr/sbin/pgbouncer";

/// A running pgbouncer, stopped on drop.
#[derive(Debug)]
pub struct PgBouncer {
    daemon: Daemon,
    port: u16,
}

impl PgBouncer {
    /// Starts one that lets anybody in to the database `orders`, with its files in the server's own
    /// directory: it runs as the same account, and shows the same certificate.
    ///
    /// # Panics
    ///
    /// When it is not installed, or does not come up.
    pub fn start(server: &PostgresServer) -> Self {
        let certificate = server.dir().join("server.crt");
        let legs = format!(
            "auth_type = trust\n\
             client_tls_sslmode = require\n\
             server_tls_sslmode = verify-ca\n\
             server_tls_ca_file = {}\n\
             pool_mode = session\n",
            certificate.display()
        );
        Self::listen(server, "127.0.0.1", &legs)
    }

    /// Starts one that lets in who shows a certificate of `client_ca` with the name of the role, and
    /// reaches the server over its socket.
    ///
    /// # Panics
    ///
    /// When it is not installed, or does not come up.
    pub fn with_certificates(server: &PostgresServer, client_ca: &Path) -> Self {
        Self::verifying(server, client_ca, "session")
    }

    /// The same, where all sessions share the server's processes, one transaction after the other.
    ///
    /// # Panics
    ///
    /// When it is not installed, or does not come up.
    pub fn sharing(server: &PostgresServer, client_ca: &Path) -> Self {
        Self::verifying(server, client_ca, "transaction")
    }

    fn verifying(server: &PostgresServer, client_ca: &Path, mode: &str) -> Self {
        let legs = format!(
            "auth_type = cert\n\
             client_tls_sslmode = verify-full\n\
             client_tls_ca_file = {}\n\
             pool_mode = {mode}\n",
            client_ca.display()
        );
        Self::listen(server, &server.dir().display().to_string(), &legs)
    }

    fn listen(server: &PostgresServer, host: &str, legs: &str) -> Self {
        let program = find();
        let port = free_port().expect("a free port");
        let dir = server.dir();
        let (certificate, target) = (dir.join("server.crt"), server.port());
        let settings = format!(
            "[databases]\n\
             orders = host={host} port={target} dbname=orders\n\
             [pgbouncer]\n\
             listen_addr = 127.0.0.1\n\
             listen_port = {port}\n\
             unix_socket_dir =\n\
             {legs}\
             auth_file = {dir}/pgbouncer.users\n\
             max_client_conn = 1000\n\
             default_pool_size = 300\n\
             ignore_startup_parameters = extra_float_digits\n\
             client_tls_key_file = {dir}/server.key\n\
             client_tls_cert_file = {certificate}\n",
            dir = dir.display(),
            certificate = certificate.display(),
        );
        let ini = dir.join("pgbouncer.ini");
        fs::write(&ini, settings).expect("a configuration for pgbouncer");
        fs::write(dir.join("pgbouncer.users"), "\"app\" \"\"\n").expect("a list of users");
        let mut command = command(&program);
        command.arg(&ini).current_dir("/");
        let log = dir.join("pgbouncer.log");
        let daemon = Daemon::start("pgbouncer", command, &log, Ending::Quit, Signals::Shared);
        let mut daemon = daemon.expect("pgbouncer starts");
        let up = daemon.wait_until(|| TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok());
        up.expect("pgbouncer listens");
        Self { daemon, port }
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        self.daemon.pid()
    }
}

fn find() -> PathBuf {
    let program = PathBuf::from(PROGRAM);
    assert!(
        program.is_file(),
        "pgbouncer is not installed; type: apt-get install pgbouncer"
    );
    program
}

/// Root is refused by pgbouncer. The process id stays: `setpriv` becomes what it starts.
fn command(program: &Path) -> Command {
    if current_login() != "root" {
        return Command::new(program);
    }
    let mut setpriv = Command::new("setpriv");
    setpriv
        .args([
            "--reuid=postgres",
            "--regid=postgres",
            "--init-groups",
            "--",
        ])
        .arg(program);
    setpriv
}
