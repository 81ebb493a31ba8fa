//! What a program says of itself.

use std::process::{Command, Stdio};

/// The first line that `program --version` prints, for notes about tools.
///
/// # Errors
/// It is not installed, or fails.
pub fn version_of(program: &str) -> Result<String, String> {
    let output = Command::new(program)
        .arg("--version")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .map_err(|e| format!("cannot run {program}: {e}"))?;
    if !output.status.success() {
        return Err(format!("{program} --version ended with {}", output.status));
    }
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .next()
        .map(|line| line.trim().to_owned())
        .ok_or_else(|| format!("{program} --version prints nothing"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_the_first_line_that_a_program_says() {
        assert!(version_of("sh-that-is-not-there").is_err());
        let ls = version_of("ls").expect("coreutils");
        assert!(ls.starts_with("ls"), "{ls}");
    }
}
