//! What the program says to the person who started it. The log is another matter: it goes to standard error
//! through `tracing`.

use std::{
    fmt,
    io::{self, Write},
    sync::{Arc, Mutex, PoisonError},
};

/// The one place that writes to standard output and standard error. Cheap to clone; safe to share between tasks.
///
/// A reader that went away (`chancery openapi | head`) is no error: what cannot be written is dropped.
#[derive(Clone)]
pub struct Console {
    out: Arc<Mutex<dyn Write + Send>>,
    err: Arc<Mutex<dyn Write + Send>>,
}

impl Console {
    /// Writes to the process's own standard output and standard error.
    pub fn standard() -> Self {
        Self::new(io::stdout(), io::stderr())
    }

    /// Writes to the given places: `out` takes results, `err` takes complaints.
    pub fn new(out: impl Write + Send + 'static, err: impl Write + Send + 'static) -> Self {
        Self {
            out: Arc::new(Mutex::new(out)),
            err: Arc::new(Mutex::new(err)),
        }
    }

    /// A line of output.
    pub fn line(&self, text: impl fmt::Display) {
        write_line(&self.out, &text);
    }

    /// Output that brings its own line ends.
    pub fn text(&self, text: impl fmt::Display) {
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = write!(out, "{text}").and_then(|()| out.flush());
    }

    /// A complaint, one line or more.
    pub fn error(&self, text: impl fmt::Display) {
        write_line(&self.err, &text);
    }
}

fn write_line(place: &Mutex<dyn Write + Send>, text: &dyn fmt::Display) {
    let mut place = place.lock().unwrap_or_else(PoisonError::into_inner);
    let _ = writeln!(place, "{text}").and_then(|()| place.flush());
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A place to write to that a test can read afterwards.
    #[derive(Clone, Default)]
    pub(crate) struct Page(Arc<Mutex<Vec<u8>>>);

    impl Page {
        pub(crate) fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for Page {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    struct Gone;

    impl Write for Gone {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
    }

    #[test]
    fn results_and_complaints_go_apart() {
        let (out, err) = (Page::default(), Page::default());
        let console = Console::new(out.clone(), err.clone());
        console.line("ready");
        console.text("a\nb");
        console.error("trouble");
        assert_eq!(out.text(), "ready\na\nb");
        assert_eq!(err.text(), "trouble\n");
    }

    #[test]
    fn a_reader_that_went_away_is_no_error() {
        let console = Console::new(Gone, Gone);
        console.line("nobody reads this");
        console.error("nor this");
    }
}
