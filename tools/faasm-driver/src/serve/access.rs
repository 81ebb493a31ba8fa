//! Who may do what.

use std::net::IpAddr;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use axum::http::header::{AUTHORIZATION, HOST};
use axum::http::{HeaderMap, StatusCode};
use measure_core::base::ids::FunctionId;
use measure_core::base::trust::{self, TrustError};
use measure_core::driver_kit::DriverError;

use super::admission::Client;
use super::refusal::Refusal;
use crate::token::{MAX_BYTES, MIN_BYTES, Token};

/// In a file of users: a token for the functions of all of them.
const EVERYONE: &str = "*";
const GROUP_AND_OTHERS: u32 = 0o077;

/// Who may do what.
pub(super) enum Access {
    /// Whoever can connect, anything; if only this host can, then by an address or as localhost.
    Open {
        /// Only this host can.
        local: bool,
    },
    /// Whoever has the token, anything.
    One(Token),
    /// Each user with their own functions.
    Users(Vec<(String, Token)>),
}

impl Access {
    /// As the file of users says: a line each, the user's name and the token, between them white space; `*` for a token for all
    /// functions. Empty lines and those that begin with `#` say nothing.
    ///
    /// # Errors
    /// Others may read or change it, or a line says something else.
    pub(super) fn of_users(path: &Path) -> Result<Self, DriverError> {
        let file = trust::open(path).map_err(|error| match error {
            TrustError::Untrusted { path, cause, fix } => DriverError::Failed(format!(
                "the tokens are not believed: {}: {cause}; {fix}",
                path.display()
            )),
            other => other.into(),
        })?;
        let mode = file
            .file()
            .metadata()
            .map_err(|e| DriverError::failed(path.display(), e))?
            .mode();
        if mode & GROUP_AND_OTHERS != 0 {
            return Err(DriverError::Failed(format!(
                "{0}: others can read the tokens in it; chmod 600 {0}",
                path.display()
            )));
        }
        let bytes = file.read()?;
        let text = String::from_utf8_lossy(&bytes);
        users(&text).map(Self::Users).map_err(|(line, why)| {
            DriverError::Usage(format!("{}, line {line}: {why}", path.display()))
        })
    }

    /// The client, if it may use `id`.
    pub(super) fn admit(
        &self,
        headers: &HeaderMap,
        address: IpAddr,
        id: &FunctionId,
    ) -> Result<Client, Refusal> {
        let sent = headers
            .get(AUTHORIZATION)
            .map_or(&b""[..], |v| v.as_bytes());
        match self {
            Self::One(token) if token.admits(sent) => Ok(Client::at(address)),
            Self::One(_) => Err(wants_token("its token")),
            Self::Users(users) => {
                let user = user_of(users, sent).ok_or_else(|| wants_token("a user's token"))?;
                if user == EVERYONE || user == id.user() {
                    return Ok(Client::User(user.to_owned()));
                }
                Err(Refusal::new(
                    StatusCode::FORBIDDEN,
                    format!("this is {user}'s token: it is for /f/{user}/<function> alone"),
                ))
            }
            // A page in a browser on this host can send requests here under a name of its own.
            Self::Open { local: true } if !is_own_name(headers) => Err(Refusal::new(
                StatusCode::MISDIRECTED_REQUEST,
                "this server answers to localhost and to addresses only",
            )),
            Self::Open { .. } => Ok(Client::at(address)),
        }
    }

    /// Whether a client has shown who it is.
    pub(super) fn is_open(&self) -> bool {
        matches!(self, Self::Open { .. })
    }
}

fn wants_token(which: &str) -> Refusal {
    Refusal::new(
        StatusCode::UNAUTHORIZED,
        format!("this server wants {which}: Authorization: Bearer <token>"),
    )
}

/// Whose token `header` has. Each is looked at, so how long this takes tells nothing about them.
fn user_of<'a>(users: &'a [(String, Token)], header: &[u8]) -> Option<&'a str> {
    let mut found = None;
    for (user, token) in users {
        if token.admits(header) {
            found = Some(user.as_str());
        }
    }
    found
}

/// The users in `text`, or the line that is wrong and why.
fn users(text: &str) -> Result<Vec<(String, Token)>, (usize, String)> {
    let mut users: Vec<(String, Token)> = Vec::new();
    for (line, number) in text.lines().zip(1..) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let wrong = |why: String| (number, why);
        let mut words = line.split_whitespace();
        let (Some(user), Some(token), None) = (words.next(), words.next(), words.next()) else {
            return Err(wrong("it must be a user and a token".to_owned()));
        };
        if user != EVERYONE {
            FunctionId::new(user, "f").map_err(|e| wrong(e.to_string()))?;
        }
        let token = Token::new(token).ok_or_else(|| {
            wrong(format!(
                "{user}'s token must have {MIN_BYTES} to {MAX_BYTES} visible ASCII characters, for example from `openssl rand -hex 32`"
            ))
        })?;
        if let Some((other, _)) = users
            .iter()
            .find(|(_, known)| known.admits(token.authorization().as_bytes()))
        {
            return Err(wrong(format!("{user} has the token of {other}")));
        }
        users.push((user.to_owned(), token));
    }
    if users.is_empty() {
        return Err((1, "it names no user".to_owned()));
    }
    Ok(users)
}

/// Whether the client called us by an address or as localhost; old clients do not say.
fn is_own_name(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(HOST) else {
        return true;
    };
    let Ok(host) = host.to_str() else {
        return false;
    };
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    name.eq_ignore_ascii_case("localhost")
        || name
            .trim_start_matches('[')
            .trim_end_matches(']')
            .parse::<IpAddr>()
            .is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_and_localhost_are_own_names() {
        let called = |host: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, host.parse().expect("a header"));
            is_own_name(&headers)
        };
        for own in [
            "localhost",
            "localhost:8080",
            "127.0.0.1:1",
            "[::1]:8080",
            "10.0.0.1",
        ] {
            assert!(called(own), "{own}");
        }
        for foreign in [
            "example.com",
            "localhost.example.com:80",
            "",
            "127.0.0.1.example.com",
        ] {
            assert!(!called(foreign), "{foreign}");
        }
        assert!(is_own_name(&HeaderMap::new()));
    }

    const A: &str = "aaaaaaaaaaaaaaaa";
    const B: &str = "bbbbbbbbbbbbbbbb";

    #[test]
    fn a_user_is_who_has_the_token() {
        let text = format!("# users\n\nann {A}\n  bob\t{B}  \r\nann cccccccccccccccc\n");
        let users = users(&text).unwrap_or_else(|(line, why)| panic!("{line}: {why}"));
        let who = |token: &str| user_of(&users, format!("Bearer {token}").as_bytes());
        assert_eq!(who(A), Some("ann"));
        assert_eq!(who(B), Some("bob"));
        assert_eq!(who("cccccccccccccccc"), Some("ann"));
        for wrong in ["", "aaaaaaaaaaaaaaab", "ann"] {
            assert_eq!(who(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn lines_that_are_none_are_named() {
        for (text, line, says) in [
            (String::new(), 1, "no user"),
            ("ann".to_owned(), 1, "a user and a token"),
            (format!("ann {A} {B}"), 1, "a user and a token"),
            ("\nann short".to_owned(), 2, "16 to 1024"),
            (format!("../x {A}"), 1, "../x"),
            (format!("ann {A}\nbob {A}"), 2, "token of ann"),
        ] {
            match users(&text) {
                Ok(_) => panic!("{text} is none"),
                Err((at, why)) => {
                    assert_eq!(at, line, "{text}: {why}");
                    assert!(why.contains(says), "{text}: {why}");
                }
            }
        }
    }
}
