//! Lists, totals and collections against a slow reference: random certificates, read back through the interface, and random
//! queries over every field and operator, evaluated here a second time, certificate by certificate, without a line of what compiles
//! queries. A failure names the seed of its world and the query.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use db::tables::certificates;
use sea_orm::{ActiveModelTrait, ActiveValue};
use search::{Comparison, Expression, Name, Operator, Value as Given};
use serde_json::{Value, json};
use testkit::{Client, Database, START, TestServer};

use crate::certificates::{DAY, Maker, Wanted, encoded, record, store_with};
use crate::metadata_fields::define;

const WORLDS: u64 = 3;
const CERTIFICATES: usize = 26;
const QUERIES: usize = 60;

/// Numbers that only look random, the same for the same seed.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end.max(1) as u64).unwrap()
    }

    fn one<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }

    fn percent(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
}

/// How values compare.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    /// Names: by their folded form.
    Name,
    /// Texts that are kept as they came.
    Plain,
    Hex,
    Number,
    Date,
    Truth,
    Guid,
    /// Metadata, that are names for the operators of texts.
    MetaNumber,
    MetaDate,
    MetaTruth,
}

/// The values of a certificate's field, as texts.
type Values = fn(&Value) -> Vec<String>;

fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::Null => Vec::new(),
        Value::String(text) => vec![text.clone()],
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        other => vec![other.to_string()],
    }
}

fn each(items: &Value, member: &str) -> Vec<String> {
    let items = items.as_array().unwrap().iter();
    items.flat_map(|item| texts(&item[member])).collect()
}

fn key_type(item: &Value) -> Vec<String> {
    let names = ["Unknown", "RSA", "DSA", "ECC", "DH", "Ed25519"];
    let at = names.iter().position(|name| item["KeyTypeString"] == *name);
    vec![at.unwrap().to_string()]
}

/// `host\logical`, and the logical name alone.
fn authority(item: &Value) -> Vec<String> {
    let whole = texts(&item["CertificateAuthorityName"]);
    let logical = whole
        .iter()
        .map(|name| name.split('\\').next_back().unwrap().to_owned());
    logical.chain(whole.iter().cloned()).collect()
}

/// Every field, its aliases among them, what it has in the answer of the interface, and whether a list can be sorted by it alike on
/// both databases.
const FIELDS: &[(&str, Kind, bool, Values)] = &[
    ("Id", Kind::Number, true, |item| texts(&item["Id"])),
    ("certid", Kind::Number, false, |item| texts(&item["Id"])),
    ("Thumbprint", Kind::Hex, true, |item| {
        texts(&item["Thumbprint"])
    }),
    ("SerialNumber", Kind::Hex, true, |item| {
        texts(&item["SerialNumber"])
    }),
    ("CN", Kind::Name, true, |item| texts(&item["IssuedCN"])),
    ("IssuedCN", Kind::Name, true, |item| {
        texts(&item["IssuedCN"])
    }),
    ("DN", Kind::Name, true, |item| texts(&item["IssuedDN"])),
    ("IssuerDN", Kind::Name, true, |item| {
        texts(&item["IssuerDN"])
    }),
    ("OU", Kind::Plain, false, |item| texts(&item["IssuedOU"])),
    ("IssuedEmail", Kind::Plain, false, |item| {
        texts(&item["IssuedEmail"])
    }),
    ("NotBefore", Kind::Date, true, |item| {
        texts(&item["NotBefore"])
    }),
    ("ExpirationDate", Kind::Date, true, |item| {
        texts(&item["NotAfter"])
    }),
    ("ImportDate", Kind::Date, true, |item| {
        texts(&item["ImportDate"])
    }),
    ("CertState", Kind::Number, true, |item| {
        texts(&item["CertState"])
    }),
    ("RevocationDate", Kind::Date, true, |item| {
        texts(&item["RevocationEffDate"])
    }),
    ("RevocationReason", Kind::Number, true, |item| {
        texts(&item["RevocationReason"])
    }),
    ("KeySize", Kind::Number, true, |item| {
        texts(&item["KeySizeInBits"])
    }),
    ("KeyType", Kind::Number, true, key_type),
    ("KeyUsage", Kind::Number, true, |item| {
        texts(&item["KeyUsage"])
    }),
    ("KeyAlgorithm", Kind::Plain, false, |item| {
        texts(&item["KeyAlgorithm"])
    }),
    ("Curve", Kind::Plain, false, |item| texts(&item["Curve"])),
    ("SigningAlgorithm", Kind::Plain, false, |item| {
        texts(&item["SigningAlgorithm"])
    }),
    ("HasPrivateKey", Kind::Truth, true, |item| {
        texts(&item["ArchivedKey"])
    }),
    ("CertRequestId", Kind::Number, true, |item| {
        texts(&item["CertRequestId"])
    }),
    ("Requester", Kind::Plain, false, |item| {
        texts(&item["RequesterName"])
    }),
    ("CertificateAuthorityId", Kind::Number, true, |item| {
        texts(&item["CertificateAuthorityId"])
    }),
    ("CA", Kind::Name, false, authority),
    ("TemplateId", Kind::Number, true, |item| {
        texts(&item["TemplateId"])
    }),
    ("TemplateDisplayName", Kind::Plain, false, |item| {
        texts(&item["TemplateName"])
    }),
    ("OwnerRoleId", Kind::Number, true, |item| {
        texts(&item["OwnerRoleId"])
    }),
    ("OwnerRoleName", Kind::Name, false, |item| {
        texts(&item["OwnerRoleName"])
    }),
    ("SAN", Kind::Name, false, |item| {
        each(&item["SubjectAltNameElements"], "Value")
    }),
    ("SubjectAltName", Kind::Name, false, |item| {
        each(&item["SubjectAltNameElements"], "Value")
    }),
    ("CertStorePath", Kind::Name, false, |item| {
        each(&item["Locations"], "StorePath")
    }),
    ("CertStoreFQDN", Kind::Name, false, |item| {
        each(&item["Locations"], "StoreMachine")
    }),
    ("CertStoreAlias", Kind::Name, false, |item| {
        each(&item["Locations"], "Alias")
    }),
    ("CertStoreId", Kind::Guid, false, |item| {
        each(&item["Locations"], "CertStoreId")
    }),
    ("Team", Kind::Name, false, |item| {
        texts(&item["Metadata"]["Team"])
    }),
    ("Rank", Kind::MetaNumber, false, |item| {
        texts(&item["Metadata"]["Rank"])
    }),
    ("Due", Kind::MetaDate, false, |item| {
        texts(&item["Metadata"]["Due"])
    }),
    ("Live", Kind::MetaTruth, false, |item| {
        texts(&item["Metadata"]["Live"])
    }),
];

/// Whether an operator looks at letters.
fn is_textual(operator: Operator) -> bool {
    use Operator as O;
    matches!(
        operator,
        O::Contains | O::NotContains | O::StartsWith | O::EndsWith
    )
}

fn takes(kind: Kind, operator: Operator) -> bool {
    use Operator as O;
    match kind {
        Kind::Truth | Kind::Guid => matches!(operator, O::Equal | O::NotEqual | O::In | O::NotIn),
        Kind::Number | Kind::Date => !is_textual(operator),
        _ => true,
    }
}

/// A value by what it compares as: a number and a text, of which one counts.
fn key(kind: Kind, operator: Operator, text: &str) -> (i128, String) {
    let number = |number: Option<i64>| (i128::from(number.unwrap()), String::new());
    match kind {
        Kind::MetaNumber | Kind::MetaDate | Kind::MetaTruth if is_textual(operator) => {
            (0, db::fold(text))
        }
        Kind::Name => (0, db::fold(text)),
        Kind::Plain => (0, text.trim().to_ascii_lowercase()),
        Kind::Hex => (0, text.trim().to_uppercase()),
        Kind::Guid => (0, text.to_lowercase()),
        Kind::Number | Kind::MetaNumber => number(text.parse().ok()),
        Kind::Date | Kind::MetaDate => number(search::dates::parse(text, START)),
        Kind::Truth | Kind::MetaTruth => number(Some(i64::from(
            text.eq_ignore_ascii_case("true") || text == "1",
        ))),
    }
}

fn field(name: &str) -> &'static (&'static str, Kind, bool, Values) {
    FIELDS.iter().find(|(known, ..)| *known == name).unwrap()
}

/// Whether a certificate is what a query asks for.
fn holds(query: &Expression, item: &Value) -> bool {
    match query {
        Expression::And(parts) => parts.iter().all(|part| holds(part, item)),
        Expression::Or(parts) => parts.iter().any(|part| holds(part, item)),
        Expression::Not(part) => !holds(part, item),
        Expression::Comparison(comparison) => compares(comparison, item),
    }
}

fn compares(comparison: &Comparison, item: &Value) -> bool {
    use Operator as O;
    let (_, kind, _, values) = field(&comparison.field.text);
    let operator = comparison.operator;
    let values = values(item);
    let any = |test: &dyn Fn(&(i128, String)) -> bool| {
        values
            .iter()
            .any(|value| test(&key(*kind, operator, value)))
    };
    match &comparison.value {
        Given::Null => values.is_empty() == (operator == O::Equal),
        Given::List(items) => {
            let wanted: Vec<_> = items
                .iter()
                .map(|item| key(*kind, operator, item))
                .collect();
            any(&|value| wanted.contains(value)) == (operator == O::In)
        }
        Given::Text(text) => {
            let wanted = key(*kind, operator, text);
            match operator {
                O::Equal => any(&|value| *value == wanted),
                O::NotEqual => !any(&|value| *value == wanted),
                O::LessThan => any(&|value| *value < wanted),
                O::LessOrEqual => any(&|value| *value <= wanted),
                O::GreaterThan => any(&|value| *value > wanted),
                O::GreaterOrEqual => any(&|value| *value >= wanted),
                O::Contains => any(&|value| value.1.contains(&wanted.1)),
                O::NotContains => !any(&|value| value.1.contains(&wanted.1)),
                O::StartsWith => any(&|value| value.1.starts_with(&wanted.1)),
                O::EndsWith => any(&|value| value.1.ends_with(&wanted.1)),
                O::In | O::NotIn => panic!("a list"),
            }
        }
    }
}

/// A value to compare with: one that a certificate has, or a bit of it, or nearly it.
fn value(
    dice: &mut Dice,
    world: &[Value],
    kind: Kind,
    operator: Operator,
    values: Values,
) -> String {
    let have: Vec<String> = (0..6).flat_map(|_| values(dice.one(world))).collect();
    let has = if have.is_empty() {
        None
    } else {
        Some(dice.one(&have).clone())
    };
    let text = match kind {
        Kind::MetaNumber | Kind::MetaDate | Kind::MetaTruth if is_textual(operator) => {
            piece(dice, has.as_deref().unwrap_or("2026"))
        }
        Kind::Name | Kind::Plain | Kind::Hex => {
            let whole = has.unwrap_or_else(|| "Web".to_owned());
            match operator {
                _ if dice.percent(10) => (*dice.one(&[
                    "", "e", ".example", "WEB", "a_b", "50%", "ß", "\\", "\"", "CN=",
                ]))
                .to_owned(),
                Operator::Contains | Operator::NotContains => piece(dice, &whole),
                Operator::StartsWith => whole.chars().take(1 + dice.below(6)).collect(),
                Operator::EndsWith => whole
                    .chars()
                    .skip(whole.chars().count().saturating_sub(1 + dice.below(9)))
                    .collect(),
                _ => whole,
            }
        }
        Kind::Number | Kind::MetaNumber => {
            let number: i64 = has.map_or(1, |text| text.parse().unwrap());
            (number + i64::try_from(dice.below(3)).unwrap() - 1).to_string()
        }
        Kind::Date | Kind::MetaDate => match has {
            Some(text) if dice.percent(60) => text,
            _ => format!("%TODAY{}{}%", dice.one(&["+", "-"]), dice.below(90)),
        },
        Kind::Truth | Kind::MetaTruth => (*dice.one(&["true", "False", "0", "1"])).to_owned(),
        Kind::Guid => has.unwrap_or_else(|| "00000000-0000-0000-0000-000000000007".to_owned()),
    };
    let text = if dice.percent(20) {
        text.to_uppercase()
    } else {
        text
    };
    // Blanks at the ends of a value do not count.
    text.trim().to_owned()
}

fn piece(dice: &mut Dice, whole: &str) -> String {
    let length = whole.chars().count();
    let from = dice.below(length);
    whole.chars().skip(from).take(1 + dice.below(7)).collect()
}

fn comparison(dice: &mut Dice, world: &[Value]) -> Expression {
    let (name, kind, _, values) = *dice.one(FIELDS);
    let possible: Vec<Operator> = Operator::ALL
        .into_iter()
        .filter(|operator| takes(kind, *operator))
        .collect();
    // What the index of names finds is asked for more often.
    let operator = match name {
        "CN" | "DN" | "SAN" | "OU" if dice.percent(50) => *dice.one(&[
            Operator::Contains,
            Operator::EndsWith,
            Operator::NotContains,
        ]),
        _ => *dice.one(&possible),
    };
    let value = if operator.takes_list() {
        Given::List(
            (0..1 + dice.below(3))
                .map(|_| value(dice, world, kind, operator, values))
                .collect(),
        )
    } else if operator.takes_null() && dice.percent(15) {
        Given::Null
    } else {
        Given::Text(value(dice, world, kind, operator, values))
    };
    let name = Name {
        text: name.to_owned(),
        span: 0..0,
    };
    Expression::Comparison(Comparison {
        field: name,
        operator,
        value,
        span: 0..0,
        character: 1,
    })
}

fn query(dice: &mut Dice, world: &[Value], depth: usize) -> Expression {
    let parts = |dice: &mut Dice| {
        (0..2 + dice.below(2))
            .map(|_| query(dice, world, depth - 1))
            .collect()
    };
    match if depth == 0 { 9 } else { dice.below(10) } {
        0..=2 => Expression::And(parts(dice)),
        3..=5 => Expression::Or(parts(dice)),
        6 => Expression::Not(Box::new(query(dice, world, depth - 1))),
        _ => comparison(dice, world),
    }
}

/// Makes certificates of every sort, and answers them as the interface shows them. Half of them are in the index of names.
async fn world(server: &TestServer, dice: &mut Dice) -> Vec<Value> {
    let (admin, mut maker) = (server.admin(), Maker::new());
    define(&admin, &[("Team", 1), ("Rank", 2), ("Due", 3), ("Live", 4)]).await;
    let owners = [
        server.role("Web owners", &[]).await,
        server.role("Straße", &[]).await,
    ];
    let mut made = Vec::new();
    for number in 0..CERTIFICATES {
        let name = match dice.below(6) {
            0 => format!("web{}.example.com", number % 5),
            1 => format!("MAIL-{number}.Intern"),
            2 => "Straße.example".to_owned(),
            3 => format!("a_b{number}%.example"),
            _ => format!("host{}.web.example", number % 7),
        };
        let mut subject = if dice.percent(85) {
            format!("CN={name}")
        } else {
            format!("O=Nameless {number}")
        };
        for part in ["OU=Web", "OU=Büro", "O=Example", "C=DE"] {
            if dice.percent(30)
                && !(part == "OU=Büro" && subject.contains("OU="))
                && !(part.starts_with("O=") && subject.starts_with("O="))
            {
                subject = format!("{subject},{part}");
            }
        }
        let sans = (0..dice.below(3)).map(|san| {
            pki::SubjectAlternativeName::dns(format!("san{san}.{}.web.example", number % 4))
        });
        let from = START - i64::try_from(dice.below(40)).unwrap() * DAY - DAY;
        let to = START + i64::try_from(dice.below(200)).unwrap() * DAY - 30 * DAY + 1_000;
        let wanted = Wanted {
            sans: sans.collect(),
            key: *dice.one(&[
                pki::KeySpec::EcP256,
                pki::KeySpec::EcP384,
                pki::KeySpec::Ed25519,
            ]),
            from,
            to: to.max(from + DAY),
            ..Wanted::new(Box::leak(subject.into_boxed_str()))
        };
        let (certificate, key) = maker.make(&wanted);
        let mut metadata = Vec::new();
        for (name, values) in [
            ("Team", ["Web", "web-ops", "Straße"]),
            ("Rank", ["9", "-10", "11"]),
            (
                "Due",
                [
                    "2026-11-21",
                    "1/31/2027 10:00:00 AM",
                    "2026-11-21T12:00:00Z",
                ],
            ),
            ("Live", ["true", "False", "1"]),
        ] {
            if dice.percent(50) {
                metadata.push((name.to_owned(), (*dice.one(&values)).to_owned()));
            }
        }
        let ours = dice.percent(50);
        let with = app::testing::Certificate {
            private_key: dice.percent(30).then(|| key.to_pkcs8_der().to_vec()),
            authority_id: ours.then(|| 1 + i64::try_from(dice.below(2)).unwrap()),
            template_id: (ours && dice.percent(60)).then_some(1),
            request_id: ours.then(|| i64::try_from(number % 6).unwrap()),
            requester: dice
                .percent(60)
                .then(|| (*dice.one(&["Alice", "EXAMPLE\\bob", "Bürger"])).to_owned()),
            owner_role_id: dice.percent(50).then(|| *dice.one(&owners)),
            metadata,
            ..Default::default()
        };
        server.clock.advance(1);
        made.push(record(server, &certificate, with).await);
        if number == CERTIFICATES / 2 {
            app::testing::index_names(server.app()).await.unwrap();
        }
    }
    server.clock.set(START);
    let inside: Vec<i64> = made.iter().copied().filter(|_| dice.percent(25)).collect();
    store_with(server, &inside).await;
    for id in made
        .iter()
        .copied()
        .filter(|_| dice.percent(20))
        .collect::<Vec<_>>()
    {
        let (reason, at) = (
            i32::try_from(dice.below(6)).unwrap(),
            START - i64::try_from(dice.below(9)).unwrap() * DAY,
        );
        let work = server.app().db().write("test.revoked", move |tx| {
            Box::pin(async move {
                let row = certificates::ActiveModel {
                    id: ActiveValue::Unchanged(id),
                    state: ActiveValue::Set(2),
                    revoked_at: ActiveValue::Set(Some(at)),
                    revocation_reason: ActiveValue::Set(Some(reason)),
                    ..Default::default()
                };
                row.update(tx).await.map_err(db::Error::from)?;
                Ok::<_, db::Error>(())
            })
        });
        work.await.unwrap();
    }
    let everything = "IncludeExpired=true&IncludeRevoked=true&includeLocations=true&includeMetadata=true&ReturnLimit=1000";
    let answer = admin
        .get(&format!("/Certificates?{everything}"))
        .await
        .expect(200);
    assert!(answer.items().len() > CERTIFICATES);
    answer.items().to_vec()
}

fn id(item: &Value) -> i64 {
    item["Id"].as_i64().unwrap()
}

/// The certificates that a list has, in its order.
struct Listed<'a> {
    query: &'a Expression,
    also: &'a [&'a Expression],
    revoked: bool,
    expired: bool,
}

impl Listed<'_> {
    fn of<'w>(&self, world: &'w [Value]) -> Vec<&'w Value> {
        let shown = world.iter().filter(|item| {
            let ends = search::dates::parse(item["NotAfter"].as_str().unwrap(), START).unwrap();
            (self.revoked || item["CertState"] != 2) && (self.expired || ends > START)
        });
        shown
            .filter(|item| {
                holds(self.query, item) && self.also.iter().all(|query| holds(query, item))
            })
            .collect()
    }
}

/// In the order of a field, and of the ids where that is the same. Where a field has no value is the database's to say.
fn sort(items: &mut [&Value], name: &str, descending: bool, database: Database) {
    let (_, kind, _, values) = field(name);
    let nothing_first = database == Database::Sqlite;
    items.sort_by(|one, other| {
        let [left, right] = [one, other].map(|item| {
            values(item)
                .first()
                .map(|text| key(*kind, Operator::Equal, text))
        });
        let order = match (&left, &right) {
            (None, Some(_)) if !nothing_first => Ordering::Greater,
            (Some(_), None) if !nothing_first => Ordering::Less,
            _ => left.cmp(&right),
        };
        let order = order.then(id(one).cmp(&id(other)));
        if descending { order.reverse() } else { order }
    });
}

async fn ids(client: &Client, path: &str) -> (Vec<i64>, Option<u64>) {
    let answer = client.get(path).await.expect(200);
    (answer.items().iter().map(id).collect(), answer.total())
}

async fn agree(server: &TestServer, seed: u64) {
    let mut dice = Dice(seed);
    let admin = server.admin();
    let world = world(server, &mut dice).await;
    let sortable: Vec<&str> = FIELDS
        .iter()
        .filter(|(_, _, sortable, _)| *sortable)
        .map(|(name, ..)| *name)
        .collect();
    let mut found = BTreeSet::new();
    let mut collections: Vec<(i64, Expression)> = Vec::new();
    for number in 0..QUERIES {
        let depth = dice.below(4);
        let query = query(&mut dice, &world, depth);
        let text = query.to_string();
        let about = format!("seed {seed}, query {number}: {text}");
        let (revoked, expired, descending) = (dice.percent(60), dice.percent(60), dice.percent(50));
        let by = *dice.one(&sortable);
        // Through a collection, too.
        let through = if collections.is_empty() || dice.percent(60) {
            None
        } else {
            Some(dice.one(&collections))
        };
        let also: Vec<&Expression> = through.iter().map(|(_, query)| query).collect();
        let listed = Listed {
            query: &query,
            also: &also,
            revoked,
            expired,
        };
        let mut wanted = listed.of(&world);
        sort(&mut wanted, by, descending, server.database());
        let (limit, page) = (1 + dice.below(8), 1 + dice.below(3));
        let path = format!(
            "/Certificates?QueryString={}&IncludeRevoked={revoked}&IncludeExpired={expired}&SortField={by}&SortAscending={}&ReturnLimit={limit}&PageReturned={page}&CollectionId={}",
            encoded(&text),
            i32::from(descending),
            through.map_or(0, |(id, _)| *id),
        );
        let wanted_page: Vec<i64> = wanted
            .iter()
            .skip((page - 1) * limit)
            .take(limit)
            .map(|item| id(item))
            .collect();
        assert_eq!(
            ids(&admin, &path).await,
            (wanted_page, Some(wanted.len() as u64)),
            "{about}, by {by}, {path}"
        );
        found.insert(wanted.len());
        if number % 6 == 0 {
            let inside = Listed {
                query: &query,
                also: &[],
                revoked: true,
                expired: true,
            };
            let mut inside: Vec<i64> = inside.of(&world).into_iter().map(id).collect();
            let body = json!({ "Name": format!("Collection {number}"), "Query": text });
            let made = admin
                .post("/CertificateCollections", body)
                .await
                .expect(200)
                .json;
            assert_eq!(made["EstimatedCertCount"], inside.len(), "{about}");
            let collection = made["Id"].as_i64().unwrap();
            let path = format!(
                "/Certificates?CollectionId={collection}&IncludeRevoked=true&IncludeExpired=true&ReturnLimit=1000"
            );
            inside.sort_unstable();
            assert_eq!(
                ids(&admin, &path).await,
                (inside.clone(), Some(inside.len() as u64)),
                "{about}"
            );
            let reader = server
                .account(&[&format!("/certificates/collections/read/{collection}/")])
                .await;
            for _ in 0..3 {
                let one = id(dice.one(&world));
                let read = reader
                    .get(&format!("/Certificates/{one}?collectionId={collection}"))
                    .await;
                assert_eq!(
                    read.status == 200,
                    inside.contains(&one),
                    "{about}: certificate {one}, {}",
                    read.text
                );
            }
            collections.push((collection, query));
        }
    }
    assert!(
        found.len() > 6,
        "the queries find too much the same: {found:?}"
    );
}

testkit::both_databases! {
    async fn lists_totals_and_collections_agree_with_a_slow_reference(first: TestServer) {
        agree(&first, 1).await;
        for seed in 2..=WORLDS {
            agree(&TestServer::start(first.database()).await, seed).await;
        }
    }
}
