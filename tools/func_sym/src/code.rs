//! The symbols of compiled code: an ELF image in which the compiler left a symbol for each piece.

use object::elf::FileHeader64;
use object::read::elf::ElfFile;
use object::{Endianness, Object, ObjectSymbol, SymbolKind};

/// A piece of compiled code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Piece {
    /// Its name without the function's own, as a profile of a stripped module shows it.
    pub(crate) generated: String,
    /// What it is.
    pub(crate) role: Role,
    /// What the compiler appended of the function's name.
    pub(crate) suffix: Option<String>,
    /// From the beginning of the code, in bytes.
    pub(crate) offset: u64,
    /// In bytes.
    pub(crate) size: u64,
}

impl Piece {
    /// As the code's own symbol table has it, which is what a profile without jitdump shows.
    pub(crate) fn full_name(&self) -> String {
        match &self.suffix {
            Some(suffix) => format!("{}::{suffix}", self.generated),
            None => self.generated.clone(),
        }
    }
}

/// What a piece of code is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// The function of this index.
    Function(u32),
    /// By which the host calls the function of this index.
    Entry(u32),
    /// The engine's own.
    Engine,
}

/// Why compiled code tells no pieces.
#[derive(Debug, thiserror::Error)]
pub enum CodeError {
    /// It is no such image, or a broken one.
    #[error("its compiled code cannot be read: {0}")]
    Unreadable(#[from] object::Error),
    /// It has no symbol of code.
    #[error("its compiled code has no symbols")]
    NoSymbols,
}

const FUNCTION: &str = "wasm[0]::function[";
const ENTRY: &str = "wasm[0]::array_to_wasm_trampoline[";

/// The pieces of the compiled module `image`, in the order of their offsets.
pub(crate) fn symbols(image: &[u8]) -> Result<Vec<Piece>, CodeError> {
    let file = ElfFile::<FileHeader64<Endianness>>::parse(image)?;
    let mut pieces = Vec::new();
    for symbol in file.symbols() {
        if symbol.kind() != SymbolKind::Text || !symbol.is_definition() || symbol.size() == 0 {
            continue;
        }
        let name = symbol.name()?;
        pieces.push(piece(name, symbol.address(), symbol.size()));
    }
    if pieces.is_empty() {
        return Err(CodeError::NoSymbols);
    }
    pieces.sort_by_key(|piece| piece.offset);
    Ok(pieces)
}

fn piece(name: &str, offset: u64, size: u64) -> Piece {
    let (role, end) = role_of(name).unwrap_or((Role::Engine, name.len()));
    Piece {
        generated: name[..end].to_owned(),
        role,
        suffix: name[end..].strip_prefix("::").map(str::to_owned),
        offset,
        size,
    }
}

/// The role that `name` tells, and where its generated part ends.
fn role_of(name: &str) -> Option<(Role, usize)> {
    let (rest, make): (_, fn(u32) -> Role) = match name.strip_prefix(FUNCTION) {
        Some(rest) => (rest, Role::Function),
        None => (name.strip_prefix(ENTRY)?, Role::Entry),
    };
    let digits = rest.find(']')?;
    let index = rest[..digits].parse().ok()?;
    Some((make(index), name.len() - rest.len() + digits + 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_tell_roles() {
        let parsed = |name: &str| {
            let piece = piece(name, 0, 1);
            (piece.generated, piece.role, piece.suffix)
        };
        assert_eq!(
            parsed("wasm[0]::function[7]"),
            ("wasm[0]::function[7]".to_owned(), Role::Function(7), None)
        );
        assert_eq!(
            parsed("wasm[0]::function[12]::kernel_3mm"),
            (
                "wasm[0]::function[12]".to_owned(),
                Role::Function(12),
                Some("kernel_3mm".to_owned())
            )
        );
        assert_eq!(
            parsed("wasm[0]::array_to_wasm_trampoline[3]").1,
            Role::Entry(3)
        );
        for own in [
            "wasmtime_builtin_memory_grow",
            "wasm[0]::function[x]",
            "wasm[0]::function[7",
        ] {
            assert_eq!(parsed(own), (own.to_owned(), Role::Engine, None));
        }
    }

    proptest! {
        #[test]
        fn no_name_and_no_image_panics(name in "\\PC{0,60}", image in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = (piece(&name, 0, 1), symbols(&image));
        }
    }
}
