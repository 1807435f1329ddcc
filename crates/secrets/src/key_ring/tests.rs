use super::*;

const AAD: &str = "certificate_keys.key/42";

#[test]
fn opens_what_it_sealed() {
    let ring = KeyRing::generate().unwrap();
    for value in [&b""[..], b"x", &[7; 5000]] {
        let sealed = ring.seal(AAD, value).unwrap();
        assert_eq!(sealed.key_id(), ring.primary_id());
        let stored = Sealed::from_bytes(sealed.as_bytes()).unwrap();
        assert_eq!(ring.open(AAD, &stored).unwrap().expose(), value);
    }
}

#[test]
fn equal_values_do_not_look_equal() {
    let ring = KeyRing::generate().unwrap();
    assert_ne!(
        ring.seal(AAD, b"same").unwrap(),
        ring.seal(AAD, b"same").unwrap()
    );
}

#[test]
fn another_purpose_does_not_open() {
    let ring = KeyRing::generate().unwrap();
    let sealed = ring.seal(AAD, b"value").unwrap();
    for other in [
        "",
        "certificate_keys.key/4",
        "certificate_keys.key/421",
        "stores.password/42",
    ] {
        assert!(
            matches!(ring.open(other, &sealed), Err(Error::Rejected { .. })),
            "{other}"
        );
    }
}

#[test]
fn every_altered_byte_is_noticed() {
    let ring = KeyRing::generate().unwrap();
    let sealed = ring.seal(AAD, b"value").unwrap();
    for position in 0..sealed.as_bytes().len() {
        for flip in [1, 0x80] {
            let mut bytes = sealed.as_bytes().to_vec();
            bytes[position] ^= flip;
            let opened = Sealed::from_bytes(bytes).and_then(|altered| ring.open(AAD, &altered));
            assert!(opened.is_err(), "byte {position}");
        }
    }
    for length in 0..sealed.as_bytes().len() {
        let cut = sealed.as_bytes()[..length].to_vec();
        assert!(
            Sealed::from_bytes(cut)
                .and_then(|cut| ring.open(AAD, &cut))
                .is_err()
        );
    }
    let mut longer = sealed.as_bytes().to_vec();
    longer.push(0);
    assert!(
        ring.open(AAD, &Sealed::from_bytes(longer).unwrap())
            .is_err()
    );
}

#[test]
fn data_keys_cannot_be_exchanged_between_values() {
    let ring = KeyRing::generate().unwrap();
    let one = ring.seal(AAD, b"one").unwrap();
    let two = ring.seal(AAD, b"two").unwrap();
    let mixed = Sealed::assemble(one.key_id(), one.wrapped_key(), two.value());
    assert!(matches!(
        ring.open(AAD, &mixed),
        Err(Error::Rejected { .. })
    ));
}

#[test]
fn rotation_keeps_old_values_readable_until_the_key_is_retired() {
    let mut ring = KeyRing::generate().unwrap();
    let old_id = ring.primary_id();
    let old = ring.seal(AAD, b"value").unwrap();
    assert!(ring.rewrap(&old, AAD).unwrap().is_none());

    let new_id = ring.rotate().unwrap();
    assert_eq!(ring.primary_id(), new_id);
    assert_eq!(ring.key_ids().collect::<Vec<_>>(), [new_id, old_id]);
    assert_eq!(ring.open(AAD, &old).unwrap().expose(), b"value");

    let new = ring.rewrap(&old, AAD).unwrap().unwrap();
    assert_eq!(new.key_id(), new_id);
    assert_eq!(new.value(), old.value(), "only the wrapped key changes");
    assert!(matches!(
        ring.rewrap(&old, "other"),
        Err(Error::Rejected { .. })
    ));

    assert!(matches!(ring.retire(new_id), Err(Error::RetirePrimary(_))));
    ring.retire(old_id).unwrap();
    assert!(matches!(ring.retire(old_id), Err(Error::UnknownKey(id)) if id == old_id));
    assert_eq!(ring.open(AAD, &new).unwrap().expose(), b"value");
    let message = ring.open(AAD, &old).unwrap_err().to_string();
    assert!(message.contains(&old_id.to_string()) && message.contains(&new_id.to_string()));
    assert!(matches!(
        ring.rewrap(&old, AAD),
        Err(Error::MissingKey { .. })
    ));
}

#[test]
fn a_damaged_value_is_not_rewrapped() {
    let mut ring = KeyRing::generate().unwrap();
    let mut bytes = ring.seal(AAD, b"value").unwrap().into_bytes();
    *bytes.last_mut().unwrap() ^= 1;
    ring.rotate().unwrap();
    let damaged = Sealed::from_bytes(bytes).unwrap();
    assert!(matches!(
        ring.rewrap(&damaged, AAD),
        Err(Error::Rejected { .. })
    ));
}

#[test]
fn the_longest_value_is_sealed_and_one_more_byte_is_not() {
    let ring = KeyRing::generate().unwrap();
    let mut value = vec![0; crate::MAX_VALUE_BYTES];
    assert!(ring.seal(AAD, &value).is_ok());
    value.push(0);
    assert!(matches!(ring.seal(AAD, &value), Err(Error::TooLong(_))));
}

#[test]
fn reads_keys_from_a_variable() {
    let mut ring = KeyRing::generate().unwrap();
    ring.rotate().unwrap();
    let lines = key_file::print(&ring.keys);
    let ids: Vec<KeyId> = ring.key_ids().collect();
    let encoded: Vec<_> = ring
        .keys
        .iter()
        .map(|key| key.to_base64().to_string())
        .collect();
    for text in [
        lines.to_string(),
        encoded.join(","),
        encoded.join("\n") + "\n",
        encoded.join(" , "),
    ] {
        assert_eq!(
            KeyRing::from_base64(&text)
                .unwrap()
                .key_ids()
                .collect::<Vec<_>>(),
            ids
        );
    }
    assert!(matches!(
        KeyRing::from_base64(" \n"),
        Err(Error::KeyText { .. })
    ));
    let error = KeyRing::from_base64(&format!("{}\nnotakey", encoded[0])).unwrap_err();
    assert!(matches!(error, Error::KeyText { line: 2, .. }));
    assert!(
        !error.to_string().contains("notakey"),
        "errors repeat no key text"
    );
}

#[test]
fn debug_shows_ids_and_no_key() {
    let ring = KeyRing::generate().unwrap();
    let shown = format!("{ring:?}");
    assert_eq!(shown, format!("KeyRing[KeyId({})]", ring.primary_id()));
    assert!(!shown.contains(ring.keys[0].to_base64().as_str()));
    let sealed = ring.seal(AAD, b"hunter2").unwrap();
    assert!(!format!("{sealed:?} {:?}", ring.open(AAD, &sealed)).contains("hunter2"));
}

#[cfg(unix)]
mod files {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn a_created_file_is_private_and_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sealing.key");
        let ring = KeyRing::create(&path).unwrap();
        assert_eq!(mode(&path), 0o600);
        let sealed = ring.seal(AAD, b"value").unwrap();
        assert_eq!(
            KeyRing::load(&path)
                .unwrap()
                .open(AAD, &sealed)
                .unwrap()
                .expose(),
            b"value"
        );

        let before = fs::read(&path).unwrap();
        assert!(matches!(KeyRing::create(&path), Err(Error::Exists { .. })));
        assert_eq!(fs::read(&path).unwrap(), before);
        assert!(
            String::from_utf8(before)
                .unwrap()
                .starts_with("chancery-sealing-key v1\n")
        );
    }

    #[test]
    fn a_file_open_to_others_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sealing.key");
        KeyRing::create(&path).unwrap();
        for mode in [0o640, 0o604, 0o620, 0o644, 0o660] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            match KeyRing::load(&path) {
                Err(Error::Permissions { mode: found, .. }) => assert_eq!(found, mode),
                other => panic!("mode {mode:o}: {other:?}"),
            }
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
        assert!(KeyRing::load(&path).is_ok());
    }

    #[test]
    fn saving_replaces_the_file_and_leaves_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sealing.key");
        let mut ring = KeyRing::create(&path).unwrap();
        ring.rotate().unwrap();
        ring.save(&path).unwrap();
        assert_eq!(mode(&path), 0o600);
        let loaded = KeyRing::load(&path).unwrap();
        assert_eq!(
            loaded.key_ids().collect::<Vec<_>>(),
            ring.key_ids().collect::<Vec<_>>()
        );
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_bad_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sealing.key");
        let message = KeyRing::load(&path).unwrap_err().to_string();
        assert!(message.contains("sealing.key"), "{message}");

        KeyRing::create(&path).unwrap();
        fs::write(&path, "chancery-sealing-key v1\nbroken\n").unwrap();
        let message = KeyRing::load(&path).unwrap_err().to_string();
        assert!(
            message.contains("sealing.key") && message.contains("line 2"),
            "{message}"
        );

        fs::write(&path, "#".repeat(70_000)).unwrap();
        assert!(matches!(KeyRing::load(&path), Err(Error::Io { .. })));
    }
}
