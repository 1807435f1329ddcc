//! The decision against a model: random stores, containers, collections, certificates and roles, and what each caller is
//! answered, compared with the documented rules (command-behaviour.md A.0) written down a second time, as shortly as possible
//! and without a line of the server's code.

use std::collections::BTreeSet;

use db::tables;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use sea_orm::{ActiveModelTrait, ActiveValue, EntityTrait};
use serde_json::json;
use testkit::{Client, START, TestServer};
use uuid::Uuid;

const DAY: i64 = 86_400_000;
/// Names of certificates; what collections ask of them is below.
const CERTIFICATES: [&str; 6] = [
    "alpha.web",
    "beta.web",
    "gamma.mail",
    "delta.mail",
    "web.zeta",
    "eta.db",
];
/// Queries of collections, and which names each one has.
type Has = fn(&str) -> bool;
const COLLECTIONS: [(&str, Has); 4] = [
    ("IssuedCN -endswith \".web\"", |name| name.ends_with(".web")),
    ("IssuedCN -contains \"web\"", |name| name.contains("web")),
    (
        "IssuedCN -startswith \"delta\" OR IssuedCN -eq \"eta.db\"",
        |name| name == "delta.mail" || name == "eta.db",
    ),
    ("IssuedCN -eq \"nothing\"", |_| false),
];
const CONTAINERS: usize = 3;
/// Permissions that a grant may be of, with the kind of object it may be limited to.
const GRANTABLE: [(&str, Option<Kind>); 12] = [
    ("/", None),
    ("/certificates/", None),
    ("/certificate_stores/", None),
    ("/certificates/collections/", None),
    ("/certificates/collections/read/", Some(Kind::Collection)),
    (
        "/certificates/collections/change_owner/",
        Some(Kind::Collection),
    ),
    ("/certificates/collections/delete/", Some(Kind::Collection)),
    ("/certificate_stores/read/", Some(Kind::Container)),
    ("/certificate_stores/schedule/", Some(Kind::Container)),
    ("/certificate_stores/modify/", Some(Kind::Container)),
    ("/certificate_stores/change_owner/", Some(Kind::Container)),
    ("/agents/", None),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Collection,
    Container,
}

/// A grant: an index of [`GRANTABLE`], and an index of the object it is limited to.
type Grant = (usize, Option<usize>);

/// A random world, by indexes.
#[derive(Clone, Debug)]
struct World {
    /// Stores: the container, and the certificates inside.
    stores: Vec<(Option<usize>, Vec<usize>)>,
    /// Callers: their roles, each enabled or not, with its grants.
    callers: Vec<Vec<(bool, Vec<Grant>)>>,
}

fn worlds() -> impl Strategy<Value = World> {
    let inside = proptest::collection::btree_set(0..CERTIFICATES.len(), 0..3);
    let store = (
        proptest::option::weighted(0.8, 0..CONTAINERS),
        inside.prop_map(|set| set.into_iter().collect()),
    );
    // Broad grants are rare, or everybody might do everything.
    let which = prop_oneof![1 => 0..4_usize, 12 => 4..GRANTABLE.len()];
    let grant = (
        which,
        proptest::option::weighted(0.75, 0..COLLECTIONS.len()),
    )
        .prop_map(|(which, object)| match GRANTABLE[which].1 {
            None => (which, None),
            Some(Kind::Collection) => (which, object),
            Some(Kind::Container) => (which, object.map(|object| object % CONTAINERS)),
        });
    let role = (
        prop::bool::weighted(0.9),
        proptest::collection::vec(grant, 0..4),
    );
    let caller = proptest::collection::vec(role, 0..3);
    (
        proptest::collection::vec(store, 4..6),
        proptest::collection::vec(caller, 12),
    )
        .prop_map(|(stores, callers)| World { stores, callers })
}

/// The rules, once more.
struct Model<'w> {
    world: &'w World,
    caller: usize,
}

impl Model<'_> {
    fn grants(&self) -> impl Iterator<Item = (&'static str, Option<usize>)> + '_ {
        let enabled = self.world.callers[self.caller]
            .iter()
            .filter(|(enabled, _)| *enabled);
        enabled
            .flat_map(|(_, grants)| grants)
            .map(|(which, object)| (GRANTABLE[*which].0, *object))
    }

    /// Modify is schedule is read on stores.
    fn paths(permission: &'static str) -> Vec<&'static str> {
        let stores = [
            "/certificate_stores/modify/",
            "/certificate_stores/schedule/",
            "/certificate_stores/read/",
        ];
        match stores.iter().position(|path| *path == permission) {
            Some(index) => stores[..=index].to_vec(),
            None => vec![permission],
        }
    }

    fn everywhere(&self, permission: &'static str) -> bool {
        Self::paths(permission).iter().any(|path| {
            self.grants()
                .any(|(grant, object)| object.is_none() && path.starts_with(grant))
        })
    }

    fn on(&self, permission: &'static str, object: usize) -> bool {
        self.everywhere(permission)
            || Self::paths(permission)
                .iter()
                .any(|path| self.grants().any(|grant| grant == (path, Some(object))))
    }

    fn nowhere(&self, permission: &'static str) -> bool {
        !self.everywhere(permission)
            && (0..COLLECTIONS.len()).all(|object| !self.on(permission, object))
    }

    fn store(&self, permission: &'static str, store: usize) -> bool {
        match self.world.stores[store].0 {
            Some(container) => self.on(permission, container),
            None => self.everywhere(permission),
        }
    }

    /// A right on a certificate, by the collection or the container that is named.
    fn certificate(
        &self,
        permission: &'static str,
        on_stores: Option<&'static str>,
        certificate: usize,
        through: (Option<usize>, Option<usize>),
    ) -> bool {
        let located = |container: Option<usize>| {
            let mut stores = self
                .world
                .stores
                .iter()
                .filter(|(place, _)| container.is_none() || *place == container);
            stores.any(|(_, inside)| inside.contains(&certificate))
        };
        self.everywhere(permission)
            || match through {
                (Some(collection), _) => {
                    self.on(permission, collection)
                        && COLLECTIONS[collection].1(CERTIFICATES[certificate])
                }
                (None, Some(container)) => {
                    on_stores.is_some_and(|stores| self.on(stores, container))
                        && located(Some(container))
                }
                (None, None) => {
                    on_stores.is_some_and(|stores| self.everywhere(stores)) && located(None)
                }
            }
    }
}

/// The world in a server.
struct Built {
    certificates: Vec<i64>,
    collections: Vec<i64>,
    containers: Vec<i64>,
    stores: Vec<Uuid>,
    callers: Vec<Client>,
}

pub(crate) async fn insert<A>(server: &TestServer, row: A) -> <A::Entity as EntityTrait>::Model
where
    A: ActiveModelTrait + sea_orm::ActiveModelBehavior + Send + 'static,
    <A::Entity as EntityTrait>::Model: sea_orm::IntoActiveModel<A> + Send,
{
    let work = server.app().db().write("test.insert", move |tx| {
        Box::pin(async move { row.insert(tx).await.map_err(db::Error::from) })
    });
    work.await.unwrap()
}

pub(crate) async fn certificate(server: &TestServer, name: &str, serial: u8) -> i64 {
    let key = pki::PrivateKey::generate(pki::KeySpec::EcP256).unwrap();
    let subject = pki::DistinguishedName::parse(&format!("CN={name}")).unwrap();
    let serial = pki::Serial::from_random(&[serial; 16]);
    let root = pki::Issuer::self_signed_root(&subject, key, START - DAY, START + 90 * DAY, &serial)
        .unwrap();
    let der = root.certificate().der().to_vec();
    app::testing::record(
        &server.cx(),
        app::testing::Certificate {
            der,
            ..Default::default()
        },
    )
    .await
    .unwrap()
}

async fn build(server: &TestServer, world: &World) -> Built {
    let mut built = Built {
        certificates: Vec::new(),
        collections: Vec::new(),
        containers: Vec::new(),
        stores: Vec::new(),
        callers: Vec::new(),
    };
    for (serial, name) in (1..).zip(CERTIFICATES) {
        built
            .certificates
            .push(certificate(server, name, serial).await);
    }
    for (index, (query, _)) in COLLECTIONS.iter().enumerate() {
        let row = tables::certificate_collections::ActiveModel {
            id: ActiveValue::NotSet,
            name: ActiveValue::Set(format!("Collection {index}")),
            name_fold: ActiveValue::Set(format!("collection {index}")),
            description: ActiveValue::Set(String::new()),
            query: ActiveValue::Set((*query).to_owned()),
            duplication_field: ActiveValue::Set(0),
            show_on_dashboard: ActiveValue::Set(false),
            position: ActiveValue::Set(i64::try_from(index).unwrap()),
            last_count: ActiveValue::Set(None),
            last_counted_at: ActiveValue::Set(None),
            created_at: ActiveValue::Set(START),
        };
        built.collections.push(insert(server, row).await.id);
    }
    for index in 0..CONTAINERS {
        let row = tables::store_containers::ActiveModel {
            id: ActiveValue::NotSet,
            name: ActiveValue::Set(format!("Container {index}")),
            name_fold: ActiveValue::Set(format!("container {index}")),
            overwrite_schedules: ActiveValue::Set(false),
            schedule: ActiveValue::Set(None),
            store_type_id: ActiveValue::Set(None),
            created_at: ActiveValue::Set(START),
        };
        built.containers.push(insert(server, row).await.id);
    }
    for (index, (container, inside)) in world.stores.iter().enumerate() {
        built
            .stores
            .push(store(server, &built, index, *container, inside).await);
    }
    for (index, roles) in world.callers.iter().enumerate() {
        built
            .callers
            .push(caller(server, &built, index, roles).await);
    }
    built
}

async fn store(
    server: &TestServer,
    built: &Built,
    index: usize,
    container: Option<usize>,
    inside: &[usize],
) -> Uuid {
    let id = Uuid::from_u128(0x570e + index as u128);
    let row = tables::certificate_stores::ActiveModel {
        id: ActiveValue::Set(id),
        store_type_id: ActiveValue::Set(2),
        agent_id: ActiveValue::Set(None),
        container_id: ActiveValue::Set(container.map(|container| built.containers[container])),
        client_machine: ActiveValue::Set(format!("host{index}")),
        client_machine_fold: ActiveValue::Set(format!("host{index}")),
        store_path: ActiveValue::Set("/etc/site.pem".into()),
        store_path_fold: ActiveValue::Set("/etc/site.pem".into()),
        approved: ActiveValue::Set(true),
        create_if_missing: ActiveValue::Set(false),
        properties: ActiveValue::Set("{}".into()),
        sealed_secrets: ActiveValue::Set(None),
        sealed_password: ActiveValue::Set(None),
        set_new_password_allowed: ActiveValue::Set(false),
        inventory_schedule: ActiveValue::Set(None),
        inventory_job_id: ActiveValue::Set(None),
        last_inventory_at: ActiveValue::Set(None),
        created_at: ActiveValue::Set(START),
    };
    insert(server, row).await;
    for (number, certificate) in inside.iter().enumerate() {
        let entry = tables::store_entries::ActiveModel {
            id: ActiveValue::NotSet,
            store_id: ActiveValue::Set(id),
            alias: ActiveValue::Set(format!("entry{number}")),
            alias_fold: ActiveValue::Set(format!("entry{number}")),
            private_key: ActiveValue::Set(false),
            parameters: ActiveValue::Set("{}".into()),
        };
        let entry = insert(server, entry).await.id;
        let link = tables::store_entry_certificates::ActiveModel {
            since: ActiveValue::Set(None),
            entry_id: ActiveValue::Set(entry),
            chain_level: ActiveValue::Set(0),
            certificate_id: ActiveValue::Set(built.certificates[*certificate]),
            store_id: ActiveValue::Set(id),
        };
        insert(server, link).await;
    }
    id
}

async fn caller(
    server: &TestServer,
    built: &Built,
    index: usize,
    roles: &[(bool, Vec<Grant>)],
) -> Client {
    let mut client = server.account(&[]).await;
    let mut held = Vec::new();
    for (number, (enabled, grants)) in roles.iter().enumerate() {
        let paths: BTreeSet<String> = grants
            .iter()
            .map(|(which, object)| path(built, *which, *object))
            .collect();
        let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
        let name = format!("Caller {index} role {number}");
        let id = server.role(&name, &paths).await;
        if number == 0 {
            client = server
                .account_in_role(&format!("caller{index}"), &name)
                .await;
        }
        held.push((id, *enabled));
    }
    let name = client.name().to_owned();
    let work = server.app().db().write("test.hold", move |tx| {
        Box::pin(async move {
            use sea_orm::{ColumnTrait, QueryFilter};
            let account = tables::accounts::Entity::find()
                .filter(tables::accounts::Column::Name.eq(name))
                .one(tx)
                .await?
                .unwrap();
            for (number, (id, enabled)) in held.into_iter().enumerate() {
                if number > 0 {
                    let link = tables::role_claims::ActiveModel {
                        role_id: ActiveValue::Set(id),
                        claim_id: ActiveValue::Set(account.claim_id),
                    };
                    tables::role_claims::Entity::insert(link)
                        .exec_without_returning(tx)
                        .await?;
                }
                let change = tables::roles::ActiveModel {
                    id: ActiveValue::Unchanged(id),
                    enabled: ActiveValue::Set(enabled),
                    ..Default::default()
                };
                change.update(tx).await?;
            }
            Ok::<_, db::Error>(())
        })
    });
    work.await.unwrap();
    client
}

fn path(built: &Built, which: usize, object: Option<usize>) -> String {
    let (path, kind) = GRANTABLE[which];
    match (kind, object) {
        (Some(Kind::Collection), Some(object)) => format!("{path}{}/", built.collections[object]),
        (Some(Kind::Container), Some(object)) => format!("{path}{}/", built.containers[object]),
        _ => path.to_owned(),
    }
}

fn query(built: &Built, through: (Option<usize>, Option<usize>)) -> String {
    let collection = through.0.map_or(0, |index| built.collections[index]);
    let container = through.1.map_or(0, |index| built.containers[index]);
    format!("CollectionId={collection}&ContainerId={container}")
}

fn options(count: usize) -> impl Iterator<Item = Option<usize>> {
    std::iter::once(None).chain((0..count).map(Some))
}

/// Everything that a caller may be told is asked; differences are gathered, so that one run shows all of them.
async fn compare(
    built: &Built,
    world: &World,
    caller: usize,
    wrong: &mut Vec<String>,
    answers: &mut BTreeSet<(&'static str, bool)>,
) {
    let (client, model) = (&built.callers[caller], Model { world, caller });
    let mut check = |kind: &'static str, what: String, expected: bool, status: u16| {
        answers.insert((kind, expected));
        if expected != (status != 403) || status >= 500 {
            let roles = &world.callers[caller];
            wrong.push(format!(
                "{what}: {status}, and the model says {expected}; roles {roles:?}; stores {:?}",
                world.stores
            ));
        }
    };
    for certificate in 0..CERTIFICATES.len() {
        let id = built.certificates[certificate];
        for collection in options(COLLECTIONS.len()) {
            let path = format!("/Certificates/{id}?{}", query(built, (collection, None)));
            let expected = model.certificate(
                "/certificates/collections/read/",
                None,
                certificate,
                (collection, None),
            );
            check(
                "one certificate",
                format!("GET {path}"),
                expected,
                client.get(&path).await.status,
            );
        }
    }
    // The owner stays as it is, so that nothing but the right is asked for.
    for (certificate, through) in [
        (0, (None, None)),
        (0, (Some(0), None)),
        (2, (Some(0), None)),
        (1, (None, Some(0))),
        (1, (None, Some(1))),
        (3, (Some(2), Some(2))),
        (4, (None, Some(2))),
    ] {
        let path = format!(
            "/Certificates/{}/Owner?{}",
            built.certificates[certificate],
            query(built, through)
        );
        let expected = model.certificate(
            "/certificates/collections/change_owner/",
            Some("/certificate_stores/change_owner/"),
            certificate,
            through,
        );
        check(
            "an owner",
            format!("PUT {path}"),
            expected,
            client.put(&path, json!({ "NewRoleId": null })).await.status,
        );
    }
    for collection in options(COLLECTIONS.len()) {
        let path = format!(
            "/Certificates?{}&ReturnLimit=100",
            query(built, (collection, None))
        );
        let allowed = match collection {
            Some(collection) => model.on("/certificates/collections/read/", collection),
            None => model.everywhere("/certificates/collections/read/"),
        };
        let answer = client.get(&path).await;
        check(
            "a list of certificates",
            format!("GET {path}"),
            allowed,
            answer.status,
        );
        if let (200, Some(collection)) = (answer.status, collection) {
            let expected: BTreeSet<&str> = CERTIFICATES
                .into_iter()
                .filter(|name| COLLECTIONS[collection].1(name))
                .collect();
            let found: BTreeSet<&str> = answer
                .items()
                .iter()
                .filter_map(|item| item["IssuedCN"].as_str())
                .collect();
            check(
                "what a list holds",
                format!("GET {path}: {found:?} instead of {expected:?}"),
                true,
                if found == expected { 200 } else { 403 },
            );
            check(
                "what a list holds",
                format!("GET {path}: total {:?}", answer.total()),
                true,
                if answer.total() == Some(expected.len() as u64) {
                    200
                } else {
                    403
                },
            );
        }
    }
    for (index, id) in built.stores.iter().enumerate() {
        let path = format!("/CertificateStores/{id}");
        check(
            "one store",
            format!("GET {path}"),
            model.store("/certificate_stores/read/", index),
            client.get(&path).await.status,
        );
        let off = json!({ "StoreIds": [id], "Schedule": { "Off": true } });
        let status = client.post("/CertificateStores/Schedule", off).await.status;
        check(
            "a schedule",
            format!("POST /CertificateStores/Schedule of store {index}"),
            model.store("/certificate_stores/schedule/", index),
            status,
        );
        // It fails in any case, since the store has no agent; what counts is whether for want of a right.
        let certificate = index % CERTIFICATES.len();
        for collection in [None, Some(0), Some(1)] {
            let add = json!({
                "CertificateId": built.certificates[certificate], "CollectionId": collection.map_or(0, |index| built.collections[index]),
                "CertificateStores": [{ "CertificateStoreId": id }], "Schedule": { "Immediate": true }
            });
            let expected = model.certificate(
                "/certificates/collections/read/",
                None,
                certificate,
                (collection, None),
            ) && model.store("/certificate_stores/schedule/", index);
            check(
                "a delivery",
                format!(
                    "POST Add of certificate {certificate} to store {index} through collection {collection:?}"
                ),
                expected,
                client
                    .post("/CertificateStores/Certificates/Add", add)
                    .await
                    .status,
            );
        }
    }
    let answer = client.get("/CertificateStores?ReturnLimit=100").await;
    check(
        "a list of stores",
        "GET /CertificateStores".into(),
        !model.nowhere("/certificate_stores/read/"),
        answer.status,
    );
    if answer.status == 200 {
        let readable = (0..built.stores.len())
            .filter(|index| model.store("/certificate_stores/read/", *index));
        let expected: BTreeSet<String> = readable
            .map(|index| built.stores[index].to_string())
            .collect();
        let found: BTreeSet<String> = answer
            .items()
            .iter()
            .filter_map(|item| Some(item["Id"].as_str()?.to_owned()))
            .collect();
        check(
            "what a list holds",
            format!("GET /CertificateStores: {found:?} instead of {expected:?}"),
            true,
            if found == expected { 200 } else { 403 },
        );
        check(
            "what a list holds",
            format!("GET /CertificateStores: total {:?}", answer.total()),
            true,
            if answer.total() == Some(expected.len() as u64) {
                200
            } else {
                403
            },
        );
    }
}

fn world_of(seed: u8) -> World {
    let mut runner = TestRunner::new_with_rng(
        Config::default(),
        TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]),
    );
    worlds().new_tree(&mut runner).unwrap().current()
}

/// Whether somebody may deliver a certificate to a store, which takes two rights: there are worlds where nobody has both.
fn delivers(world: &World) -> bool {
    let may = |caller: usize, store: usize| {
        let model = Model { world, caller };
        let certificate = store % CERTIFICATES.len();
        let read = "/certificates/collections/read/";
        model.certificate(read, None, certificate, (None, None))
            && model.store("/certificate_stores/schedule/", store)
    };
    let stores = 0..world.stores.len();
    (0..world.callers.len()).any(|caller| stores.clone().any(|store| may(caller, store)))
}

async fn random_world(server: &TestServer, seed: u8) {
    let world = (seed..).step_by(3).map(world_of).find(delivers).unwrap();
    let built = build(server, &world).await;
    let (mut wrong, mut answers) = (Vec::new(), BTreeSet::new());
    for caller in 0..built.callers.len() {
        compare(&built, &world, caller, &mut wrong, &mut answers).await;
    }
    // Where the model always says the same, the comparison says little.
    for kind in [
        "one certificate",
        "an owner",
        "a list of certificates",
        "one store",
        "a schedule",
        "a delivery",
        "a list of stores",
    ] {
        assert!(
            answers.contains(&(kind, true)) && answers.contains(&(kind, false)),
            "{kind}: {answers:?}"
        );
    }
    assert!(
        wrong.is_empty(),
        "{} differences:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

testkit::both_databases! {
    async fn one_random_world(server: TestServer) {
        random_world(&server, 1).await;
    }

    async fn another_random_world(server: TestServer) {
        random_world(&server, 2).await;
    }

    async fn a_third_random_world(server: TestServer) {
        random_world(&server, 3).await;
    }
}
