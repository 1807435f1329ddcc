//! Pages and counts of certificates while certificates change, asked of two servers on one database.

use std::collections::BTreeMap;

use db::tables::store_entry_certificates;
use sea_orm::ActiveValue::Set;
use sea_orm::EntityTrait;
use serde_json::{Value, json};
use testkit::{Client, START, TestServer};

use super::certificate_stores::{create, pem, pem_agent};
use super::certificates::{DAY, Maker, Wanted};
use super::certificates_revoke::{enrolled, revoke};
use super::metadata_fields::define;
use super::scoped_stores::put;

const COUNTS: &str = "/Chancery/Certificates/Counts";
const NAMES: [&str; 6] = [
    "CN=alpha.pages.example",
    "CN=beta.pages.example",
    "CN=gamma.pages.example",
    "CN=delta.pages.example",
    "CN=epsilon.pages.example",
    "CN=zeta.pages.example",
];
const COLORS: [&str; 3] = ["red", "green", "blue"];

/// Numbers that are the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % end
    }
}

/// What is known of a certificate.
#[derive(Clone, Debug)]
struct Known {
    name: &'static str,
    to: i64,
    color: Option<&'static str>,
}

/// All certificates of the test, by id.
type World = BTreeMap<i64, Known>;

/// A query, and which certificates it means.
type Meant = (&'static str, fn(&Known) -> bool);

const QUERIES: [Meant; 9] = [
    ("IssuedCN -endswith \".pages.example\"", |_| true),
    (
        "IssuedCN -startswith \"alpha\" OR IssuedCN -eq \"zeta.pages.example\"",
        |known| known.name.contains("alpha") || known.name.contains("zeta"),
    ),
    ("Color -eq \"red\"", |known| known.color == Some("red")),
    (
        "IssuedCN -contains \"pages\" AND NOT Color -eq \"blue\"",
        |known| known.color != Some("blue"),
    ),
    ("IssuedCN -contains \"ta.pages\"", |known| {
        known.name.contains("ta.pages")
    }),
    // What stands side by side in the order of names.
    (
        "IssuedCN -endswith \".pages.example\" AND IssuedCN -ge \"delta.pages.example\"",
        |known| known.name >= "delta",
    ),
    (
        "IssuedCN -endswith \".pages.example\" AND NOT IssuedCN -startswith \"be\" AND CertState -ne 2",
        |known| !known.name.starts_with("be"),
    ),
    (
        "IssuedCN -endswith \".pages.example\" AND IssuedCN -notin (gamma.pages.example, alpha.pages.example)",
        |known| !known.name.contains("gamma") && !known.name.contains("alpha"),
    ),
    (
        "IssuedCN -in (\"eta.pages.example\", \"zeta.pages.example\") OR IssuedCN -startswith \"al\"",
        |known| known.name.contains("zeta") || known.name.contains("alpha"),
    ),
];

/// What the plain query answers: ids in order.
fn expected(
    world: &World,
    meant: &dyn Fn(&Known) -> bool,
    sort: &str,
    descending: bool,
    expired: bool,
    now: i64,
) -> Vec<i64> {
    let mut all: Vec<(String, i64)> = world
        .iter()
        .filter(|(_, known)| meant(known) && (expired || known.to > now))
        .map(|(id, known)| {
            let key = match sort {
                "IssuedCN" => known.name.to_owned(),
                "NotAfter" => format!("{:020}", known.to),
                _ => String::new(),
            };
            (key, *id)
        })
        .collect();
    all.sort();
    if descending {
        all.reverse();
    }
    all.into_iter().map(|(_, id)| id).collect()
}

async fn check(client: &Client, world: &World, now: i64, random: &mut Random) {
    type Asked = (String, Box<dyn Fn(&Known) -> bool>);
    let mut queries: Vec<Asked> = Vec::new();
    for (query, meant) in QUERIES {
        queries.push((query.to_owned(), Box::new(meant)));
    }
    // Parts of names that nobody may have asked for before.
    for (field, operator) in [
        ("IssuedCN", "contains"),
        ("IssuedDN", "contains"),
        ("IssuedCN", "endswith"),
    ] {
        let name = &NAMES[random.below(NAMES.len())]["CN=".len()..];
        let begin = random.below(name.len() - 1);
        let end = match operator {
            "endswith" => name.len(),
            _ => begin + 1 + random.below(name.len() - begin),
        };
        let part = &name[begin..end];
        let query =
            format!("{field} -{operator} \"{part}\" AND IssuedCN -endswith \".pages.example\"");
        let part = part.to_owned();
        queries.push((
            query,
            match operator {
                "endswith" => Box::new(move |known: &Known| known.name.ends_with(&part)),
                _ if field == "IssuedDN" => {
                    Box::new(move |known: &Known| format!("cn={}", known.name).contains(&part))
                }
                _ => Box::new(move |known: &Known| known.name.contains(&part)),
            },
        ));
    }
    for (query, meant) in queries {
        let (sort, descending, expired) = (
            ["Id", "IssuedCN", "NotAfter"][random.below(3)],
            random.below(2),
            random.below(3) == 0,
        );
        let all = expected(world, &meant, sort, descending == 1, expired, now);
        let limit = 1 + random.below(7);
        let last = all.len().div_ceil(limit).max(1);
        for page in [1, 1 + random.below(last), last, last + 1] {
            let path = format!(
                "/Certificates?QueryString={query}&SortField={sort}&SortAscending={descending}&ReturnLimit={limit}&PageReturned={page}&IncludeExpired={expired}"
            );
            let answer = client
                .get(&path.replace('"', "%22").replace(' ', "%20"))
                .await
                .expect(200);
            let found: Vec<i64> = answer
                .items()
                .iter()
                .map(|item| item["Id"].as_i64().unwrap())
                .collect();
            let wanted: Vec<i64> = all
                .iter()
                .copied()
                .skip((page - 1) * limit)
                .take(limit)
                .collect();
            assert_eq!(found, wanted, "{path}");
            assert_eq!(answer.total(), Some(all.len() as u64), "{path}");
        }
    }
}

testkit::both_databases! {
    async fn pages_are_right_after_every_change_on_either_server(server: TestServer) {
        let admin = server.admin();
        define(&admin, &[("Color", 1)]).await;
        let (_other, elsewhere) = server.second().await;
        let (mut maker, mut random, mut world) = (Maker::new(), Random(11), World::new());
        for round in 0..130 {
            let (here, there) = if random.below(2) == 0 { (&admin, &elsewhere) } else { (&elsewhere, &admin) };
            let some = world.keys().copied().nth(random.below(world.len().max(1)));
            match (random.below(10), some) {
                (0..3, Some(id)) => {
                    let color = COLORS[random.below(3)];
                    here.put("/Certificates/Metadata", json!({"Id": id, "Metadata": {"Color": color}})).await.expect(204);
                    world.get_mut(&id).unwrap().color = Some(color);
                }
                (3, Some(id)) => {
                    here.delete(&format!("/Certificates/{id}")).await.expect(204);
                    world.remove(&id);
                }
                (4, _) => server.clock.advance(DAY * i64::try_from(random.below(4)).unwrap()),
                _ => {
                    let mut wanted = Wanted::new(NAMES[random.below(NAMES.len())]);
                    wanted.to = START + DAY * i64::try_from(2 + random.below(200)).unwrap() + 1_000 * round;
                    let id = maker.record(&server, &wanted).await;
                    world.insert(id, Known { name: wanted.subject.trim_start_matches("CN="), to: wanted.to / 1_000 * 1_000, color: None });
                }
            }
            if round % 3 == 0 || round > 110 {
                check(there, &world, server.clock.now(), &mut random).await;
                check(here, &world, server.clock.now(), &mut random).await;
            }
        }
    }

    async fn nobody_is_answered_with_the_list_of_another(server: TestServer) {
        let admin = server.admin();
        let mut maker = Maker::new();
        for _ in 0..12 {
            maker.record(&server, &Wanted::new("CN=mine.pages.example")).await;
        }
        let query = "QueryString=RequesterName%20-eq%20%22%25ME%25%22%20OR%20IssuedCN%20-eq%20%22mine.pages.example%22";
        let path = format!("/Certificates?{query}");
        assert_eq!(admin.get(&path).await.expect(200).total(), Some(12));
        server.anonymous().get(&path).await.expect(401);
        let nobody = server.account(&["/certificate_stores/read/"]).await;
        nobody.get(&path).await.expect(403);
        // Who may read no store is not told by a list that somebody else was answered with.
        let stores = "/Certificates?QueryString=CertStorePath%20-ne%20%22/nowhere%22";
        let reader = server.account(&["/certificates/collections/read/"]).await;
        let (all, none) = (admin.get(stores).await.expect(200).total(), reader.get(stores).await.expect(200).total());
        assert_eq!(all, none, "none is in a store");
    }

    async fn places_that_move_are_found_where_they_are(server: TestServer) {
        let admin = server.admin();
        let agent = pem_agent(&server).await;
        let mut store = pem(agent, "/first");
        let id = create(&admin, store.clone()).await;
        let mut maker = Maker::new();
        let leaf = maker.record(&server, &Wanted::new("CN=leaf.pages.example")).await;
        let issuer = maker.record(&server, &Wanted::new("CN=issuer.pages.example")).await;
        put(&server, &id, "site", leaf).await;
        let entry = store_entry_certificates::Entity::find().one(server.app().db().read()).await.unwrap().unwrap();
        let above = store_entry_certificates::ActiveModel {
            chain_level: Set(1),
            certificate_id: Set(issuer),
            ..entry.into()
        };
        let work = server.app().db().write("test.above", move |tx| {
            Box::pin(async move {
                let row = store_entry_certificates::Entity::insert(above);
                row.exec_without_returning(tx).await.map_err(db::Error::from)
            })
        });
        work.await.unwrap();
        let found = async |path: &str| {
            let path = format!("/Certificates?QueryString=CertStorePath%20-eq%20%22{path}%22");
            admin.get(&path).await.expect(200).total()
        };
        assert_eq!((found("/first").await, found("/second").await), (Some(2), Some(0)));
        store["Id"] = json!(id);
        store["StorePath"] = json!("/second");
        admin.put("/CertificateStores", &store).await.expect(200);
        assert_eq!((found("/first").await, found("/second").await), (Some(0), Some(2)));
        // The entry goes with its own certificate, and the place of what is above with the entry.
        admin.delete(&format!("/Certificates/{leaf}")).await.expect(204);
        assert_eq!(found("/second").await, Some(0));
    }

    async fn counts_are_those_of_the_inventory(server: TestServer) {
        let admin = server.admin();
        server.anonymous().get(COUNTS).await.expect(401);
        server.account(&["/certificate_stores/read/"]).await.get(COUNTS).await.expect(403);
        let (mut maker, mut random) = (Maker::new(), Random(5));
        let mut ids: Vec<i64> = Vec::new();
        for round in 0..25 {
            match (random.below(5), ids.len()) {
                (0, 1..) => {
                    let id = ids.swap_remove(random.below(ids.len()));
                    admin.delete(&format!("/Certificates/{id}")).await.expect(204);
                }
                (1, _) => server.clock.advance(DAY / 3),
                _ => {
                    let mut wanted = Wanted::new(NAMES[random.below(NAMES.len())]);
                    wanted.to = START + DAY / 4 * i64::from(1 + round);
                    if round % 2 == 0 {
                        wanted.key = pki::KeySpec::Ed25519;
                    }
                    ids.push(maker.record(&server, &wanted).await);
                }
            }
            if round % 4 == 0 {
                counted(&admin, server.clock.now()).await;
            }
        }
        let (id, _) = enrolled(&server, "counted.example").await;
        counted(&admin, server.clock.now()).await;
        revoke(&admin, &[id], 6).await.expect(200);
        counted(&admin, server.clock.now()).await;
        // Taken from hold.
        revoke(&admin, &[id], -1).await.expect(200);
        counted(&admin, server.clock.now()).await;
    }
}

/// Compares every count with the whole list.
async fn counted(admin: &Client, now: i64) {
    let counts = admin
        .get(&format!("{COUNTS}?includeCollections=true"))
        .await
        .expect(200)
        .json;
    let all = admin
        .get("/Certificates?ReturnLimit=1000&IncludeExpired=true&IncludeRevoked=true")
        .await
        .expect(200);
    assert_eq!(counts["Total"], all.items().len());
    let of = |member: &str, value: &Value| {
        all.items()
            .iter()
            .filter(|item| item[member] == *value)
            .count()
    };
    for (name, member) in [
        ("States", "CertState"),
        ("Authorities", "CertificateAuthorityId"),
        ("KeyTypes", "KeyTypeString"),
    ] {
        let list = counts[name].as_array().unwrap();
        for one in list {
            assert_eq!(one["Count"], of(member, &one[member]), "{name} {one}");
        }
        let sum: i64 = list.iter().map(|one| one["Count"].as_i64().unwrap()).sum();
        assert_eq!(counts["Total"], sum, "{name}");
    }
    let ends: Vec<i64> = all
        .items()
        .iter()
        .filter(|item| item["CertState"] != 2)
        .map(|item| search::dates::parse(item["NotAfter"].as_str().unwrap(), now).unwrap())
        .collect();
    let until = |to: i64| ends.iter().filter(|end| **end > now && **end < to).count();
    assert_eq!(
        counts["Expiry"]["Expired"],
        ends.iter().filter(|end| **end <= now).count()
    );
    assert_eq!(counts["Expiry"]["Valid"], until(i64::MAX));
    for window in counts["Expiry"]["Windows"].as_array().unwrap() {
        let end = (now / DAY + window["Days"].as_i64().unwrap() + 1) * DAY;
        assert_eq!(window["Count"], until(end), "{window}");
    }
    for collection in counts["Collections"].as_array().unwrap() {
        let path = format!("/Certificates?collectionId={}", collection["CollectionId"]);
        assert_eq!(
            collection["Count"],
            admin.get(&path).await.expect(200).total().unwrap()
        );
    }
}
