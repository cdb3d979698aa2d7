//! Bytes from one stream to another and back, counted.
//!
//! A buffer begins small and grows with what flows: most connections are idle most of the time, and a bulk transfer is
//! limited by system calls. Each direction ends by itself (half-close), and an error ends both.

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Steps of a buffer's size: from how many bytes on, and how large.
const STEPS: [(u64, usize); 3] = [
    (0, 4 * 1024),
    // A TLS record's payload.
    (128 * 1024, 16 * 1024),
    (10 * 1024 * 1024, 256 * 1024),
];

/// Which way bytes went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From the first stream to the second.
    There,
    /// From the second to the first.
    Back,
}

/// Joins two streams until both directions have ended, or one failed; `passed` is told of every write.
///
/// Cancel safe: what was read and not written is lost.
///
/// # Errors
/// When either stream fails.
pub async fn copy_both<A, B>(a: &mut A, b: &mut B, passed: impl Fn(Way, u64)) -> io::Result<()>
where
    A: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite + Unpin,
{
    let (mut there, mut back) = (Half::default(), Half::default());
    poll_fn(|cx| {
        let first = there.poll(cx, a, b, |count| passed(Way::There, count))?;
        let second = back.poll(cx, b, a, |count| passed(Way::Back, count))?;
        match (first, second) {
            (Poll::Ready(()), Poll::Ready(())) => Poll::Ready(Ok(())),
            _ => Poll::Pending,
        }
    })
    .await
}

/// One direction.
#[derive(Debug, Default)]
struct Half {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    copied: u64,
    phase: Phase,
    dirty: bool,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Phase {
    #[default]
    Copying,
    Closing,
    Ended,
}

impl Half {
    fn poll<R, W>(
        &mut self,
        cx: &mut Context<'_>,
        reader: &mut R,
        writer: &mut W,
        passed: impl Fn(u64),
    ) -> Result<Poll<()>, io::Error>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        match self.advance(cx, reader, writer, passed) {
            Poll::Ready(Ok(())) => Ok(Poll::Ready(())),
            Poll::Ready(Err(error)) => Err(error),
            Poll::Pending => Ok(Poll::Pending),
        }
    }

    fn advance<R, W>(
        &mut self,
        cx: &mut Context<'_>,
        reader: &mut R,
        writer: &mut W,
        passed: impl Fn(u64),
    ) -> Poll<io::Result<()>>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        loop {
            match self.phase {
                Phase::Ended => return Poll::Ready(Ok(())),
                Phase::Closing => {
                    ready!(Pin::new(&mut *writer).poll_shutdown(cx))?;
                    self.phase = Phase::Ended;
                }
                Phase::Copying => {
                    while let Some(rest) = self.buffer.get(self.start..self.end)
                        && !rest.is_empty()
                    {
                        let wrote = ready!(Pin::new(&mut *writer).poll_write(cx, rest))?;
                        if wrote == 0 {
                            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                        }
                        self.start += wrote;
                        self.copied += wrote as u64;
                        passed(wrote as u64);
                        self.dirty = true;
                    }
                    match self.fill(cx, reader) {
                        Poll::Ready(Ok(0)) => {
                            self.buffer = Vec::new();
                            self.phase = Phase::Closing;
                        }
                        Poll::Ready(Ok(_)) => {}
                        Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                        Poll::Pending => {
                            // Nothing more for now: what TLS holds back must go out.
                            if self.dirty {
                                ready!(Pin::new(&mut *writer).poll_flush(cx))?;
                                self.dirty = false;
                            }
                            return Poll::Pending;
                        }
                    }
                }
            }
        }
    }

    fn fill<R: AsyncRead + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        reader: &mut R,
    ) -> Poll<io::Result<usize>> {
        let size = STEPS
            .iter()
            .rev()
            .find(|(from, _)| self.copied >= *from)
            .map_or(4096, |(_, size)| *size);
        if self.buffer.len() < size {
            self.buffer.resize(size, 0);
        }
        let mut buf = ReadBuf::new(&mut self.buffer);
        ready!(Pin::new(reader).poll_read(cx, &mut buf))?;
        (self.start, self.end) = (0, buf.filled().len());
        Poll::Ready(Ok(self.end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    #[tokio::test]
    async fn each_direction_ends_by_itself_and_is_counted() {
        let (mut client, mut a) = duplex(64);
        let (mut b, mut server) = duplex(64);
        let (sent, received) = (Cell::new(0), Cell::new(0));
        let passed = |way, count| match way {
            Way::There => sent.set(sent.get() + count),
            Way::Back => received.set(received.get() + count),
        };
        let copying = copy_both(&mut a, &mut b, passed);
        let talking = async {
            client.write_all(&[7; 1000]).await.unwrap();
            client.shutdown().await.unwrap();
            let mut answer = Vec::new();
            client.read_to_end(&mut answer).await.unwrap();
            assert_eq!(answer, b"done");
        };
        let serving = async {
            let mut question = Vec::new();
            server.read_to_end(&mut question).await.unwrap();
            assert_eq!(question.len(), 1000);
            server.write_all(b"done").await.unwrap();
            server.shutdown().await.unwrap();
        };
        let (copied, (), ()) = tokio::join!(copying, talking, serving);
        assert!(copied.is_ok());
        assert_eq!((sent.get(), received.get()), (1000, 4));
    }
}
