//! A routing netlink socket: several requests in one datagram, one acknowledgement at its end.
//!
//! Stands for `rtnetlink`, of which it uses the layers below (`netlink-sys` for the socket, `netlink-packet-*` for the messages). That
//! crate is asynchronous, hence needs a runtime wherever a namespace is made, has no tbf, and sends a datagram and waits for its
//! answer for each request, where here one does for many: a namespace takes it 1.1 times as long (`benches/overhead.rs`).

use std::io::{self, ErrorKind};

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NetlinkBuffer, NetlinkHeader, NetlinkMessage,
    NetlinkPayload,
};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::Socket;
use netlink_sys::protocols::NETLINK_ROUTE;

/// Larger than any datagram that the kernel builds for a dump.
const RECEIVE_BYTES: usize = 64 * 1024;

/// A request and what it does, in words for an error.
pub(super) struct Request {
    pub(super) what: &'static str,
    pub(super) message: RouteNetlinkMessage,
    /// `NLM_F_CREATE` and the like.
    pub(super) flags: u16,
}

/// The first request of a batch that the kernel refused.
pub(super) struct Refused {
    pub(super) what: &'static str,
    pub(super) source: io::Error,
}

/// The socket belongs to the network namespace that the thread was in when it was opened, wherever the
/// thread goes afterwards.
pub(super) struct Netlink {
    socket: Socket,
    sequence: u32,
}

impl Netlink {
    /// A socket in the calling thread's network namespace.
    pub(super) fn open() -> io::Result<Self> {
        Ok(Self {
            socket: Socket::new(NETLINK_ROUTE)?,
            sequence: 0,
        })
    }

    /// Has the kernel carry out `requests` in order. It goes on after a refusal; the first is reported.
    pub(super) fn batch(&mut self, requests: Vec<Request>) -> Result<(), Refused> {
        let Some(last) = requests.len().checked_sub(1) else {
            return Ok(());
        };
        let first_sequence = self.sequence.wrapping_add(1);
        let names: Vec<_> = requests.iter().map(|r| r.what).collect();
        let mut datagram = Vec::with_capacity(1024);
        for (i, request) in requests.into_iter().enumerate() {
            let ack = if i == last { NLM_F_ACK } else { 0 };
            self.append(
                &mut datagram,
                request.message,
                NLM_F_REQUEST | request.flags | ack,
            );
        }
        let refused = |what, source| Refused { what, source };
        self.send(&datagram).map_err(|e| refused(names[0], e))?;
        let mut first_refusal = None;
        let mut buffer = vec![0; 4096];
        loop {
            let length = self
                .receive(&mut buffer)
                .map_err(|e| refused(names[last], e))?;
            for reply in replies(&buffer[..length]) {
                let (sequence, refusal) = reply
                    .and_then(acknowledgement)
                    .map_err(|e| refused(names[last], e))?;
                // A reply to a request of an earlier, broken-off batch would be none of ours.
                let i = sequence.wrapping_sub(first_sequence) as usize;
                if i > last {
                    continue;
                }
                if let (None, Some(refusal)) = (&first_refusal, refusal) {
                    first_refusal = Some(refused(names[i], refusal));
                }
                if i == last {
                    return first_refusal.map_or(Ok(()), Err);
                }
            }
        }
    }

    /// The one object that `request` asks for; none if the library cannot read it.
    pub(super) fn ask(&mut self, request: Request) -> Result<Option<RouteNetlinkMessage>, Refused> {
        let refused = |source| Refused {
            what: request.what,
            source,
        };
        let mut datagram = Vec::with_capacity(64);
        let flags = NLM_F_REQUEST | request.flags;
        self.append(&mut datagram, request.message, flags);
        self.send(&datagram).map_err(refused)?;
        let mut buffer = vec![0; RECEIVE_BYTES];
        let length = self.receive(&mut buffer).map_err(refused)?;
        let reply = replies(&buffer[..length]).next();
        let reply = reply.unwrap_or_else(|| Err(malformed())).map_err(refused)?;
        let read = NetlinkMessage::<RouteNetlinkMessage>::deserialize(reply);
        match read.map(|message| message.payload) {
            Ok(NetlinkPayload::Error(error)) => Err(refused(error.to_io())),
            Ok(NetlinkPayload::InnerMessage(object)) => Ok(Some(object)),
            _ => Ok(None),
        }
    }

    /// All objects that `request` asks for.
    pub(super) fn dump(
        &mut self,
        request: RouteNetlinkMessage,
    ) -> io::Result<Vec<RouteNetlinkMessage>> {
        let mut datagram = Vec::with_capacity(64);
        self.append(&mut datagram, request, NLM_F_REQUEST | NLM_F_DUMP);
        self.send(&datagram)?;
        let mut objects = Vec::new();
        let mut buffer = vec![0; RECEIVE_BYTES];
        loop {
            let length = self.receive(&mut buffer)?;
            for reply in replies(&buffer[..length]) {
                // An object with an attribute that the library cannot read yet is none of ours: all
                // of our own attributes it wrote itself.
                let Ok(message) = NetlinkMessage::<RouteNetlinkMessage>::deserialize(reply?) else {
                    continue;
                };
                match message.payload {
                    NetlinkPayload::Done(_) => return Ok(objects),
                    NetlinkPayload::Error(error) => return Err(error.to_io()),
                    NetlinkPayload::InnerMessage(object) => objects.push(object),
                    _ => {}
                }
            }
        }
    }

    fn append(&mut self, datagram: &mut Vec<u8>, message: RouteNetlinkMessage, flags: u16) {
        self.sequence = self.sequence.wrapping_add(1);
        let mut header = NetlinkHeader::default();
        header.flags = flags;
        header.sequence_number = self.sequence;
        let mut message = NetlinkMessage::new(header, NetlinkPayload::InnerMessage(message));
        message.finalize();
        let start = datagram.len();
        datagram.resize(start + message.buffer_len().next_multiple_of(4), 0);
        message.serialize(&mut datagram[start..]);
    }

    fn send(&self, datagram: &[u8]) -> io::Result<()> {
        retrying(|| self.socket.send(datagram, 0)).map(drop)
    }

    fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        retrying(|| self.socket.recv(&mut &mut *buffer, 0))
    }
}

fn retrying(mut call: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match call() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            outcome => return outcome,
        }
    }
}

fn malformed() -> io::Error {
    io::Error::new(
        ErrorKind::InvalidData,
        "the kernel's netlink reply is malformed",
    )
}

/// The messages of a datagram.
fn replies(datagram: &[u8]) -> impl Iterator<Item = io::Result<&[u8]>> {
    let mut rest = datagram;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let Ok(message) = NetlinkBuffer::new_checked(rest) else {
            rest = &[];
            return Some(Err(malformed()));
        };
        let length = message.length() as usize;
        let message = &rest[..length];
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(Ok(message))
    })
}

/// The sequence number of an acknowledgement, and the refusal if it is one.
fn acknowledgement(message: &[u8]) -> io::Result<(u32, Option<io::Error>)> {
    let message =
        NetlinkMessage::<RouteNetlinkMessage>::deserialize(message).map_err(|_| malformed())?;
    match message.payload {
        NetlinkPayload::Error(error) => Ok((
            message.header.sequence_number,
            error.code.map(|_| error.to_io()),
        )),
        _ => Err(malformed()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_datagram_panics_or_loops(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut seen = 0;
            for message in replies(&bytes).flatten() {
                seen += message.len();
                let _ = acknowledgement(message);
            }
            prop_assert!(seen <= bytes.len());
        }

        #[test]
        fn an_acknowledgement_tells_its_request_and_the_refusal(sequence in any::<u32>(), code in 0_i32..4096) {
            let mut bytes = vec![0_u8; 36];
            // Length and type (NLMSG_ERROR) of the message, then the error number; the request's header follows.
            bytes[0] = 36;
            bytes[4] = 2;
            bytes[8..12].copy_from_slice(&sequence.to_ne_bytes());
            bytes[16..20].copy_from_slice(&(-code).to_ne_bytes());
            let message = replies(&bytes).next().expect("a message").expect("whole");
            let (told, refusal) = acknowledgement(message).expect("an acknowledgement");
            let refusal = refusal.map(|e| e.raw_os_error());
            prop_assert_eq!((told, refusal), (sequence, (code != 0).then_some(Some(code))));
        }
    }
}
