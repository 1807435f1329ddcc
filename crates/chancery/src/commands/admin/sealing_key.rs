//! Rotating the sealing key. The order makes it safe to break off anywhere: first the new key is in the file, then
//! running servers have read it, then values come under it one batch at a time, and only on a later command, when no
//! value needs an old key any more, is that one forgotten.

use std::{fs::File, sync::Arc, time::Duration};

use anyhow::{Context as _, bail};
use app::{App, sealing};
use clap::ArgMatches;
use secrets::{KeyId, KeyRing};

use super::{context, open_existing};
use crate::{config::Config, console::Console};

pub(super) async fn run(
    config: &Config,
    matches: &ArgMatches,
    console: &Console,
) -> anyhow::Result<()> {
    // Before the ring is read: two rotations at once would each write a file without the other's key.
    let lock = config.sealing_key_file.with_extension("lock");
    let lock_file = File::create(&lock).with_context(|| lock.display().to_string())?;
    if lock_file.try_lock().is_err() {
        bail!(
            "another command works on the sealing key ({} is locked)",
            lock.display()
        );
    }
    let app = open_existing(config).await?;
    let wait = Duration::from_secs(*matches.get_one::<u64>("wait-seconds").unwrap_or(&3));
    let done = if matches.get_flag("retire-old") {
        retire(&app, config, console).await
    } else {
        rotate(&app, config, wait, console).await
    };
    app.close().await;
    done
}

async fn rotate(
    app: &Arc<App>,
    config: &Config,
    wait: Duration,
    console: &Console,
) -> anyhow::Result<()> {
    let file = &config.sealing_key_file;
    let mut ring = KeyRing::load(file)?;
    let newest = ring.primary_id();
    let old = |in_use: &KeyId| *in_use != newest;
    let unfinished = sealing::keys_in_use(app).await?.keys().any(old);
    if unfinished {
        console.line(format_args!(
            "An unfinished rotation to key {newest} goes on."
        ));
    } else {
        let added = ring.rotate()?;
        ring.save(file)
            .with_context(|| format!("the new key could not be saved in {}", file.display()))?;
        console.line(format_args!("Key {added} was added to {}.", file.display()));
        app.take_up_keys(ring).await?;
    }
    tokio::time::sleep(wait).await;
    let done = sealing::rewrap(&context(app)).await?;
    console.line(format_args!(
        "{} of {} sealed values were brought under the new key.",
        done.changed, done.seen
    ));
    console.line(
        "Keep a copy of the key file apart from the backups. Once that is done: --retire-old.",
    );
    Ok(())
}

async fn retire(app: &Arc<App>, config: &Config, console: &Console) -> anyhow::Result<()> {
    let file = &config.sealing_key_file;
    let mut ring = KeyRing::load(file)?;
    let newest = ring.primary_id();
    let old: Vec<KeyId> = ring.key_ids().filter(|key| *key != newest).collect();
    if old.is_empty() {
        console.line(format_args!("There is no key but {newest}."));
        return Ok(());
    }
    let in_use = sealing::keys_in_use(app).await?;
    for key in &old {
        if let Some(values) = in_use.get(key) {
            bail!("{values} sealed values still need key {key}: run rotate-sealing-key again");
        }
        ring.retire(*key)?;
    }
    sealing::record_retired(&context(app), &old).await?;
    ring.save(file)
        .with_context(|| format!("{} could not be saved", file.display()))?;
    let names: Vec<_> = old.iter().map(ToString::to_string).collect();
    console.line(format_args!(
        "Retired {}. Backups made before the rotation still need it.",
        names.join(", ")
    ));
    Ok(())
}
