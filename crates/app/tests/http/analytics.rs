//! `/Analytics`.

use serde_json::{Value, json};
use testkit::{Answer, START, TestServer};

use crate::certificates::{DAY, Maker, Wanted};
use crate::certificates_revoke::{enrolled, revoke};
use crate::scoped_stores::collection;

const READ: &str = "/certificates/collections/read/";
const COUNT: &str = "/Analytics/Certificates/Count/Collections";

fn weeks(answer: &Answer) -> Vec<(i64, i64)> {
    let weeks = answer.json["Periods"].as_array().unwrap().iter();
    let week = |week: &Value| Some((week["Period"].as_i64()?, week["Count"].as_i64()?));
    weeks.map(|one| week(one).unwrap()).collect()
}

testkit::both_databases! {
    async fn active_certificates_of_collections_are_counted(server: TestServer) {
        let mut maker = Maker::new();
        for (subject, to) in [("CN=a.web", START + DAY), ("CN=b.web", START - 1), ("CN=c.mail", START + DAY)] {
            maker.record(&server, &Wanted { to, from: START - 9 * DAY, ..Wanted::new(subject) }).await;
        }
        let (revoked, _) = enrolled(&server, "d.web").await;
        let (web, mail) = (collection(&server, "Web", "IssuedCN -endswith \".web\"").await, collection(&server, "Mail", "IssuedCN -endswith \".mail\"").await);
        let admin = server.admin();
        let count = async |of: i64| {
            let answer = admin.get(&format!("{COUNT}?CollectionIds={of}")).await.expect(200);
            answer.items()[0]["Count"].as_i64().unwrap()
        };
        let (all, listed) = (count(0).await, admin.get("/Certificates").await.total().unwrap());
        assert_eq!((u64::try_from(all).unwrap(), count(web).await, count(mail).await), (listed, 2, 1));
        revoke(&admin, &[revoked], 1).await.expect(200);
        assert_eq!((count(0).await, count(web).await), (all - 1, 1), "right after the change");

        for query in [format!("collectionIds={mail}&collectionIds={web}&CollectionIds={mail}"), format!("CollectionIds={mail},{web}")] {
            let both = admin.get(&format!("{COUNT}?{query}")).await.expect(200);
            let ids: Vec<_> = both.items().iter().map(|one| one["Id"].as_i64().unwrap()).collect();
            assert_eq!(ids, [mail, web]);
            assert!(both.items()[0]["Name"].as_str().is_some_and(|name| !name.is_empty()));
        }
        assert_eq!(admin.get(COUNT).await.expect(200).json, json!([]));
        assert_eq!(admin.get(&format!("{COUNT}?CollectionIds=0")).await.items()[0]["Name"], "All Certificates");
        for wrong in ["x", "999999", "1,x"] {
            let answer = admin.get(&format!("{COUNT}?CollectionIds={wrong}")).await.expect(400);
            assert!(answer.message().contains("CollectionIds"), "{}", answer.text);
        }
        let many: Vec<String> = (1..=101).map(|id| id.to_string()).collect();
        admin.get(&format!("{COUNT}?CollectionIds={}", many.join(","))).await.expect(400);

        let some = server.account(&[&format!("{READ}{web}/")]).await;
        assert_eq!(some.get(&format!("{COUNT}?CollectionIds={web}")).await.expect(200).items()[0]["Count"], 1);
        for other in [format!("?CollectionIds={mail}"), format!("?CollectionIds={web},{mail}"), "?CollectionIds=0".into(), String::new()] {
            some.get(&format!("{COUNT}{other}")).await.expect(403);
        }
    }

    async fn what_was_issued_and_revoked_is_counted_by_week(server: TestServer) {
        const WEEK: i64 = 7 * DAY;
        let mut maker = Maker::new();
        // The week before now, up to its last millisecond, and the ones before it.
        for from in [START, START - WEEK + 1000, START - WEEK, START - 2 * WEEK, START - 3 * WEEK, START + DAY] {
            maker.record(&server, &Wanted { from, to: from + DAY, ..Wanted::new("CN=weekly.web") }).await;
        }
        let (web, other) = (collection(&server, "Web", "IssuedCN -endswith \".web\"").await, collection(&server, "Other", "IssuedCN -eq \"other\"").await);
        let admin = server.admin();
        let issued = admin.get(&format!("/Analytics/Certificates/Issuance?collectionId={web}&TotalPeriods=3")).await.expect(200);
        assert_eq!(weeks(&issued), [(1, 2), (2, 1), (3, 1)]);
        assert_eq!(issued.json["EvalDate"], issued.json["Periods"][2]["EvalDate"]);
        let all = admin.get("/Analytics/Certificates/Issuance?collectionId=0&TotalPeriods=52").await.expect(200);
        assert!(weeks(&all).len() == 52 && weeks(&all)[0].1 >= 2, "{}", all.text);

        let revocation = format!("/Analytics/Certificates/Revocation?collectionId={web}&TotalPeriods=2");
        let (first, _) = enrolled(&server, "first.web").await;
        let (second, _) = enrolled(&server, "second.web").await;
        revoke(&admin, &[first], 6).await.expect(200);
        server.clock.advance(WEEK);
        revoke(&admin, &[second], 1).await.expect(200);
        assert_eq!(weeks(&admin.get(&revocation).await.expect(200)), [(1, 1), (2, 1)]);
        revoke(&admin, &[first], -1).await.expect(200);
        assert_eq!(weeks(&admin.get(&revocation).await.expect(200)), [(1, 1), (2, 0)], "what was taken from hold");

        for path in ["Issuance", "Revocation"] {
            let path = format!("/Analytics/Certificates/{path}");
            for (query, named) in [("TotalPeriods=1", "collectionId"), ("collectionId=0", "TotalPeriods"), ("collectionId=0&TotalPeriods=0", "TotalPeriods"), ("collectionId=0&TotalPeriods=53", "TotalPeriods"), ("collectionId=x&TotalPeriods=1", "ollectionId"), ("collectionId=99&TotalPeriods=1", "CollectionId")] {
                let answer = admin.get(&format!("{path}?{query}")).await.expect(400);
                assert!(answer.message().contains(named), "{query}: {}", answer.text);
            }
            let some = server.account(&[&format!("{READ}{other}/")]).await;
            assert_eq!(weeks(&some.get(&format!("{path}?collectionId={other}&TotalPeriods=1")).await.expect(200)), [(1, 0)]);
            some.get(&format!("{path}?collectionId={web}&TotalPeriods=1")).await.expect(403);
            some.get(&format!("{path}?collectionId=0&TotalPeriods=1")).await.expect(403);
        }
    }
}
