//! wordcount: the words of its standard input, the most frequent first.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};

const SHOWN: usize = 3;

fn main() -> io::Result<()> {
    let mut text = String::new();
    io::stdin().read_to_string(&mut text)?;
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for word in text.split_whitespace() {
        *counts.entry(word).or_default() += 1;
    }
    let mut words: Vec<(&str, usize)> = counts.into_iter().collect();
    words.sort_by_key(|&(word, count)| (std::cmp::Reverse(count), word));
    let mut out = io::stdout().lock();
    for (word, count) in words.iter().take(SHOWN) {
        writeln!(out, "{count} {word}")?;
    }
    Ok(())
}
