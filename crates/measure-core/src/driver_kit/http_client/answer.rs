//! An answer as it arrives.

use crate::contract::answer::Content;
use crate::contract::exchange::Response;

use super::error::HttpError;

/// So many lines of a head have room without asking for memory, which few answers go beyond.
const USUAL_HEADERS: usize = 64;
const MAX_HEADERS: usize = 1024;
/// More is no answer that is timed.
const MAX_BYTES: usize = 64 << 20;

/// An answer that has arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// Its status.
    pub status: u16,
    /// Its header `Content-Type`.
    pub content_type: Option<String>,
    /// Its body.
    pub body: Vec<u8>,
    /// Whether the connection takes another request.
    pub stays_open: bool,
}

impl Answered {
    /// What of it is compared.
    #[must_use]
    pub fn to_response(&self) -> Response {
        Response {
            status: self.status,
            content_type: self.content_type.clone(),
            body: Content::of_bytes(&self.body),
        }
    }
}

/// What has come of an answer.
#[derive(Debug, Default)]
pub(super) struct Arriving {
    /// Not yet understood.
    bytes: Vec<u8>,
    head: Option<Answered>,
    framing: Framing,
    /// Whether it has no body, whatever length it says: HEAD was asked.
    is_head: bool,
}

/// How long a body is (RFC 9112, 6.3).
#[derive(Debug, Default, Clone, Copy)]
enum Framing {
    /// So many bytes.
    Length(usize),
    /// In parts.
    Chunked,
    /// Until the connection is closed.
    #[default]
    ToItsEnd,
}

impl Arriving {
    /// Nothing yet of the answer to `request`.
    pub(super) fn answer_to(request: &[u8]) -> Self {
        Self {
            is_head: request.starts_with(b"HEAD "),
            ..Self::default()
        }
    }

    /// Takes `bytes`; the whole answer, once it is there.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Result<Option<Answered>, HttpError> {
        self.bytes.extend_from_slice(bytes);
        if self.head.is_none() && !self.read_head()? {
            return self.within_bounds();
        }
        let Some(head) = &mut self.head else {
            return Ok(None);
        };
        let is_whole = match self.framing {
            Framing::Length(length) => {
                let missing = length - head.body.len().min(length);
                let more = self.bytes.len().min(missing);
                head.body.extend(self.bytes.drain(..more));
                head.body.len() >= length
            }
            Framing::Chunked => take_chunks(&mut self.bytes, &mut head.body)?,
            Framing::ToItsEnd => {
                head.body.append(&mut self.bytes);
                false
            }
        };
        if is_whole {
            return Ok(self.head.take());
        }
        self.within_bounds()
    }

    /// The connection was closed: that is the end of an answer that says no length.
    pub(super) fn closed(mut self) -> Result<Answered, HttpError> {
        match (self.framing, self.head.take()) {
            (Framing::ToItsEnd, Some(head)) => Ok(head),
            (_, head) => {
                self.head = head;
                Err(self.came().map_or(HttpError::Closed, HttpError::BrokenOff))
            }
        }
    }

    /// That time ran out by `error`, with what had come by then.
    pub(super) fn late(&self, error: HttpError) -> HttpError {
        match (error, self.came()) {
            (HttpError::TimedOut(limit), Some(came)) => HttpError::Unfinished { limit, came },
            (error, _) => error,
        }
    }

    /// How much of the answer is there, in words.
    fn came(&self) -> Option<String> {
        let Some(head) = &self.head else {
            return (!self.bytes.is_empty()).then(|| "a part of its head".to_owned());
        };
        let bytes = head.body.len();
        Some(match self.framing {
            Framing::Length(length) => format!("{bytes} of {length} bytes (Content-Length)"),
            Framing::Chunked => {
                format!("{bytes} bytes without the last part (Transfer-Encoding: chunked)")
            }
            Framing::ToItsEnd => {
                format!("{bytes} bytes of unknown length, as the connection stays open")
            }
        })
    }

    fn within_bounds(&self) -> Result<Option<Answered>, HttpError> {
        let body = self.head.as_ref().map_or(0, |head| head.body.len());
        if self.bytes.len() + body > MAX_BYTES {
            return Err(HttpError::TooMuch(MAX_BYTES));
        }
        Ok(None)
    }

    /// Whether the head is whole now; preliminary answers (1xx) are left out.
    fn read_head(&mut self) -> Result<bool, HttpError> {
        loop {
            let is_head = self.is_head;
            let parsed = with_head(&self.bytes, |head, length| {
                let status = head.code.unwrap_or_default();
                let preliminary = (100..200).contains(&status);
                let answered = (!preliminary).then(|| understood(head, status, is_head));
                (answered.transpose(), length)
            })?;
            let Some((answered, length)) = parsed else {
                return Ok(false);
            };
            self.bytes.drain(..length);
            if let Some((answered, framing)) = answered? {
                self.head = Some(answered);
                self.framing = framing;
                return Ok(true);
            }
        }
    }
}

/// What `then` makes of the head that `bytes` begin with and of its length; nothing as long as it is not whole.
fn with_head<T>(
    bytes: &[u8],
    then: impl FnOnce(&httparse::Response<'_, '_>, usize) -> T,
) -> Result<Option<T>, httparse::Error> {
    let mut usual = [httparse::EMPTY_HEADER; USUAL_HEADERS];
    match parse_head(&mut usual, bytes) {
        Err(httparse::Error::TooManyHeaders) => {
            let mut many = vec![httparse::EMPTY_HEADER; MAX_HEADERS];
            let parsed = parse_head(&mut many, bytes)?;
            Ok(parsed.map(|(head, length)| then(&head, length)))
        }
        parsed => Ok(parsed?.map(|(head, length)| then(&head, length))),
    }
}

fn parse_head<'h, 'b>(
    headers: &'h mut [httparse::Header<'b>],
    bytes: &'b [u8],
) -> Result<Option<(httparse::Response<'h, 'b>, usize)>, httparse::Error> {
    let mut head = httparse::Response::new(headers);
    let mut parser = httparse::ParserConfig::default();
    // Whoever takes an answer takes lines that go on in the next (RFC 9112, 5.2).
    parser.allow_obsolete_multiline_headers_in_responses(true);
    Ok(match parser.parse_response(&mut head, bytes)? {
        httparse::Status::Complete(length) => Some((head, length)),
        httparse::Status::Partial => None,
    })
}

fn understood(
    head: &httparse::Response<'_, '_>,
    status: u16,
    is_head: bool,
) -> Result<(Answered, Framing), HttpError> {
    let value = |name: &str| {
        let named = head
            .headers
            .iter()
            .find(|h| h.name.eq_ignore_ascii_case(name));
        named.map(|header| String::from_utf8_lossy(header.value).trim().to_owned())
    };
    let has = |name: &str, word: &str| {
        let words = value(name).unwrap_or_default();
        words
            .split(',')
            .any(|w| w.trim().eq_ignore_ascii_case(word))
    };
    let framing = match status {
        204 | 304 => Framing::Length(0),
        _ if is_head => Framing::Length(0),
        _ if has("transfer-encoding", "chunked") => Framing::Chunked,
        _ => length_of(head)?.map_or(Framing::ToItsEnd, Framing::Length),
    };
    let by_default = head.version == Some(1) && !has("connection", "close");
    let answered = Answered {
        status,
        content_type: value("content-type"),
        body: Vec::new(),
        stays_open: (by_default || has("connection", "keep-alive"))
            && !matches!(framing, Framing::ToItsEnd),
    };
    Ok((answered, framing))
}

/// How long the body is to be, if the head says so: in one line, or more that say the same (RFC 9112, 6.3).
fn length_of(head: &httparse::Response<'_, '_>) -> Result<Option<usize>, HttpError> {
    let lines = head.headers.iter();
    let lines = lines.filter(|line| line.name.eq_ignore_ascii_case("content-length"));
    let texts: Vec<_> = lines
        .map(|line| String::from_utf8_lossy(line.value))
        .collect();
    let mut lengths = texts.iter().flat_map(|text| text.split(',')).map(str::trim);
    let Some(first) = lengths.next() else {
        return Ok(None);
    };
    let is_number = first.bytes().all(|b| b.is_ascii_digit());
    let length = first.parse().ok().filter(|_| is_number);
    match (length, lengths.find(|other| *other != first)) {
        (None, _) => Err(HttpError::Length(first.to_owned())),
        (_, Some(other)) => Err(HttpError::Lengths(first.to_owned(), other.to_owned())),
        (length, None) => Ok(length),
    }
}

/// Moves what has come of the parts of a body; whether the last one and its trailers have.
fn take_chunks(bytes: &mut Vec<u8>, body: &mut Vec<u8>) -> Result<bool, HttpError> {
    loop {
        let size = httparse::parse_chunk_size(bytes).map_err(|_| HttpError::Chunk)?;
        let httparse::Status::Complete((begin, size)) = size else {
            return Ok(false);
        };
        if size == 0 {
            return Ok(is_end_of_trailers(&bytes[begin..]));
        }
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        if size > MAX_BYTES {
            return Err(HttpError::TooMuch(MAX_BYTES));
        }
        // With its line's end.
        let end = begin + size + 2;
        if bytes.len() < end {
            return Ok(false);
        }
        if !bytes[begin + size..end].eq(b"\r\n") {
            return Err(HttpError::Chunk);
        }
        body.extend_from_slice(&bytes[begin..begin + size]);
        bytes.drain(..end);
    }
}

/// Whether the lines after the last part are there: none, or fields, and an empty one.
fn is_end_of_trailers(rest: &[u8]) -> bool {
    rest.starts_with(b"\r\n") || rest.windows(4).any(|four| four == b"\r\n\r\n")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What comes of `bytes` that arrive in two parts, cut at `at`.
    fn in_two(bytes: &[u8], at: usize) -> Result<Option<Answered>, HttpError> {
        let mut arriving = Arriving::default();
        let (first, second) = bytes.split_at(at.min(bytes.len()));
        match arriving.take(first)? {
            None => arriving.take(second),
            whole => Ok(whole),
        }
    }

    #[test]
    fn an_answer_is_whole_when_its_length_its_last_part_or_its_end_has_come() {
        let length =
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Type: text/plain\r\n\r\nhello";
        let parts = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: text/plain\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n";
        for bytes in [&length[..], &parts[..]] {
            for at in 0..=bytes.len() {
                let answered = in_two(bytes, at).expect("HTTP").expect("whole");
                assert_eq!(answered.body, b"hello");
                assert_eq!(answered.content_type.as_deref(), Some("text/plain"));
                assert!(answered.stays_open);
            }
            for end in 0..bytes.len() {
                let none = Arriving::default().take(&bytes[..end]).expect("HTTP");
                assert_eq!(none, None, "{end}");
            }
        }
        let mut old = Arriving::default();
        assert!(
            old.take(b"HTTP/1.0 200 OK\r\n\r\nhello")
                .expect("HTTP")
                .is_none()
        );
        let answered = old.closed().expect("whole");
        assert_eq!(answered.body, b"hello");
        assert!(!answered.stays_open);
    }

    #[test]
    fn heads_of_many_lines_and_of_lines_that_go_on_are_read() {
        let lines = |count: usize| {
            let lines: String = (0..count).map(|n| format!("X-{n}: y\r\n")).collect();
            format!(
                "HTTP/1.1 200 OK\r\n{lines}Content-Type: text/plain;\r\n  charset=utf-8\r\nContent-Length: 2\r\n\r\nok"
            )
        };
        for count in [0, 60, 70, 1000] {
            let text = lines(count);
            for at in [1, text.len() / 2, text.len() - 1] {
                let answered = in_two(text.as_bytes(), at).expect("HTTP").expect("whole");
                assert_eq!(answered.body, b"ok");
                let kind = answered.content_type.expect("a kind");
                assert!(kind.ends_with("charset=utf-8"), "{kind}");
            }
        }
        assert!(in_two(lines(1100).as_bytes(), 0).is_err());
    }

    #[test]
    fn what_comes_before_or_instead_of_an_answer_is_told() {
        let early = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n";
        let answered = in_two(early, 30).expect("HTTP").expect("whole");
        assert_eq!((answered.status, answered.body.len()), (204, 0));
        assert!(in_two(b"SSH-2.0-OpenSSH\r\n", 3).is_err());
        let broken = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhello";
        assert!(matches!(in_two(broken, 0), Err(HttpError::Chunk)));
        let cut = Arriving::default().closed();
        assert!(matches!(cut, Err(HttpError::Closed)));
    }

    #[test]
    fn a_length_is_one_number() {
        let answered = |lines: &str| {
            let text = format!("HTTP/1.1 200 OK\r\n{lines}\r\nhello");
            in_two(text.as_bytes(), 20)
        };
        for lines in [
            "Content-Length: 5\r\nContent-Length: 5\r\n",
            "Content-Length: 5, 5\r\n",
        ] {
            let whole = answered(lines).expect("HTTP").expect("whole");
            assert_eq!(whole.body, b"hello");
        }
        for (lines, words) in [
            (
                "Content-Length: 5\r\ncontent-length: 9\r\n",
                "two lengths of its body, 5 and 9",
            ),
            ("Content-Length: 5, 4\r\n", "5 and 4"),
            ("Content-Length: five\r\n", "`five` as the length"),
            ("Content-Length: +5\r\n", "`+5` as the length"),
            ("Content-Length:\r\n", "`` as the length"),
            (
                "Content-Length: 99999999999999999999\r\n",
                "`99999999999999999999` as the length",
            ),
        ] {
            let error = answered(lines).expect_err(lines);
            assert!(!error.may_be_its_end());
            assert!(error.to_string().contains(words), "{error}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), at in 0_usize..200) {
            let _ = in_two(&bytes, at);
            let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
            let _ = in_two(&[head, &bytes[..]].concat(), at);
        }

        #[test]
        fn a_body_in_parts_is_put_together(parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..6), at in 0_usize..300) {
            let mut bytes = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
            for part in &parts {
                bytes.extend(format!("{:x}\r\n", part.len()).bytes());
                bytes.extend(part);
                bytes.extend(b"\r\n");
            }
            bytes.extend(b"0\r\n\r\n");
            let answered = in_two(&bytes, at).expect("HTTP").expect("whole");
            prop_assert_eq!(answered.body, parts.concat());
        }
    }
}
