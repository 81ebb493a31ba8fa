//! Damages a file in ways that keep much of its form: a reader sees most of what it expects, and then something else.

use crate::seed::Draw;

/// What a text may hold and its writer never puts there.
const TOKENS: [&[u8]; 28] = [
    b"null",
    b"true",
    b"-1",
    b"0",
    b"1e999",
    b"-0.0",
    b"NaN",
    b"18446744073709551615",
    b"18446744073709551616",
    b"-9223372036854775808",
    b"1e-320",
    b"1.7976931348623157e308",
    b"[]",
    b"{}",
    b"\"\"",
    b"\\u0000",
    b"\\ud800",
    b"\x1b[2J",
    b"\0",
    b"\xff\xfe",
    b"\r\n",
    b"../../../../etc/passwd",
    b"%n",
    b"{}{}",
    b"=",
    b"\"",
    b"'",
    b"{{",
];

/// The most that a file grows to.
const MOST_BYTES: usize = 1 << 20;
/// Deeper than any reader that calls itself for each level may go.
const DEEP: usize = 20_000;

/// `seed`, damaged in some places.
#[must_use]
pub fn mutate(seed: &[u8], draw: &mut Draw) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    let most = 1 << draw.below(5);
    let times = 1 + draw.below(most);
    for _ in 0..times {
        once(&mut bytes, draw);
        bytes.truncate(MOST_BYTES);
    }
    bytes
}

/// A part of `bytes`, mostly a short one.
fn part(bytes: &[u8], draw: &mut Draw) -> std::ops::Range<usize> {
    let from = draw.index(bytes.len() + 1);
    let most = 1 << draw.below(12);
    let len = draw.index(most + 1).min(bytes.len() - from);
    from..from + len
}

fn once(bytes: &mut Vec<u8>, draw: &mut Draw) {
    match draw.below(12) {
        0 => {
            let at = draw.index(bytes.len());
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << draw.below(8);
            }
        }
        1 => {
            let part = part(bytes, draw);
            bytes.drain(part);
        }
        2 => {
            let again = bytes[part(bytes, draw)].to_vec();
            let at = draw.index(bytes.len() + 1);
            bytes.splice(at..at, again);
        }
        3 => {
            let len = draw.index(12);
            let new = draw.bytes(len);
            let part = part(bytes, draw);
            bytes.splice(part.start..part.start, new);
        }
        4 | 5 => {
            let token = draw.one(&TOKENS).to_vec();
            let at = draw.index(bytes.len() + 1);
            bytes.splice(at..at, token);
        }
        6..=8 => number(bytes, draw),
        9 => lines(bytes, draw),
        10 => bytes.truncate(draw.index(bytes.len() + 1)),
        _ => {
            if draw.once_in(20) {
                let open = *draw.one(b"[{(\"a");
                let at = draw.index(bytes.len() + 1);
                bytes.splice(at..at, std::iter::repeat_n(open, DEEP));
            }
        }
    }
}

/// Puts another number, or another value, in the place of one.
fn number(bytes: &mut Vec<u8>, draw: &mut Draw) {
    let from = draw.index(bytes.len() + 1);
    let Some(first) = bytes[from..].iter().position(u8::is_ascii_digit) else {
        return;
    };
    let start = from + first;
    let len = bytes[start..]
        .iter()
        .position(|byte| !byte.is_ascii_digit())
        .unwrap_or(bytes.len() - start);
    let new = match draw.below(4) {
        0 => draw.one(&TOKENS).to_vec(),
        1 => format!("-{}", draw.edge()).into_bytes(),
        _ => draw.edge().to_string().into_bytes(),
    };
    bytes.splice(start..start + len, new);
}

/// Swaps, repeats or drops whole lines.
fn lines(bytes: &mut Vec<u8>, draw: &mut Draw) {
    let mut lines: Vec<Vec<u8>> = bytes
        .split_inclusive(|&byte| byte == b'\n')
        .map(<[u8]>::to_vec)
        .collect();
    if lines.is_empty() {
        return;
    }
    let (a, b) = (draw.index(lines.len()), draw.index(lines.len()));
    match draw.below(3) {
        0 => lines.swap(a, b),
        1 => lines.insert(a, lines[b].clone()),
        _ => {
            lines.remove(a);
        }
    }
    *bytes = lines.concat();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_and_anything_can_be_damaged() {
        let mut draw = Draw::new("files", 1);
        for seed in [&b""[..], b"7", b"{\"a\": [1, 22, 333]}\nb\n\xff"] {
            let all: Vec<_> = (0..2000).map(|_| mutate(seed, &mut draw)).collect();
            assert!(all.iter().all(|bytes| bytes.len() <= MOST_BYTES));
            assert!(all.iter().any(|bytes| bytes != seed));
        }
    }
}
