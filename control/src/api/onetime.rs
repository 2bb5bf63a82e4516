//! One-time secrets for clients without certificates.

use axum::Json;
use axum::extract::State;
use jiff::SignedDuration;

use crate::api::caller::Holder;
use crate::api::extract::{Named, Unread};
use crate::api::problem::Refused;
use crate::api::wire::{OneTimeOrder, OneTimeView};
use crate::api::{Shared, grants};
use crate::broker::SecretWish;
use crate::onetime::LIFETIME;

pub(crate) async fn make(
    State(house): State<Shared>,
    Holder { caller, by_key }: Holder,
    Named(id): Named<String>,
    body: Unread,
) -> Result<Json<OneTimeView>, Refused> {
    let broker = &house.parts.broker;
    let grant = grants::find(broker, &caller, (&id, "make password")).await?;
    let OneTimeOrder { uses, ttl_seconds } = body.read().await?;
    let lifetime = ttl_seconds.map_or(LIFETIME, |seconds| {
        SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX))
    });
    let wish = SecretWish {
        grant,
        by_key,
        uses: uses.unwrap_or(1),
        lifetime,
    };
    let (secret, text) = broker.make_onetime(&caller, &wish).await?;
    Ok(Json(OneTimeView {
        schema: "tidegate.onetime/1".into(),
        user: format!("{}+{}", secret.login, secret.id),
        id: secret.id,
        grant: secret.grant,
        target: secret.target,
        login: secret.login,
        password: text.expose().to_owned(),
        uses: secret.uses,
        expires_at: secret.expires_at,
    }))
}
