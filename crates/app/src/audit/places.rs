//! Which record stands where in the tree: runs of positions of a chain that follow each other there.

use db::tables::audit_runs::{ActiveModel, Column, Entity, Model};
use sea_orm::{
    ActiveModelTrait, ActiveValue, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter,
    QueryOrder,
};

use crate::error::Error;

/// The place of a record in the tree, from 0; `None` when no run has it.
pub(super) async fn leaf_of(
    connection: &impl ConnectionTrait,
    chain: i32,
    position: i64,
) -> Result<Option<i64>, Error> {
    let run = Entity::find()
        .filter(Column::Chain.eq(chain))
        .filter(Column::FirstPosition.lte(position))
        .order_by_desc(Column::FirstPosition)
        .one(connection)
        .await?;
    Ok(run
        .filter(|run| position - run.first_position < run.length)
        .map(|run| run.first_leaf + (position - run.first_position)))
}

/// The run that a place in the tree belongs to.
pub(super) async fn run_of(
    connection: &impl ConnectionTrait,
    leaf: i64,
) -> Result<Option<Model>, Error> {
    let run = Entity::find()
        .filter(Column::FirstLeaf.lte(leaf))
        .order_by_desc(Column::FirstLeaf)
        .one(connection)
        .await?;
    Ok(run.filter(|run| leaf - run.first_leaf < run.length))
}

/// New runs at the end of the tree, put together in order.
#[derive(Debug, Default)]
pub(super) struct NewRuns(Vec<Model>);

impl NewRuns {
    /// The next record of the tree.
    pub(super) fn push(&mut self, leaf: i64, chain: i32, position: i64) {
        match self.0.last_mut() {
            Some(run) if run.chain == chain && run.first_position + run.length == position => {
                run.length += 1;
            }
            _ => self.0.push(Model {
                first_leaf: leaf,
                chain,
                first_position: position,
                length: 1,
            }),
        }
    }

    /// Writes them; the first makes the last run longer where it goes on with it.
    pub(super) async fn save(mut self, tx: &db::Tx) -> Result<(), Error> {
        let last = Entity::find()
            .order_by_desc(Column::FirstLeaf)
            .one(tx)
            .await?;
        if let (Some(last), Some(first)) = (last, self.0.first())
            && last.chain == first.chain
            && last.first_leaf + last.length == first.first_leaf
            && last.first_position + last.length == first.first_position
        {
            let longer = ActiveModel {
                first_leaf: ActiveValue::Unchanged(last.first_leaf),
                length: ActiveValue::Set(last.length + first.length),
                ..Default::default()
            };
            longer.update(tx).await?;
            self.0.remove(0);
        }
        if !self.0.is_empty() {
            let rows: Vec<ActiveModel> = self
                .0
                .into_iter()
                .map(|run| ActiveModel {
                    first_leaf: ActiveValue::Set(run.first_leaf),
                    chain: ActiveValue::Set(run.chain),
                    first_position: ActiveValue::Set(run.first_position),
                    length: ActiveValue::Set(run.length),
                })
                .collect();
            Entity::insert_many(rows).exec_without_returning(tx).await?;
        }
        Ok(())
    }
}
