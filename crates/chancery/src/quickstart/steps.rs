//! What the person at the terminal sees of the steps: a line each, with its time.

use std::time::{Duration, Instant};

use anyhow::Context as _;

use crate::console::Console;

/// Characters for the names of steps; the longest one of ours fits.
const NAME_WIDTH: usize = 46;

/// Shows steps as they are done.
#[derive(Clone)]
pub(super) struct Steps {
    console: Console,
    started: Instant,
}

impl Steps {
    pub(super) fn new(console: Console) -> Self {
        Self {
            console,
            started: Instant::now(),
        }
    }

    /// Does one step and shows its name, its time and what came out of it: the text of the pair, which may be empty.
    ///
    /// # Errors
    /// That of the work, with the name of the step in front.
    pub(super) async fn step<T>(
        &self,
        name: &str,
        work: impl Future<Output = anyhow::Result<(T, String)>>,
    ) -> anyhow::Result<T> {
        let begun = Instant::now();
        let done = work.await;
        let time = begun.elapsed();
        match done {
            Ok((value, outcome)) => {
                self.console.line(line("  ", name, time, &outcome));
                Ok(value)
            }
            Err(error) => {
                self.console.line(line("! ", name, time, "FAILED"));
                Err(error).with_context(|| format!("step \"{name}\" failed"))
            }
        }
    }

    /// Since the first step.
    pub(super) fn total(&self) -> Duration {
        self.started.elapsed()
    }
}

fn line(mark: &str, name: &str, time: Duration, outcome: &str) -> String {
    let text = format!(
        "{mark}{name:<NAME_WIDTH$}{:>7} ms  {outcome}",
        time.as_millis()
    );
    text.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::tests::Page;

    #[tokio::test]
    async fn steps_stand_in_columns_and_a_failure_is_named() {
        let (out, err) = (Page::default(), Page::default());
        let steps = Steps::new(Console::new(out.clone(), err));
        let done = async { Ok((7, "certificate 7".to_owned())) };
        assert_eq!(steps.step("enroll", done).await.unwrap(), 7);
        let refused = async { Err::<((), String), _>(anyhow::anyhow!("400: no")) };
        let error = steps.step("create the store", refused).await.unwrap_err();
        assert_eq!(
            format!("{error:#}"),
            "step \"create the store\" failed: 400: no"
        );
        let lines: Vec<String> = out.text().lines().map(str::to_owned).collect();
        assert_eq!(lines.len(), 2);
        assert!(lines[0].starts_with("  enroll  ") && lines[0].ends_with(" ms  certificate 7"));
        assert!(lines[1].starts_with("! create the store  ") && lines[1].ends_with("FAILED"));
        assert_eq!(lines[0].find(" ms"), lines[1].find(" ms"));
    }
}
