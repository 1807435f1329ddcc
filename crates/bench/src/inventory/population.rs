//! An inventory as organizations have it, the same in every run: names are renewed again and again, few issuers issue most, many
//! certificates have one name and few have a hundred, most are RSA, and they came in over two years.

use super::random::Random;
use super::x509::{self, Content, Key};

/// Days over which the certificates came in.
const DAYS: i64 = 730;
const DAY: i64 = 86_400;
/// Certificates of the same name, on average.
const RENEWALS: usize = 5;
const ISSUERS: usize = 40;
const ROOTS: usize = 5;
pub(super) const OWNERS: usize = 20;
pub(super) const AUTHORITIES: usize = 12;
pub(super) const FIELDS: [&str; 3] = ["CostCenter", "Application", "Environment"];
const SERVICES: [&str; 16] = [
    "web", "api", "mail", "vpn", "ldap", "sso", "db", "cache", "queue", "build", "registry",
    "proxy", "files", "printer", "monitor", "backup",
];
const PLACES: [&str; 12] = [
    "berlin", "paris", "madrid", "tokyo", "austin", "toronto", "sydney", "mumbai", "lagos", "lima",
    "oslo", "seoul",
];
const UNITS: [&str; 8] = [
    "Network",
    "Payments",
    "Retail",
    "Research",
    "Logistics",
    "Human Resources",
    "Security",
    "Platform",
];
const KEYS: [(Key, usize); 7] = [
    (Key::Rsa2048, 560),
    (Key::P256, 300),
    (Key::Rsa4096, 60),
    (Key::P384, 40),
    (Key::Rsa3072, 25),
    (Key::Ed25519, 14),
    (Key::MlDsa65, 1),
];
/// Days of validity, and how many of a hundred have them.
const VALIDITIES: [(i64, usize); 4] = [(90, 15), (398, 50), (825, 20), (1_826, 15)];

/// A certificate, and what is known of it besides.
pub(super) struct Member {
    pub(super) der: Vec<u8>,
    /// When it came in, epoch milliseconds; members come in that order.
    pub(super) at_ms: i64,
    /// The index of its authority, template and owner, of those that the database has.
    pub(super) authority: Option<usize>,
    pub(super) template: Option<usize>,
    pub(super) owner: Option<usize>,
    pub(super) requester: Option<String>,
    pub(super) metadata: Vec<(String, String)>,
    pub(super) is_revoked: bool,
    /// The store that it is in, if it is in one.
    pub(super) store: Option<usize>,
}

/// Issues member after member.
pub(super) struct Population {
    random: Random,
    count: usize,
    made: usize,
    from: i64,
    issuers: Vec<(Vec<u8>, Key)>,
}

impl Population {
    /// The last of `count` members came in at `now_ms`.
    pub(super) fn new(count: usize, now_ms: i64) -> Self {
        let issuers = (0..ISSUERS).map(|number| {
            let key = [Key::Rsa2048, Key::P256, Key::Rsa4096, Key::P384][number % 4];
            (issuer_name(number), key)
        });
        Self {
            random: Random::new(0x00C0_FFEE),
            count,
            made: 0,
            from: now_ms / 1_000 - DAYS * DAY,
            issuers: issuers.collect(),
        }
    }

    pub(super) fn stores(count: usize) -> usize {
        (count / 25).clamp(10, 40_000)
    }

    /// A name that certificates are renewed under, by number.
    pub(super) fn host(number: usize) -> String {
        format!(
            "{}{:06}.{}.example.com",
            SERVICES[number % SERVICES.len()],
            number / 3,
            PLACES[number / 7 % PLACES.len()]
        )
    }

    pub(super) fn hosts(count: usize) -> usize {
        (count / RENEWALS).max(1)
    }

    /// The authorities' own, before all others.
    fn authority(&mut self, number: usize) -> Member {
        let (name, key) = self.issuers[number].clone();
        let above = if number < ROOTS {
            number
        } else {
            number % ROOTS
        };
        let (issuer, issuer_key) = self.issuers[above].clone();
        let content = Content {
            key,
            issuer_key,
            issuer: &issuer,
            subject: &name,
            not_before: self.from - 365 * DAY,
            not_after: self.from + 5_000 * DAY,
            names: &[],
            is_authority: true,
        };
        Member {
            der: x509::certificate(&content, &mut self.random),
            at_ms: self.from * 1_000,
            authority: None,
            template: None,
            owner: None,
            requester: None,
            metadata: Vec::new(),
            is_revoked: false,
            store: None,
        }
    }

    fn leaf(&mut self) -> Member {
        let random = &mut self.random;
        let at = self.from + DAYS * DAY * self.made as i64 / self.count as i64;
        let number = random.below(Self::hosts(self.count));
        let host = Self::host(number);
        let key = KEYS[random.weighted(&KEYS.map(|(_, weight)| weight))].0;
        let days = VALIDITIES[random.weighted(&VALIDITIES.map(|(_, weight)| weight))].0;
        let issuer_number = ROOTS + random.skewed(ISSUERS - ROOTS);
        let (issuer, issuer_key) = self.issuers[issuer_number].clone();
        let extra = match random.weighted(&[700, 200, 90, 9, 1]) {
            0 => 0,
            1 => 1,
            2 => 2 + random.below(4),
            3 => 10 + random.below(20),
            _ => 100,
        };
        let mut names = vec![host.clone()];
        names.extend((0..extra).map(|index| match index {
            0 => format!("www.{host}"),
            index => format!("{}{index}.{host}", SERVICES[index % SERVICES.len()]),
        }));
        let unit = (!number.is_multiple_of(3)).then(|| UNITS[number % UNITS.len()]);
        let organization = (!number.is_multiple_of(5)).then_some("Example Corporation");
        let subject = x509::name(&host, unit, organization);
        let not_before = at - 3_600 * random.below(48) as i64;
        let content = Content {
            key,
            issuer_key,
            issuer: &issuer,
            subject: &subject,
            not_before,
            not_after: not_before + days * DAY,
            names: &names,
            is_authority: false,
        };
        let der = x509::certificate(&content, random);
        let is_ours = random.below(100) < 60;
        let metadata = match random.below(100) {
            0..60 => vec![
                (FIELDS[0].into(), format!("{}", 4_000 + number % 500)),
                (
                    FIELDS[1].into(),
                    format!("{} {}", SERVICES[number % 16], PLACES[number % 12]),
                ),
            ],
            60..70 => vec![(FIELDS[2].into(), ["production", "test"][number % 2].into())],
            _ => Vec::new(),
        };
        Member {
            der,
            at_ms: at * 1_000,
            authority: is_ours.then_some(issuer_number % AUTHORITIES),
            template: is_ours.then(|| random.skewed(8)),
            owner: (random.below(100) < 70).then(|| random.skewed(OWNERS)),
            requester: is_ours.then(|| format!("EXAMPLE\\requester{:02}", random.skewed(60))),
            metadata,
            is_revoked: is_ours && random.below(100) < 3,
            store: (random.below(100) < 30).then(|| random.below(Self::stores(self.count))),
        }
    }
}

impl Iterator for Population {
    type Item = Member;

    fn next(&mut self) -> Option<Member> {
        if self.made == self.count {
            return None;
        }
        self.made += 1;
        Some(match self.made - 1 {
            number if number < ISSUERS => self.authority(number),
            _ => self.leaf(),
        })
    }
}

fn issuer_name(number: usize) -> Vec<u8> {
    let organization = ["Example Corporation", "Trust Works", "Bundle Authority"][number % 3];
    let name = match number {
        0..ROOTS => format!("{organization} Root {number}"),
        _ => format!("{organization} Issuing CA {number:02}"),
    };
    x509::name(&name, None, Some(organization))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_can_be_read_and_are_the_same_each_time() {
        const NOW: i64 = 1_800_000_000_000;
        let all: Vec<Member> = Population::new(400, NOW).collect();
        for (member, again) in all.iter().zip(Population::new(400, NOW)) {
            assert_eq!(member.der, again.der);
            let read = pki::Certificate::from_der(&member.der).unwrap();
            assert!(read.not_after() > read.not_before());
            assert!(read.key().size_bits >= 256, "{:?}", read.key());
            assert!(read.is_ca() || !read.subject_alternative_names().is_empty());
        }
        assert!(all.windows(2).all(|pair| pair[0].at_ms <= pair[1].at_ms));
    }
}
