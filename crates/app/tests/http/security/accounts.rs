//! `/Chancery/Accounts`, password rules, forced change and lockout.

use serde_json::{Value, json};
use testkit::TestServer;

const SECOND: &str = "violet umbrella 42";
const THIRD: &str = "quiet harbour lamp";

async fn id_of(server: &TestServer, name: &str) -> Value {
    let list = server
        .admin()
        .get("/Chancery/Accounts?ReturnLimit=1000")
        .await
        .expect(200);
    list.items()
        .iter()
        .find(|account| account["Name"] == name)
        .unwrap()["Id"]
        .clone()
}

testkit::both_databases! {
    async fn an_account_from_creation_to_deletion(server: TestServer) {
        let admin = server.admin();
        server.role("Watchers", &["/agents/management/read/"]).await;
        let made = admin.post("/Chancery/Accounts", json!({ "Name": "alice", "Password": SECOND, "Roles": ["watchers", "Watchers"] })).await.expect(200);
        assert!(!made.text.contains(SECOND));
        let made = made.json;
        assert_eq!((&made["Name"], &made["Disabled"], &made["MustChangePassword"], &made["Roles"][0]["Name"]), (&json!("alice"), &json!(false), &json!(true), &json!("Watchers")));
        assert_eq!(made["Roles"].as_array().map(Vec::len), Some(1));
        let path = format!("/Chancery/Accounts/{}", made["Id"]);
        assert_eq!(admin.get(&path).await.expect(200).json, made);
        assert_eq!(admin.get("/Chancery/Accounts").await.expect(200).total(), Some(2));

        // Nothing is allowed before the password is changed: neither with a permission nor without.
        let alice = server.signed_in("alice", SECOND);
        for path in ["/Agents", "/Security/My", "/Security/Roles"] {
            let refused = alice.get(path).await.expect(403);
            assert!(refused.message().contains("/Chancery/Accounts/My/Password"), "{}", refused.message());
        }
        let change = |old: &str, new: &str| json!({ "OldPassword": old, "NewPassword": new });
        alice.post("/Chancery/Accounts/My/Password", change("not the old one", THIRD)).await.expect(400);
        alice.post("/Chancery/Accounts/My/Password", change(SECOND, SECOND)).await.expect(400);
        alice.post("/Chancery/Accounts/My/Password", change(SECOND, "short")).await.expect(400);
        alice.get("/Agents").await.expect(403);
        alice.post("/Chancery/Accounts/My/Password", change(SECOND, THIRD)).await.expect(204);
        alice.get("/Agents").await.expect(401);
        let alice = server.signed_in("alice", THIRD);
        alice.get("/Agents").await.expect(200);

        // Reset: the old one counts no more, and the new one has to be changed unless told.
        admin.post(&format!("{path}/Password"), json!({ "Password": THIRD })).await.expect(400);
        admin.post(&format!("{path}/Password"), json!({ "Password": SECOND })).await.expect(204);
        alice.get("/Agents").await.expect(401);
        server.signed_in("alice", SECOND).get("/Agents").await.expect(403);
        admin.post(&format!("{path}/Password"), json!({ "Password": THIRD, "MustChangePassword": false })).await.expect(204);
        alice.get("/Agents").await.expect(200);

        admin.post(&format!("{path}/Disable"), json!({})).await.expect(204);
        alice.get("/Agents").await.expect(401);
        assert_eq!(admin.get(&path).await.expect(200).json["Disabled"], true);
        admin.post(&format!("{path}/Disable"), json!({})).await.expect(204);
        admin.post(&format!("{path}/Enable"), json!({})).await.expect(204);
        alice.get("/Agents").await.expect(200);
        admin.delete(&path).await.expect(204);
        alice.get("/Agents").await.expect(401);
        admin.get(&path).await.expect(404);
        admin.delete(&path).await.expect(404);
        for what in ["/Disable", "/Enable"] {
            admin.post(&format!("{path}{what}"), json!({})).await.expect(404);
        }
        admin.post(&format!("{path}/Password"), json!({ "Password": SECOND })).await.expect(404);
        // The name is free again, without the roles of before.
        let again = admin.post("/Chancery/Accounts", json!({ "Name": "Alice", "Password": SECOND, "MustChangePassword": false })).await.expect(200).json;
        assert_eq!(again["Roles"], json!([]));
        server.signed_in("alice", SECOND).get("/Agents").await.expect(403);
    }

    async fn refused_requests_change_nothing(server: TestServer) {
        let admin = server.admin();
        let before = admin.get("/Chancery/Accounts").await.expect(200).json;
        for (body, named) in [
            (json!({ "Name": "", "Password": SECOND }), "Name"),
            (json!({ "Name": "a:b", "Password": SECOND }), "Name"),
            (json!({ "Name": "a\\b", "Password": SECOND }), "Name"),
            (json!({ "Name": "ADMIN", "Password": SECOND }), "admin"),
            (json!({ "Name": "\u{ff41}dmin\u{ad}", "Password": SECOND }), "admin"),
            (json!({ "Name": "new", "Password": "elevenchars" }), "12"),
            (json!({ "Name": "new", "Password": "Password1234" }), "guessed"),
            (json!({ "Name": "umbrella", "Password": SECOND }), "name"),
            (json!({ "Name": "new", "Password": "x".repeat(2_000) }), "1024"),
            (json!({ "Name": "new", "Password": SECOND, "Roles": ["Nothing"] }), "Nothing"),
            (json!({ "Name": "new" }), "Password"),
        ] {
            let refused = admin.post("/Chancery/Accounts", &body).await.expect(400);
            assert!(refused.text.contains(named), "{body}: {}", refused.text);
            assert!(!refused.text.contains(SECOND));
        }
        let own = id_of(&server, "admin").await;
        let refused = admin.delete(&format!("/Chancery/Accounts/{own}")).await.expect(400);
        assert!(refused.message().contains("own account"), "{}", refused.message());
        assert_eq!(admin.get("/Chancery/Accounts").await.expect(200).json, before);
    }

    async fn readers_read_and_keepers_change(server: TestServer) {
        let (reader, keeper) = (server.account(&["/security/read/"]).await, server.account(&["/security/modify/"]).await);
        let id = id_of(&server, reader.name()).await;
        reader.get("/Chancery/Accounts").await.expect(200);
        reader.get(&format!("/Chancery/Accounts/{id}")).await.expect(200);
        reader.post(&format!("/Chancery/Accounts/{id}/Disable"), json!({})).await.expect(403);
        // What it holds is implied by what the other holds, so the door may be opened.
        keeper.post(&format!("/Chancery/Accounts/{id}/Password"), json!({ "Password": SECOND })).await.expect(204);
        keeper.post(&format!("/Chancery/Accounts/{id}/Disable"), json!({})).await.expect(204);
        keeper.post(&format!("/Chancery/Accounts/{id}/Enable"), json!({})).await.expect(204);
        // One's own password needs no permission.
        let nobody = server.account(&[]).await;
        nobody.post("/Chancery/Accounts/My/Password", json!({ "OldPassword": "correct horse battery", "NewPassword": SECOND })).await.expect(204);
        server.signed_in(nobody.name(), SECOND).get("/Security/My").await.expect(200);
    }

    async fn wrong_passwords_lock_for_longer_and_longer(server: TestServer) {
        let alice = server.account(&[]).await;
        let id = id_of(&server, alice.name()).await;
        let guess = server.signed_in(alice.name(), "a wrong password");
        for _ in 0..4 {
            guess.get("/Security/My").await.expect(401);
        }
        alice.get("/Security/My").await.expect(200);
        // That one was right, so counting begins anew.
        for _ in 0..5 {
            guess.get("/Security/My").await.expect(401);
        }
        let mut delay = 30_000;
        for _ in 0..3 {
            let refused = alice.get("/Security/My").await.expect(401);
            assert_eq!(refused.text, guess.get("/Security/My").await.expect(401).text);
            assert!(server.admin().get(&format!("/Chancery/Accounts/{id}")).await.expect(200).json["LockedUntil"].is_string());
            server.clock.advance(delay - 1);
            alice.get("/Security/My").await.expect(401);
            server.clock.advance(1);
            guess.get("/Security/My").await.expect(401);
            delay *= 2;
        }
        server.clock.advance(delay);
        alice.get("/Security/My").await.expect(200);
        assert_eq!(server.admin().get(&format!("/Chancery/Accounts/{id}")).await.expect(200).json["LockedUntil"], Value::Null);
        // A reset unlocks; guessing the old password while changing it counts as well.
        for _ in 0..5 {
            guess.get("/Security/My").await.expect(401);
        }
        server.admin().post(&format!("/Chancery/Accounts/{id}/Password"), json!({ "Password": SECOND, "MustChangePassword": false })).await.expect(204);
        let alice = server.signed_in(alice.name(), SECOND);
        alice.get("/Security/My").await.expect(200);
    }
}
