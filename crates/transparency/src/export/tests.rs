use super::*;
use crate::note::Signer;

fn signer() -> Signer {
    Signer::new("example.org/audit", &[3; 32]).unwrap()
}

/// An export of `count` records; `change` may alter its lines.
fn export(count: u64, extensions: &[String]) -> (Vec<String>, Vec<Checkpoint>) {
    let signer = signer();
    let mut tree = Tree::default();
    let mut lines = Vec::new();
    let mut checkpoints = Vec::new();
    for number in 0..count {
        let line = if number == 290 {
            r#"{"id":290,"operation":3,"category":2111,"after":{"pruned_before":20}}"#.to_owned()
        } else {
            format!(r#"{{"id":{number},"message":"m"}}"#)
        };
        tree.append(leaf_hash(line.as_bytes()));
        lines.push(line);
        checkpoints.push(Checkpoint {
            origin: "example.org/audit".into(),
            size: number + 1,
            root: tree.root(),
            extensions: extensions.to_vec(),
        });
        if number % 256 == 255 {
            let tile = tree.take_changed();
            let octets = &tile.iter().find(|(id, _)| id.level == 0).unwrap().1;
            let nodes: Vec<Hash> = octets.as_chunks::<32>().0.to_vec();
            lines.push(format!(r#"{{"tile":"{}"}}"#, to_base64(&perfect(&nodes))));
        }
    }
    let note = checkpoints.last().unwrap().sign(&signer);
    lines.insert(0, export_header(signer.verifier(), &note));
    (lines, checkpoints)
}

fn check(lines: &[String], earlier: Option<Checkpoint>) -> Result<Report, Vec<Finding>> {
    let mut reader = ExportReader::new(signer().verifier().clone(), earlier);
    for line in lines {
        reader.line(line.as_bytes());
    }
    reader.finish()
}

#[test]
fn a_good_export() {
    let (lines, checkpoints) = export(300, &[]);
    let report = check(&lines, Some(checkpoints[99].clone())).unwrap();
    assert_eq!((report.size, report.pruned), (300, 0));
    assert_eq!(
        check(&lines, Some(checkpoints[299].clone())).unwrap().size,
        300
    );
}

#[test]
fn every_change_is_found() {
    let (lines, _) = export(300, &[]);
    // Of the first, a middle one, the one before the last, the last.
    for at in [1, 150, 300, 301] {
        let mut changed = lines.clone();
        changed[at] = changed[at].replace("id", "Id");
        let found = check(&changed, None).unwrap_err();
        assert!(found.contains(&Finding::Root), "{found:?}");
        let tile = Finding::Tile {
            first: 0,
            last: 255,
        };
        assert_eq!(found.contains(&tile), at < 257);

        let mut taken = lines.clone();
        taken.remove(at);
        let found = check(&taken, None).unwrap_err();
        let count = Finding::Count {
            found: 299,
            expected: 300,
        };
        assert!(found.contains(&count), "{found:?}");

        let mut doubled = lines.clone();
        doubled.insert(at, r#"{"id":7}"#.into());
        assert!(check(&doubled, None).is_err());

        let mut missing = lines.clone();
        missing[at] = pruned_line(&leaf_hash(missing[at].as_bytes()));
        let found = check(&missing, None);
        // The record at 290 says that the first twenty were pruned.
        assert_eq!(found.is_ok(), at == 1, "{found:?}");
    }
    let mut swapped = lines.clone();
    swapped.swap(280, 281);
    assert!(check(&swapped, None).unwrap_err().contains(&Finding::Root));
}

#[test]
fn another_key_and_broken_headers() {
    let (mut lines, _) = export(3, &[]);
    let stranger = Signer::new("example.org/audit", &[4; 32]).unwrap();
    let mut reader = ExportReader::new(stranger.verifier().clone(), None);
    lines.iter().for_each(|line| reader.line(line.as_bytes()));
    assert!(matches!(
        reader.finish().unwrap_err()[0],
        Finding::Checkpoint(_)
    ));
    assert!(check(&[], None).is_err());
    assert!(check(&lines[..1], None).is_err());
    lines[0] = "{}".into();
    assert!(matches!(
        check(&lines, None).unwrap_err()[0],
        Finding::Header(_)
    ));
}

#[test]
fn an_earlier_checkpoint_of_another_past_is_found_and_a_restore_told() {
    let (_, first) = export(10, &[]);
    let restored = format!("restored 5 {}", to_base64(&first[4].root));
    let (lines, _) = export(20, std::slice::from_ref(&restored));
    assert_eq!(check(&lines, Some(first[7].clone())).unwrap().restored, [5]);
    let mut other = first[7].clone();
    other.root = [1; 32];
    let found = check(&lines, Some(other.clone())).unwrap_err();
    assert_eq!(
        found,
        [Finding::Earlier {
            size: 8,
            restored: Some(5)
        }]
    );
    assert!(found[0].to_string().contains("restored from a backup at 5"));
    other.size = 500;
    assert!(check(&lines, Some(other)).is_err());
    let (lines, _) = export(20, &[format!("restored 5 {}", to_base64(&[8; 32]))]);
    assert_eq!(check(&lines, None).unwrap_err(), [Finding::Restored(5)]);
}
