//! Chains, good and bad, made with deliberate faults: our validation, OpenSSL and the JDK must agree on each. Where they differ by
//! design, the case says so with the reason, and the difference must be there.

use pki::validation::{Demand, Evidence, Outcome, Report, Test, validate};
use pki::{Certificate, RevocationList};

use crate::forge::*;
use crate::support::*;
use crate::validators::{java_verdicts, openssl_verdicts, write_cases};

/// The day of the question.
const TODAY: i64 = START + 10 * DAY;
const SERVER: &str = "1.3.6.1.5.5.7.3.1";
const CLIENT: &str = "1.3.6.1.5.5.7.3.2";

/// One chain.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) leaf: Certificate,
    pub(crate) intermediates: Vec<Certificate>,
    pub(crate) roots: Vec<Certificate>,
    /// With lists, revocation is demanded of everyone.
    pub(crate) lists: Option<Vec<Vec<u8>>>,
    pub(crate) usage: Option<&'static str>,
    /// The check that does not pass; none for a good chain.
    expected: Option<Test>,
    /// Why OpenSSL says otherwise.
    openssl_differs: Option<&'static str>,
    /// Why the JDK says otherwise.
    java_differs: Option<&'static str>,
}

impl Case {
    fn openssl(mut self, reason: &'static str) -> Self {
        self.openssl_differs = Some(reason);
        self
    }

    fn java(mut self, reason: &'static str) -> Self {
        self.java_differs = Some(reason);
        self
    }

    fn lists(mut self, lists: &[Vec<u8>]) -> Self {
        self.lists = Some(lists.to_vec());
        self
    }

    fn usage(mut self) -> Self {
        self.usage = Some(SERVER);
        self
    }

    fn judge(&self) -> Report {
        let lists: Vec<RevocationList> = self
            .lists
            .iter()
            .flatten()
            .map(|list| RevocationList::from_der(list).unwrap())
            .collect();
        let evidence = Evidence {
            revocation_lists: &lists,
            ocsp_answers: &[],
        };
        let demand = Demand {
            at: TODAY,
            extended_key_usage: self.usage,
            revocation_required: self.lists.is_some(),
        };
        validate(
            &self.leaf,
            &self.intermediates,
            &self.roots,
            &evidence,
            &demand,
        )
    }
}

/// The usual three: a root, an authority below it, somebody below that.
struct Three {
    root: Party,
    middle: Party,
    end: Party,
}

fn three() -> Three {
    Three {
        root: party("CN=Root,O=Chains"),
        middle: party("CN=Middle,O=Chains"),
        end: party("CN=end.example,O=Chains"),
    }
}

fn good_leaf() -> Forge {
    leaf(&[alternative_names(&[(0x82, b"end.example")])])
}

impl Three {
    fn case(
        &self,
        name: &'static str,
        root: &Forge,
        middle: &Forge,
        end: &Forge,
        expected: Option<Test>,
    ) -> Case {
        Case {
            name,
            leaf: end.sign(&self.end, &self.middle),
            intermediates: vec![middle.sign(&self.middle, &self.root)],
            roots: vec![root.clone().serial(1).sign(&self.root, &self.root)],
            lists: None,
            usage: None,
            expected,
            openssl_differs: None,
            java_differs: None,
        }
    }
}

/// A case whose only difference from a good chain is one of the three certificates.
fn with(
    name: &'static str,
    root: Option<Forge>,
    middle: Option<Forge>,
    end: Option<Forge>,
    expected: Option<Test>,
) -> Case {
    let plain = || authority(None, &[]);
    three().case(
        name,
        &root.unwrap_or_else(plain),
        &middle.unwrap_or_else(plain),
        &end.unwrap_or_else(good_leaf),
        expected,
    )
}

/// A case of names: the middle has the constraints, the end the names.
fn named(name: &'static str, constraints: Vec<u8>, names: &[(u8, &[u8])], good: bool) -> Case {
    let middle = authority(None, &[constraints]);
    let end = leaf(&[alternative_names(names)]);
    with(
        name,
        None,
        Some(middle),
        Some(end),
        (!good).then_some(Test::NameConstraints),
    )
}

fn cases() -> Vec<Case> {
    let mut all = Vec::new();
    all.extend(plain_cases());
    all.extend(extension_cases());
    all.extend(policy_cases());
    all.extend(name_cases());
    all.extend(revocation_cases());
    all.extend(path_cases());
    all
}

fn plain_cases() -> Vec<Case> {
    let mut wrong_name = good_leaf();
    wrong_name.issuer_name = Some(dn("CN=Somebody Else"));
    let mut spoiled = good_leaf();
    spoiled.spoil_signature = true;
    let mut spoiled_middle = authority(None, &[]);
    spoiled_middle.spoil_signature = true;
    let mut two_algorithms = good_leaf();
    two_algorithms.inner_algorithm = Some(element(0x30, &[&oid("1.2.840.10045.4.3.3")]));
    let unknown = element(0x30, &[&oid("1.2.3.4.5")]);
    let mut unknown_algorithm = good_leaf();
    unknown_algorithm.inner_algorithm = Some(unknown.clone());
    unknown_algorithm.outer_algorithm = Some(unknown);
    let md5 = element(0x30, &[&oid("1.2.840.113549.1.1.4"), &element(5, &[])]);
    let mut weak_algorithm = good_leaf();
    weak_algorithm.inner_algorithm = Some(md5.clone());
    weak_algorithm.outer_algorithm = Some(md5);
    let mut no_root = with("no-root", None, None, None, Some(Test::Trust));
    no_root.roots = vec![authority(None, &[]).sign(&party("CN=Other"), &party("CN=Other"))];
    let mut no_middle = with("no-intermediate", None, None, None, Some(Test::Trust));
    no_middle.intermediates.clear();
    let mut same_name = with(
        "root-of-the-same-name-with-another-key",
        None,
        None,
        None,
        Some(Test::Signature),
    );
    let other = party("CN=Root,O=Chains");
    same_name.roots = vec![authority(None, &[]).sign(&other, &other)];
    vec![
        with("good", None, None, None, None),
        with(
            "expired-leaf",
            None,
            None,
            Some(good_leaf().days(-20, 5)),
            Some(Test::Validity),
        ),
        with(
            "leaf-not-valid-yet",
            None,
            None,
            Some(good_leaf().days(50, 90)),
            Some(Test::Validity),
        ),
        with(
            "expired-intermediate",
            None,
            Some(authority(None, &[]).days(-20, 5)),
            None,
            Some(Test::Validity),
        ),
        with(
            "intermediate-not-valid-yet",
            None,
            Some(authority(None, &[]).days(11, 90)),
            None,
            Some(Test::Validity),
        ),
        with(
            "expired-root",
            Some(authority(None, &[]).days(-20, 5)),
            None,
            None,
            Some(Test::Validity),
        ),
        with(
            "last-second",
            None,
            None,
            Some(good_leaf().days(-5, 10)),
            None,
        )
        .openssl(
            "OpenSSL lets a certificate expire at its last second; RFC 5280 §4.1.2.5 counts it in",
        ),
        with(
            "first-second",
            None,
            None,
            Some(good_leaf().days(10, 20)),
            None,
        ),
        with(
            "until-9999",
            None,
            None,
            Some(good_leaf().days(0, 20_000)),
            None,
        ),
        with(
            "wrong-issuer-name",
            None,
            None,
            Some(wrong_name),
            Some(Test::Trust),
        ),
        with(
            "spoiled-signature-of-leaf",
            None,
            None,
            Some(spoiled),
            Some(Test::Signature),
        ),
        with(
            "spoiled-signature-of-intermediate",
            None,
            Some(spoiled_middle),
            None,
            Some(Test::Signature),
        ),
        with(
            "two-algorithms",
            None,
            None,
            Some(two_algorithms),
            Some(Test::Signature),
        ),
        with(
            "unknown-algorithm",
            None,
            None,
            Some(unknown_algorithm),
            Some(Test::Signature),
        ),
        with(
            "weak-algorithm",
            None,
            None,
            Some(weak_algorithm),
            Some(Test::Signature),
        ),
        no_root,
        no_middle,
        same_name,
    ]
}

fn extension_cases() -> Vec<Case> {
    let critical = |oid: &str| leaf(&[extension(oid, true, &[5, 0])]);
    let not_authority = leaf(&[basic_constraints(false, None), key_usage(0x06)]).days(0, 1000);
    let no_constraints = leaf(&[key_usage(0x06)]).days(0, 1000);
    let no_sign = leaf(&[basic_constraints(true, None), key_usage(0x80)]).days(0, 1000);
    let no_usage = leaf(&[basic_constraints(true, None)]).days(0, 1000);
    let broken =
        leaf(&[extension("2.5.29.19", true, &[0x30, 3, 1]), key_usage(0x06)]).days(0, 1000);
    let version_1 = Forge {
        version: 0,
        ..leaf(&[]).days(0, 1000)
    };
    let usages = |usages: &[&str]| extended_key_usage(usages);
    let policy = extension(
        "2.5.29.32",
        true,
        &element(0x30, &[&element(0x30, &[&oid("1.2.3.4")])]),
    );
    let good_twice = basic_constraints(false, None);
    vec![
        with("intermediate-is-no-authority", None, Some(not_authority), None, Some(Test::BasicConstraints)),
        with("intermediate-without-basic-constraints", None, Some(no_constraints), None, Some(Test::BasicConstraints)),
        with("intermediate-of-version-1", None, Some(version_1.clone()), None, Some(Test::BasicConstraints)),
        with("root-of-version-1", Some(version_1), None, None, None),
        with("intermediate-may-not-sign", None, Some(no_sign), None, Some(Test::KeyUsage)),
        with("intermediate-without-key-usage", None, Some(no_usage), None, None),
        with("broken-basic-constraints", None, Some(broken), None, Some(Test::BasicConstraints)),
        with("path-length-0-with-one-below", Some(authority(Some(0), &[])), None, None, Some(Test::BasicConstraints))
            .java("the JDK does not look into the certificate of a trust anchor; ours and OpenSSL apply its path length"),
        with("path-length-1-with-one-below", Some(authority(Some(1), &[])), None, None, None),
        with("path-length-0-at-the-end", None, Some(authority(Some(0), &[])), None, None),
        with("unknown-critical-extension", None, None, Some(critical("1.2.3.4.5.6")), Some(Test::CriticalExtensions)),
        with(
            "unknown-critical-extension-of-intermediate",
            None,
            Some(authority(None, &[extension("1.2.3.4.5.6", true, &[5, 0])])),
            None,
            Some(Test::CriticalExtensions),
        ),
        with("unknown-extension", None, None, Some(leaf(&[extension("1.2.3.4.5.6", false, &[5, 0])])), None),
        with("extension-twice", None, None, Some(leaf(&[good_twice.clone(), good_twice])), Some(Test::CriticalExtensions)),
        with("usage-fits", None, None, Some(leaf(&[usages(&[SERVER])])), None).usage(),
        with("usage-is-any", None, None, Some(leaf(&[usages(&["2.5.29.37.0"])])), None)
            .openssl("OpenSSL does not take anyExtendedKeyUsage for serverAuth; RFC 5280 §4.2.1.12 lets it stand for every usage")
            .usage(),
        with("usage-is-not-restricted", None, None, None, None).usage(),
        with("usage-does-not-fit", None, None, Some(leaf(&[usages(&[CLIENT])])), Some(Test::ExtendedKeyUsage)).usage(),
        with(
            "usage-of-intermediate-does-not-fit",
            None,
            Some(authority(None, &[usages(&[CLIENT])])),
            Some(leaf(&[usages(&[SERVER])])),
            Some(Test::ExtendedKeyUsage),
        )
        .java("RFC 5280 gives the usages of authorities no meaning and the JDK none; ours and OpenSSL restrict what stands below")
        .usage(),
        with("critical-policies", None, None, Some(leaf(std::slice::from_ref(&policy))), None),
    ]
}

/// The middle and the end have extensions about policies.
fn policy_cases() -> Vec<Case> {
    let policies = |ids: &[&str]| {
        let ids: Vec<u8> = ids
            .iter()
            .flat_map(|id| element(0x30, &[&oid(id)]))
            .collect();
        extension("2.5.29.32", false, &element(0x30, &[&ids]))
    };
    let constraints = |tag, skip| {
        extension(
            "2.5.29.36",
            true,
            &element(0x30, &[&element(tag, &[&[skip]])]),
        )
    };
    let explicit = constraints(0x80, 0);
    let explicit_without_mapping = extension(
        "2.5.29.36",
        true,
        &element(0x30, &[&element(0x80, &[&[0]]), &element(0x81, &[&[0]])]),
    );
    let inhibit_any = extension("2.5.29.54", true, &element(2, &[&[0]]));
    let mapping = |from: &str, to: &str| {
        let pair = element(0x30, &[&oid(from), &oid(to)]);
        extension("2.5.29.33", true, &element(0x30, &[&pair]))
    };
    let (one, two, any) = ("1.2.3.1", "1.2.3.2", "2.5.29.32.0");
    let failed = Some(Test::Policies);
    let case = |name, middle: &[Vec<u8>], end: &[Vec<u8>], expected| {
        with(
            name,
            None,
            Some(authority(None, middle)),
            Some(leaf(end)),
            expected,
        )
    };
    vec![
        case(
            "policy-demanded-and-none-there",
            std::slice::from_ref(&explicit),
            &[],
            failed,
        ),
        case(
            "policy-demanded-and-only-below",
            std::slice::from_ref(&explicit),
            &[policies(&[one])],
            failed,
        ),
        case(
            "policy-demanded-and-there",
            &[explicit.clone(), policies(&[one])],
            &[policies(&[one])],
            None,
        ),
        case(
            "policy-demanded-and-another-there",
            &[explicit.clone(), policies(&[one])],
            &[policies(&[two])],
            failed,
        ),
        case(
            "policy-demanded-and-one-of-two-there",
            &[explicit.clone(), policies(&[one, two])],
            &[policies(&[two])],
            None,
        ),
        case(
            "policy-demanded-and-any-above",
            &[explicit.clone(), policies(&[any])],
            &[policies(&[two])],
            None,
        ),
        case(
            "policy-demanded-and-any-below",
            &[explicit.clone(), policies(&[one])],
            &[policies(&[any])],
            None,
        ),
        case(
            "any-policy-inhibited",
            &[explicit.clone(), inhibit_any, policies(&[one])],
            &[policies(&[any])],
            failed,
        ),
        case("policy-demanded-later", &[constraints(0x80, 5)], &[], None),
        case(
            "policy-demanded-by-the-leaf",
            &[],
            std::slice::from_ref(&explicit),
            failed,
        ),
        case(
            "policies-differ-and-none-is-demanded",
            &[policies(&[one])],
            &[policies(&[two])],
            None,
        ),
        case(
            "policy-mapped",
            &[explicit.clone(), policies(&[one]), mapping(one, two)],
            &[policies(&[two])],
            None,
        ),
        case(
            "policy-mapped-away",
            &[explicit.clone(), policies(&[one]), mapping(one, two)],
            &[policies(&[one])],
            failed,
        ),
        case(
            "any-policy-mapped",
            &[policies(&[one]), mapping(any, two)],
            &[],
            failed,
        ),
        {
            let root = party("CN=Root");
            let (upper, lower) = (party("CN=Upper"), party("CN=Lower"));
            let upper_extensions = [explicit_without_mapping, policies(&[one])];
            let lower_extensions = [policies(&[one]), mapping(one, two)];
            Case {
                leaf: leaf(&[policies(&[two])]).sign(&party("CN=end.example"), &lower),
                intermediates: vec![
                    authority(None, &upper_extensions).sign(&upper, &root),
                    authority(None, &lower_extensions).sign(&lower, &upper),
                ],
                roots: vec![authority(None, &[]).sign(&root, &root)],
                ..with("policy-mapping-inhibited", None, None, None, failed)
            }
        },
    ]
}

fn name_cases() -> Vec<Case> {
    let dns: (u8, &[u8]) = (0x82, b"example.com");
    let email: (u8, &[u8]) = (0x81, b"example.com");
    let uri: (u8, &[u8]) = (0x86, b".example.com");
    let ten: (u8, &[u8]) = (0x87, &[10, 0, 0, 0, 255, 0, 0, 0]);
    let chains = dn("O=Chains");
    let other = dn("O=Other");
    let permitted = |name| name_constraints(&[name], &[]);
    let excluded = |name| name_constraints(&[], &[name]);
    let long = name_constraints(&[], &[(0x82, b"a.example.com")]);
    let minimum = {
        let base = element(0x82, &[b"example.com"]);
        let subtree = element(0x30, &[&base, &element(0x80, &[&[1]])]);
        extension(
            "2.5.29.30",
            true,
            &element(0x30, &[&element(0xa0, &[&subtree])]),
        )
    };
    let upn = |name: &str| {
        [
            oid("1.3.6.1.4.1.311.20.2.3"),
            element(0xa0, &[&element(12, &[name.as_bytes()])]),
        ]
        .concat()
    };
    let email_in_subject = {
        let mut three = three();
        three.end = party("E=a@evil.example,CN=end,O=Chains");
        three.case(
            "email-in-subject-not-permitted",
            &authority(None, &[]),
            &authority(None, &[permitted(email)]),
            &leaf(&[]),
            Some(Test::NameConstraints),
        )
    };
    let other_kind = {
        let mut three = three();
        three.end = party("CN=end,O=Chains");
        let names = alternative_names(&[(0x81, b"a@anywhere.example")]);
        three.case(
            "other-kinds-are-not-constrained",
            &authority(None, &[]),
            &authority(None, &[permitted(dns)]),
            &leaf(&[names]),
            None,
        )
        .java("the JDK takes any common name for that of a host; ours and OpenSSL only one with a dot")
    };
    let two_levels = {
        let mut case = with(
            "constraints-of-root-count",
            Some(authority(None, &[permitted(dns)])),
            None,
            Some(leaf(&[alternative_names(&[(0x82, b"x.org")])])),
            Some(Test::NameConstraints),
        );
        case.java_differs = Some(
            "the JDK does not look into the certificate of a trust anchor; ours and OpenSSL apply its constraints",
        );
        case
    };
    vec![
        named("dns-permitted", permitted(dns), &[(0x82, b"a.example.com")], true),
        named("dns-itself-permitted", permitted(dns), &[(0x82, b"example.com")], true),
        named("dns-not-permitted", permitted(dns), &[(0x82, b"a.example.org")], false),
        named("dns-not-permitted-at-the-second-name", permitted(dns), &[(0x82, b"a.example.com"), (0x82, b"badexample.com")], false),
        named("dns-excluded", excluded(dns), &[(0x82, b"a.example.com")], false),
        named("dns-not-excluded", excluded(dns), &[(0x82, b"a.example.org")], true),
        named("dns-upper-case", permitted(dns), &[(0x82, b"A.EXAMPLE.COM")], true),
        named("wildcard-may-be-excluded", long, &[(0x82, b"*.example.com")], false)
            .openssl("OpenSSL compares the wildcard as text; it stands for a.example.com too, which is excluded")
            .java("the JDK compares the wildcard as text; it stands for a.example.com too, which is excluded"),
        other_kind,
        named("email-permitted", permitted(email), &[(0x81, b"a@example.com")], true),
        named("email-not-permitted", permitted(email), &[(0x81, b"a@sub.example.com")], false),
        named("email-excluded", excluded(email), &[(0x81, b"a@example.com")], false),
        email_in_subject,
        named("uri-permitted", permitted(uri), &[(0x86, b"https://a.example.com/x")], true),
        named("uri-not-permitted", permitted(uri), &[(0x86, b"https://a.example.org/x")], false),
        named("uri-excluded", excluded(uri), &[(0x86, b"https://a.example.com/x")], false),
        named("uri-without-host", permitted(uri), &[(0x86, b"urn:x:y")], false),
        named("address-permitted", permitted(ten), &[(0x87, &[10, 1, 2, 3])], true),
        named("address-not-permitted", permitted(ten), &[(0x87, &[11, 1, 2, 3])], false),
        named("address-excluded", excluded(ten), &[(0x87, &[10, 1, 2, 3])], false),
        named("directory-permitted", permitted((0xa4, &chains)), &[(0x82, b"end.example")], true),
        named("directory-not-permitted", permitted((0xa4, &other)), &[(0x82, b"end.example")], false),
        named("directory-excluded", excluded((0xa4, &chains)), &[(0x82, b"end.example")], false),
        named("directory-name-not-permitted", permitted((0xa4, &chains)), &[(0xa4, &other)], false),
        named("minimum-in-a-subtree", minimum, &[(0x82, b"a.example.com")], false),
        named("constraint-on-other-names", permitted((0xa0, &upn("x"))), &[(0xa0, &upn("u@x"))], false),
        two_levels,
    ]
}

fn revocation_cases() -> Vec<Case> {
    let days = (0, 30);
    let case = |name, expected, lists: fn(&Three) -> Vec<Vec<u8>>| {
        let three = three();
        let lists = lists(&three);
        three
            .case(
                name,
                &authority(None, &[]),
                &authority(None, &[]),
                &good_leaf(),
                expected,
            )
            .lists(&lists)
    };
    let revoked = Some(Test::Revocation);
    let scope = |tag: u8| {
        extension(
            "2.5.29.28",
            true,
            &element(0x30, &[&element(tag, &[&[0xff]])]),
        )
    };
    let scoped = |name, expected, tag: u8| {
        let three = three();
        let lists = [
            revocation_list(&three.root, days, &[], &[]),
            revocation_list(&three.middle, days, &[], &[scope(tag)]),
        ];
        three
            .case(
                name,
                &authority(None, &[]),
                &authority(None, &[]),
                &good_leaf(),
                expected,
            )
            .lists(&lists)
    };
    let no_list_sign = {
        let three = three();
        let middle = leaf(&[basic_constraints(true, None), key_usage(0x04)]).days(0, 1000);
        let lists = [
            revocation_list(&three.root, days, &[], &[]),
            revocation_list(&three.middle, days, &[], &[]),
        ];
        three
            .case(
                "issuer-may-not-sign-lists",
                &authority(None, &[]),
                &middle,
                &good_leaf(),
                revoked,
            )
            .lists(&lists)
    };
    vec![
        case("not-revoked", None, |three| {
            vec![
                revocation_list(&three.root, (0, 30), &[77], &[]),
                revocation_list(&three.middle, (0, 30), &[78], &[]),
            ]
        }),
        case("leaf-revoked", revoked, |three| {
            vec![
                revocation_list(&three.root, (0, 30), &[], &[]),
                revocation_list(&three.middle, (0, 30), &[1, 9], &[]),
            ]
        }),
        case("intermediate-revoked", revoked, |three| {
            vec![
                revocation_list(&three.root, (0, 30), &[3], &[]),
                revocation_list(&three.middle, (0, 30), &[], &[]),
            ]
        }),
        case("no-list-of-the-issuer", revoked, |three| {
            vec![revocation_list(&three.root, (0, 30), &[], &[])]
        }),
        case("list-out-of-date", revoked, |three| {
            vec![
                revocation_list(&three.root, (0, 30), &[], &[]),
                revocation_list(&three.middle, (-9, 5), &[], &[]),
            ]
        }),
        case("list-from-the-future", revoked, |three| {
            vec![
                revocation_list(&three.root, (0, 30), &[], &[]),
                revocation_list(&three.middle, (20, 30), &[], &[]),
            ]
        }),
        case("list-signed-by-another-key", revoked, |three| {
            let forger = Party {
                key: party("CN=x").key,
                ..three.middle.clone()
            };
            vec![
                revocation_list(&three.root, (0, 30), &[], &[]),
                revocation_list(&forger, (0, 30), &[], &[]),
            ]
        }),
        case("list-with-unknown-critical-extension", revoked, |three| {
            let odd = extension("1.2.3.4.5", true, &[5, 0]);
            vec![
                revocation_list(&three.root, (0, 30), &[], &[]),
                revocation_list(&three.middle, (0, 30), &[], &[odd]),
            ]
        }),
        scoped("list-of-end-entities", None, 0x81),
        scoped("list-of-authorities-only", revoked, 0x82),
        scoped("list-of-attribute-certificates-only", revoked, 0x85),
        no_list_sign,
    ]
}

fn path_cases() -> Vec<Case> {
    // Two authorities certified the middle: one way leads over an expired certificate, the other is good.
    let crossed = |name, bad: Forge, expected| {
        let three = three();
        let other = party("CN=Other Root,O=Chains");
        let mut case = three.case(
            name,
            &authority(None, &[]),
            &authority(None, &[]),
            &good_leaf(),
            expected,
        );
        case.intermediates
            .insert(0, bad.sign(&three.middle, &other));
        case.roots
            .push(authority(None, &[]).serial(2).sign(&other, &other));
        case
    };
    let rollover = |name, identified: bool| {
        let three = three();
        let new_root = party("CN=Root,O=Chains");
        let ids = |own: &[u8], issuer: &[u8]| {
            if identified {
                key_identifiers(own, issuer)
            } else {
                Vec::new()
            }
        };
        let old = authority(None, &ids(b"old", b"old")).serial(1);
        let mut case = three.case(name, &old, &authority(Some(0), &[]), &good_leaf(), None);
        // The old root certifies the new key under its own name; the path length of the root does not count that certificate.
        let middle = authority(Some(0), &ids(b"middle", b"new")).sign(&three.middle, &new_root);
        let new = authority(Some(1), &ids(b"new", b"old"))
            .serial(4)
            .sign(&new_root, &three.root);
        case.intermediates = vec![middle, new];
        case
    };
    let looped = {
        let (one, two, end) = (party("CN=One"), party("CN=Two"), party("CN=end.example"));
        Case {
            name: "loop",
            leaf: good_leaf().sign(&end, &one),
            intermediates: vec![
                authority(None, &[]).sign(&one, &two),
                authority(None, &[]).sign(&two, &one),
            ],
            roots: vec![authority(None, &[]).sign(&party("CN=Root"), &party("CN=Root"))],
            expected: Some(Test::Trust),
            ..with("loop", None, None, None, None)
        }
    };
    let self_signed = {
        let alone = party("CN=alone.example");
        Case {
            leaf: good_leaf().sign(&alone, &alone),
            expected: Some(Test::Trust),
            ..with("self-signed-and-unknown", None, None, None, None)
        }
    };
    let folded = {
        let three = three();
        let mut end = good_leaf();
        end.issuer_name = Some(dn("CN=MIDDLE,O= chains"));
        three.case(
            "names-differ-in-case-and-blanks",
            &authority(None, &[]),
            &authority(None, &[]),
            &end,
            None,
        )
    };
    let long = |name, count: usize, expected| {
        let root = party("CN=Root");
        let mut above = root.clone();
        let mut intermediates = Vec::new();
        for number in 0..count {
            let next = party(&format!("CN=Level {number}"));
            intermediates.push(authority(None, &[]).sign(&next, &above));
            above = next;
        }
        Case {
            leaf: good_leaf().sign(&party("CN=end.example"), &above),
            intermediates,
            roots: vec![authority(None, &[]).sign(&root, &root)],
            expected,
            ..with(name, None, None, None, None)
        }
    };
    let anchored = {
        let three = three();
        let mut case = three.case("intermediate-is-a-root", &authority(None, &[]), &authority(None, &[]), &good_leaf(), None)
            .openssl("OpenSSL asks for a self-signed end unless told -partial_chain; ours trusts what it is given as root, as the JDK does");
        case.roots = std::mem::take(&mut case.intermediates);
        case
    };
    vec![
        crossed("cross-signed-both-good", authority(None, &[]).serial(5), None),
        crossed("cross-signed-one-expired", authority(None, &[]).serial(5).days(-20, 5), None),
        crossed("cross-signed-one-path-is-not-permitted", authority(None, &[name_constraints(&[(0x82, b"x.org")], &[])]).serial(5), None)
            .openssl("OpenSSL takes the first path by name and date and does not go back; RFC 4158 §2.4 does"),
        rollover("self-issued-rollover", true),
        rollover("self-issued-rollover-without-key-identifiers", false)
            .openssl("OpenSSL takes the first certificate of the issuer's name and does not go back; RFC 4158 §2.4 does"),
        looped,
        self_signed,
        folded,
        long("ten-levels", 10, None),
        anchored,
    ]
}

#[test]
fn openssl_and_java_agree() {
    let cases = cases();
    assert!(cases.len() >= 40, "{}", cases.len());
    let names: std::collections::HashSet<_> = cases.iter().map(|case| case.name).collect();
    assert_eq!(names.len(), cases.len(), "names are unique");
    let files = write_cases(&cases);
    let openssl = openssl_verdicts(&files, &cases, TODAY);
    let java = java_verdicts(&files, TODAY);
    let mut wrong = Vec::new();
    for case in &cases {
        let report = case.judge();
        let findings: Vec<_> = report
            .findings()
            .map(|(certificate, check)| format!("{}: {check:?}", certificate.subject()))
            .collect();
        let expected_valid = case.expected.is_none();
        if report.valid != expected_valid {
            wrong.push(format!(
                "{}: ours says {}: {findings:?}",
                case.name, report.valid
            ));
        } else if let Some(test) = case.expected
            && report.outcome(test) == Outcome::Passed
        {
            wrong.push(format!(
                "{}: ours does not blame {test}: {findings:?}",
                case.name
            ));
        }
        for (who, verdicts, differs) in [
            ("openssl", &openssl, case.openssl_differs),
            ("java", &java, case.java_differs),
        ] {
            let verdict = &verdicts[case.name];
            let agrees = (verdict == "ok") == expected_valid;
            if agrees == differs.is_some() {
                wrong.push(format!(
                    "{}: {who} says {verdict}, ours {}: {differs:?}",
                    case.name, report.valid
                ));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        cases.len(),
        wrong.join("\n")
    );
}
