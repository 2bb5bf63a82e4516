//! Whom to trust and where to go: public, for it holds no secret.

use axum::Json;
use axum::extract::State;

use crate::api::wire::Trust;
use crate::api::{House, Shared};

pub(crate) async fn show(State(house): State<Shared>) -> Json<Trust> {
    Json(of(&house))
}

pub(crate) fn of(house: &House) -> Trust {
    let bundle = house.parts.authority.trust_bundle();
    let entrances = &house.parts.entrances;
    Trust {
        schema: "tidegate.trust/1".into(),
        fingerprint: bundle.fingerprint(),
        x509_login_ca: bundle.x509_login_ca,
        x509_target_ca: bundle.x509_target_ca,
        ssh_user_ca: bundle.ssh_user_ca,
        ssh_login_ca: bundle.ssh_login_ca,
        ssh_host_ca: bundle.ssh_host_ca,
        ssh_host: bundle.ssh_host,
        seal: bundle.seal,
        ssh: entrances.ssh.clone(),
        postgres: entrances.postgres.clone(),
    }
}
