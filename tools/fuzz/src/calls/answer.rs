//! What programs write down of the answers to their calls.

/// Room for a listing of any directory that there is.
pub const BUFFER_BYTES: u32 = 1024;
pub const OUT_BYTES: u32 = 64;
/// What stands before a name in a listing: where to go on, inode, length of the name, kind.
const LISTED_HEAD_BYTES: usize = 24;

/// Of what a call answered: error number, answer, how much was moved, buffer.
pub const ENTRY_BYTES: usize = 4 + OUT_BYTES as usize + 4 + BUFFER_BYTES as usize;

/// What one call answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub errno: u32,
    pub out: Vec<u8>,
    pub used: u32,
    pub buffer: Vec<u8>,
}

impl Answer {
    /// Names and kinds of a listing, sorted.
    pub fn entries(&self) -> Vec<(&[u8], u8)> {
        let mut all = Vec::new();
        let mut rest = self.buffer.get(..self.used as usize).unwrap_or_default();
        while let Some((head, tail)) = rest.split_at_checked(LISTED_HEAD_BYTES) {
            let len = u32::from_le_bytes([head[16], head[17], head[18], head[19]]) as usize;
            let Some((name, more)) = tail.split_at_checked(len) else {
                break;
            };
            all.push((name, head[20]));
            rest = more;
        }
        all.sort_unstable();
        all
    }
}

/// What the calls of a program of `steps` calls answered, as it wrote it down.
pub fn answers(log: &[u8], steps: usize) -> Vec<Answer> {
    let word = |bytes: &[u8]| u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    let entries = log.chunks_exact(ENTRY_BYTES).take(steps);
    let out_end = 4 + OUT_BYTES as usize;
    entries
        .map(|entry| Answer {
            errno: word(entry),
            out: entry[4..out_end].to_vec(),
            used: word(&entry[out_end..]),
            buffer: entry[out_end + 4..].to_vec(),
        })
        .collect()
}
