//! Whether something is a way to know a target by: its host key, the CA of host certificates, the CA of a
//! database's certificate.
//!
//! What nobody could ever prove is refused before it is kept: a target that is known by it would let nobody in.
//! Whether whoever answers proves it is looked at where they are met, not here.

use policies::words::pin::PinFault;
use policies::{Endpoint, HostKeyPin, ServerPin};
use russh::keys::PublicKey;
use russh::keys::ssh_key::HashAlg;
use russh::keys::ssh_key::public::KeyData;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use crate::strength::{self, WeakKey};

/// How the first line of what is in PEM begins (RFC 7468, section 3).
const BEGIN: &str = "-----BEGIN ";

/// How the label of a certificate is called.
const CERTIFICATE: &str = "CERTIFICATE";

/// How that of a list is called of what is revoked.
const REVOKED: &str = "X509 CRL";

/// What some editors write before UTF-8.
pub const BYTE_ORDER_MARK: char = '\u{feff}';

/// Whether everything that a target is to be known by can be proven.
///
/// # Errors
///
/// What is wrong with the first that cannot.
pub fn can_be_proven(endpoint: &Endpoint) -> Result<(), PinFault> {
    match endpoint {
        Endpoint::Ssh(ssh) => match &ssh.host_key {
            HostKeyPin::Keys { keys } => keys.iter().try_for_each(|key| host_key(key)),
            HostKeyPin::Authority { key } => host_key(key),
        },
        Endpoint::Postgres(postgres) => {
            let hosts = postgres.hosts();
            hosts.iter().try_for_each(|host| match &host.server {
                ServerPin::Certificate { .. } => Ok(()),
                ServerPin::Authority { pem, .. } => authorities(pem),
            })
        }
    }
}

/// Whether a host can prove itself by this key, or its CA by this one: one line, as a `.pub` file has it.
///
/// # Errors
///
/// Why not.
pub fn host_key(line: &str) -> Result<(), PinFault> {
    let key = PublicKey::from_openssh(line).map_err(|_no_key| PinFault::NoKey)?;
    of_host(key.key_data())
}

/// What a host key, or that of a CA, is called by: its kind and its fingerprint, `SHA256:…`. None of what is no key.
pub fn named(line: &str) -> Option<(String, String)> {
    let key = PublicKey::from_openssh(line).ok()?;
    let fingerprint = key.fingerprint(HashAlg::Sha256).to_string();
    Some((key.algorithm().to_string(), fingerprint))
}

/// Whether a host can prove itself by this key, or its CA by this one.
///
/// # Errors
///
/// Why not.
pub fn of_host(key: &KeyData) -> Result<(), PinFault> {
    let in_token = matches!(key, KeyData::SkEd25519(_) | KeyData::SkEcdsaSha2NistP256(_));
    let fault = match strength::believe(key) {
        Ok(()) if !in_token => return Ok(()),
        Err(WeakKey::Rsa { bits }) => PinFault::Short { bits },
        Err(WeakKey::Certificate) => PinFault::Certificate,
        Ok(()) | Err(WeakKey::Dsa | WeakKey::InToken | WeakKey::Unknown) => PinFault::Kind {
            kind: key.algorithm().to_string(),
        },
    };
    Err(fault)
}

/// Whether these are certificates of CAs in PEM. Text before and behind one is what it is about (RFC 7468, section 2),
/// as in the bundles of operating systems and in what openssl prints; lists of what is revoked may be among them, and
/// are not looked at. Keys and all else are not to be kept by mistake.
///
/// # Errors
///
/// What else there is.
pub fn authorities(pem: &str) -> Result<(), PinFault> {
    // The line behind it would not be taken for the first of a certificate, which were left out unseen.
    if pem.contains(BYTE_ORDER_MARK) {
        return Err(PinFault::Marked);
    }
    let mut begun = 0_usize;
    for line in pem.lines().map(str::trim) {
        let Some(label) = line.strip_prefix(BEGIN) else {
            continue;
        };
        match label.trim_end_matches('-') {
            CERTIFICATE => begun = begun.saturating_add(1),
            REVOKED => {}
            alien => {
                // As much of it as a line shows.
                let label = alien.chars().take(40).collect();
                return Err(PinFault::Alien { label });
            }
        }
    }
    let mut read = 0_usize;
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        read = read.saturating_add(1);
        let broken = PinFault::Broken { number: read };
        let whole = certificate.is_ok_and(|der| is_whole(&der));
        if !whole {
            return Err(broken);
        }
    }
    if read < begun {
        let number = read.saturating_add(1);
        return Err(PinFault::Broken { number });
    }
    if read == 0 {
        return Err(PinFault::Empty);
    }
    Ok(())
}

/// Whether these bytes are one certificate, of which a server's can be by.
fn is_whole(der: &CertificateDer<'_>) -> bool {
    let read = x509_parser::parse_x509_certificate(der);
    read.is_ok_and(|(rest, _certificate)| rest.is_empty())
        && webpki::anchor_from_trusted_cert(der).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DSA: &str = "ssh-dss AAAAB3NzaC1kc3MAAACBAMCX6FR0+S6mId0J6WC3zCS6S77C7TdRow3mfRiR/15VxuVSKtcpNcMKxtueRR0Uog6zS2TuWwkH8uaKn3L/CRN62xod6QryibYUS2eL87OEzlRWUHgqFr3wjz/NV19EWpcWenycxm/I9y+/ZBUZTWUfVzLw/iTaCiULVNhk//+TAAAAFQCRiaTRq9tprWDcPbDPfinPqmgXcQAAAIBFN9GJD95lMD5vsLIbzkvl/YfxGe4vsEAqoXUVKfwH+9SET+zFP5aUvzgiSwucbHhb464DVlwhUK0rgf7aQNQTwasiDcMqQGQWtc+ncPRxS95xu/YekD/61n4gY7VQDORUcAE0k/09jHi8vWAMkS5dosEUlvzcPGpuCJcEJXsVqwAAAIEApTk7Mb9KkrHSjOMwXle6yZeVo1PdEL6mgZBzlzK3+XQhyTKC/57kZaThlsiN45t3rOQlfw9LUN3s2cOp3VlXHkFlYPqhwGjl8ycqWqvtmx1Nzy/jAtVEUyHRxYVf7d1+pGfA0BTjRSmkm39PJsnJsTa0nQceGy9o29QVjuP9ou8=";

    const RSA_1024: &str = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQCnzztTzsHUpX+eeknR9ZFrXm63Mv5+ISHZjBP/H92Dg+aSv/zhW/Q7kGfcLOBmAcVGHOTDirh/ppx4n8CLHbi82S1/kq3kyphVGx4I3HwJE2x3ANHQ43UG/zTc96p7Mfjq9k+E7K+Yc/6L12KaT7GLCVVVES8mW1Wufu8koxBZSQ==";

    const IN_TOKEN: &str = "sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAINdamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1EaAAAABHNzaDo=";

    #[test]
    fn a_host_is_known_by_a_key_that_a_host_can_prove() {
        let ours = crate::applicant::Applicant::create().unwrap();
        assert_eq!(host_key(&ours.ssh_public().unwrap()), Ok(()));
        let kind = |kind: &str| {
            let kind = kind.to_owned();
            Err(PinFault::Kind { kind })
        };
        assert_eq!(host_key(DSA), kind("ssh-dss"));
        assert_eq!(host_key(IN_TOKEN), kind("sk-ssh-ed25519@openssh.com"));
        assert_eq!(host_key(RSA_1024), Err(PinFault::Short { bits: 1024 }));
        assert_eq!(host_key("/etc/ssh/ca.pub"), Err(PinFault::NoKey));
    }

    #[test]
    fn a_database_is_known_by_certificates_and_nothing_else() {
        let pem = |name: &str| {
            let key = rcgen::KeyPair::generate().unwrap();
            let params = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
            params.self_signed(&key).unwrap().pem()
        };
        let (one, two) = (pem("one"), pem("two"));
        let crl = "-----BEGIN X509 CRL-----\nMAA=\n-----END X509 CRL-----\n";
        for good in [
            one.clone(),
            format!("# of one\n{one}\n# of two\n{two}\n \n"),
            one.replace('\n', "\r\n"),
            format!("{one}{crl}"),
            format!("{crl}{one}{two}"),
            // `openssl storeutl -certs` and `s_client -showcerts` end in text.
            format!("0: Certificate\n{one}{two}Total found: 2\n"),
            format!("{one}{two}\n# end"),
        ] {
            assert_eq!(authorities(&good), Ok(()), "{good}");
        }
        let alien = |label: &str| {
            let label = label.to_owned();
            PinFault::Alien { label }
        };
        let key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        let (cut, _rest) = one.split_at(one.len() / 2);
        let longer = one.replace("-----END", "AAAA\n-----END");
        for (odd, want) in [
            (String::new(), PinFault::Empty),
            ("ca".to_owned(), PinFault::Empty),
            (format!("{one}{key}"), alien("PRIVATE KEY")),
            (format!("{key}{one}"), alien("PRIVATE KEY")),
            (
                one.replace("CERTIFICATE", "TRUSTED CERTIFICATE"),
                alien("TRUSTED CERTIFICATE"),
            ),
            (crl.to_owned(), PinFault::Empty),
            (format!("\u{feff}{one}"), PinFault::Marked),
            (format!("{one}\u{feff}{two}"), PinFault::Marked),
            (cut.to_owned(), PinFault::Broken { number: 1 }),
            (format!("{one}{cut}"), PinFault::Broken { number: 2 }),
            (longer, PinFault::Broken { number: 1 }),
            (one.replace("MII", "AII"), PinFault::Broken { number: 1 }),
        ] {
            assert_eq!(authorities(&odd), Err(want), "{odd}");
        }
    }
}
