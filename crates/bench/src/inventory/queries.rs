//! What is asked of the inventory: filters from a single certificate to most of them, and the fields that lists are sorted by.

use super::population::Population;
use super::random::Random;
use crate::url::encoded;

/// Fields that lists are sorted by.
pub(super) const SORTS: [&str; 26] = [
    "Id",
    "Thumbprint",
    "SerialNumber",
    "IssuedCN",
    "IssuedDN",
    "IssuerDN",
    "IssuedOU",
    "IssuedEmail",
    "NotBefore",
    "NotAfter",
    "ImportDate",
    "CertState",
    "RevocationEffDate",
    "RevocationReason",
    "KeySize",
    "KeyType",
    "KeyUsage",
    "Curve",
    "SigningAlgorithm",
    "IsCACertificate",
    "HasPrivateKey",
    "CertRequestId",
    "RequesterName",
    "CertificateAuthorityId",
    "TemplateId",
    "OwnerRoleId",
];

/// A filter.
pub(super) struct Filter {
    pub(super) query: String,
    /// Revoked and expired ones too.
    pub(super) all: bool,
}

impl Filter {
    /// The path of a page of 50.
    pub(super) fn page(&self, sort: &str, ascending: bool, page: u64) -> String {
        let shown = if self.all {
            "&IncludeRevoked=true&IncludeExpired=true"
        } else {
            ""
        };
        format!(
            "/Certificates?ReturnLimit=50&PageReturned={page}&SortField={sort}&SortAscending={}&QueryString={}{shown}",
            u8::from(ascending),
            encoded(&self.query)
        )
    }
}

/// Filters that an index finds, few and many matches, with other values in each round.
pub(super) fn indexed(count: usize, round: usize, authorities: i64, owners: i64) -> Vec<Filter> {
    let mut random = Random::new(round as u64 + 1);
    let host = Population::host(random.below(Population::hosts(count)));
    let store = random.below(Population::stores(count));
    let queries = [
        format!("IssuedCN -eq \"{host}\""),
        format!("SAN -eq \"{host}\""),
        format!("IssuedCN -startswith \"{}\"", &host[..host.len().min(6)]),
        format!("IssuedCN -startswith \"{}\"", &host[..3]),
        format!("IssuedDN -startswith \"CN={}\"", &host[..5]),
        format!("NotAfter -lt \"%TODAY+{}%\"", 1 + random.below(60)),
        format!("NotAfter -gt \"%TODAY+{}%\"", 200 + random.below(900)),
        format!("NotBefore -gt \"%TODAY-{}%\"", 1 + random.below(400)),
        format!("ImportDate -ge \"%TODAY-{}%\"", random.below(30)),
        "KeyType -eq \"RSA\"".into(),
        "KeyType -eq \"ECC\"".into(),
        "KeyType -eq \"Ed25519\"".into(),
        format!("KeySize -eq {}", [4_096, 3_072, 384][round % 3]),
        format!("CertState -eq {}", [0, 1][round % 2]),
        format!("TemplateId -eq {}", 1 + random.below(8)),
        format!(
            "CertificateAuthorityId -eq {}",
            authorities - random.below(12) as i64
        ),
        format!("OwnerRoleId -eq {}", owners - random.below(20) as i64),
        format!("CostCenter -eq \"{}\"", 4_000 + random.below(500)),
        format!("CertStorePath -eq \"/srv/tls/{store}.pem\""),
        "KeyType -eq \"RSA\" AND CertState -eq 1 AND NotAfter -lt \"%TODAY+90%\"".into(),
    ];
    let all = round % 2 == 1;
    queries
        .into_iter()
        .map(|query| Filter { query, all })
        .collect()
}

/// Filters on parts of names, three characters and more.
pub(super) fn substrings(count: usize, round: usize) -> Vec<Filter> {
    let mut random = Random::new(round as u64 + 77);
    let host = Population::host(random.below(Population::hosts(count)));
    let number: String = host.chars().filter(char::is_ascii_digit).collect();
    [
        format!("IssuedCN -contains \"{number}\""),
        format!("IssuedDN -contains \"{}\"", &number[1..]),
        format!("SAN -contains \"{}\"", &number[2..5]),
        "IssuedDN -contains \"Payments\"".into(),
        format!("SAN -contains \"{}.berlin\"", &number[3..]),
        "IssuedCN -contains \"example\"".into(),
    ]
    .into_iter()
    .map(|query| Filter {
        query,
        all: round % 2 == 1,
    })
    .collect()
}

/// Filters from 0.001 % to 60 % of the inventory.
pub(super) fn spread(count: usize) -> Vec<Filter> {
    let host = Population::host(count / 11);
    [
        format!("IssuedCN -eq \"{host}\""),
        "CostCenter -eq 4123".into(),
        "KeyType -eq \"Ed25519\"".into(),
        "KeySize -eq 4096".into(),
        "NotAfter -lt \"%TODAY+200%\"".into(),
        "KeyType -eq \"ECC\"".into(),
        "KeyType -eq \"RSA\"".into(),
    ]
    .into_iter()
    .map(|query| Filter { query, all: true })
    .collect()
}
