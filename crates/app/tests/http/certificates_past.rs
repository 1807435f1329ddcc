//! `GET /Certificates?asOf=`, `GET /Certificates/{id}?asOf=` and `GET /Chancery/Certificates/Changes`.

use std::collections::{BTreeMap, BTreeSet};

use db::tables;
use sea_orm::{EntityTrait, PaginatorTrait};
use serde_json::{Value, json};
use testkit::{Client, START, TestServer};
use uuid::Uuid;

use crate::certificates::{DAY, Maker, Wanted};
use crate::certificates_revoke::{enrolled, revoke};
use crate::metadata_fields::define;
use crate::scoped_stores::{collection, container};

const MINUTE: i64 = 60_000;
const EVERYTHING: &str = "IncludeRevoked=true&IncludeExpired=true&includeMetadata=true&includeLocations=true&includeHasPrivateKey=true&ReturnLimit=500";
const READ: &str = "/certificates/collections/read/";

/// A moment, in a form that needs no calendar.
fn at(moment: i64) -> String {
    format!("asOf=/Date({moment})/")
}

fn encoded(query: &str) -> String {
    let code = |byte: u8| match byte.is_ascii_alphanumeric() {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    query.bytes().map(code).collect()
}

/// Numbers that are the same every time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % sides as u64).unwrap()
    }

    fn one<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        match of.len() {
            0 => None,
            sides => Some(&of[self.roll(sides)]),
        }
    }
}

/// What happens to an inventory.
struct World<'s> {
    server: &'s TestServer,
    admin: Client,
    dice: Dice,
    maker: Maker,
    /// Certificates that are there, by id, with their content.
    certificates: BTreeMap<i64, Vec<u8>>,
    enrolled: Vec<i64>,
    roles: Vec<i64>,
    stores: Vec<Uuid>,
    collections: Vec<i64>,
    /// How many stores there were.
    stores_made: usize,
}

impl<'s> World<'s> {
    async fn new(server: &'s TestServer, seed: u64) -> Self {
        let admin = server.admin();
        for name in ["Team", "Ticket"] {
            define(&admin, &[(name, 1)]).await;
        }
        let mut roles = Vec::new();
        for name in ["Web Owners", "Mail Owners"] {
            roles.push(server.role(name, &[]).await);
        }
        let mut collections = Vec::new();
        for (name, query) in [
            ("Team web", "Team -eq \"web\" OR CertState -eq \"Revoked\""),
            (
                "In stores",
                "CertStorePath -contains \"site\" AND NOT OwnerRoleName -eq \"Mail Owners\"",
            ),
        ] {
            collections.push(collection(server, name, query).await);
        }
        let mut world = Self {
            server,
            admin,
            dice: Dice(seed),
            maker: Maker::new(),
            certificates: BTreeMap::new(),
            enrolled: Vec::new(),
            roles,
            stores: Vec::new(),
            collections,
            stores_made: 0,
        };
        world.new_store().await;
        world.new_store().await;
        world
    }

    fn place(&mut self) -> Value {
        self.stores_made += 1;
        let number = self.stores_made;
        let path = ["site", "other"][number % 2];
        json!({
            "ContainerId": null, "ClientMachine": format!("web{number}"), "StorePath": format!("/etc/{path}{number}.pem"),
            "CertStoreType": 2, "AgentId": null, "Properties": "{}"
        })
    }

    async fn new_store(&mut self) {
        let place = self.place();
        let made = self
            .admin
            .post("/CertificateStores", place)
            .await
            .expect(200);
        self.stores
            .push(made.json["Id"].as_str().unwrap().parse().unwrap());
    }

    fn certificate(&mut self) -> Option<i64> {
        let ids: Vec<i64> = self.certificates.keys().copied().collect();
        self.dice.one(&ids).copied()
    }

    async fn record(&mut self) {
        let subject = self
            .dice
            .one(&["CN=a.web", "CN=b.mail", "CN=c.web"])
            .unwrap();
        let to = START + *self.dice.one(&[2, 20, 90]).unwrap() * DAY;
        let (certificate, key) = self.maker.make(&Wanted {
            to,
            ..Wanted::new(subject)
        });
        let private_key = (self.dice.roll(2) == 0).then(|| key.to_pkcs8_der().to_vec());
        let team = self.dice.one(&["web", "mail"]).unwrap();
        let given = app::testing::Certificate {
            der: certificate.der().to_vec(),
            private_key,
            metadata: vec![("Team".into(), (*team).into())],
            ..app::testing::Certificate::default()
        };
        let id = app::testing::record(&self.server.cx(), given)
            .await
            .unwrap();
        self.certificates.insert(id, certificate.der().to_vec());
    }

    async fn enroll(&mut self) {
        let (id, chain) = enrolled(self.server, "enrolled.web").await;
        self.enrolled.push(id);
        self.certificates
            .insert(id, pki::pem::certificates(chain[0].as_bytes())[0].clone());
    }

    /// Something happens, or nothing.
    async fn step(&mut self) -> Option<()> {
        let admin = self.admin.clone();
        match self.dice.roll(16) {
            0 => {
                self.record().await;
            }
            1 => {
                self.enroll().await;
            }
            2..=4 => {
                let reason = *self.dice.one(&[1, 6, 6, -1, -1])?;
                // Those that were enrolled can be.
                let enrolled: Vec<i64> = self
                    .enrolled
                    .iter()
                    .filter(|id| self.certificates.contains_key(id))
                    .copied()
                    .collect();
                revoke(&admin, &[*self.dice.one(&enrolled)?], reason).await;
            }
            5 | 6 => {
                let role = *self
                    .dice
                    .one(&[self.roles[0].into(), self.roles[1].into(), Value::Null])?
                    .clone()
                    .as_i64()
                    .as_ref()
                    .unwrap_or(&0);
                let role = if role == 0 { Value::Null } else { role.into() };
                admin
                    .put(
                        &format!("/Certificates/{}/Owner", self.certificate()?),
                        json!({ "NewRoleId": role }),
                    )
                    .await
                    .expect(204);
            }
            7 | 8 => {
                let (name, value) = *self.dice.one(&[
                    ("Team", "web"),
                    ("Team", "mail"),
                    ("Team", ""),
                    ("Ticket", "1"),
                    ("Ticket", "2"),
                    ("Ticket", ""),
                ])?;
                admin
                    .put(
                        "/Certificates/Metadata",
                        json!({"Id": self.certificate()?, "Metadata": {name: value}}),
                    )
                    .await
                    .expect(204);
            }
            9 => {
                let id = self.certificate()?;
                admin
                    .delete(&format!("/Certificates/{id}"))
                    .await
                    .expect(204);
                self.certificates.remove(&id);
            }
            10 | 11 => {
                let store = *self.dice.one(&self.stores.clone())?;
                let mut entries = Vec::new();
                for alias in ["first", "second", "third"] {
                    let Some(id) = self.certificate() else { break };
                    let mut chain = vec![self.certificates[&id].clone()];
                    if let (0, Some(above)) = (self.dice.roll(3), self.certificate()) {
                        chain.push(self.certificates[&above].clone());
                    }
                    let alias = if self.dice.roll(4) == 0 {
                        alias.to_uppercase()
                    } else {
                        alias.to_owned()
                    };
                    if self.dice.roll(3) > 0 {
                        entries.push((alias, chain));
                    }
                }
                app::testing::inventory(&self.server.cx(), store, entries)
                    .await
                    .unwrap();
            }
            12 => {
                admin
                    .delete(&format!("/Certificates/PrivateKey/{}", self.certificate()?))
                    .await
                    .expect(204);
            }
            13 => {
                let id = *self.dice.one(&self.stores.clone())?;
                let mut place = self.place();
                place["Id"] = json!(id);
                admin.put("/CertificateStores", place).await.expect(200);
            }
            14 if self.stores.len() > 1 => {
                let store = self.stores.remove(0);
                admin
                    .delete(&format!("/CertificateStores/{store}"))
                    .await
                    .expect(204);
                self.new_store().await;
            }
            _ => {}
        }
        Some(())
    }

    fn questions(&self) -> Vec<String> {
        let queries = [
            "Team -eq \"web\"",
            "NOT Team -eq \"web\"",
            "Ticket -ge \"1\" AND OwnerRoleName -ne NULL",
            "CertStorePath -contains \"site\"",
            "CertStoreFQDN -startswith \"web1\" OR HasPrivateKey -eq true",
            "SAN -contains \"web\" AND RevocationDate -ge \"%TODAY-2%\"",
            "NotAfter -le \"%TODAY+10%\"",
            "CertStoreAlias -contains \"1\"",
        ];
        let mut asked = vec![
            format!("/Certificates?{EVERYTHING}"),
            "/Certificates?SortField=CN&SortAscending=1&ReturnLimit=3&PageReturned=2".into(),
            "/Certificates?IncludeRevoked=true&SortField=NotAfter".into(),
        ];
        asked.extend(
            queries
                .iter()
                .map(|query| format!("/Certificates?{EVERYTHING}&QueryString={}", encoded(query))),
        );
        asked.extend(
            self.collections
                .iter()
                .map(|id| format!("/Certificates?{EVERYTHING}&collectionId={id}")),
        );
        asked
    }

    async fn answers(&self, moment: Option<i64>) -> Vec<(String, Value, Option<u64>)> {
        let mut answers = Vec::new();
        for path in self.questions() {
            let asked = match moment {
                Some(moment) => format!("{path}&{}", at(moment)),
                None => path.clone(),
            };
            let answer = self.admin.get(&asked).await.expect(200);
            answers.push((path, answer.json.clone(), answer.total()));
        }
        answers
    }
}

/// What is different between two lists, told by hand: by certificate what became of it, and its fields before and after.
type Differences = BTreeMap<i64, (String, BTreeSet<(String, String, String)>)>;

fn said(certificate: &Value) -> BTreeMap<(String, String), Value> {
    let mut said = BTreeMap::new();
    for name in [
        "CertState",
        "RevocationEffDate",
        "RevocationReason",
        "RevocationComment",
        "OwnerRoleId",
        "TemplateId",
        "CertificateAuthorityId",
        "CertRequestId",
        "RequesterName",
        "HasPrivateKey",
    ] {
        said.insert((name.to_owned(), String::new()), certificate[name].clone());
    }
    for (name, value) in certificate["Metadata"].as_object().into_iter().flatten() {
        said.insert((format!("Metadata.{name}"), String::new()), value.clone());
    }
    for place in certificate["Locations"].as_array().into_iter().flatten() {
        said.insert(("Locations".into(), place.to_string()), place.clone());
    }
    said.retain(|_, value| !value.is_null());
    said
}

fn told(before: &Value, after: &Value) -> Differences {
    let by_id = |list: &Value| -> BTreeMap<i64, Value> {
        let list = list.as_array().unwrap().iter();
        list.map(|one| (one["Id"].as_i64().unwrap(), one.clone()))
            .collect()
    };
    let (before, after) = (by_id(before), by_id(after));
    let ids: BTreeSet<i64> = before.keys().chain(after.keys()).copied().collect();
    let mut told = Differences::new();
    for id in ids {
        let what = match (before.contains_key(&id), after.contains_key(&id)) {
            (false, _) => "Appeared",
            (_, false) => "Vanished",
            _ => "Changed",
        };
        let said_of = |list: &BTreeMap<i64, Value>| list.get(&id).map(said).unwrap_or_default();
        let (old, new) = (said_of(&before), said_of(&after));
        let keys: BTreeSet<_> = old.keys().chain(new.keys()).collect();
        let value = |of: &BTreeMap<_, Value>, key| of.get(key).cloned().unwrap_or_default();
        let fields = keys
            .into_iter()
            .map(|key| (key, value(&old, key), value(&new, key)));
        let fields: BTreeSet<_> = fields
            .filter(|(_, old, new)| old != new)
            .map(|((name, _), old, new)| (name.clone(), old.to_string(), new.to_string()))
            .collect();
        if what != "Changed" || !fields.is_empty() {
            told.insert(id, (what.to_owned(), fields));
        }
    }
    told
}

fn answered(items: &[Value]) -> Differences {
    let fields = |item: &Value| {
        let fields = item["Fields"].as_array().unwrap().iter();
        let text = |field: &Value| field["Field"].as_str().unwrap().to_owned();
        fields
            .map(|one| {
                (
                    text(one),
                    one["Before"].to_string(),
                    one["After"].to_string(),
                )
            })
            .collect()
    };
    let item = |item: &Value| {
        (
            item["CertificateId"].as_i64().unwrap(),
            (item["Change"].as_str().unwrap().to_owned(), fields(item)),
        )
    };
    items.iter().map(item).collect()
}

fn changes(from: i64, to: i64) -> String {
    format!("/Chancery/Certificates/Changes?from=/Date({from})/&to=/Date({to})/&ReturnLimit=500")
}

/// Lets things happen, remembers every answer, asks for all of them again when everything is over, and for what lies between two.
async fn relive(server: &TestServer, seed: u64) {
    let mut world = World::new(server, seed).await;
    let mut then = Vec::new();
    for _ in 0..5 {
        world.record().await;
        world.enroll().await;
    }
    for _ in 0..20 {
        for _ in 0..3 {
            let pause = world.dice.one(&[1, MINUTE, MINUTE, DAY / 4]).copied();
            server.clock.advance(pause.unwrap());
            world.step().await;
        }
        then.push((server.clock.now(), world.answers(None).await));
    }
    // The index of names is of what is there now.
    app::testing::index_names(server.app()).await.unwrap();
    server.clock.advance(DAY);
    for (moment, answers) in &then {
        let again = world.answers(Some(*moment)).await;
        for (was, is) in answers.iter().zip(&again) {
            assert_eq!(was, is, "seed {seed:x}, as of {moment}");
        }
    }
    let read = server.app().db().read();
    let kept = [
        tables::past_certificates::Entity::find().count(read).await,
        tables::past_certificate_contents::Entity::find()
            .count(read)
            .await,
        tables::past_certificate_metadata::Entity::find()
            .count(read)
            .await,
        tables::past_store_entry_certificates::Entity::find()
            .count(read)
            .await,
    ];
    assert!(
        kept.iter()
            .all(|count| count.as_ref().is_ok_and(|count| *count > 0)),
        "too little happened: {kept:?}"
    );
    // Everything is different from itself at another moment as its answers say.
    let moments: Vec<usize> = (0..then.len()).collect();
    let places = [String::new()].into_iter().chain(
        world
            .collections
            .iter()
            .map(|id| format!("&collectionId={id}")),
    );
    for place in places {
        let question = format!("/Certificates?{EVERYTHING}{place}");
        let list = |index: usize| {
            &then[index]
                .1
                .iter()
                .find(|(asked, ..)| *asked == question)
                .unwrap()
                .1
        };
        for index in 0..14 {
            let (one, other) = match index {
                0..8 => (index * 2, index * 2 + 1),
                _ => (
                    *world.dice.one(&moments).unwrap(),
                    *world.dice.one(&moments).unwrap(),
                ),
            };
            let (one, other) = (one.min(other), one.max(other));
            let path = format!("{}{place}", changes(then[one].0, then[other].0));
            let answer = world.admin.get(&path).await.expect(200);
            assert_eq!(
                answered(answer.items()),
                told(list(one), list(other)),
                "seed {seed:x}, {path}"
            );
            assert_eq!(answer.total(), Some(answer.items().len() as u64));
        }
    }
    let whole = world
        .admin
        .get(&changes(START - 1, server.clock.now()))
        .await
        .expect(200);
    let order: Vec<_> = whole
        .items()
        .iter()
        .map(|item| {
            (
                item["LastChanged"].to_string().len(),
                item["LastChanged"].to_string(),
                item["CertificateId"].as_i64(),
            )
        })
        .collect();
    assert!(
        order
            .windows(2)
            .all(|two| two[0].0 != two[1].0 || two[0] < two[1]),
        "{order:?}"
    );
    let mut pages = Vec::new();
    for page in 1.. {
        let answer = world
            .admin
            .get(&format!(
                "{}&PageReturned={page}",
                changes(START - 1, server.clock.now()).replace("ReturnLimit=500", "ReturnLimit=7")
            ))
            .await
            .expect(200);
        assert_eq!(answer.total(), whole.total());
        if answer.items().is_empty() {
            break;
        }
        pages.extend(answer.items().to_vec());
    }
    assert_eq!(pages, whole.items());
}

testkit::both_databases! {
    async fn every_answer_is_given_again_later(server: TestServer) {
        relive(&server, 0x9e37_79b9_7f4a_7c15).await;
    }

    async fn and_whatever_else_happens(server: TestServer) {
        relive(&server, 0xd1b5_4a32_d192_ed03).await;
    }

    async fn what_is_gone_is_seen_by_the_rights_of_today(server: TestServer) {
        let admin = server.admin();
        define(&admin, &[("Team", 1)]).await;
        let mut maker = Maker::new();
        let id = maker.record(&server, &Wanted::new("CN=gone.web")).await;
        let web = collection(&server, "Web", "IssuedCN -endswith \".web\"").await;
        let (open, closed) = (container(&server, "Open").await, container(&server, "Closed").await);
        let place = |container: i64| json!({"ContainerId": container, "ClientMachine": "web1", "StorePath": "/etc/site.pem", "CertStoreType": 2, "AgentId": null, "Properties": "{}"});
        let store = admin.post("/CertificateStores", place(open)).await.expect(200).json["Id"].as_str().unwrap().to_owned();
        let der = admin.get(&format!("/Certificates/{id}")).await.expect(200).json["ContentBytes"].as_str().unwrap().to_owned();
        let der = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, der).unwrap();
        app::testing::inventory(&server.cx(), store.parse().unwrap(), vec![("site".into(), vec![der])]).await.unwrap();
        let then = server.clock.now();
        server.clock.advance(MINUTE);
        admin.delete(&format!("/Certificates/{id}")).await.expect(204);
        server.clock.advance(MINUTE);

        let some = server.account(&[&format!("{READ}{web}/"), &format!("/certificate_stores/read/{open}/")]).await;
        let (one, all) = (format!("/Certificates/{id}?includeLocations=true&{}", at(then)), format!("/Certificates?{}", at(then)));
        assert_eq!(admin.get(&one).await.expect(200).json["IssuedCN"], "gone.web");
        admin.get(&format!("/Certificates/{id}")).await.expect(404);
        admin.get(&format!("/Certificates/{id}?{}", at(then + MINUTE))).await.expect(404);
        some.get(&one).await.expect(403);
        some.get(&all).await.expect(403);
        let seen = some.get(&format!("{one}&collectionId={web}")).await.expect(200);
        assert_eq!((seen.json["Locations"].as_array().unwrap().len(), &seen.json["Locations"][0]["Alias"]), (1, &json!("site")));
        some.get(&format!("/Certificates/{id}?collectionId={web}")).await.expect(403);
        assert_eq!(some.get(&format!("{all}&collectionId={web}")).await.expect(200).total(), Some(1));
        assert_eq!(some.get(&format!("/Chancery/Certificates/Changes?from=/Date({then})/&collectionId={web}")).await.expect(200).items()[0]["Change"], "Vanished");
        some.get(&format!("/Chancery/Certificates/Changes?from=/Date({then})/")).await.expect(403);

        // Where a store is today decides who may know what was in it, and once it is deleted where it was last.
        let mut moved = place(closed);
        moved["Id"] = json!(store);
        admin.put("/CertificateStores", moved).await.expect(200);
        let places = async || some.get(&format!("{one}&collectionId={web}")).await.expect(200).json["Locations"].as_array().unwrap().len();
        assert_eq!(places().await, 0);
        server.clock.advance(MINUTE);
        admin.delete(&format!("/CertificateStores/{store}")).await.expect(204);
        assert_eq!(places().await, 0);
        assert_eq!(admin.get(&one).await.expect(200).json["Locations"].as_array().unwrap().len(), 1);
    }

    async fn what_does_not_change_leaves_nothing(server: TestServer) {
        let admin = server.admin();
        define(&admin, &[("Team", 1)]).await;
        let mut maker = Maker::new();
        let (certificate, _) = maker.make(&Wanted::new("CN=same.web"));
        let pem = pki::pem::encode("CERTIFICATE", certificate.der());
        let file = json!({"Certificate": pem, "Metadata": {"Team": "web"}});
        admin.post("/Certificates/Import", file.clone()).await.expect(200);
        let id = admin.get("/Certificates?QueryString=CN%20-eq%20%22same.web%22").await.items()[0]["Id"].as_i64().unwrap();
        let store = json!({"ContainerId": null, "ClientMachine": "web1", "StorePath": "/etc/site.pem", "CertStoreType": 2, "AgentId": null, "Properties": "{}"});
        let store = admin.post("/CertificateStores", store).await.expect(200);
        let inventory = async || app::testing::inventory(&server.cx(), store.json["Id"].as_str().unwrap().parse().unwrap(), vec![("site".into(), vec![certificate.der().to_vec()])]).await.unwrap();
        inventory().await;
        let kept = async || {
            let read = server.app().db().read();
            tables::past_certificates::Entity::find().count(read).await.unwrap()
                + tables::past_certificate_metadata::Entity::find().count(read).await.unwrap()
                + tables::past_store_entry_certificates::Entity::find().count(read).await.unwrap()
                + tables::past_certificate_stores::Entity::find().count(read).await.unwrap()
        };
        assert_eq!(kept().await, 0, "what is new was not before");
        server.clock.advance(MINUTE);
        admin.post("/Certificates/Import", file).await.expect(200);
        inventory().await;
        admin.put("/Certificates/Metadata", json!({"Id": id, "Metadata": {"Team": "web"}})).await.expect(204);
        admin.put(&format!("/Certificates/{id}/Owner"), json!({"NewRoleId": null})).await.expect(204);
        admin.delete(&format!("/Certificates/PrivateKey/{id}")).await.expect(204);
        assert_eq!(kept().await, 0);
        admin.put("/Certificates/Metadata", json!({"Id": id, "Metadata": {"Team": "mail"}})).await.expect(204);
        admin.put("/Certificates/Metadata", json!({"Id": id, "Metadata": {"Team": "web"}})).await.expect(204);
        assert_eq!(kept().await, 1, "one trace in a millisecond");
    }

    async fn moments_that_are_none_are_refused(server: TestServer) {
        let admin = server.admin();
        let id = Maker::new().record(&server, &Wanted::new("CN=a.web")).await;
        for wrong in ["yesterday", "2026-13-01", &format!("/Date({})/", server.clock.now() + 1)] {
            for path in ["/Certificates?asOf=".to_owned(), format!("/Certificates/{id}?asOf="), "/Chancery/Certificates/Changes?from=".into(), "/Chancery/Certificates/Changes?from=2020-01-01&to=".into()] {
                let answer = admin.get(&format!("{path}{wrong}")).await.expect(400);
                let named = path[..path.len() - 1].rsplit(['?', '&']).next().unwrap();
                assert!(answer.message().starts_with(&format!("{named}: ")), "{}", answer.text);
            }
        }
        for path in ["", "?from=2020-01-02&to=2020-01-01", "?from=2020-01-01&collectionId=99", "?from=2020-01-01&PageReturned=0"] {
            admin.get(&format!("/Chancery/Certificates/Changes{path}")).await.expect(400);
        }
        let none = admin.get("/Certificates?asOf=2001-01-01").await.expect(200);
        assert_eq!((none.total(), none.json), (Some(0), json!([])));
        admin.get(&format!("/Certificates/{id}?asOf=2001-01-01")).await.expect(404);
        let all = admin.get("/Certificates?IncludeExpired=true&ReturnLimit=1&PageReturned=2").await.expect(200);
        let again = admin.get(&format!("/Certificates?IncludeExpired=true&ReturnLimit=1&PageReturned=2&{}", at(server.clock.now()))).await.expect(200);
        assert_eq!((all.total(), all.json), (again.total(), again.json));
        server.account(&["/metadata/types/read/"]).await.get("/Certificates?asOf=yesterday").await.expect(403);
    }
}
