//! A connection that waits for its client, but not for ever: a client that does not take its answer is given up, and one
//! that is refused in the middle of sending gets to read why.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

/// How long what a client still sends is read and thrown away after our last word. To close on unread octets would send
/// a reset, which may overtake the answer.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// How much of it is read.
const LAST_OCTETS: usize = 16 * 1024 * 1024;

/// A stream with a limit on how long the other side may leave what we write.
pub(super) struct Guarded<S> {
    stream: S,
    patience: Duration,
    /// Runs while something waits to be taken.
    waiting: Option<Pin<Box<Sleep>>>,
    /// Runs once our side is closed.
    closing: Option<Pin<Box<Sleep>>>,
    thrown_away: usize,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Guarded<S> {
    pub(super) fn new(stream: S, patience: Duration) -> Self {
        Self {
            stream,
            patience,
            waiting: None,
            closing: None,
            thrown_away: 0,
        }
    }

    /// Passes on the state of a write, and turns waiting too long into an error.
    fn watched<T>(
        &mut self,
        cx: &mut Context<'_>,
        state: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if state.is_ready() {
            self.waiting = None;
            return state;
        }
        let patience = self.patience;
        let waiting = self
            .waiting
            .get_or_insert_with(|| Box::pin(sleep(patience)));
        ready!(waiting.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    /// Reads until the other side has closed as well, or has had its time.
    fn throw_away(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut buffer = [0; 16 * 1024];
        while self.thrown_away < LAST_OCTETS {
            let mut part = ReadBuf::new(&mut buffer);
            match Pin::new(&mut self.stream).poll_read(cx, &mut part) {
                Poll::Ready(Ok(())) if !part.filled().is_empty() => {
                    self.thrown_away += part.filled().len();
                }
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => {
                    let closing = self
                        .closing
                        .get_or_insert_with(|| Box::pin(sleep(LAST_WORDS)));
                    return closing.as_mut().poll(cx);
                }
            }
        }
        Poll::Ready(())
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        let state = Pin::new(&mut self.stream).poll_write(cx, buffer);
        self.watched(cx, state)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let state = Pin::new(&mut self.stream).poll_write_vectored(cx, buffers);
        self.watched(cx, state)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let state = Pin::new(&mut self.stream).poll_flush(cx);
        self.watched(cx, state)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.closing.is_none() && self.thrown_away == 0 {
            let state = Pin::new(&mut self.stream).poll_shutdown(cx);
            ready!(self.watched(cx, state))?;
        }
        self.throw_away(cx).map(Ok)
    }
}
