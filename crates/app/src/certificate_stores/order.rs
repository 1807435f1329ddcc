//! The stores in the order of their machines, remembered with their containers.
//!
//! Who may read every store pages through an index. Who may read those of 200 containers cannot: a database either sorts all of
//! them for each page, or looks at each store it passes over, and counts them all besides. So the order of all stores is kept
//! here, the same for every caller, and a caller's part of it is a matter of microseconds. It is 20 octets a store.
//!
//! What is kept is true: every change of which stores there are, of their machines and of their containers moves a generation in
//! its own transaction, and every use reads the generation. An order is read anew only after a generation was met twice, so that
//! a database that changes all the time is not read whole each time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use db::tables::certificate_stores;
use sea_orm::{ConnectionTrait, EntityTrait, QueryOrder, QuerySelect};
use uuid::Uuid;

use crate::cx::Cx;
use crate::error::Error;
use crate::generation::Generation;

/// What is remembered.
#[derive(Debug, Default)]
pub(crate) struct StoreOrder {
    remembered: Mutex<Remembered>,
    /// Held by who reads the order anew: one at a time.
    reading: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Remembered {
    /// The generation that was met last.
    met: Option<i64>,
    order: Option<Arc<Order>>,
}

/// All stores in their order.
#[derive(Debug, Default)]
pub(super) struct Order {
    generation: i64,
    /// Each store with the place of its container in `containers`.
    stores: Vec<(Uuid, u32)>,
    /// Where each container stands in `counts`. 0 is no container.
    containers: HashMap<i64, u32>,
    /// Stores by container.
    counts: Vec<u64>,
}

/// Has to stand in every transaction that makes or deletes a store, or changes its machine, its path or its
/// container: what queries over stores and over certificates ask of it.
///
/// # Errors
/// Those of the database.
pub(crate) async fn stores_changed(tx: &db::Tx) -> Result<(), Error> {
    Generation::CertificateStores.moved(tx).await
}

impl StoreOrder {
    /// The order as it is now; nothing when it changed just before, or while somebody else reads it anew.
    ///
    /// # Errors
    /// Those of the database.
    pub(super) async fn of(&self, cx: &Cx) -> Result<Option<Arc<Order>>, Error> {
        let now = Generation::CertificateStores.now(cx.db().read()).await?;
        {
            let mut remembered = self.remembered();
            let known = remembered.order.as_ref();
            if let Some(order) = known.filter(|order| order.generation == now) {
                return Ok(Some(Arc::clone(order)));
            }
            if remembered.met.replace(now) != Some(now) {
                return Ok(None);
            }
        }
        let Ok(_reading) = self.reading.try_lock() else {
            return Ok(None);
        };
        // The generation and the stores of one moment.
        let snapshot = cx.db().snapshot().await?;
        let order = Arc::new(Order::read(&snapshot).await?);
        drop(snapshot);
        self.remember(&order);
        Ok(Some(order))
    }

    /// What is older than what is remembered is forgotten: who read it was late.
    fn remember(&self, order: &Arc<Order>) {
        let mut remembered = self.remembered();
        let known = remembered.order.as_ref();
        if known.is_none_or(|known| known.generation < order.generation) {
            remembered.order = Some(Arc::clone(order));
        }
    }

    fn remembered(&self) -> MutexGuard<'_, Remembered> {
        self.remembered
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Order {
    async fn read(connection: &impl ConnectionTrait) -> Result<Self, Error> {
        use certificate_stores::Column;
        let generation = Generation::CertificateStores.now(connection).await?;
        let rows: Vec<(Uuid, Option<i64>)> = certificate_stores::Entity::find()
            .select_only()
            .columns([Column::Id, Column::ContainerId])
            .order_by_asc(Column::ClientMachineFold)
            .order_by_asc(Column::Id)
            .into_tuple()
            .all(connection)
            .await?;
        Ok(Self::new(generation, rows))
    }

    fn new(generation: i64, rows: Vec<(Uuid, Option<i64>)>) -> Self {
        let mut order = Self {
            generation,
            counts: vec![0],
            ..Self::default()
        };
        order.stores.reserve_exact(rows.len());
        for (id, container_id) in rows {
            let place = match container_id {
                None => 0,
                Some(container_id) => {
                    let next = u32::try_from(order.counts.len()).unwrap_or_default();
                    *order.containers.entry(container_id).or_insert_with(|| {
                        order.counts.push(0);
                        next
                    })
                }
            };
            if let Some(count) = order.counts.get_mut(place as usize) {
                *count += 1;
            }
            order.stores.push((id, place));
        }
        order
    }

    /// A page of the stores of these containers, and how many there are.
    pub(super) fn page(
        &self,
        container_ids: &[i64],
        skip: u64,
        limit: u64,
        descending: bool,
    ) -> (Vec<Uuid>, u64) {
        let mut wanted = vec![false; self.counts.len()];
        let mut total = 0;
        for place in container_ids
            .iter()
            .filter_map(|id| self.containers.get(id))
        {
            let place = *place as usize;
            if let Some(known) = wanted.get_mut(place).filter(|known| !**known) {
                *known = true;
                total += self.counts.get(place).copied().unwrap_or_default();
            }
        }
        if skip >= total {
            return (Vec::new(), total);
        }
        let inside = |(_, place): &&(Uuid, u32)| wanted.get(*place as usize) == Some(&true);
        let (skip, limit) = (
            usize::try_from(skip).unwrap_or(usize::MAX),
            usize::try_from(limit).unwrap_or(usize::MAX),
        );
        let ids = if descending {
            let page = self.stores.iter().rev().filter(inside).skip(skip);
            page.take(limit).map(|(id, _)| *id).collect()
        } else {
            let page = self.stores.iter().filter(inside).skip(skip);
            page.take(limit).map(|(id, _)| *id).collect()
        };
        (ids, total)
    }
}

#[cfg(test)]
mod tests {
    use db::tables::store_containers;
    use sea_orm::ActiveModelTrait;

    use super::*;
    use crate::app::{App, Options};
    use crate::certificate_stores::list::readable;
    use crate::security::explain::as_subject;
    use crate::security::{Grant, Grants, HeldRole};

    async fn app(fresh: &db::testing::Fresh) -> Arc<App> {
        let keyring = secrets::KeyRing::generate().unwrap();
        let folder = std::env::temp_dir();
        let options = Options::new(fresh.address().to_owned(), folder, keyring);
        App::open(options).await.unwrap()
    }

    /// An order may be older than the rows that are read for it.
    #[tokio::test]
    async fn a_store_that_has_moved_is_not_shown() {
        let fresh = db::testing::sqlite().await;
        let app = app(&fresh).await;
        let id = Uuid::from_u128(7);
        let write = app.db.write("test.store", move |tx| {
            Box::pin(async move {
                for number in [1, 2] {
                    let container = store_containers::Model {
                        id: number,
                        name: number.to_string(),
                        name_fold: number.to_string(),
                        store_type_id: None,
                        overwrite_schedules: false,
                        schedule: None,
                        created_at: 0,
                    };
                    let container: store_containers::ActiveModel = container.into();
                    container.insert(tx).await?;
                }
                let store = certificate_stores::Model {
                    id,
                    store_type_id: 2,
                    agent_id: None,
                    container_id: Some(1),
                    client_machine: "web1".into(),
                    client_machine_fold: "web1".into(),
                    store_path: "/a".into(),
                    store_path_fold: "/a".into(),
                    approved: true,
                    create_if_missing: false,
                    properties: "{}".into(),
                    sealed_secrets: None,
                    sealed_password: None,
                    set_new_password_allowed: false,
                    inventory_schedule: None,
                    inventory_job_id: None,
                    last_inventory_at: None,
                    created_at: 0,
                };
                let store: certificate_stores::ActiveModel = store.into();
                store.insert(tx).await?;
                Ok::<_, Error>(())
            })
        });
        write.await.unwrap();
        let system = Cx::system(Arc::clone(&app), "test");
        let shown = async |container: i64| {
            let role = HeldRole {
                id: 1,
                name: "Readers".into(),
                enabled: true,
                permission_set_id: Uuid::nil(),
                claim_ids: Vec::new(),
                grants: vec![Grant {
                    path: "/certificate_stores/read/".into(),
                    object_id: Some(container),
                }],
            };
            let cx = as_subject(&system, "reader", Grants::new(vec![role]));
            readable(&cx, &[id]).await.unwrap().len()
        };
        assert_eq!((shown(1).await, shown(2).await), (1, 0));
    }

    #[test]
    fn what_is_newer_is_remembered() {
        let known = StoreOrder::default();
        for (read, remembered) in [(2, 2), (1, 2), (3, 3)] {
            known.remember(&Arc::new(Order::new(read, Vec::new())));
            let order = known.remembered().order.clone();
            assert_eq!(order.unwrap().generation, remembered);
        }
    }

    #[tokio::test]
    async fn one_reads_at_a_time() {
        let fresh = db::testing::sqlite().await;
        let app = app(&fresh).await;
        let cx = Cx::system(Arc::clone(&app), "test");
        let known = &app.store_order;
        assert!(known.of(&cx).await.unwrap().is_none(), "met once");
        let reading = known.reading.lock().await;
        assert!(known.of(&cx).await.unwrap().is_none());
        drop(reading);
        assert!(known.of(&cx).await.unwrap().is_some());
    }

    #[test]
    fn a_page_has_the_stores_of_its_containers_in_order() {
        let id = |number: u128| Uuid::from_u128(number);
        let containers = [Some(7), None, Some(8), Some(7), Some(9), Some(7)];
        let rows = (1..)
            .zip(containers)
            .map(|(n, container)| (id(n), container));
        let order = Order::new(1, rows.collect());
        assert_eq!(
            order.page(&[7], 0, 50, false),
            (vec![id(1), id(4), id(6)], 3)
        );
        assert_eq!(order.page(&[7, 9], 1, 2, false), (vec![id(4), id(5)], 4));
        assert_eq!(
            order.page(&[7, 9], 0, 3, true),
            (vec![id(6), id(5), id(4)], 4)
        );
        assert_eq!(order.page(&[7, 7], 2, 50, false), (vec![id(6)], 3));
        assert_eq!(order.page(&[7], 3, 50, false), (vec![], 3));
        assert_eq!(order.page(&[0, 99], 0, 50, false), (vec![], 0));
    }
}
