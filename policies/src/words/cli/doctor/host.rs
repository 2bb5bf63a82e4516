//! What is found at an SSH server that is not entered: it does not prove who it is, or speaks what nobody speaks.

use super::{Finding, bad};
use crate::words::host_key::HostKeyFault;
use crate::words::particulars::{console, flag};
use crate::{Algorithms, Protocol};

/// What answers is not what was added.
pub fn target_changed(target: &str) -> Finding {
    bad(
        format!("target {target}"),
        "what answers does not prove to be the one that was added",
        format!(
            "find out why; if its key was changed on purpose:  tidegate target set {target} --host-key   (or --server-cert-sha256)  \
             shows both"
        ),
    )
}

/// The same, where both are known: fingerprints of what was pinned and of what is shown.
pub fn target_differs(
    target: &str,
    protocol: Protocol,
    (pinned, shown): (&[String], &[String]),
) -> Finding {
    let (console, flag) = (console(protocol), flag(protocol));
    bad(
        format!("target {target}"),
        format!(
            "what answers does not prove to be the one that was added: pinned is {}; it shows {}",
            pinned.join(", "),
            shown.join(", ")
        ),
        format!(
            "compare with the machine's own console:  {console}   Only if it was changed on purpose:  tidegate target set {target} \
             {flag}  with what the console says"
        ),
    )
}

/// What answers at a target's address does not prove to be the target, and why. `host` is what the address calls it.
pub fn target_unproven(target: &str, host: &str, fault: &HostKeyFault) -> Finding {
    let hint = if fault.is_mended_by_the_ca() {
        format!(
            "as its CA:  ssh-keygen -s CA -I {target} -h -n {host} -V +52w ssh_host_ed25519_key.pub   and name what comes of it in \
             its sshd_config:  HostCertificate /etc/ssh/ssh_host_ed25519_key-cert.pub"
        )
    } else if matches!(fault, HostKeyFault::Early { .. }) {
        "see whether the clocks of the bastion and of its CA are right".to_owned()
    } else if matches!(fault, HostKeyFault::Weak) {
        "give it a host key, and a CA, of Ed25519, ECDSA or RSA of 2048 bits and more".to_owned()
    } else {
        format!(
            "find out why; if its key or its CA was changed on purpose:  tidegate target set {target} --host-key   shows both; a CA:  \
             --host-ca 'ssh-ed25519 AAAA…'"
        )
    };
    bad(
        format!("target {target}"),
        format!("what answers does not prove to be the one that was added: {fault}"),
        hint,
    )
}

/// A server speaks SSH, but by no algorithm that is spoken with it.
pub fn no_algorithm(spoken: Algorithms) -> &'static str {
    match spoken {
        Algorithms::Modern => {
            "it speaks SSH, and none of the host keys, key exchanges, ciphers and checksums that tidegate takes from it"
        }
        Algorithms::Legacy => {
            "it speaks SSH, and none of the host keys, key exchanges, ciphers and checksums that tidegate takes from it, not \
             even of the old ones"
        }
    }
}

/// A target is such a server.
pub fn target_foreign(target: &str, spoken: Algorithms) -> Finding {
    let hint = match spoken {
        Algorithms::Modern => format!(
            "see what it offers:  tidegate target show {target}  has its address for  ssh -vv ADDRESS   Equipment that knows no \
             others:  tidegate target rm {target}  and add it again with --legacy-algorithms"
        ),
        Algorithms::Legacy => format!(
            "see what it offers:  tidegate target show {target}  has its address for  ssh -vv ADDRESS"
        ),
    };
    bad(format!("target {target}"), no_algorithm(spoken), hint)
}
