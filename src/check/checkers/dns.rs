//! DNS_CHECK: a question over UDP; success when it is answered with rcode 0, whatever the answer holds (keepalived's
//! rule). Datagrams that are no answer to it are passed over, so that a forged or a late one decides nothing.

use tokio::net::UdpSocket;
use tokio::time::timeout;

use super::dns_message::{LONGEST, Question};
use super::{io_failure, source};
use crate::check::outcome::{Failure, Success};
use crate::check::plan::DnsPlan;

/// One run; the id should be one that nobody can guess.
///
/// # Errors
/// What is wrong with the way to the server or with its answer.
pub async fn check(plan: &DnsPlan, id: u16) -> Result<Success, Failure> {
    let limit = plan.target.timeout;
    let question = Question::new(id, &plan.name, plan.kind)
        .map_err(|error| Failure::BadRequest(format!("name {:?}: {error}", plan.name)))?;
    let socket = source::udp(&plan.target)?;
    let mut strange = None;
    let asked = ask(plan, &socket, &question, &mut strange);
    match timeout(limit, asked).await {
        Ok(result) => result,
        Err(_) => Err(strange.unwrap_or(Failure::Timeout(limit))),
    }
}

async fn ask(
    plan: &DnsPlan,
    socket: &UdpSocket,
    question: &Question,
    strange: &mut Option<Failure>,
) -> Result<Success, Failure> {
    let io = |error: std::io::Error| io_failure(&error, plan.target.timeout, plan.target.names_source());
    socket.send(question.bytes()).await.map_err(io)?;
    let mut buffer = [0; LONGEST];
    loop {
        let length = source::receive(socket, &mut buffer).await.map_err(io)?;
        match question.answer(buffer.get(..length).unwrap_or_default()) {
            Ok(0) => return Ok(Success::default()),
            Ok(rcode) => return Err(Failure::BadRcode(rcode)),
            Err(why) => *strange = Some(Failure::Garbled(format!("only {why} came"))),
        }
    }
}
