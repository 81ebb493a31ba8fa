//! A routing netlink socket: several requests in one datagram, one acknowledgement at its end.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::RouteNetlinkMessage;
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket,
};

/// Larger than any datagram that the kernel builds for a dump.
const RECEIVE_BYTES: usize = 64 * 1024;
const HEADER_BYTES: usize = 16;

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
    fd: OwnedFd,
    sequence: u32,
}

impl Netlink {
    /// A socket in the calling thread's network namespace.
    pub(super) fn open() -> io::Result<Self> {
        let fd = socket(
            AddressFamily::Netlink,
            SockType::Raw,
            SockFlag::SOCK_CLOEXEC,
            SockProtocol::NetlinkRoute,
        )?;
        Ok(Self { fd, sequence: 0 })
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
                let (sequence, code) = reply
                    .and_then(error_code)
                    .map_err(|e| refused(names[last], e))?;
                // A reply to a request of an earlier, broken-off batch would be none of ours.
                let i = sequence.wrapping_sub(first_sequence) as usize;
                if i > last {
                    continue;
                }
                if code != 0 && first_refusal.is_none() {
                    first_refusal = Some(refused(names[i], io::Error::from_raw_os_error(-code)));
                }
                if i == last {
                    return first_refusal.map_or(Ok(()), Err);
                }
            }
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
        retrying(|| send(self.fd.as_raw_fd(), datagram, MsgFlags::empty())).map(drop)
    }

    fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        retrying(|| recv(self.fd.as_raw_fd(), buffer, MsgFlags::empty()))
    }
}

fn retrying(mut call: impl FnMut() -> nix::Result<usize>) -> io::Result<usize> {
    loop {
        match call() {
            Err(Errno::EINTR) => {}
            outcome => return outcome.map_err(io::Error::from),
        }
    }
}

fn malformed() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "the kernel's netlink reply is malformed",
    )
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at + 4)?;
    Some(u32::from_ne_bytes(bytes.try_into().ok()?))
}

/// The messages of a datagram.
fn replies(datagram: &[u8]) -> impl Iterator<Item = io::Result<&[u8]>> {
    let mut rest = datagram;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let length = word(rest, 0).map_or(0, |n| n as usize);
        if length < HEADER_BYTES || length > rest.len() {
            rest = &[];
            return Some(Err(malformed()));
        }
        let message = &rest[..length];
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(Ok(message))
    })
}

/// Sequence number and (negative) error number of an `NLMSG_ERROR` message, the form that
/// acknowledgements have too.
fn error_code(message: &[u8]) -> io::Result<(u32, i32)> {
    let sequence = word(message, 8).ok_or_else(malformed)?;
    let code = word(message, HEADER_BYTES).ok_or_else(malformed)?;
    Ok((sequence, code.cast_signed()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_datagram_panics_or_loops(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            for message in replies(&bytes).flatten() {
                prop_assert!(error_code(message).is_ok() || message.len() < 20);
            }
        }
    }
}
