//! `/Chancery/Search`, and what the query language over certificates holds to.

use sea_orm::EntityTrait;
use serde_json::{Value, json};
use testkit::{Answer, Client, TestServer};

use crate::certificates::{Maker, Wanted, encoded, find, ids, record, store_with};
use crate::metadata_fields::define;
use crate::scoped_stores::collection;

const FIELDS: &str = "/Chancery/Search/Fields";
/// The code of a query that cannot be read.
const BAD_QUERY: &str = "0xA0111002";

/// A value of a field as a query may have it.
fn sample(field: &Value) -> String {
    let named = field["Values"][0]["Name"].as_str();
    named.map_or_else(
        || match field["Type"].as_str().unwrap() {
            "Integer" => "7".to_owned(),
            "Date" => "2026-01-31".to_owned(),
            "Boolean" => "true".to_owned(),
            "Guid" => "11111111-2222-3333-4444-555555555555".to_owned(),
            _ => "ab".to_owned(),
        },
        str::to_owned,
    )
}

fn comparison(field: &str, operator: &str, value: &str) -> String {
    match operator {
        "-in" | "-notin" => format!("{field} {operator} (\"{value}\", \"{value}\")"),
        _ => format!("{field} {operator} \"{value}\""),
    }
}

const OPERATORS: [&str; 12] = [
    "-eq",
    "-ne",
    "-lt",
    "-le",
    "-gt",
    "-ge",
    "-contains",
    "-notcontains",
    "-startswith",
    "-endswith",
    "-in",
    "-notin",
];

/// Does what a list of fields says, and what it does not say, in queries over the list.
async fn believe(client: &Client, path: &str, fields: &[Value]) {
    let ask = async |query: &str| -> Answer {
        client
            .get(&format!("{path}?QueryString={}", encoded(query)))
            .await
    };
    let texts = |value: &Value| -> Vec<String> {
        let items = value.as_array().unwrap().iter();
        items
            .map(|item| item.as_str().unwrap().to_owned())
            .collect()
    };
    assert!(!fields.is_empty(), "{path}");
    for field in fields {
        let (name, value) = (field["Name"].as_str().unwrap(), sample(field));
        let takes = texts(&field["Operators"]);
        for operator in OPERATORS {
            let query = comparison(name, operator, &value);
            let answer = ask(&query).await;
            if takes.iter().any(|taken| taken == operator) {
                answer.expect(200);
            } else {
                let refused = answer.expect(400);
                assert_eq!(refused.error_code(), BAD_QUERY, "{query}");
                assert!(
                    refused.message().contains("does not take"),
                    "{}",
                    refused.message()
                );
            }
        }
        for query in [format!("{name} -eq NULL"), format!("NOT {name} -ne NULL")] {
            assert_eq!(field["TakesNull"], true);
            ask(&query).await.expect(200);
        }
        for alias in texts(&field["Aliases"]) {
            ask(&comparison(&alias, "-eq", &value)).await.expect(200);
        }
        for named in field["Values"].as_array().unwrap() {
            ask(&comparison(name, "-ne", named["Name"].as_str().unwrap()))
                .await
                .expect(200);
        }
        for token in texts(&field["Tokens"]) {
            ask(&comparison(name, "-ne", &token.replace('n', "30")))
                .await
                .expect(200);
        }
        let sorted = client
            .get(&format!("{path}?SortField={}", encoded(name)))
            .await;
        if field["Sortable"] == true {
            sorted.expect(200);
        } else {
            assert_eq!(sorted.expect(400).error_code(), "0xA011004A", "{name}");
        }
    }
}

testkit::both_databases! {
    async fn the_fields_of_certificates_are_what_queries_take(server: TestServer) {
        let admin = server.admin();
        define(&admin, &[("Team", 1), ("Rank", 2), ("Due", 3), ("Live", 4), ("CN", 1)]).await;
        let colors = json!({ "Name": "Color", "Description": "", "DataType": 5, "Options": "Red,Green" });
        admin.post("/MetadataFields", colors).await.expect(200);
        let fields = admin.get(FIELDS).await.expect(200).items().to_vec();
        believe(&admin, "/Certificates", &fields).await;
        let named = |name: &str| fields.iter().find(|field| field["Name"] == name).unwrap_or_else(|| panic!("{name}"));
        assert_eq!(named("CN")["Aliases"], json!(["IssuedCN"]));
        assert_eq!(named("CN")["IsMetadata"], false);
        assert_eq!(named("CertState")["Values"][1], json!({ "Name": "Active", "Value": 1 }));
        assert!(named("KeyType")["Values"].as_array().unwrap().contains(&json!({ "Name": "Ed25519", "Value": 5 })));
        assert_eq!(named("SAN")["HasSeveralValues"], true);
        assert_eq!(named("NotAfter")["Tokens"], json!(["%TODAY%", "%TODAY-n%", "%TODAY+n%"]));
        for (name, kind) in [("Team", "Text"), ("Rank", "Integer"), ("Due", "Date"), ("Live", "Boolean"), ("Color", "Text")] {
            assert_eq!((&named(name)["Type"], &named(name)["IsMetadata"]), (&json!(kind), &json!(true)), "{name}");
        }
        assert_eq!(named("Color")["Values"], json!([{ "Name": "Red", "Value": null }, { "Name": "Green", "Value": null }]));
        // A metadata field of the name of a certificate's own cannot be asked for.
        assert_eq!(fields.iter().filter(|field| field["Name"] == "CN").count(), 1);
    }

    async fn other_lists_have_fields_too(server: TestServer) {
        let admin = server.admin();
        for (list, path) in [
            ("CertificateStores", "/CertificateStores"),
            ("certificatestorecontainers", "/CertificateStoreContainers"),
            ("CertificateCollections", "/CertificateCollections"),
            ("Agents", "/Agents"),
            ("Audit", "/Audit"),
            ("JobHistory", "/OrchestratorJobs/JobHistory"),
            ("Templates", "/Templates"),
        ] {
            let fields = admin.get(&format!("{FIELDS}?list={list}")).await.expect(200).items().to_vec();
            believe(&admin, path, &fields).await;
        }
        let unknown = admin.get(&format!("{FIELDS}?list=Nothing")).await.expect(400);
        assert!(unknown.message().starts_with("list: ") && unknown.message().contains("JobHistory"), "{}", unknown.message());
    }

    async fn who_reads_certificates_somewhere_reads_their_fields(server: TestServer) {
        let some = collection(&server, "Some", "CN -eq \"a\"").await;
        let reader = server.account(&[&format!("/certificates/collections/read/{some}/")]).await;
        reader.get(FIELDS).await.expect(200);
        reader.get(&format!("{FIELDS}?list=Audit")).await.expect(403);
        let auditor = server.account(&["/auditing/read/"]).await;
        auditor.get(&format!("{FIELDS}?list=Audit")).await.expect(200);
        auditor.get(FIELDS).await.expect(403);
        auditor.get(&format!("{FIELDS}?list=Nothing")).await.expect(403);
        server.anonymous().get(FIELDS).await.expect(401);
    }

    async fn not_is_the_complement_whatever_has_no_value(server: TestServer) {
        let (admin, mut maker) = (server.admin(), Maker::new());
        define(&admin, &[("Team", 1)]).await;
        let plain = maker.record(&server, &Wanted { sans: Vec::new(), ..Wanted::new("CN=plain.example") }).await;
        let (full, _) = maker.make(&Wanted::new("CN=full.example,OU=Web"));
        let full = record(&server, &full, app::testing::Certificate {
            authority_id: Some(2), template_id: Some(1), request_id: Some(9), requester: Some("Alice".into()),
            metadata: vec![("Team".into(), "Web".into())], ..Default::default()
        }).await;
        for query in [
            "OU -eq web", "OU -contains we", "OU -startswith w", "OU -lt z", "OU -in (web)", "Requester -eq alice", "CertRequestId -gt 1",
            "CertRequestId -eq 9", "CertificateAuthorityId -eq 2", "CA -startswith c", "TemplateShortName -ne NULL", "SAN -contains full", "Team -eq web",
            "SAN -eq full.example OR OU -eq web", "SAN -eq full.example AND OU -eq web",
        ] {
            let within = |condition: &str| format!("CN -endswith \".example\" AND ({condition})");
            assert_eq!(ids(&admin, &within(query)).await, [full], "{query}");
            assert_eq!(ids(&admin, &within(&format!("NOT ({query})"))).await, [plain], "NOT ({query})");
            assert_eq!(ids(&admin, &within(&format!("NOT (NOT ({query}))"))).await, [full], "NOT (NOT ({query}))");
        }
        for query in ["OU -ne web", "OU -notcontains we", "OU -notin (web)", "OU -eq NULL", "Team -eq NULL"] {
            assert_eq!(ids(&admin, &format!("CN -endswith \".example\" AND NOT {query}")).await, [full], "{query}");
        }
    }

    async fn tokens_names_and_what_clients_write(server: TestServer) {
        let (admin, mut maker) = (server.admin(), Maker::new());
        let (one, _) = maker.make(&Wanted::new("CN=one.example"));
        let mine = record(&server, &one, app::testing::Certificate { requester: Some(admin.name().to_owned()), ..Default::default() }).await;
        let (two, _) = maker.make(&Wanted { key: pki::KeySpec::Ed25519, ..Wanted::new("CN=two.example") });
        let other = record(&server, &two, app::testing::Certificate { requester: Some("else".into()), ..Default::default() }).await;
        store_with(&server, &[mine]).await;
        let long = "x".repeat(300);
        // Now is 2026-11-21T12:00:00Z; they are valid from the day before, for 91 days.
        for (query, wanted) in [
            ("Requester -eq %ME%", vec![mine]),
            ("Requester -ne \"%me%\"", vec![other]),
            ("Requester -eq \"%ME-AN%\"", vec![mine]),
            ("Requester -in (\"%ME%\", \"nobody\")", vec![mine]),
            ("NotBefore -lt %TODAY%", vec![mine, other]),
            ("NotBefore -lt \"%TODAY-1%\"", vec![]),
            ("NotBefore -gt %TODAY-1%", vec![mine, other]),
            ("NotAfter -lt \"%TODAY+91%\" AND NotAfter -gt \"%TODAY+90%\"", vec![mine, other]),
            ("NotAfter -ge \"2/19/2027 12:00:00 PM\"", vec![mine, other]),
            ("NotAfter -eq \"2027-02-19T13:00:00+01:00\"", vec![mine, other]),
            ("KeyType -eq ed25519", vec![other]),
            ("KeyType -in (\"ECC\", 5)", vec![mine, other]),
            ("KeyType -eq ECC AND Curve -eq P-256 AND KeyAlgorithm -eq 1.2.840.10045.2.1", vec![mine]),
            ("SigningAlgorithm -startswith \"SHA-256\"", vec![mine, other]),
            ("RevocationReason -eq \"Key Compromised\"", vec![]),
            ("CertState -eq Unknown", vec![mine, other]),
            ("CertState -in (\"Active\", \"Revoked\")", vec![]),
            ("CertStoreAlias -eq SITE AND CertStoreId -eq 00000000-0000-0000-0000-00000005706e", vec![mine]),
            ("CertStorePath -startswith \"/etc/\"", vec![mine]),
            ("CertStoreFQDN -notin (\"web01.example\")", vec![other]),
            // As clients write them: no blanks about connectives, bare and quoted, any case, blanks at the end, nothing in vain.
            ("(CN -eq \"one.example\")AND IssuedDN -eq \"CN=one.example\"", vec![mine]),
            ("(CN -eq \"one.example\")AND(Id -gt 0)", vec![mine]),
            ("issuedcn -EQ \"one.example \"ANDcertstate -eq \"0\"", vec![mine]),
            ("IssuedDN -eq CN=one.example", vec![mine]),
            ("CN -startswith \"\"", vec![mine, other]),
            (&format!("CN -eq \"{long}\" OR CN -eq ONE.EXAMPLE"), vec![mine]),
        ] {
            let found = ids(&admin, &format!("({query}) AND CN -endswith \".example\"")).await;
            assert_eq!(found, wanted, "{query}");
        }
        for (parameters, total) in [
            ("pq.queryString=Requester%20-eq%20%25ME%25", 1),
            ("pagedQuery.QueryString=Requester%20-eq%20%22%25ME%25%22&query.returnLimit=1", 1),
            ("querystring=", 4),
            ("queryString=CN+-endswith+%22.example%22&collectionId=0", 2),
        ] {
            let answer = admin.get(&format!("/Certificates?{parameters}")).await.expect(200);
            if total != 4 {
                assert_eq!(answer.total(), Some(total), "{parameters}");
            }
        }
    }

    async fn mistakes_are_refused_and_say_where(server: TestServer) {
        let admin = server.admin();
        define(&admin, &[("Due", 3)]).await;
        for (query, words) in [
            ("Nothing -eq 1", "\"Nothing\" is no field of this list; there are Id, "),
            ("CN -eq \"ü\" AND Nothing -eq 1", "at character 16"),
            ("CN -like \"a\"", "at character 4: expected an operator after CN"),
            ("CN -eq \"a\" AND KeySize -contains 2", "KeySize does not take -contains; it takes -eq, -ne, -lt"),
            ("HasPrivateKey -gt true", "HasPrivateKey does not take -gt"),
            ("CertStoreId -startswith 1", "CertStoreId does not take -startswith"),
            ("CertStoreId -eq 1", "\"1\" is not a GUID, at character 1"),
            ("NotAfter -gt \"soon\"", "\"soon\" is not a date, at character 1"),
            ("NotAfter -gt \"2026-02-30\"", "is not a date"),
            ("NotAfter -gt \"%TODAY+x%\"", "is not a date"),
            ("NotAfter -gt %ME%", "is not a date"),
            ("Due -gt \"2026-13-01\"", "is not a date"),
            ("HasPrivateKey -eq perhaps", "neither true nor false"),
            ("Id -eq 99999999999999999999", "is not a number"),
            ("Id -in (1, x)", "\"x\" is not a number"),
            ("CN -gt NULL", "NULL goes with -eq and -ne"),
            ("CN -in (NULL)", "NULL cannot stand in a list"),
            ("CN -in \"a\"", "takes a list in parentheses"),
            ("CN -eq (\"a\")", "a list goes with -in"),
            ("CN -eq \"a", "no closing quote"),
            ("CN -eq a b", "at character 10: expected AND or OR"),
            ("(CN -eq a", "closes the one at character 1"),
        ] {
            let refused = find(&admin, query).await.expect(400);
            assert_eq!(refused.error_code(), BAD_QUERY, "{query}");
            assert!(refused.message().starts_with("QueryString: ") && refused.message().contains(words), "{query}: {}", refused.message());
        }
    }

    async fn what_is_too_large_is_refused_and_changes_nothing(server: TestServer) {
        let admin = server.admin();
        define(&admin, &[("Team", 1)]).await;
        let before = admin.get("/Certificates").await.expect(200).total();
        let long = format!("CN -eq \"{}\"", "a".repeat(100_000));
        let deep = format!("{}CN -eq \"a\"{}", "(".repeat(1_000), ")".repeat(1_000));
        let wide = vec!["CN -eq \"a\""; 501].join(" OR ");
        let listed = format!("CN -in ({})", vec!["a"; 1_001].join(","));
        // Few characters, and many octets.
        let octets = format!("IssuerDN -contains \"{}\"", "\u{1F512}".repeat(13_000));
        for (query, words) in [
            (&octets, "too long to be looked for"),
            (&long, "longer than 16384 characters"),
            (&deep, "nested more than 64 deep"),
            (&wide, "more than 500 comparisons"),
            (&listed, "more than 1000 values"),
        ] {
            let by_delete = admin.delete_with("/Certificates/Query", json!(query)).await.expect(400);
            let metadata = json!({ "Query": query, "Metadata": [{ "MetadataName": "Team", "Value": "x" }] });
            let by_metadata = admin.put("/Certificates/Metadata/All", metadata).await.expect(400);
            let by_collection = admin.post("/CertificateCollections", json!({ "Name": "Large", "Query": query })).await.expect(400);
            for refused in [by_delete, by_metadata, by_collection] {
                let told = refused.message();
                assert!(told.contains(words) || told.starts_with("Query: longer than"), "{words}: {told}");
                assert!(refused.text.len() < 1_000, "says it all again");
            }
        }
        // In an address, servers take 64 KiB at most.
        for query in [&long[..20_000], deep.as_str(), wide.as_str(), listed.as_str()] {
            assert_eq!(find(&admin, query).await.expect(400).error_code(), BAD_QUERY);
        }
        for page in ["9223372036854775808", "18446744073709551616", "9223372036854775807", "-1", "0", "1.5", "x"] {
            let refused = admin.get(&format!("/Certificates?PageReturned={page}")).await.expect(400);
            assert!(refused.message().contains("PageReturned"), "{page}: {}", refused.message());
            admin.get(&format!("/Certificates?ReturnLimit={page}")).await.expect(if page == "9223372036854775807" { 200 } else { 400 });
        }
        for field in ["Nothing", "SAN", "CN;DROP", "Team"] {
            let refused = admin.get(&format!("/Certificates?SortField={}", encoded(field))).await.expect(400);
            assert_eq!((refused.error_code(), refused.message()), ("0xA011004A", format!("Invalid sort field: {field}.").as_str()));
        }
        assert_eq!(admin.get("/Certificates").await.expect(200).total(), before);
        assert_eq!(admin.get("/CertificateCollections").await.expect(200).total(), Some(0));
    }

    async fn the_index_of_names_changes_no_answer(server: TestServer) {
        let (admin, mut maker) = (server.admin(), Maker::new());
        let mut made = Vec::new();
        for name in ["CN=alpha.web.example,OU=Büro", "CN=beta.web.example,OU=Files", "CN=gamma.mail.example", "CN=web.delta.example", "O=Nameless Web"] {
            let sans = if name.starts_with("CN=gamma") { vec![pki::SubjectAlternativeName::dns("strasse.alias"), pki::SubjectAlternativeName::dns("two.alias")] } else { Vec::new() };
            made.push(maker.record(&server, &Wanted { sans, ..Wanted::new(name) }).await);
        }
        let cases: &[(&str, &[usize])] = &[
            ("CN -contains \"WEB.\"", &[0, 1, 3]),
            ("CN -endswith \"web.example\"", &[0, 1]),
            ("DN -contains \"web\"", &[0, 1, 3, 4]),
            ("SAN -contains \"STRASSE\"", &[2]),
            ("SAN -endswith \"alias\" AND SAN -contains \"two\"", &[2]),
            ("SAN -notcontains \"alias\"", &[0, 1, 3, 4]),
            ("NOT SAN -notcontains \"alias\"", &[2]),
            ("NOT CN -contains \"web\"", &[2, 4]),
            ("OU -contains \"büro\"", &[0]),
            ("OU -eq \"files\" OR CN -contains \"gam\"", &[1, 2]),
            ("OU -in (\"files\", \"nothing\")", &[1]),
            ("CN -contains \"alpha\" AND CN -contains \"beta\"", &[]),
            ("CN -contains \"we\" AND CN -contains \"alpha\"", &[0]),
            ("CN -contains \"nowhere\"", &[]),
            ("CN -contains \"w_b\" OR CN -contains \"%\"", &[]),
        ];
        for round in 0..4 {
            for (query, wanted) in cases {
                let found = ids(&admin, &format!("Id -ge {} AND Id -le {} AND ({query})", made[0], made[4])).await;
                let wanted: Vec<i64> = wanted.iter().map(|index| made[*index]).collect();
                assert_eq!(found, wanted, "round {round}: {query}");
            }
            // In no lot at first, then in lots, then in lots put together beside new ones in none.
            app::testing::index_names(server.app()).await.unwrap();
            let lots = db::tables::certificate_lots::Entity::find();
            let lots = sea_orm::PaginatorTrait::count(lots, server.app().db().read()).await.unwrap();
            let waiting = db::tables::certificates_unindexed::Entity::find();
            let waiting = sea_orm::PaginatorTrait::count(waiting, server.app().db().read()).await.unwrap();
            assert!(lots > 0 && waiting < 5, "round {round}: {lots} lots, {waiting} in none");
            maker.record(&server, &Wanted::new("CN=later.web.example")).await;
        }
        // Right after a change, too: one that came, and one that went.
        let now = ids(&admin, "CN -contains \"later\"").await;
        let new = maker.record(&server, &Wanted::new("CN=even.later.example")).await;
        assert_eq!(ids(&admin, "CN -contains \"later\"").await, [now.as_slice(), &[new]].concat());
        admin.delete(&format!("/Certificates/{}", now[0])).await.expect(204);
        assert_eq!(ids(&admin, "CN -contains \"later\"").await, [&now[1..], &[new]].concat());
        let collection = collection(&server, "Later", "CN -contains \"later\"").await;
        assert_eq!(admin.get(&format!("/Certificates?collectionId={collection}")).await.expect(200).total(), Some(now.len() as u64));
        let table = admin.get(&format!("/Certificates/CSV?Query={}", encoded("CN -contains \"later\""))).await.expect(200);
        assert_eq!(table.total(), Some(now.len() as u64));
        let unindexed = db::tables::certificates_unindexed::Entity::find();
        let notes = sea_orm::PaginatorTrait::count(unindexed, server.app().db().read()).await.unwrap();
        assert!(notes > 0, "the last one is in no lot");
    }

    async fn free_text_finds_the_best_first(server: TestServer) {
        let (admin, mut maker) = (server.admin(), Maker::new());
        let mut made = std::collections::HashMap::new();
        for (name, subject, to) in [
            ("substring", "CN=cobweb.test", 90), ("word", "CN=mail.web1.test", 90), ("long prefix", "CN=web.long.test", 90),
            ("prefix", "CN=web.test", 90), ("expired", "CN=web.past", -1), ("exact", "CN=web", 90), ("newer prefix", "CN=web.tesu", 90),
            ("subject", "CN=other.test,O=Web Shop", 90), ("alias", "CN=shop.test", 90), ("none", "CN=unrelated.test", 90),
        ] {
            let sans = if name == "alias" { vec![pki::SubjectAlternativeName::dns("strasse.web.test")] } else { Vec::new() };
            let wanted = Wanted { sans, from: testkit::START - 9 * crate::certificates::DAY, to: testkit::START + to * crate::certificates::DAY, ..Wanted::new(subject) };
            made.insert(name, maker.record(&server, &wanted).await);
        }
        let all = "/Chancery/Search/Certificates?IncludeExpired=true&text=";
        let found = async |text: &str| -> Vec<&'static str> {
            let answer = admin.get(&format!("{all}{}", encoded(text))).await.expect(200);
            assert_eq!(answer.total(), Some(answer.items().len() as u64), "{text}");
            let names = answer.items().iter().map(|item| *made.iter().find(|(_, id)| item["Id"] == **id).unwrap_or_else(|| panic!("{text}: {item}")).0);
            names.collect()
        };
        for _ in 0..3 {
            assert_eq!(found("WEB").await, ["exact", "newer prefix", "prefix", "expired", "long prefix", "word", "alias", "subject", "substring"]);
            assert_eq!(found("web tes").await, ["newer prefix", "prefix", "alias", "long prefix", "word", "subject", "substring"]);
            assert_eq!(found("strasse").await, ["alias"]);
            assert_eq!(found("shop web").await, ["alias", "subject"]);
            assert_eq!(found("web nothing").await, [""; 0]);
            assert_eq!(found("unrelated u").await, ["none"]);
            app::testing::index_names(server.app()).await.unwrap();
        }
        let one = admin.get(&format!("/Certificates/{}", made["exact"])).await.expect(200).json;
        for number in ["Thumbprint", "SerialNumber"] {
            let digits = one[number].as_str().unwrap().to_lowercase();
            assert!(found(&digits).await.contains(&"exact"), "{number}");
            assert!(found(&format!("web {}", &digits[..12])).await.contains(&"exact"), "{number}");
            let best = admin.get(&format!("{all}{digits}")).await.expect(200).items()[0].clone();
            assert_eq!((&best["Matches"][0]["Field"], &best["Matches"][0]["Match"]), (&json!(number), &json!("Exact")));
        }
        let page = admin.get(&format!("{all}web&ReturnLimit=2&PageReturned=2&includeMetadata=true")).await.expect(200);
        assert_eq!((page.total(), page.items().len()), (Some(9), 2));
        assert_eq!(page.items()[0]["Rank"], 3);
        assert_eq!(page.items()[0]["IssuedCN"], "web.test");
        assert_eq!(page.items()[0]["Matches"], json!([{ "Word": "web", "Field": "CN", "Value": "web.test", "Match": "Prefix" }]));
        assert_eq!(admin.get(&format!("{all}web&PageReturned=9")).await.expect(200).items().len(), 0);
        let narrowed = format!("{all}web&QueryString={}", encoded("CN -endswith \".past\""));
        assert_eq!(admin.get(&narrowed).await.expect(200).items()[0]["Id"], made["expired"]);
        assert_eq!(admin.get(&narrowed.replace("IncludeExpired=true&", "")).await.expect(200).total(), Some(0));
    }

    async fn free_text_refusals(server: TestServer) {
        let (admin, mut maker) = (server.admin(), Maker::new());
        let path = "/Chancery/Search/Certificates";
        for text in ["", "?text=", "?text=a%20bc", &format!("?text={}", "x".repeat(1_001)), &format!("?text={}", (0..17).map(|word| format!("word{word}+")).collect::<String>())] {
            let refused = admin.get(&format!("{path}{text}")).await.expect(400);
            assert!(refused.message().starts_with("text: "), "{}", refused.message());
        }
        assert_eq!(admin.get(&format!("{path}?text=web&QueryString=Nothing%20-eq%201")).await.expect(400).error_code(), BAD_QUERY);
        admin.get(&format!("{path}?text=web&PageReturned=0")).await.expect(400);
        let inside = maker.record(&server, &Wanted::new("CN=in.web.test")).await;
        maker.record(&server, &Wanted::new("CN=out.web.test")).await;
        let some = collection(&server, "In", "CN -startswith \"in.\"").await;
        let reader = server.account(&[&format!("/certificates/collections/read/{some}/")]).await;
        reader.get(&format!("{path}?text=web")).await.expect(403);
        let answer = reader.get(&format!("{path}?text=web&collectionId={some}")).await.expect(200);
        assert_eq!((answer.total(), &answer.items()[0]["Id"]), (Some(1), &json!(inside)));
        server.account(&["/agents/management/read/"]).await.get(&format!("{path}?text=web")).await.expect(403);
        server.anonymous().get(&format!("{path}?text=web")).await.expect(401);
    }
}
