//! One connection: requests are read, answered by the script, and forgotten, one after the other.

use std::sync::Arc;

use httparse::EMPTY_HEADER;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::call::{Api, Call};
use super::check;
use super::counts::SeenRequest;
use super::fields::Fields;
use super::reply::{Reply, reason};
use super::request::{Fault, MOST_HEADERS, Reader};
use super::server::House;
use super::trouble::Trouble;
use super::wire::{After, Outgoing};

/// Serves a connection until either side closes it.
pub(super) async fn serve(mut stream: TcpStream, house: Arc<House>) {
    // Pieces are to arrive as they are written. Where that cannot be had, they arrive all the same.
    let _ = stream.set_nodelay(true);
    let connection = house.tally.connected();
    let mut reader = Reader::default();
    loop {
        let extent = match reader.next(&mut stream).await {
            Ok(Some(extent)) => extent,
            Ok(None) | Err(Fault::Gone) => return,
            Err(Fault::Refused(status)) => return refuse(&mut stream, status).await,
        };
        let in_flight = house.tally.called();
        let (head, body) = reader.parts(&extent);
        let outgoing = answer(&house, in_flight.number, connection, head, body);
        reader.forget(&extent);
        let after = outgoing.send(&mut stream, |status| house.tally.replied(status)).await;
        drop(in_flight);
        if after == After::Over || !extent.keeps_alive {
            return;
        }
    }
}

/// What is no HTTP gets a status, and no more.
async fn refuse(stream: &mut TcpStream, status: u16) {
    let reason = reason(status);
    let reply = format!("HTTP/1.1 {status} {reason}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
    // The client may be gone, and there is nothing more to say to it.
    let _ = stream.write_all(reply.as_bytes()).await;
}

fn answer(house: &House, number: u64, connection: u64, head: &[u8], body: &[u8]) -> Outgoing {
    let mut headers = [EMPTY_HEADER; MOST_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    // The head was parsed before: it is whole.
    let _ = request.parse(head);
    let (method, path) = (request.method.unwrap_or_default(), request.path.unwrap_or_default());
    let route = route(method, path);
    let mut call = Call {
        number,
        connection,
        at: house.started.elapsed(),
        api: route.unwrap_or_else(|(api, _)| api),
        method,
        path,
        headers: request.headers,
        body,
        fields: Fields::default(),
        turns: Vec::new(),
        answer: None,
    };
    if house.script.records {
        house.record(seen(&call));
    }
    let reply = match route {
        Err((api, status)) => {
            Reply::trouble(Trouble::of_status(api, status).saying("No API here takes this method at this path."))
        }
        Ok(_) => match check::read(&mut call, house.script.demands()) {
            Ok(()) => house.script.reply(&call),
            Err(trouble) => Reply::trouble(trouble),
        },
    };
    reply.outgoing(&call)
}

/// The API that a path belongs to, or the status that it is refused with.
fn route(method: &str, path: &str) -> Result<Api, (Api, u16)> {
    let path = path.split('?').next().unwrap_or(path);
    let api = match path {
        "/v1/chat/completions" => Api::OpenAi,
        "/v1/messages" => Api::Anthropic,
        _ if path == "/echo" || path.starts_with("/echo/") => return Ok(Api::Plain),
        _ => return Err((Api::OpenAi, 404)),
    };
    if method == "POST" { Ok(api) } else { Err((api, 405)) }
}

fn seen(call: &Call<'_>) -> SeenRequest {
    let headers = call.headers.iter().map(|header| (header.name.to_owned(), header.value.to_vec()));
    SeenRequest {
        number: call.number,
        connection: call.connection,
        at: call.at,
        method: call.method.to_owned(),
        path: call.path.to_owned(),
        headers: headers.collect(),
        body: call.body.to_vec(),
    }
}
