//! Lets the HTTP server read one request of a connection after another. A client may send requests
//! without waiting for their answers (pipelining). The server would answer all that it has read, and
//! keep the answers in memory for a client that reads none of them.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes that are read from the transport at once. A part of them may wait for an answer.
const BUFFER: usize = 4_096;

/// Hands the head of a request over alone. What follows waits
///
/// - after `GET` and `HEAD`, which have no body, until an answer is written. What follows another
///   request may be its body, and does not wait for the answer.
/// - until everything that was written is sent.
pub(super) struct OneByOne<T> {
    transport: T,
    /// Bytes that were read from the transport and not handed over.
    held: Vec<u8>,
    head: Head,
    /// Whether the bytes may be those of a body: a request was handed over that may have one, and
    /// nothing was written since.
    may_be_body: bool,
    turn: Turn,
    /// Whether the transport has not taken everything that was to be written.
    is_unsent: bool,
    /// Whether a read waits for a write.
    is_waiting: bool,
}

/// What is handed over next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// What the client has sent.
    Read,
    /// None at first: the last byte that was handed over is the end of a head.
    AfterHead {
        /// Whether a body may follow.
        has_body: bool,
    },
    /// None until an answer is written.
    Answer,
}

/// The position in the head of a request: it ends with an empty line. A body is taken for heads, which
/// only divides what is handed over.
#[derive(Debug, Default)]
struct Head {
    /// The first bytes of its first line.
    start: Vec<u8>,
    /// Whether the line has no characters so far, except a carriage return.
    is_line_empty: bool,
    /// Whether the head has a line with characters.
    has_line: bool,
}

impl Head {
    /// Goes over bytes up to the end of the head. Returns how many, and whether the head ends there.
    fn advance(&mut self, bytes: &[u8]) -> (usize, bool) {
        for (at, &byte) in bytes.iter().enumerate() {
            match byte {
                b'\n' if self.has_line && self.is_line_empty => return (at + 1, true),
                b'\n' => self.is_line_empty = true,
                b'\r' => {}
                _ => {
                    (self.is_line_empty, self.has_line) = (false, true);
                    if self.start.len() < b"HEAD ".len() {
                        self.start.push(byte);
                    }
                }
            }
        }
        (bytes.len(), false)
    }

    /// Whether a request with this head may have a body.
    fn has_body(&self) -> bool {
        !self.start.starts_with(b"GET ") && self.start != b"HEAD "
    }
}

impl<T> OneByOne<T> {
    pub(super) fn new(transport: T) -> Self {
        Self {
            transport,
            held: Vec::new(),
            head: Head::default(),
            may_be_body: false,
            turn: Turn::Read,
            is_unsent: false,
            is_waiting: false,
        }
    }

    /// Hands over the held bytes up to the end of a head.
    fn hand_over(&mut self, buffer: &mut ReadBuf<'_>) {
        let most = self.held.len().min(buffer.remaining());
        let (bytes, is_end) = self.head.advance(&self.held[..most]);
        buffer.put_slice(&self.held[..bytes]);
        self.held.drain(..bytes);
        if is_end {
            self.may_be_body |= std::mem::take(&mut self.head).has_body();
            self.turn = Turn::AfterHead { has_body: self.may_be_body };
        }
    }

    /// Notes the result of a write of `length` bytes.
    fn note_write(&mut self, written: &Poll<io::Result<usize>>, length: usize, context: &Context<'_>) {
        match written {
            Poll::Ready(Ok(bytes)) => {
                (self.is_unsent, self.turn, self.may_be_body) = (*bytes < length, Turn::Read, false);
                if std::mem::take(&mut self.is_waiting) {
                    context.waker().wake_by_ref();
                }
            }
            Poll::Ready(Err(_)) => {}
            Poll::Pending => self.is_unsent = true,
        }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for OneByOne<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // The server reads until there is no more, and only then looks at what it has read.
        if let Turn::AfterHead { has_body } = self.turn {
            self.turn = if has_body { Turn::Read } else { Turn::Answer };
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        if self.turn == Turn::Answer || self.is_unsent {
            self.is_waiting = true;
            return Poll::Pending;
        }
        if self.held.is_empty() {
            let mut bytes = [0; BUFFER];
            let mut read = ReadBuf::new(&mut bytes);
            std::task::ready!(Pin::new(&mut self.transport).poll_read(context, &mut read))?;
            self.held.extend_from_slice(read.filled());
        }
        self.hand_over(buffer);
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for OneByOne<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.transport).poll_write(context, bytes);
        self.note_write(&written, bytes.len(), context);
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.transport).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.transport).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Wake, Waker};

    use futures_util::FutureExt as _;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

    use super::*;

    /// Returns what the server reads until it has to wait.
    fn read(server: &mut OneByOne<DuplexStream>) -> String {
        let mut bytes = [0; 1_024];
        let read = server.read(&mut bytes).now_or_never().map_or(0, Result::unwrap);
        String::from_utf8_lossy(&bytes[..read]).into_owned()
    }

    async fn connection(sent: &str) -> (DuplexStream, OneByOne<DuplexStream>) {
        let (mut client, server) = tokio::io::duplex(64);
        let mut server = OneByOne::new(server);
        assert_eq!(read(&mut server), "");
        client.write_all(sent.as_bytes()).await.unwrap();
        (client, server)
    }

    #[tokio::test]
    async fn a_request_is_read_after_the_answer_to_the_one_before() {
        let (_client, mut server) = connection("GET /a HTTP/1.1\r\n\r\nGET /b HTTP/1.1\n\nHEA").await;
        assert_eq!(read(&mut server), "GET /a HTTP/1.1\r\n\r\n");
        assert_eq!([read(&mut server), read(&mut server)], ["", ""]);
        server.write_all(b"a").await.unwrap();
        assert_eq!(read(&mut server), "GET /b HTTP/1.1\n\n");
        assert_eq!([read(&mut server), read(&mut server)], ["", ""]);
        server.write_all(b"b").await.unwrap();
        assert_eq!(read(&mut server), "HEA");
    }

    #[tokio::test]
    async fn a_body_is_read_without_an_answer() {
        let (_client, mut server) = connection("POST / HTTP/1.1\r\nhost: a\r\n\r\n{\n\n}\r\n\r\n").await;
        assert_eq!(read(&mut server), "POST / HTTP/1.1\r\nhost: a\r\n\r\n");
        assert_eq!(read(&mut server), "", "the server looks at what it has read");
        let body: Vec<String> = std::iter::repeat_with(|| read(&mut server)).take(9).collect();
        assert_eq!(body.concat(), "{\n\n}\r\n\r\n");
    }

    #[tokio::test]
    async fn a_body_that_looks_like_a_request_is_read_to_its_end() {
        let (_client, mut server) = connection("POST / HTTP/1.1\r\n\r\nGET a\n\nGET b\n\nc").await;
        let read: Vec<String> = std::iter::repeat_with(|| read(&mut server)).take(9).collect();
        assert_eq!(read.concat(), "POST / HTTP/1.1\r\n\r\nGET a\n\nGET b\n\nc");
    }

    /// Counts how often a task is woken.
    #[derive(Default)]
    struct Wakes(AtomicUsize);

    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[tokio::test]
    async fn the_server_is_woken_for_what_waits() {
        let (_client, mut server) = connection("GET /a HTTP/1.1\n\nGET /b HTTP/1.1\n\n").await;
        assert_eq!(read(&mut server), "GET /a HTTP/1.1\n\n");
        let wakes = Arc::<Wakes>::default();
        let waker = Waker::from(Arc::clone(&wakes));
        let mut context = Context::from_waker(&waker);
        let mut poll = |server: &mut OneByOne<DuplexStream>| {
            let mut bytes = [0; 64];
            let is_ready = Pin::new(server).poll_read(&mut context, &mut ReadBuf::new(&mut bytes)).is_ready();
            (is_ready, wakes.0.load(Ordering::Relaxed))
        };
        assert_eq!(poll(&mut server), (false, 1), "the server looks at the request");
        assert_eq!(poll(&mut server), (false, 1), "there is no answer");
        let mut context = Context::from_waker(&waker);
        assert!(Pin::new(&mut server).poll_write(&mut context, b"a").is_ready());
        assert_eq!(poll(&mut server), (true, 2));
    }

    #[tokio::test]
    async fn nothing_is_read_while_an_answer_is_not_sent() {
        let (mut client, mut server) = connection("POST / HTTP/1.1\r\n\r\nPOST /b HTTP/1.1\r\n\r\n").await;
        assert_eq!(read(&mut server), "POST / HTTP/1.1\r\n\r\n");
        assert_eq!(read(&mut server), "");
        assert_eq!(server.write(&[b'a'; 100]).now_or_never().unwrap().unwrap(), 64);
        assert_eq!([read(&mut server), read(&mut server)], ["", ""]);
        client.read_exact(&mut [0; 64]).await.unwrap();
        assert_eq!(server.write(&[b'a'; 36]).now_or_never().unwrap().unwrap(), 36);
        assert_eq!(read(&mut server), "POST /b HTTP/1.1\r\n\r\n");
    }
}
