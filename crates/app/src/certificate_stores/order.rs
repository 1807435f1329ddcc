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
use std::sync::{Arc, Mutex, PoisonError};

use db::tables::certificate_stores;
use sea_orm::{ConnectionTrait, EntityTrait, QueryOrder, QuerySelect};
use uuid::Uuid;

use crate::cx::Cx;
use crate::error::Error;
use crate::generation::Generation;

/// What is remembered.
#[derive(Debug, Default)]
pub(crate) struct StoreOrder(Mutex<Remembered>);

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

/// Has to stand in every transaction that makes or deletes a store, or changes its machine or its container.
///
/// # Errors
/// Those of the database.
pub(crate) async fn stores_changed(tx: &db::Tx) -> Result<(), Error> {
    Generation::CertificateStores.moved(tx).await
}

impl StoreOrder {
    /// The order as it is now; nothing when it changed just before.
    ///
    /// # Errors
    /// Those of the database.
    pub(super) async fn of(&self, cx: &Cx) -> Result<Option<Arc<Order>>, Error> {
        let now = Generation::CertificateStores.now(cx.db().read()).await?;
        {
            let mut remembered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let known = remembered.order.as_ref();
            if let Some(order) = known.filter(|order| order.generation == now) {
                return Ok(Some(Arc::clone(order)));
            }
            if remembered.met.replace(now) != Some(now) {
                return Ok(None);
            }
        }
        // The generation and the stores of one moment.
        let snapshot = cx.db().snapshot().await?;
        let order = Arc::new(Order::read(&snapshot).await?);
        drop(snapshot);
        let mut remembered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        remembered.order = Some(Arc::clone(&order));
        Ok(Some(order))
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
    use super::*;

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
