//! Every table whose past is kept can be read as of a moment, and what was kept is found there.

use db::Db;
use db::tables::{
    certificate_contents, certificate_metadata, certificate_names, certificate_stores,
    certificates, store_entries, store_entry_certificates, store_types,
};
use sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, QuerySelect};

db::test_on_both! {
    async fn every_table_is_read_as_of_a_moment(db: &Db) {
        let then = db.at(5);
        macro_rules! read {
            ($($table:ident)*) => { $(
                let all = $table::Entity::find().all(then.read()).await;
                assert!(all.as_ref().is_ok_and(Vec::is_empty), "{all:?}");
                assert_eq!($table::Entity::find().count(then.read()).await.ok(), Some(0));
            )* };
        }
        read!(certificates certificate_contents certificate_names certificate_metadata store_entry_certificates);
        let stores = certificate_stores::Entity::find().select_only().columns([certificate_stores::Column::Id]);
        let stores = stores.filter(certificate_stores::Column::ContainerId.eq(1)).filter(certificate_stores::Column::StorePath.eq("x"));
        stores.into_tuple::<uuid::Uuid>().all(then.read()).await.expect("stores can be read");
        let entries = store_entries::Entity::find().select_only().column(store_entries::Column::Alias).filter(store_entries::Column::Id.is_in([1, 2]));
        entries.into_tuple::<String>().all(then.read()).await.expect("entries can be read");
        let types = store_types::Entity::find().select_only().column(store_types::Column::Name).filter(store_types::Column::Id.ne(7));
        let types = types.into_tuple::<String>().all(then.read()).await;
        assert!(types.expect("types can be read").is_empty());
        let snapshot = then.snapshot().await.expect("a snapshot");
        certificates::Entity::find().filter(certificates::Column::Id.eq(1)).count(&snapshot).await.expect("it can be read");
    }
}
