//! What agents leave behind: expired sessions, jobs they never reported on, cancelled jobs nobody asked for again.

use std::sync::Arc;

use db::tables::{agent_sessions, orchestrator_jobs, queue_jobs};
use sea_orm::{ColumnTrait, EntityTrait, ExprTrait, PaginatorTrait, QueryFilter, QuerySelect};

use crate::app::App;
use crate::cx::Cx;
use crate::error::Error;
use crate::orchestrator_jobs::lapse;

/// How long a cancelled job is remembered, so that an agent which asks for it is told.
const CANCELLED_REMEMBERED_MS: i64 = 24 * 60 * 60 * 1000;

/// Closes what agents left behind: expired sessions, jobs whose lease ran out. Can be repeated, and two servers may do it
/// at once.
pub(crate) async fn sweep(app: &Arc<App>) -> Result<(), Error> {
    let cx = Cx::system(Arc::clone(app), "agents' sweep");
    let now = cx.now();
    let lapsed: Vec<String> = queue_jobs::Entity::find()
        .select_only()
        .column(queue_jobs::Column::Queue)
        .distinct()
        .filter(queue_jobs::Column::State.eq(1))
        .filter(queue_jobs::Column::LeaseUntil.lte(now))
        .filter(queue_jobs::Column::Queue.like("agent:%"))
        .into_tuple()
        .all(app.db().read())
        .await?;
    for queue in lapsed {
        let cx = cx.clone();
        let lapsing = app.db().write("agents.lapse", move |tx| {
            Box::pin(async move { lapse(tx, &cx, &queue).await })
        });
        lapsing.await?;
    }
    let expired = agent_sessions::Column::ExpiresAt.lte(now);
    let old = orchestrator_jobs::Column::Cancelled
        .eq(true)
        .and(orchestrator_jobs::Column::RequestedAt.lte(now - CANCELLED_REMEMBERED_MS));
    let sessions = agent_sessions::Entity::find()
        .filter(expired.clone())
        .count(app.db().read())
        .await?;
    let cancelled = orchestrator_jobs::Entity::find()
        .filter(old.clone())
        .count(app.db().read())
        .await?;
    if sessions + cancelled == 0 {
        return Ok(());
    }
    app.db()
        .write("agents.sweep", move |tx| {
            Box::pin(async move {
                agent_sessions::Entity::delete_many()
                    .filter(expired)
                    .exec(tx)
                    .await?;
                orchestrator_jobs::Entity::delete_many()
                    .filter(old)
                    .exec(tx)
                    .await?;
                Ok::<_, Error>(())
            })
        })
        .await
}
