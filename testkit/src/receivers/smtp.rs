//! A mail server that notes the mails that it accepts.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// How a mail server uses TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SmtpTls {
    /// From the first byte: `smtps://`.
    Wrapped,
    /// After the command STARTTLS. It accepts no mail before.
    Upgraded,
}

#[derive(Clone)]
struct Server {
    mails: Arc<Mutex<Vec<String>>>,
    /// The mails that it has refused once it had read them.
    refused: Arc<Mutex<Vec<String>>>,
    /// The answer to a whole mail; empty to accept.
    late_refusal: Arc<Mutex<String>>,
    /// The answer to `RCPT`; empty to accept.
    refusal: Arc<Mutex<String>>,
    /// The answers to `RCPT` for these addresses.
    refusals: Arc<Mutex<BTreeMap<String, String>>>,
    tls: Option<(SmtpTls, TlsAcceptor)>,
}

/// A mail server. It stops with the test.
pub struct SmtpReceiver {
    server: Server,
    port: u16,
}

impl std::fmt::Debug for SmtpReceiver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SmtpReceiver").field("port", &self.port).finish_non_exhaustive()
    }
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

impl SmtpReceiver {
    /// Starts it without TLS on a free port.
    pub async fn start() -> anyhow::Result<Self> {
        Self::listen(None).await
    }

    /// Starts it with TLS on a free port.
    pub async fn start_with_tls(how: SmtpTls, config: thicket_connect::ServerConfig) -> anyhow::Result<Self> {
        Self::listen(Some((how, TlsAcceptor::from(Arc::new(config))))).await
    }

    async fn listen(tls: Option<(SmtpTls, TlsAcceptor)>) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let server = Server {
            mails: Arc::default(),
            refused: Arc::default(),
            late_refusal: Arc::default(),
            refusal: Arc::default(),
            refusals: Arc::default(),
            tls,
        };
        let shared = server.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let server = shared.clone();
                // A client that breaks off ends its conversation.
                tokio::spawn(async move { drop(server.serve(Box::new(stream)).await) });
            }
        });
        Ok(Self { server, port })
    }

    /// Returns its address.
    pub fn url(&self) -> String {
        match self.server.tls {
            None => format!("smtp://127.0.0.1:{}", self.port),
            Some((SmtpTls::Wrapped, _)) => format!("smtps://localhost:{}", self.port),
            Some((SmtpTls::Upgraded, _)) => format!("smtp://localhost:{}?tls=required", self.port),
        }
    }

    /// Answers every recipient with this line, such as `550 no such mailbox`.
    pub fn refuse(&self, line: &str) {
        line.clone_into(&mut self.server.refusal.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Answers one recipient with this line; an empty line accepts it again.
    pub fn refuse_recipient(&self, address: &str, line: &str) {
        let mut refusals = self.server.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        if line.is_empty() {
            refusals.remove(address);
        } else {
            refusals.insert(address.to_owned(), line.to_owned());
        }
    }

    /// Answers every mail, after its text, with this line, such as `451 try again later`.
    pub fn refuse_mails(&self, line: &str) {
        line.clone_into(&mut self.server.late_refusal.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Returns all mails that [`Self::refuse_mails`] has refused.
    pub fn refused(&self) -> Vec<String> {
        self.server.refused.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns all mails that it has accepted, each with its envelope.
    pub fn mails(&self) -> Vec<String> {
        self.server.mails.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Server {
    async fn serve(&self, stream: Box<dyn Stream>) -> std::io::Result<()> {
        let mut stream = match &self.tls {
            Some((SmtpTls::Wrapped, acceptor)) => Box::new(acceptor.accept(stream).await?),
            _ => stream,
        };
        stream.write_all(b"220 test ESMTP\r\n").await?;
        let is_plain = self.tls.as_ref().is_some_and(|(how, _)| *how == SmtpTls::Upgraded);
        let Some(stream) = self.converse(stream, is_plain).await? else { return Ok(()) };
        let Some((_, acceptor)) = &self.tls else { return Ok(()) };
        let secure = Box::new(acceptor.accept(stream).await?);
        self.converse(secure, false).await?;
        Ok(())
    }

    /// Speaks SMTP (RFC 5321) on one connection. Returns the stream at STARTTLS (RFC 3207), before
    /// which a server that `must_upgrade` accepts no mail.
    async fn converse(
        &self,
        stream: Box<dyn Stream>,
        must_upgrade: bool,
    ) -> std::io::Result<Option<Box<dyn Stream>>> {
        let mut stream = BufReader::new(stream);
        let (mut mail, mut in_data, mut line) = (String::new(), false, String::new());
        while stream.read_line(&mut line).await? > 0 {
            let command = line.trim_end().to_owned();
            line.clear();
            let answer = match command.as_str() {
                "." if in_data => {
                    in_data = false;
                    self.take(std::mem::take(&mut mail))
                }
                text if in_data => {
                    mail.push_str(text);
                    mail.push('\n');
                    continue;
                }
                "STARTTLS" if must_upgrade => {
                    stream.get_mut().write_all(b"220 go ahead\r\n").await?;
                    return Ok(Some(stream.into_inner()));
                }
                text if text.starts_with("EHLO") && must_upgrade => "250-test\r\n250 STARTTLS".to_owned(),
                "QUIT" => "221 bye".to_owned(),
                text if must_upgrade && !text.starts_with("EHLO") => "530 STARTTLS first".to_owned(),
                "DATA" => {
                    in_data = true;
                    "354 go on".to_owned()
                }
                text => self.note(text, &mut mail),
            };
            stream.get_mut().write_all(format!("{answer}\r\n").as_bytes()).await?;
        }
        Ok(None)
    }

    /// Notes a whole mail, and returns the answer.
    fn take(&self, mail: String) -> String {
        let refusal = self.late_refusal.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (mails, answer) = if refusal.is_empty() {
            (&self.mails, "250 accepted".to_owned())
        } else {
            (&self.refused, refusal)
        };
        mails.lock().unwrap_or_else(PoisonError::into_inner).push(mail);
        answer
    }

    /// Notes a command of the envelope, and returns the answer.
    fn note(&self, command: &str, mail: &mut String) -> String {
        if let Some(recipient) = command.strip_prefix("RCPT TO:") {
            let address = recipient.trim_matches(['<', '>']);
            let of_address =
                self.refusals.lock().unwrap_or_else(PoisonError::into_inner).get(address).cloned();
            let of_all = self.refusal.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let refusal = of_address.unwrap_or(of_all);
            if !refusal.is_empty() {
                return refusal;
            }
        }
        if command.starts_with("MAIL") || command.starts_with("RCPT") {
            mail.push_str(command);
            mail.push('\n');
        }
        "250 ok".to_owned()
    }
}
