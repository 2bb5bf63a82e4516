//! Whether a target that is to be a bastion is one. An SSH server that is none must not be reached in this
//! way: what is done there would be in nobody's recording.

use policies::words::api::ApiRefusal;
use policies::words::broker::Invalid;
use policies::words::cli::doctor::Finding;
use policies::words::target::TargetFault;
use policies::words::transit::{BastionFault, bastion_gone, bastion_good};
use policies::{Office, Target};

use super::House;
use super::inspection::proves;
use super::problem::Refused;
use crate::api::wire::Probed;
use crate::{BrokerError, Caller};

/// Looks at a bastion that is about to be added: a tidegate answers there, with the key that was given.
pub(super) async fn confirm(
    house: &House,
    caller: &Caller,
    target: &Target,
) -> Result<(), Refused> {
    let fault = |fault| BrokerError::Invalid(Invalid::Target(TargetFault::Bastion(fault)));
    if !target.bastion_is_sound() {
        return Err(fault(BastionFault::Described).into());
    }
    let deed = ("look at server", target.name.as_str());
    let broker = &house.parts.broker;
    broker.demand(caller, Office::ManageTargets, deed).await?;
    let how = (target.jump(), target.algorithms());
    let looking = house
        .parts
        .probe
        .look(target.protocol(), target.addr(), how);
    let probed = looking.await.map_err(ApiRefusal::Unseen)?;
    if !is_tidegate(&probed) {
        return Err(fault(BastionFault::OtherServer).into());
    }
    if proves(&target.endpoint, 0, &probed) != Some(true) {
        return Err(fault(BastionFault::OtherKey).into());
    }
    Ok(())
}

/// What is found of a bastion that shows the key that was pinned.
pub(super) fn finding(name: &str, probed: &Probed) -> Finding {
    if is_tidegate(probed) {
        bastion_good(name)
    } else {
        bastion_gone(name)
    }
}

fn is_tidegate(probed: &Probed) -> bool {
    matches!(probed, Probed::Ssh { bastion: true, .. })
}
