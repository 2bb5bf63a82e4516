//! The direct way to a throw-away PostgreSQL, past tidegate, with a client certificate as well.
//!
//! It needs an authority of its own, since tidegate hands its certificates for targets to nobody.
//! The server trusts both.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use proxy::demo::PostgresServer;

/// An authority, and a key and a certificate that it has made for one role. It has an extension, for without any
/// openssl makes one of version 1, which rustls does not take.
#[derive(Debug)]
pub struct Direct {
    dir: PathBuf,
}

impl Direct {
    /// Makes them with `openssl` in `dir`.
    ///
    /// # Panics
    ///
    /// When that does not work.
    pub fn make(dir: &Path, role: &str) -> Self {
        let line = format!(
            "cd '{dir}' && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 \
             -subj '/CN=direct' -keyout direct-ca.key -out direct-ca.pem 2>&1 && \
             openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj '/CN={role}' -keyout direct.key -out direct.csr 2>&1 && \
             openssl x509 -req -in direct.csr -CA direct-ca.pem -CAkey direct-ca.key -CAcreateserial -days 2 \
             -extfile <(echo 'basicConstraints = CA:FALSE') -out direct.crt 2>&1 && \
             chmod 600 direct.key",
            dir = dir.display()
        );
        let made = Command::new("bash").args(["-c", &line]).output();
        let made = made.expect("bash runs");
        assert!(
            made.status.success(),
            "{}",
            String::from_utf8_lossy(&made.stdout)
        );
        Self {
            dir: dir.to_owned(),
        }
    }

    /// The certificate, a file in PEM.
    pub fn certificate(&self) -> PathBuf {
        self.dir.join("direct.crt")
    }

    /// Its key, a file in PEM.
    pub fn key(&self) -> PathBuf {
        self.dir.join("direct.key")
    }

    /// Has a server believe this authority too.
    ///
    /// # Panics
    ///
    /// When it does not read its settings again.
    pub fn trust(&self, server: &PostgresServer) {
        let path = server.dir().join("client_ca.pem");
        let mut trusted = fs::read_to_string(&path).expect("the server trusts tidegate");
        trusted.push('\n');
        trusted.push_str(
            &fs::read_to_string(self.dir.join("direct-ca.pem")).expect("it has been made"),
        );
        fs::write(&path, trusted).expect("room");
        let again = server.run_sql("postgres", "select pg_reload_conf()");
        assert_eq!(again.expect("it reads its settings again"), "t");
    }
}
