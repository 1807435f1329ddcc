//! `/IdentityProviders`: entering and reading them.

use serde_json::{Value, json};
use testkit::TestServer;

fn provider(scheme: &str) -> Value {
    json!({
        "AuthenticationScheme": scheme, "DisplayName": format!("Sign in with {scheme}"), "ProviderType": "Generic",
        "Parameters": {
            "Authority": "https://192.0.2.1/realms/main", "ClientId": "chancery", "ClientSecret": {"SecretValue": "hidden word"},
        },
    })
}

fn parameter<'v>(provider: &'v Value, name: &str) -> &'v Value {
    let parameters = provider["Parameters"].as_array().unwrap();
    parameters.iter().find(|one| one["Name"] == name).unwrap()
}

testkit::both_databases! {
    async fn a_provider_from_creation_to_change(server: TestServer) {
        // Addresses of documentation are reachable for nobody, and here they need not be.
        let server = TestServer::start_with(server.database(), |options| {
            options.egress.allow = egress::Allow::parse(["192.0.2.0/24"]).unwrap();
        }).await;
        let admin = server.admin();
        assert_eq!(admin.get("/IdentityProviders").await.expect(200).items().len(), 0);
        let made = admin.post("/IdentityProviders", provider("keycloak")).await.expect(200);
        assert!(!made.text.contains("hidden word"));
        let made = made.json;
        assert_eq!(made["AuthenticationScheme"], "keycloak");
        assert_eq!(made["AuthenticationEnabled"], true);
        assert_eq!(made["PermissionSetId"], "099c05f0-deba-4562-a5b1-f491e19c0749");
        assert_eq!(parameter(&made, "Authority")["Value"], "https://192.0.2.1/realms/main");
        assert_eq!(parameter(&made, "ClientSecret")["SecretValue"]["HasValue"], true);
        assert_eq!(parameter(&made, "ClientSecret")["Value"], Value::Null);
        assert_eq!(parameter(&made, "Scope")["Value"], Value::Null);
        let types = admin.get("/IdentityProviders/Types").await.expect(200);
        let generic = types.items().iter().find(|one| one["Name"] == "Generic").unwrap();
        assert_eq!(generic["Id"], made["TypeId"]);
        assert_eq!(generic["TypeParameters"].as_array().unwrap().len(), made["Parameters"].as_array().unwrap().len());
        let path = format!("/IdentityProviders/{}", made["Id"].as_str().unwrap());
        assert_eq!(admin.get(&path).await.expect(200).json, made);
        let second = admin.post("/IdentityProviders", json!({
            "authenticationScheme": "auth0", "displayName": "Auth0", "providerType": "auth0",
            "parameters": {"authority": "https://192.0.2.1/", "clientId": "c", "auth0ApiUrl": "https://api.example"},
        })).await.expect(200).json;
        assert_eq!(parameter(&second, "ClientSecret")["SecretValue"]["HasValue"], false);
        let listed = admin.get("/IdentityProviders?QueryString=DisplayName%20-contains%20%22keycloak%22").await.expect(200);
        assert_eq!((listed.items().len(), listed.total()), (1, Some(1)));
        assert_eq!(listed.items()[0], made);

        // What is left out goes, except the secret.
        let change = json!({
            "AuthenticationScheme": "KeyCloak", "DisplayName": "People", "AuthenticationEnabled": false,
            "Parameters": {"Authority": "https://192.0.2.1/realms/main", "ClientId": "other", "Scope": "openid", "ClientSecret": {"SecretValue": "********************"}},
        });
        let changed = admin.put(&path, &change).await.expect(200).json;
        assert_eq!(changed["AuthenticationEnabled"], false);
        assert_eq!(changed["DisplayName"], "People");
        assert_eq!(parameter(&changed, "ClientId")["Value"], "other");
        assert_eq!(parameter(&changed, "Scope")["Value"], "openid");
        assert_eq!(parameter(&changed, "ClientSecret")["SecretValue"]["HasValue"], true);
        let plain = json!({"AuthenticationScheme": "keycloak", "DisplayName": "People"});
        assert_eq!(admin.put(&path, plain).await.expect(200).json, changed, "what is not given stays");
    }

    async fn refusals_name_the_place_and_change_nothing(server: TestServer) {
        let server = TestServer::start_with(server.database(), |options| {
            options.egress.allow = egress::Allow::parse(["192.0.2.0/24"]).unwrap();
        }).await;
        let admin = server.admin();
        let made = admin.post("/IdentityProviders", provider("one")).await.expect(200).json;
        let path = format!("/IdentityProviders/{}", made["Id"].as_str().unwrap());
        let changed = |place: &str, value: Value| {
            let mut given = provider("two");
            match place.split_once('.') {
                Some((_, name)) => given["Parameters"][name] = value,
                None => given[place] = value,
            }
            given
        };
        for (place, value) in [
            ("AuthenticationScheme", json!("")), ("AuthenticationScheme", json!("a b")), ("AuthenticationScheme", json!("../x")),
            ("AuthenticationScheme", json!("chancery")), ("AuthenticationScheme", json!("LOCAL")), ("AuthenticationScheme", json!("ONE")),
            ("AuthenticationScheme", json!("x".repeat(513))), ("DisplayName", Value::Null), ("DisplayName", json!("sign in with ONE")),
            ("ProviderType", json!("SAML")), ("PermissionSetId", json!("00000000-0000-0000-0000-000000000001")),
            ("Parameters.Authority", Value::Null), ("Parameters.Authority", json!("http://idp.example")), ("Parameters.ClientId", json!(" ")),
            ("Parameters.Unheard", json!("x")), ("Parameters.Scope", json!([1])), ("Parameters.ClientSecret", json!({"Provider": 3})),
        ] {
            let answer = admin.post("/IdentityProviders", changed(place, value.clone())).await.expect(400);
            assert!(answer.message().starts_with(place), "{place} {value}: {}", answer.message());
        }
        let renamed = json!({"AuthenticationScheme": "two", "DisplayName": "x"});
        assert!(admin.put(&path, renamed).await.expect(400).message().starts_with("AuthenticationScheme"));
        // The secret that is kept must not follow an address that somebody changes.
        let elsewhere = json!({
            "AuthenticationScheme": "one", "DisplayName": "x",
            "Parameters": {"Authority": "https://192.0.2.2/", "ClientId": "chancery"},
        });
        assert!(admin.put(&path, elsewhere).await.expect(400).message().starts_with("Parameters.ClientSecret"));
        assert_eq!(admin.get(&path).await.expect(200).json, made);
        assert_eq!(admin.get("/IdentityProviders").await.expect(200).items().len(), 1);
        let nobody = "/IdentityProviders/00000000-0000-0000-0000-000000000009";
        admin.get(nobody).await.expect(404);
        admin.put(nobody, json!({"AuthenticationScheme": "x", "DisplayName": "x"})).await.expect(404);
        admin.get("/Chancery/IdentityProviders/00000000-0000-0000-0000-000000000009/Status").await.expect(404);
        let reader = server.account(&["/identity_providers/read/"]).await;
        reader.get(&path).await.expect(200);
        reader.post("/IdentityProviders", provider("three")).await.expect(403);
        reader.put(&path, json!({"AuthenticationScheme": "one", "DisplayName": "x"})).await.expect(403);
        let stranger = server.account(&["/security/read/"]).await;
        for path in ["/IdentityProviders", &path, "/IdentityProviders/Types"] {
            stranger.get(path).await.expect(403);
        }
    }

    async fn a_provider_is_a_matter_of_security(server: TestServer) {
        let server = TestServer::start_with(server.database(), |options| {
            options.egress.allow = egress::Allow::parse(["192.0.2.0/24"]).unwrap();
        }).await;
        let admin = server.admin();
        let (half, keeper) = (
            server.account(&["/identity_providers/modify/"]).await,
            server.account(&["/identity_providers/", "/security/"]).await,
        );
        half.post("/IdentityProviders", provider("one")).await.expect(403);
        let made = keeper.post("/IdentityProviders", provider("one")).await.expect(200).json;
        let path = format!("/IdentityProviders/{}", made["Id"].as_str().unwrap());
        let named = |name: &str| json!({"AuthenticationScheme": "one", "DisplayName": name});
        half.put(&path, named("x")).await.expect(403);
        keeper.put(&path, named("x")).await.expect(200);
        // Somebody of the provider comes to hold more than the keeper.
        let strong = json!([{ "ClaimType": 5, "ClaimValue": "boss", "ProviderAuthenticationScheme": "ONE", "Description": "" }]);
        let role = json!({"Name": "Tls", "Description": "", "Permissions": ["/ssl/"], "Claims": strong});
        admin.request("POST", "/Security/Roles").version(2).json(role).send().await.expect(200);
        let with = |member: &str, value: Value| {
            let mut body = named("y");
            body[member] = value;
            body
        };
        let elsewhere = json!({"Authority": "https://192.0.2.9/", "ClientId": "chancery", "ClientSecret": {"SecretValue": "x"}});
        let refused = keeper.put(&path, with("Parameters", elsewhere.clone())).await.expect(403);
        assert!(refused.message().contains("cannot give"), "{}", refused.message());
        keeper.put(&path, with("AuthenticationEnabled", json!(false))).await.expect(200);
        keeper.put(&path, with("AuthenticationEnabled", json!(true))).await.expect(403);
        keeper.put(&path, named("z")).await.expect(200);
        admin.put(&path, with("Parameters", elsewhere)).await.expect(200);
        // The claims may be there before the provider.
        let strong = json!([{ "ClaimType": 5, "ClaimValue": "boss", "ProviderAuthenticationScheme": "two", "Description": "" }]);
        let role = json!({"Name": "Tls 2", "Description": "", "Permissions": ["/ssl/"], "Claims": strong});
        admin.request("POST", "/Security/Roles").version(2).json(role).send().await.expect(200);
        keeper.post("/IdentityProviders", provider("two")).await.expect(403);
        admin.post("/IdentityProviders", provider("two")).await.expect(200);
    }

    async fn no_address_field_leads_inside(server: TestServer) {
        let admin = server.admin();
        // 127.0.0.1 is allowed in tests; nothing else that is not public is.
        let inside = [
            "https://127.0.0.2/x", "https://[::1]/x", "https://169.254.169.254/latest", "https://10.0.0.1/x", "https://0x7f.0.0.2/x",
            "https://2130706434/x", "https://[::ffff:10.0.0.1]/x", "https://user:word@192.0.2.1/x", "https://192.0.2.1:25/x",
        ];
        for name in ["Authority", "DiscoveryDocumentEndpoint", "TokenEndpoint", "JSONWebKeySetUri", "UserInfoEndpoint"] {
            for address in inside {
                let mut given = provider("inside");
                given["Parameters"]["Authority"] = json!("https://127.0.0.1/x");
                given["Parameters"][name] = json!(address);
                let answer = admin.post("/IdentityProviders", given).await.expect(400);
                assert!(answer.message().starts_with(&format!("Parameters.{name}: ")), "{name} {address}: {}", answer.message());
            }
        }
        for name in ["AuthorizationEndpoint", "SignOutUrl"] {
            for address in ["javascript:alert(1)", "http://192.0.2.1/", "//x", "data:text/html,x"] {
                let mut given = provider("inside");
                given["Parameters"]["Authority"] = json!("https://127.0.0.1/x");
                given["Parameters"][name] = json!(address);
                let answer = admin.post("/IdentityProviders", given).await.expect(400);
                assert!(answer.message().starts_with(&format!("Parameters.{name}: ")), "{name} {address}: {}", answer.message());
            }
        }
        assert_eq!(admin.get("/IdentityProviders").await.expect(200).items().len(), 0);
    }
}
