//! Certificates this crate did not make: odd ones, old ones, and those of other algorithms.

use pki::{Certificate, KeyAlgorithm, SubjectAlternativeName, build_chain};

use crate::support::*;

/// A self-signed certificate of OpenSSL, with further arguments and lines for the configuration.
pub(crate) fn foreign(test: &str, arguments: &[&str], configuration: &str) -> Certificate {
    let files = directory(test);
    let configuration = write(
        &files,
        "openssl.cnf",
        format!("[req]\ndistinguished_name=dn\n{configuration}\n[dn]\n"),
    );
    let key = files.join("key.pem");
    let mut all = vec![
        "req",
        "-x509",
        "-nodes",
        "-keyout",
        key.to_str().unwrap(),
        "-config",
        &configuration,
    ];
    all.extend(arguments);
    let pem = openssl(&all, b"");
    let der = pki::pem::certificates(pem.as_bytes()).remove(0);
    Certificate::from_der(&der).unwrap()
}

#[test]
fn odd_certificates_are_read() {
    let negative = foreign(
        "negative",
        &[
            "-newkey",
            "rsa:2048",
            "-set_serial",
            "-129",
            "-subj",
            "/CN=n",
        ],
        "",
    );
    assert_eq!(negative.serial_hex(), "FF7F");
    negative.verify_signed_by(&negative).unwrap();

    let empty = foreign(
        "empty",
        &[
            "-newkey",
            "rsa:2048",
            "-subj",
            "/",
            "-addext",
            "subjectAltName=critical,DNS:only.example",
        ],
        "",
    );
    assert_eq!(empty.subject(), "");
    assert_eq!(empty.common_name(), None);
    assert_eq!(
        empty.subject_alternative_names(),
        [SubjectAlternativeName::dns("only.example")]
    );

    for (kind, mask) in [
        ("bmp", "0x0800"),
        ("t61", "0x0004"),
        ("universal", "0x0100"),
    ] {
        let odd = foreign(
            kind,
            &["-newkey", "ed25519", "-utf8", "-subj", "/O=Bücher/CN=a b"],
            &format!("string_mask=MASK:{mask}"),
        );
        assert_eq!(odd.subject(), "CN=a b,O=Bücher", "{kind}");
        // Written again it is the same.
        assert_eq!(
            odd.subject_name().to_der().unwrap(),
            odd.subject_der(),
            "{kind}"
        );
    }

    let dsa_files = directory("dsa");
    let parameters = openssl(&["dsaparam", "1024"], b"");
    let parameters = write(&dsa_files, "dsa.pem", parameters);
    let dsa = foreign(
        "dsa-certificate",
        &["-newkey", &format!("dsa:{parameters}"), "-subj", "/CN=d"],
        "",
    );
    assert_eq!(dsa.key().algorithm, KeyAlgorithm::Dsa);
    assert_eq!(dsa.key().size_bits, 1024);
    assert!(matches!(
        dsa.verify_signed_by(&dsa),
        Err(pki::Error::UnsupportedAlgorithm(_))
    ));
    assert_eq!(build_chain(&dsa, std::slice::from_ref(&dsa)).len(), 1);
}

#[test]
fn fields_and_signatures_of_foreign_certificates() {
    let pss = foreign(
        "pss",
        &[
            "-newkey",
            "rsa:2048",
            "-sigopt",
            "rsa_padding_mode:pss",
            "-sigopt",
            "rsa_pss_saltlen:digest",
            "-sha384",
            "-subj",
            "/CN=p",
        ],
        "",
    );
    assert_eq!(pss.signature_algorithm(), "SHA-384withRSAandMGF1");
    pss.verify_signed_by(&pss).unwrap();

    let sha1 = foreign(
        "sha1",
        &["-newkey", "rsa:1024", "-sha1", "-subj", "/CN=old"],
        "",
    );
    assert_eq!(sha1.signature_algorithm(), "SHA-1withRSA");
    assert_eq!(sha1.key().size_bits, 1024);
    sha1.verify_signed_by(&sha1).unwrap();

    let p256k1 = foreign(
        "p256k1",
        &[
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:secp256k1",
            "-subj",
            "/CN=k",
        ],
        "",
    );
    assert_eq!(p256k1.key().curve.as_deref(), Some("secp256k1"));
    p256k1.verify_signed_by(&p256k1).unwrap();

    let ed448 = foreign("ed448", &["-newkey", "ed448", "-subj", "/CN=e"], "");
    assert_eq!(
        (ed448.key().algorithm, ed448.signature_algorithm()),
        (KeyAlgorithm::Ed448, "Ed448")
    );

    let full = foreign(
        "full",
        &[
            "-newkey",
            "rsa:2048",
            "-subj",
            "/DC=example/OU=one/OU=two/CN=f/emailAddress=f@example.com",
            "-set_serial",
            "0x00ab01",
            "-addext",
            "keyUsage=digitalSignature,decipherOnly,keyAgreement,cRLSign",
            "-addext",
            "extendedKeyUsage=clientAuth,1.2.3.4,serverAuth",
            "-addext",
            "crlDistributionPoints=URI:http://a/1.crl,URI:ldap://a/2",
            "-addext",
            "subjectAltName=otherName:1.2.3;UTF8:x,otherName:1.3.6.1.4.1.311.20.2.3;UTF8:u@x,dirName:dir,RID:1.2.3",
        ],
        "[dir]\nO=b\nCN=d",
    );
    assert_eq!(full.serial_hex(), "AB01");
    assert_eq!(
        full.subject(),
        "E=f@example.com,CN=f,OU=two,OU=one,DC=example"
    );
    assert_eq!(full.organizational_unit(), Some("two"));
    assert_eq!(full.email(), Some("f@example.com"));
    assert_eq!(full.key_usage(), 128 | 32768 | 8 | 2);
    assert_eq!(
        full.extended_key_usages(),
        ["1.3.6.1.5.5.7.3.2", "1.2.3.4", "1.3.6.1.5.5.7.3.1"]
    );
    assert_eq!(
        full.crl_distribution_points(),
        ["http://a/1.crl", "ldap://a/2"]
    );
    let sans: Vec<_> = full
        .subject_alternative_names()
        .iter()
        .map(|san| (san.kind.number(), san.value.as_str()))
        .collect();
    assert_eq!(
        sans,
        [
            (0, "1.2.3:0c0178"),
            (100, "u@x"),
            (4, "CN=d,O=b"),
            (8, "1.2.3")
        ]
    );
    let fingerprint = openssl(
        &["x509", "-inform", "DER", "-noout", "-fingerprint", "-sha1"],
        full.der(),
    );
    assert!(
        fingerprint.replace(':', "").contains(&full.thumbprint()),
        "{fingerprint}"
    );
}
