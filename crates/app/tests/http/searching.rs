//! `/Chancery/Search`, and what the query language over certificates holds to.

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
        for (query, words) in [
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
}
