"""The certificates that Lemur is filled with: the shape of `crates/bench/src/inventory/population.rs`, in Lemur's tables.

Hosts are renewed five times on average, 40 issuers of which few issue most, keys and validities by the same weights, one to a
hundred names, two years of arrivals. Certificates are whole ones, because Lemur parses each that it shows: signed by their issuers, with
keys from a small pool. What Lemur cannot read (ML-DSA) has a P-256 key instead. Private keys, notifications, destinations, endpoints and
replacements are left out: each of them would cost Lemur more queries for a row of a page.
"""

import datetime
import io
import random
import re
import sys

import psycopg2
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID

DAYS = 730
RENEWALS = 5
ISSUERS = 40
ROOTS = 5
OWNERS = 20
AUTHORITIES = 12
SERVICES = "web api mail vpn ldap sso db cache queue build registry proxy files printer monitor backup".split()
PLACES = "berlin paris madrid tokyo austin toronto sydney mumbai lagos lima oslo seoul".split()
UNITS = ["Network", "Payments", "Retail", "Research", "Logistics", "Human Resources", "Security", "Platform"]
# Lemur's name of the key's type, its bits, how many of a thousand certificates have it, and how one is made.
KEYS = [
    ("RSA2048", 2048, 560, lambda: rsa.generate_private_key(65537, 2048)),
    ("ECCPRIME256V1", 256, 301, lambda: ec.generate_private_key(ec.SECP256R1())),
    ("RSA4096", 4096, 60, lambda: rsa.generate_private_key(65537, 4096)),
    ("ECCSECP384R1", 384, 40, lambda: ec.generate_private_key(ec.SECP384R1())),
    ("RSA3072", 3072, 25, lambda: rsa.generate_private_key(65537, 3072)),
    (None, None, 14, ed25519.Ed25519PrivateKey.generate),
]
VALIDITIES = [(90, 15), (398, 50), (825, 20), (1826, 15)]
KEYS_EACH = 3
LOT = 5_000
CERTIFICATE = [
    "id", "owner", "name", "notify", "body", "chain", "issuer", "serial", "cn", "deleted", "not_before", "not_after", "date_created",
    "signing_algorithm", "status", "bits", "san", "rotation", "user_id", "authority_id", "root_authority_id", "rotation_policy_id", "key_type",
]
# What Lemur's migrations make and its `init`, which starts from the models, does not: whoever runs it for long has them.
INDEXES = [
    "CREATE INDEX ON certificates USING gin (lower(cn) gin_trgm_ops)",
    "CREATE INDEX ON certificates USING gin (lower(name) gin_trgm_ops)",
    "CREATE INDEX ON domains USING gin (lower(name) gin_trgm_ops)",
    "CREATE INDEX ON certificates (root_authority_id) WHERE root_authority_id IS NOT NULL",
]


def host(number):
    """A name that certificates are renewed under, by number."""
    return f"{SERVICES[number % len(SERVICES)]}{number // 3:06}.{PLACES[number // 7 % len(PLACES)]}.example.com"


def hosts(count):
    """How many names `count` certificates share."""
    return max(count // RENEWALS, 1)


def issuer_name(number):
    organization = ["Example Corporation", "Trust Works", "Bundle Authority"][number % 3]
    return f"{organization} Root {number}" if number < ROOTS else f"{organization} Issuing CA {number:02}", organization


class Population:
    """Issues certificate after certificate and writes each as rows of Lemur's tables."""

    def __init__(self, count, now, user, policy):
        self.random = random.Random(0xC0FFEE)
        self.count, self.user, self.policy = count, user, policy
        self.start = now - datetime.timedelta(days=DAYS)
        self.domain = 0
        self.names = set()
        self.pools = [[make() for _ in range(KEYS_EACH)] for _, _, _, make in KEYS]
        self.issuer_keys = [self.pools[number % 2][number % KEYS_EACH] for number in range(ISSUERS)]
        self.issuer_pems = []

    def skewed(self, end):
        return int((end + 1.0) ** self.random.random() - 1.0) % end

    def weighted(self, weights):
        return self.random.choices(range(len(weights)), weights)[0]

    def rows(self, number):
        """Rows of the certificate with this number, by table."""
        return self.authority(number) if number < ISSUERS else self.leaf(number)

    def authority(self, number):
        above = number if number < ROOTS else number % ROOTS
        common, organization = issuer_name(number)
        issuer, issuer_organization = issuer_name(above)
        key = self.issuer_keys[number]
        begin, end = self.start - datetime.timedelta(days=365), self.start + datetime.timedelta(days=5_000)
        parts = dict(common=common, unit=None, organization=organization, issuer=issuer, issuer_organization=issuer_organization)
        body, serial = self.issue(parts, key, self.issuer_keys[above], begin, end, None)
        self.issuer_pems.append(body)
        kind = KEYS[number % 2]
        return self.certificate(
            number, body, serial, parts, begin, end, self.start, kind, [], owner=0, authority=None, chain=None, revoked=False,
            root=number - ROOTS + 1 if ROOTS <= number < ROOTS + AUTHORITIES else None, signed_by_itself=number == above,
        )

    def leaf(self, number):
        at = self.start + datetime.timedelta(seconds=DAYS * 86_400 * number // self.count)
        which = self.random.randrange(hosts(self.count))
        name = host(which)
        kind = self.weighted([weight for _, _, weight, _ in KEYS])
        days = VALIDITIES[self.weighted([weight for _, weight in VALIDITIES])][0]
        above = ROOTS + self.skewed(ISSUERS - ROOTS)
        issuer, issuer_organization = issuer_name(above)
        extra = [0, 1, 2 + self.random.randrange(4), 10 + self.random.randrange(20), 100][self.weighted([700, 200, 90, 9, 1])]
        names = [name] + [
            f"www.{name}" if index == 0 else f"{SERVICES[index % len(SERVICES)]}{index}.{name}" for index in range(extra)
        ]
        parts = dict(
            common=name, unit=UNITS[which % len(UNITS)] if which % 3 else None, organization="Example Corporation" if which % 5 else None,
            issuer=issuer, issuer_organization=issuer_organization,
        )
        begin = at - datetime.timedelta(hours=self.random.randrange(48))
        end = begin + datetime.timedelta(days=days)
        key = self.random.choice(self.pools[kind])
        body, serial = self.issue(parts, key, self.issuer_keys[above], begin, end, names)
        is_ours = self.random.randrange(100) < 60
        return self.certificate(
            number, body, serial, parts, begin, end, at, KEYS[kind], names,
            owner=1 + self.skewed(OWNERS) if self.random.randrange(100) < 70 else 0,
            authority=above % AUTHORITIES + 1 if is_ours else None, chain=self.issuer_pems[above],
            revoked=is_ours and self.random.randrange(100) < 3, root=None, signed_by_itself=False,
        )

    def issue(self, parts, key, issuer_key, begin, end, names):
        """A certificate in PEM and its serial number; without names an authority's."""
        def name(common, unit, organization):
            pairs = [(NameOID.COMMON_NAME, common), (NameOID.ORGANIZATIONAL_UNIT_NAME, unit), (NameOID.ORGANIZATION_NAME, organization)]
            return x509.Name([x509.NameAttribute(oid, value) for oid, value in pairs if value])

        serial = self.random.getrandbits(127) | 1 << 126
        builder = (
            x509.CertificateBuilder()
            .subject_name(name(parts["common"], parts["unit"], parts["organization"]))
            .issuer_name(name(parts["issuer"], None, parts["issuer_organization"]))
            .public_key(key.public_key())
            .serial_number(serial)
            .not_valid_before(begin)
            .not_valid_after(end)
            .add_extension(x509.BasicConstraints(ca=names is None, path_length=None), critical=True)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(one) for one in names]), critical=False)
        signed = builder.sign(issuer_key, hashes.SHA256())
        return signed.public_bytes(serialization.Encoding.PEM).decode().strip(), serial

    def certificate(self, number, body, serial, parts, begin, end, at, kind, names, owner, authority, chain, revoked, root, signed_by_itself):
        issuer = "<selfsigned>" if signed_by_itself else re.sub(r"[^A-Za-z0-9.]", "", parts["issuer"])
        is_san = len(names) > 1
        # Lemur names certificates so, and appends the serial number to a name that is taken.
        name = f"{'SAN-' if is_san else ''}{parts['common']}-{issuer}-{begin:%Y%m%d}-{end:%Y%m%d}"
        name = re.sub(r"[^A-Za-z0-9.]+", "-", name)
        if name in self.names:
            name = f"{name}-{serial:X}"
        self.names.add(name)
        certificate = number + 1
        row = [
            certificate, owner_name(owner), name, "t", body, chain, issuer, serial, parts["common"], "f", begin, end, at, "sha256",
            "revoked" if revoked else "valid", kind[1], "true" if is_san else None, "f", self.user, authority, root, self.policy, kind[0],
        ]
        domains = range(self.domain + 1, self.domain + len(names) + 1)
        self.domain += len(names)
        roles = [FIRST_ROLE + owner] + ([FIRST_ROLE + OWNERS + authority] if authority else [])
        return {
            "certificates": [row],
            # Lemur has a row for each name of each certificate, too.
            "domains": [[identifier, one, "f"] for identifier, one in zip(domains, names)],
            "certificate_associations": [[identifier, certificate] for identifier in domains],
            "roles_certificates": [[certificate, role] for role in roles],
        }


# Above the roles that Lemur makes by itself: one for each owner, and one for the owner of each authority.
FIRST_ROLE = 100


def owner_name(number):
    return f"owners{number:02}@example.com" if number else "inventory@example.com"


def fill(address, count):
    """Fills the tables that `lemur init` made."""
    connection = psycopg2.connect(address)
    cursor = connection.cursor()

    def copy(table, columns, rows):
        def field(value):
            return r"\N" if value is None else str(value).replace("\n", r"\n")

        text = io.StringIO("".join("\t".join(map(field, row)) + "\n" for row in rows))
        cursor.copy_expert(f"COPY {table} ({', '.join(columns)}) FROM STDIN", text)

    cursor.execute("SELECT (SELECT id FROM users WHERE username = 'lemur'), (SELECT id FROM rotation_policies LIMIT 1)")
    user, policy = cursor.fetchone()
    roles = [owner_name(number) for number in range(OWNERS + 1)] + [f"authority{number:02}@example.com" for number in range(1, AUTHORITIES + 1)]
    copy("roles", ["id", "name"], [[FIRST_ROLE + number, name] for number, name in enumerate(roles)])
    authorities = [
        [number, roles[OWNERS + number], issuer_name(ROOTS + number - 1)[0], "t", "cryptography-issuer", user]
        for number in range(1, AUTHORITIES + 1)
    ]
    copy("authorities", ["id", "owner", "name", "active", "plugin_name", "user_id"], authorities)
    columns = {
        "certificates": CERTIFICATE,
        "domains": ["id", "name", "sensitive"],
        "certificate_associations": ["domain_id", "certificate_id"],
        "roles_certificates": ["certificate_id", "role_id"],
    }
    now = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0, tzinfo=None)
    population = Population(count, now, user, policy)
    for begin in range(0, count, LOT):
        lot = {table: [] for table in columns}
        for number in range(begin, min(begin + LOT, count)):
            for table, rows in population.rows(number).items():
                lot[table] += rows
        for table, rows in lot.items():
            copy(table, columns[table], rows)
        print(f"{min(begin + LOT, count)} of {count}", file=sys.stderr)
    for table in ["roles", "authorities", "certificates", "domains"]:
        cursor.execute(f"SELECT setval('{table}_id_seq', (SELECT max(id) FROM {table}))")
    for index in INDEXES:
        cursor.execute(index)
    connection.commit()
    connection.autocommit = True
    cursor.execute("VACUUM ANALYZE")
    connection.close()
