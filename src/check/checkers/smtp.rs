//! SMTP_CHECK: a 220 greeting, HELO answered with 250, QUIT.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::smtp_dialogue::{self, Reader};
use super::{io_failure, tcp};
use crate::check::outcome::{Failure, Success};
use crate::check::plan::SmtpPlan;

/// How long the answer to QUIT is waited for. It decides nothing; but the side that closes first keeps the remains of the
/// connection, and that should be the server.
const FAREWELL: Duration = Duration::from_millis(500);

/// One run: the whole dialogue within the target's time limit.
///
/// # Errors
/// What is wrong with the connection or with the server's replies.
pub async fn check(plan: &SmtpPlan) -> Result<Success, Failure> {
    let limit = plan.target.timeout;
    let Some(helo) = smtp_dialogue::helo(&plan.helo) else {
        return Err(Failure::BadRequest(format!("helo_name {:?} is no host name", plan.helo)));
    };
    let Ok(result) = timeout(limit, greet(plan, &helo)).await else { return Err(Failure::Timeout(limit)) };
    let mut talk = result?;
    // The check is passed; what happens from here on is only manners.
    let _ = timeout(FAREWELL.min(limit), talk.quit()).await;
    Ok(Success::default())
}

async fn greet<'a>(plan: &'a SmtpPlan, helo: &str) -> Result<Talk<'a>, Failure> {
    let stream = tcp::connect(&plan.target).await?;
    let mut talk = Talk { plan, stream, buffer: [0; 512], ready: 0..0 };
    talk.expect("the connection", 220).await?;
    talk.say(helo.as_bytes()).await?;
    talk.expect("HELO", 250).await?;
    Ok(talk)
}

struct Talk<'a> {
    plan: &'a SmtpPlan,
    stream: TcpStream,
    buffer: [u8; 512],
    /// What of the buffer is read and not used yet.
    ready: std::ops::Range<usize>,
}

impl Talk<'_> {
    async fn expect(&mut self, to: &'static str, wanted: u16) -> Result<(), Failure> {
        let got = self.reply().await?;
        if got == wanted { Ok(()) } else { Err(Failure::BadReply { to, got, wanted }) }
    }

    async fn reply(&mut self) -> Result<u16, Failure> {
        let mut reader = Reader::default();
        loop {
            if self.ready.is_empty() {
                let read = self.stream.read(&mut self.buffer).await;
                match read.map_err(|error| self.io(&error))? {
                    0 => return Err(Failure::Cut("closed before the answer was complete".to_owned())),
                    read => self.ready = 0..read,
                }
            }
            let fed = reader.feed(self.buffer.get(self.ready.clone()).unwrap_or_default());
            match fed.map_err(|fault| Failure::Garbled(format!("not an SMTP server: {fault}")))? {
                Some(reply) => {
                    self.ready.start += reply.used;
                    return Ok(reply.code);
                }
                None => self.ready = 0..0,
            }
        }
    }

    async fn say(&mut self, text: &[u8]) -> Result<(), Failure> {
        self.stream.write_all(text).await.map_err(|error| self.io(&error))
    }

    async fn quit(&mut self) -> Result<u16, Failure> {
        self.say(b"QUIT\r\n").await?;
        self.reply().await
    }

    fn io(&self, error: &std::io::Error) -> Failure {
        io_failure(error, self.plan.target.timeout, self.plan.target.names_source())
    }
}
