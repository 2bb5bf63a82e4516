//! From an intent to an X.509 certificate. The only file that knows rcgen's idea of time.

use std::net::IpAddr;
use std::time::Duration;

use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose,
    PublicKeyData, SanType, SerialNumber,
};

use crate::intent::{Contents, Form, Intent, Purpose};
use crate::keys::Keys;
use crate::window::Window;
use crate::{IssueError, Serial, check, fingerprint};

/// `UID` (RFC 4519 section 2.39).
const USER_ID: [u64; 7] = [0, 9, 2342, 19_200_300, 100, 1, 1];

/// A key to certify for X.509.
pub(crate) struct X509Form<K> {
    pub(crate) key: K,
}

impl<K: PublicKeyData + Send + Sync> Form for X509Form<K> {
    type Certificate = rcgen::Certificate;

    fn fingerprint(&self) -> Result<String, IssueError> {
        Ok(fingerprint::of(&self.key.subject_public_key_info()))
    }

    fn sign(&self, intent: &Intent, keys: &Keys) -> Result<Self::Certificate, IssueError> {
        let anchor = keys.x509(intent.signer).ok_or(IssueError::Mixed)?;
        let params = parameters(intent)?;
        Ok(params.signed_by(&self.key, anchor.issuer())?)
    }

    fn read_back(
        &self,
        certificate: &Self::Certificate,
        intent: &Intent,
        keys: &Keys,
    ) -> Result<String, IssueError> {
        let anchor = keys.x509(intent.signer).ok_or(IssueError::Mixed)?;
        check::x509(certificate.der(), intent, anchor.certificate())
    }
}

pub(crate) fn parameters(intent: &Intent) -> Result<CertificateParams, IssueError> {
    let (
        Contents::X509 {
            common_name,
            unit,
            user_id,
            names,
        },
        Serial::X509(serial),
    ) = (&intent.contents, intent.serial)
    else {
        return Err(IssueError::Mixed);
    };
    let window = Window {
        from: intent.valid_from,
        until: intent.expires_at,
    };
    let (first, last) = window.inclusive();
    let mut params = CertificateParams::default();
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    set_validity(&mut params, first, last)?;
    // Each value is one attribute of its own: nothing in it can begin another.
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, common_name);
    if let Some(unit) = unit {
        params
            .distinguished_name
            .push(DnType::OrganizationalUnitName, unit);
    }
    if let Some(user_id) = user_id {
        params
            .distinguished_name
            .push(DnType::CustomDnType(USER_ID.to_vec()), user_id);
    }
    params.subject_alt_names = names
        .iter()
        .map(|name| san(name))
        .collect::<Result<_, _>>()?;
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![match intent.purpose {
        Purpose::Server => ExtendedKeyUsagePurpose::ServerAuth,
        Purpose::SshPass
        | Purpose::SshHop
        | Purpose::SshTrial
        | Purpose::PostgresTrial
        | Purpose::Roles
        | Purpose::Accounts
        | Purpose::PostgresPass
        | Purpose::Halt
        | Purpose::SshLogin
        | Purpose::X509Login
        | Purpose::Host => ExtendedKeyUsagePurpose::ClientAuth,
    }];
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

fn san(name: &str) -> Result<SanType, rcgen::Error> {
    match name.parse::<IpAddr>() {
        Ok(address) => Ok(SanType::IpAddress(address)),
        Err(_not_an_address) => Ok(SanType::DnsName(name.try_into()?)),
    }
}

/// Sets the first and the last second in which the certificate holds, counted from 1970.
pub(crate) fn set_validity(
    params: &mut CertificateParams,
    first: i64,
    last: i64,
) -> Result<(), rcgen::Error> {
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    let at = |second: i64| {
        let since = Duration::from_secs(u64::try_from(second).ok()?)
            .try_into()
            .ok()?;
        epoch.checked_add(since)
    };
    params.not_before = at(first).ok_or(rcgen::Error::Time)?;
    params.not_after = at(last).ok_or(rcgen::Error::Time)?;
    Ok(())
}
